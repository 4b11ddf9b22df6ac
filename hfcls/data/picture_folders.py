"""Folders of pictures: which of them are classes, what they hold, and in which split; what is passed over is noted.

This file needs `files.py` beside it, and the standard library.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass

from .files import offenders

__all__ = ["PICTURES", "PictureFile", "class_folders", "find_pictures", "note_hidden", "visible"]

PICTURES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff")

_SPLITS = {"train": "train", **dict.fromkeys(("validation", "valid", "val", "dev"), "validation"), "test": "test"}
_MADE_BY_A_MAC = "__MACOSX"  # stands beside what was packed, and holds a `._` file for each file of it

_Note = Callable[[str], None]


@dataclass(frozen=True)
class PictureFile:
    """A picture of a corpus.

    Attributes:
        split: train, validation or test; empty where the folders do not say.
        label: the name of its folder.
    """

    path: str
    split: str
    label: str


def find_pictures(root: str, note: _Note) -> list[PictureFile]:
    """The pictures of `<class>/<picture>`, or of `<split>/<class>/<picture>`, in a fixed order.

    Splits are called train, test, and validation, valid, val or dev, in small letters or capital ones.

    Raises:
        ValueError: one line: there are fewer than two classes with pictures, or the splits are no whole.
    """
    splits = _split_folders(root, note)
    if splits:
        note_hidden(root, note)
    found = [
        PictureFile(path, split, label)
        for folder, split in (splits or {root: ""}).items()
        for label, paths in class_folders(folder, note).items()
        for path in paths
    ]
    for folder, split in splits.items():
        if not any(picture.split == split for picture in found):
            raise ValueError(f"{folder}: no pictures in folders of classes; add some, or remove it")
    if len({picture.label for picture in found}) < 2:
        folders = _folders(root)
        if not found and folders:
            raise ValueError(
                f"{root}: no pictures in its folders {', '.join(folders[:10])}; expected <class>/<picture>, known are "
                f"{' '.join(PICTURES)}"
            )
        raise ValueError(f"{root}: no corpus; expected idx files, .pth tensors, or a folder of pictures for each class")
    return found


def class_folders(folder: str, note: _Note) -> dict[str, list[str]]:
    """Class → the paths of its pictures, of `<folder>/<class>/<picture>`, both in the order of their names.

    A folder without a picture is no class. Hidden files, those that a Mac's archives bring, folders within the folder
    of a class and files that are no pictures are left out.
    """
    classes, empty = {}, []
    for name in _folders(folder):
        path = f"{folder}/{name}"
        entries = visible(path)
        pictures = [f"{path}/{entry}" for entry in entries if entry.lower().endswith(PICTURES)]
        pictures = [picture for picture in pictures if os.path.isfile(picture)]
        nested = sum(os.path.isdir(f"{path}/{entry}") for entry in entries)
        others = len(entries) - len(pictures) - nested
        if pictures:
            classes[name] = pictures
        else:
            empty.append(name)
        if nested:
            note(f"{path}: {nested} folders within it are left out, and what they hold")
        if others:
            note(f"{path}: {others} files that are no pictures are left out")
    if empty:
        note(f"{folder}: {len(empty)} folders without a picture are no classes ({offenders(empty)})")
    note_hidden(folder, note, *(f"{folder}/{name}" for name in _folders(folder)))
    return classes


def visible(folder: str) -> list[str]:
    """The names in `folder` that do not begin with a dot, sorted, without what a Mac's archives bring."""
    hidden = set(_hidden(folder))
    return sorted(name for name in os.listdir(folder) if name not in hidden)


def note_hidden(folder: str, note: _Note, *within: str) -> None:
    """Notes what was passed over in `folder`, and in the folders `within` it, if something was."""
    hidden = [name for path in (folder, *within) for name in _hidden(path)]
    if hidden:
        note(f"{folder}: {len(hidden)} hidden files or folders are left out ({offenders(hidden)})")


def _hidden(folder: str) -> list[str]:
    return sorted(name for name in os.listdir(folder) if name.startswith(".") or name == _MADE_BY_A_MAC)


def _folders(folder: str) -> list[str]:
    return [name for name in visible(folder) if os.path.isdir(f"{folder}/{name}")]


def _split_folders(root: str, note: _Note) -> dict[str, str]:
    """Path → split of the folders that are splits; empty where the folders of `root` are classes."""
    folders = _folders(root)
    splits = {name: _SPLITS[name.lower()] for name in folders if name.lower() in _SPLITS}
    others = [name for name in folders if name not in splits]
    without_train = "train" not in splits.values()
    # train/, cat/ and dog/ are three classes; so are test/ and val/ which hold pictures themselves.
    if others and (without_train or len(splits) == 1) or not any(_folders(f"{root}/{name}") for name in splits):
        return {}
    if without_train:
        raise ValueError(f"{root}: {', '.join(splits)} without train; call the folder of training pictures so")
    for split in set(splits.values()):
        same = [name for name in splits if splits[name] == split]
        if len(same) > 1:
            raise ValueError(f"{root}: {' and '.join(same)} are the same split; keep one of them")
    if others:
        note(f"{root}: {len(others)} folders beside {', '.join(splits)} are left out ({offenders(others)})")
    return {f"{root}/{name}": split for name, split in splits.items()}
