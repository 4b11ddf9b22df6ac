"""Folders of classes, in each of which lie its files; what is passed over is noted.

This file needs `files.py` beside it, and the standard library.
"""

import os
from collections.abc import Callable

from .files import offenders

__all__ = ["class_folders", "folders_in", "note_hidden", "visible"]

_MADE_BY_A_MAC = "__MACOSX"  # stands beside what was packed, and holds a `._` file for each file of it

_Note = Callable[[str], None]


def class_folders(folder: str, suffixes: tuple[str, ...], what: str, note: _Note) -> dict[str, list[str]]:
    """Class → the paths of its files, of `<folder>/<class>/<file>`, both in the order of their names.

    A folder without a file is no class. Hidden files, those that a Mac's archives bring, folders within the folder of a
    class and files of other kinds are left out.

    Args:
        suffixes: of the files, in small letters.
        what: they are, for notes: "picture".
    """
    classes, empty = {}, []
    names = folders_in(folder)
    for name in names:
        path = f"{folder}/{name}"
        hidden = set(_hidden(path))
        entries = [entry for entry in os.scandir(path) if entry.name not in hidden]
        nested = sum(entry.is_dir() for entry in entries)
        files = sorted(entry.name for entry in entries if entry.name.lower().endswith(suffixes) and entry.is_file())
        others = len(entries) - len(files) - nested
        if files:
            classes[name] = [f"{path}/{file}" for file in files]
        else:
            empty.append(name)
        if nested:
            note(f"{path}: {nested} folders within it are left out, and what they hold")
        if others:
            note(f"{path}: {others} files that are no {what}s are left out")
    if empty:
        note(f"{folder}: {len(empty)} folders without a {what} are no classes ({offenders(empty)})")
    note_hidden(folder, note, *(f"{folder}/{name}" for name in names))
    return classes


def folders_in(folder: str) -> list[str]:
    """The names of the folders in `folder` that are visible, sorted."""
    return [name for name in visible(folder) if os.path.isdir(f"{folder}/{name}")]


def visible(folder: str) -> list[str]:
    """The names in `folder` that do not begin with a dot, sorted, without what a Mac's archives bring.

    Raises:
        OSError: it is no folder, or cannot be read.
    """
    hidden = set(_hidden(folder))
    return sorted(name for name in os.listdir(folder) if name not in hidden)


def note_hidden(folder: str, note: _Note, *within: str) -> None:
    """Notes what was passed over in `folder`, and in the folders `within` it, if something was."""
    hidden = [name for path in (folder, *within) for name in _hidden(path)]
    if hidden:
        note(f"{folder}: {len(hidden)} hidden files or folders are left out ({offenders(hidden)})")


def _hidden(folder: str) -> list[str]:
    return sorted(name for name in os.listdir(folder) if name.startswith(".") or name == _MADE_BY_A_MAC)
