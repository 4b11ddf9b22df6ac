"""The recipes, copied to where they can be run and changed: an installed hfcls holds them as data."""

import shutil
from pathlib import Path

import hfcls
from hfcls.errors import InputError

PACKAGE = Path(hfcls.__file__).parent


def recipes_folder() -> Path:
    """Where the recipes lie: in the installed package (`setup.py` puts them there), or in a checkout beside it."""
    installed = PACKAGE / "recipes"
    return installed if installed.is_dir() else PACKAGE.parent / "recipes"


def copy_recipes(folder: str) -> list[str]:
    """Copies every recipe and its pages into `folder`, and returns the names of the recipes.

    Raises:
        InputError: a file of that name lies there already, or nothing can be written there.
    """
    source, target = recipes_folder(), Path(folder)
    paths = [path for path in sorted(source.rglob("*")) if path.is_file() and "__pycache__" not in path.parts]
    for path in paths:
        copy = target / path.relative_to(source)
        if copy.exists():
            raise InputError(f"{copy}: is there already, and would be lost: give another DIR, or remove it")
    try:
        for path in paths:
            copy = target / path.relative_to(source)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, copy)
    except OSError as error:
        raise InputError(f"{target}: {error.strerror}: give a DIR that can be written to") from error
    return [path.stem for path in paths if path.parent == source and path.suffix == ".py"]
