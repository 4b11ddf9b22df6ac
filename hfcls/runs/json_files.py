"""JSON files of a run: written whole or not at all, read into dataclasses that say what belongs there."""

import json
import math
from dataclasses import MISSING, fields, is_dataclass
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, get_args, get_origin, get_type_hints

from hfcls.errors import InputError


def write_json(path: Path, content: dict) -> None:
    """Writes `content` as strict JSON: what is NaN or infinite becomes null. A file of that name is complete or not
    there.
    """

    def strict(value):
        if isinstance(value, float) and not math.isfinite(value):
            return None
        if isinstance(value, dict):
            return {key: strict(item) for key, item in value.items()}
        if isinstance(value, (list, tuple)):
            return [strict(item) for item in value]
        return value

    text = json.dumps(strict(content), ensure_ascii=False, indent=2, allow_nan=False) + "\n"
    part = path.with_suffix(".part")
    part.write_text(text, encoding="utf-8")
    part.replace(path)


def read_json(path: Path) -> dict[str, Any]:
    """The JSON object in `path`; NaN and infinities become None, because nothing was measured there.

    Raises:
        InputError: the file is missing, or holds no JSON object in UTF-8.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"), parse_constant=lambda name: None)
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}; a finished run leaves this file") from error
    except (ValueError, RecursionError) as error:  # no JSON, or no UTF-8, or too deep
        raise InputError(f"{path}: no JSON file in UTF-8 ({error}): run again") from error
    if not isinstance(content, dict):
        raise InputError(f"{path}: {content!r:.60} where a JSON object belongs: run again")
    return content


def from_json(kind: Any, value: Any, where: str) -> Any:
    """`value`, as `json.loads` gave it, as an object of `kind`.

    Args:
        kind: a type hint: a dataclass, str, int, float, bool, None or object; a list, dict, union or Literal of them.
            A field with a default may be absent; keys without a field are left out.
        where: the beginning of the message if it does not fit, "run.json: data: ".

    Raises:
        InputError: a key is missing, or a value is of another kind or refused by the dataclass it belongs to.
    """
    if is_dataclass(kind):
        return _dataclass_from_json(kind, value, where)
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is UnionType:
        if value is None and NoneType in arguments:
            return None
        (inner,) = (argument for argument in arguments if argument is not NoneType)
        return from_json(inner, value, where)
    if origin is list and isinstance(value, list):
        return [from_json(arguments[0], item, where) for item in value]
    if origin is dict and isinstance(value, dict):
        return {key: from_json(arguments[1], item, f"{where}{key}: ") for key, item in value.items()}
    if origin is Literal and value in arguments:
        return value
    if origin is None and _is_a(kind, value):
        return value
    raise InputError(f"{where}{value!r:.60} does not belong here: run again with this version")


def _is_a(kind: type, value: Any) -> bool:
    """Whether `value` is of the plain type `kind`: an int is a float too, True is no number."""
    if kind is object:
        return True
    if isinstance(value, bool) or kind is bool:
        return isinstance(value, bool) and kind is bool
    if kind is float:
        return isinstance(value, int) or (isinstance(value, float) and math.isfinite(value))
    return isinstance(value, kind)


def _dataclass_from_json(kind: Any, value: Any, where: str) -> Any:
    if not isinstance(value, dict):
        raise InputError(f"{where}{value!r:.60} does not belong here: run again with this version")
    hints = get_type_hints(kind)
    found = {}
    for field in fields(kind):
        if field.name in value:
            found[field.name] = from_json(hints[field.name], value[field.name], f"{where}{field.name}: ")
        elif field.default is MISSING and field.default_factory is MISSING:
            raise InputError(f"{where}{field.name!r} is missing: run again with this version")
    try:
        return kind(**found)
    except ValueError as error:  # of its __post_init__
        raise InputError(f"{where}{error}: run again with this version") from error
