"""The Python modules that lie beside the weights: which of them a config names, and which those need."""

import ast
from pathlib import Path
from typing import Any

from hfcls.errors import InputError


def code_references(config: dict[str, Any]) -> list[str]:
    """What `auto_map` and `custom_pipelines` of `config` name in its own folder: "text_cnn.TextCNNConfig".

    Code of another repository ("namespace/name--module.Class") is left out.
    """
    references = [pipeline["impl"] for pipeline in config.get("custom_pipelines", {}).values()]
    for names in config.get("auto_map", {}).values():
        references += [names] if isinstance(names, str) else names  # a tokenizer has two, of which one may be null
    return [name for name in references if name and "--" not in name]


def imported_files(module: Path) -> set[Path]:
    """`module` and the modules beside it that it imports relatively (`from .name import …`), and those they import.

    Raises:
        InputError: one of them is not there, or no Python.
    """
    found, waiting = set(), [module]
    while waiting:
        path = waiting.pop()
        if path in found:
            continue
        if not path.is_file():
            raise InputError(f"{path}: not found, but {module.name} needs it: save the model again")
        try:
            tree = ast.parse(path.read_text(encoding="utf-8"))
        except (SyntaxError, ValueError) as error:  # ValueError: no UTF-8
            raise InputError(f"{path}: no Python ({error}): save the model again") from error
        found.add(path)
        imports = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.level == 1]
        waiting += [path.with_name(f"{node.module}.py") for node in imports if node.module]
    return found
