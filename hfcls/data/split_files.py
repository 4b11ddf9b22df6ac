"""The files of the splits: a file, a folder with files a split, or a data set of the Hub that was downloaded or saved.

This file needs the standard library, and `files.py` beside it.
"""

import json
import os
import re

from .files import regular

__all__ = ["FORMATS", "SPLITS", "SPLIT_OF", "file_format", "files_by_split", "find_files"]

SPLITS = {"train": ("train",), "validation": ("validation", "valid", "val", "dev"), "test": ("test",)}
SPLIT_OF = {name: split for split, names in SPLITS.items() for name in names}
FORMATS = (".csv", ".tsv", ".txt", ".json", ".jsonl", ".parquet", ".xlsx")
PACKED = (".gz", ".zst")  # what text files may end in besides
_TEXTS = (".csv", ".tsv", ".txt", ".json", ".jsonl")
_ARROW = ".arrow"  # what `save_to_disk` of datasets writes; nobody names it
_PIECE = re.compile(r"(?P<stem>[a-z]+)(?:[-_.](?P<number>\d+)(?:-of-(?P<count>\d+))?)?$", re.IGNORECASE)
_SAVED = "state.json"


def file_format(path: str) -> str | None:
    """One of `FORMATS`, by the name of a file, packed or not; None where it tells none."""
    stem, suffix = os.path.splitext(path.lower())
    if suffix in PACKED:
        suffix = os.path.splitext(stem)[1]
        return suffix if suffix in _TEXTS else None
    return suffix if suffix in FORMATS or suffix == _ARROW else None


def find_files(path: str) -> dict[str, list[str]]:
    """The files of each split, in the order of their rows; a lone file is "train".

    Raises:
        ValueError: as `files_by_split`, or there is none for train.
    """
    files = files_by_split(path)
    if "train" not in files:
        raise ValueError(f"{path}: no train{'|'.join(FORMATS)}; {_remedy(path)}")
    if file_format(files["train"][0]) == ".txt":
        raise ValueError(f"{files['train'][0]}: no labels in a text file; make a table, or name the corpus it is of")
    piece = _PIECE.match(_stem(os.path.basename(path))) if os.path.isfile(path) else None
    if piece is not None and int(piece["count"] or 1) > 1:
        raise ValueError(
            f"{path}: is one of {int(piece['count'])} pieces; give their folder, or rename it to read it alone"
        )
    return files


def _remedy(folder: str) -> str:
    """What to do about a folder without a training split."""
    inside = (os.path.join(folder, name) for name in sorted(os.listdir(folder)) if not name.startswith("."))
    for path in inside:
        if os.path.isdir(path) and "train" in files_by_split(path):
            return f"give the folder {os.path.basename(path)} in it, or another"
    return "name the file, or call the splits train, dev and test"


def files_by_split(path: str) -> dict[str, list[str]]:
    """As `find_files`, of any splits.

    Raises:
        ValueError: there are two files of which only one can be meant, or a piece of several is missing.
    """
    if os.path.isfile(path):
        if file_format(path) is None:
            raise ValueError(f"{path}: what is in it must show in its name: {', '.join(FORMATS)}")
        return {"train": [path]}
    try:
        os.listdir(regular(path))
    except OSError as error:
        raise ValueError(f"{path}: {error.strerror}; give a file or a folder with a file a split") from None
    if os.path.isfile(os.path.join(path, _SAVED)):
        return {"train": _saved_files(path)}
    # Data sets of the Hub have their files in data/.
    return _split_files(path) or _split_files(os.path.join(path, "data"))


def _split_files(folder: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name in sorted(os.listdir(folder)) if os.path.isdir(folder) else []:
        path = os.path.join(folder, name)
        if os.path.isdir(path):
            if name.lower() in SPLIT_OF and _files_in(path):
                found.setdefault(SPLIT_OF[name.lower()], []).append(path)
        elif file_format(name) is not None:
            piece = _PIECE.match(_stem(name))
            if piece is not None and piece["stem"].lower() in SPLIT_OF:
                found.setdefault(SPLIT_OF[piece["stem"].lower()], []).append(path)
    files = {split: _pieces(found[split]) for split in SPLITS if split in found}
    return {split: _files_in(paths[0]) if os.path.isdir(paths[0]) else paths for split, paths in files.items()}


def _files_in(folder: str) -> list[str]:
    """The files of the split that has a folder of its own."""
    if os.path.isfile(os.path.join(folder, _SAVED)):
        return _saved_files(folder)
    names = [name for name in sorted(os.listdir(folder)) if file_format(name) and not name.startswith(".")]
    names = [name for name in names if file_format(name) != ".txt"]  # a README, or documents
    if len({file_format(name) for name in names}) > 1:
        raise ValueError(f"{folder}: {names[0]} and {names[-1]} are both there; keep files of one format")
    return [os.path.join(folder, name) for name in names]


def _stem(name: str) -> str:
    stem, suffix = os.path.splitext(name)
    return os.path.splitext(stem)[0] if suffix.lower() in PACKED else stem


def _pieces(paths: list[str]) -> list[str]:
    """The files of one split, if they are all of its pieces; one file is a piece of its own."""
    pieces = [_PIECE.match(_stem(os.path.basename(path))) for path in paths]
    stems = {piece["stem"] for piece in pieces} | {file_format(path) for path in paths}
    whole = any(piece["number"] is None for piece in pieces)
    if len(paths) > 1 and (whole or len(stems) > 2 or len({piece["count"] for piece in pieces}) > 1):
        one, other = (os.path.basename(path) for path in paths[:2])
        raise ValueError(f"{os.path.dirname(paths[0])}: {one} and {other} are both there; keep one of them")
    count = int(pieces[0]["count"] or len(paths))
    if len(paths) != count:
        raise ValueError(f"{paths[0]}: {len(paths)} of {count} pieces are there; fetch the others")
    return [path for _, path in sorted(zip([int(piece["number"] or 0) for piece in pieces], paths, strict=True))]


def _saved_files(folder: str) -> list[str]:
    """The files of a split that `save_to_disk` wrote."""
    try:
        with open(os.path.join(folder, _SAVED), encoding="utf-8") as file:
            names = [entry["filename"] for entry in json.load(file)["_data_files"]]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{folder}/{_SAVED}: cannot be read ({error}); save the data set again") from None
    paths = [os.path.join(folder, os.path.basename(name)) for name in names]
    for path in paths:
        if not os.path.isfile(path):
            raise ValueError(f"{path}: missing, {_SAVED} names it; save the data set again")
    return paths
