"""Code of one's own: a class in a Python file that the command line names, `path/file.py` or `path/file.py:Class`.

The path on the command line is the consent to run the file. Nothing else is run so: not what a downloaded folder holds.
"""

import importlib.util
import re
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

from hfcls.errors import InputError

FLAGS = ("architecture", "dataset")  # whose value may be a file


def is_file(value: str) -> bool:
    """Whether the value of a flag is a Python file, with or without a class, and not a name.

    >>> is_file("models/mine.py"), is_file("mine.py:Mine"), is_file("text_cnn"), is_file("owner/name")
    (True, True, False, False)
    """
    return _split(value)[0].endswith(".py")


def path_of(value: str) -> Path:
    """The file in `path/file.py:Class`."""
    return Path(_split(value)[0])


def without_folder(value: str) -> str:
    """`file.py:Class` of `path/file.py:Class`; what names no file is left as it is."""
    return Path(value).name if is_file(value) else value


def _split(value: str) -> tuple[str, str]:
    """Path and class, which is "" where none is named."""
    match = re.fullmatch(r"(.*\.py):(\w*)", value)
    return (match[1], match[2]) if match else (value, "")


def load_class(value: str, base: type, *, flag: str) -> type:
    """The class in the file of `value` that is a `base`: the one named behind the colon, else the only one.

    Classes that the file imports do not count, nor, without a name, those that others in the file are derived from.

    Args:
        flag: which `value` was given for, "--architecture".

    Raises:
        InputError: there is no such file, it cannot be imported, or it holds no such class or several.
    """
    path, name = _split(value)
    module = _import(Path(path), flag)
    classes = [item for item in vars(module).values() if isinstance(item, type) and issubclass(item, base)]
    found = {item.__name__: item for item in classes if item.__module__ == module.__name__}
    if name and name not in found:
        raise InputError(f"{flag} {value}: no class {name} that is a {base.__name__}; name one of {', '.join(found)}")
    if name:
        return found[name]
    last = [item for item in found.values() if not any(item in other.__mro__[1:] for other in found.values())]
    if not last:
        raise InputError(f"{flag} {value}: no class in it is a {base.__name__}; derive one from it")
    if len(last) > 1:
        raise InputError(
            f"{flag} {value}: holds {', '.join(item.__name__ for item in last)}; name one: {path}:{last[0].__name__}"
        )
    return last[0]


@contextmanager
def errors_in(path: str | Path) -> Iterator[None]:
    """Turns whatever the code of `path` raises in the block into one line with the line of the file.

    Raises:
        InputError: the code raised something.
    """
    try:
        yield
    except InputError:
        raise
    except Exception as error:  # it is not this project's code: it may raise anything
        resolved = str(Path(path).resolve())
        lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == resolved]
        if isinstance(error, SyntaxError) and error.filename == resolved:
            lines = [error.lineno]
        said = " ".join((error.msg if isinstance(error, SyntaxError) else str(error)).split())
        where = f"{path}:{lines[-1]}" if lines else str(path)
        raise InputError(f"{where}: {type(error).__name__}: {said} (HFCLS_DEBUG=1 shows where)") from error


def _import(path: Path, flag: str) -> ModuleType:
    """The module of the file, imported once in a process.

    It is called as its file: by that name its objects are pickled, and transformers copies the file beside the weights
    and writes the name into their config.
    """
    if not path.is_file():
        raise InputError(f"{flag} {path}: no such file; give the path of one")
    name, resolved = path.stem, str(path.resolve())
    if not name.isidentifier():
        raise InputError(f"{flag} {path}: the name of a module is letters, digits and _: rename the file")
    known = sys.modules.get(name)
    if known is not None and getattr(known, "__file__", None) == resolved:
        return known
    spec = None if known is not None else importlib.util.find_spec(name)
    if known is not None or (spec is not None and spec.origin != resolved):
        raise InputError(f"{flag} {path}: there is a module {name} already: rename the file")
    spec = importlib.util.spec_from_file_location(name, resolved)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # before it runs: dataclasses look their module up
    try:
        with errors_in(path):
            # Not `exec_module`: within a second it takes an edit for none, and runs what it had compiled before.
            exec(spec.loader.source_to_code(path.read_bytes(), resolved), vars(module))
    except InputError:
        del sys.modules[name]
        raise
    return module
