"""Folders of pictures: which of them are classes, which splits, and what they hold.

This file needs `files.py` and `folders.py` beside it, and the standard library.
"""

from collections.abc import Callable
from dataclasses import dataclass

from .files import offenders
from .folders import class_folders, folders_in, note_hidden

__all__ = ["PICTURES", "PictureFile", "find_pictures"]

PICTURES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff")

_SPLITS = {"train": "train", **dict.fromkeys(("validation", "valid", "val", "dev"), "validation"), "test": "test"}

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
        for label, paths in class_folders(folder, PICTURES, "picture", note).items()
        for path in paths
    ]
    for folder, split in splits.items():
        if not any(picture.split == split for picture in found):
            raise ValueError(f"{folder}: no pictures in folders of classes; add some, or remove it")
    if len({picture.label for picture in found}) < 2:
        folders = folders_in(root)
        if not found and folders:
            raise ValueError(
                f"{root}: no pictures in its folders {', '.join(folders[:10])}; lay them out as <class>/<picture>, of "
                f"{' '.join(PICTURES)}"
            )
        raise ValueError(
            f"{root}: no corpus; give a folder with idx files, .pth tensors, or a folder of pictures for each class"
        )
    return found


def _split_folders(root: str, note: _Note) -> dict[str, str]:
    """Path → split of the folders that are splits; empty where the folders of `root` are classes."""
    folders = folders_in(root)
    splits = {name: _SPLITS[name.lower()] for name in folders if name.lower() in _SPLITS}
    others = [name for name in folders if name not in splits]
    without_train = "train" not in splits.values()
    # train/, cat/ and dog/ are three classes; so are test/ and val/ which hold pictures themselves.
    if others and (without_train or len(splits) == 1) or not any(folders_in(f"{root}/{name}") for name in splits):
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
