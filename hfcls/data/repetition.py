"""What repeats exactly in a corpus: within a split, across splits, under two labels. Every recipe starts with it."""

import hashlib
from collections.abc import Iterable
from itertools import combinations, islice

import datasets
import numpy as np
import pandas

from hfcls.data.mapped_files import parts

_ROWS = 10_000  # read at once


def count_repeated(splits: datasets.DatasetDict) -> dict | None:
    """Counts equal texts, or equal images.

    Args:
        splits: each with `label` and `text` (and perhaps `text_pair`) or `image`.

    Returns:
        `surplus`: the rows of each split that repeat an earlier one of it; `leaks`: the distinct contents that two
        splits share, by "train/test"; `conflicts`: the contents under two labels. None for input of another kind.
    """
    names = list(splits)
    if not {"text", "image"} & set(splits[names[0]].column_names):
        return None
    columns = [_digests_of_rows(splits[name]) for name in names]
    found, labels = (keys(np.concatenate(column)) for column in zip(*columns, strict=True))
    split_ids = np.repeat(np.arange(len(names)), [len(splits[name]) for name in names])
    again = np.bincount(split_ids[surplus(found, split_ids)], minlength=len(names))
    return {
        "surplus": dict(zip(names, again.tolist(), strict=True)),
        "leaks": {f"{one}/{other}": count for (one, other), count in leaks(found, split_ids, names).items()},
        "conflicts": len(np.unique(found[conflicting(found, labels)])),
    }


def repeated_line(repeated: dict) -> str:
    """What `count_repeated` found, for a reader."""
    if not any([*repeated["surplus"].values(), *repeated["leaks"].values(), repeated["conflicts"]]):
        return "no row is repeated, neither within a split nor in two of them"
    surplus = ", ".join(f"{count} in {split}" for split, count in repeated["surplus"].items())
    leaks = ", ".join(f"{count} in {pair.replace('/', ' and ')}" for pair, count in repeated["leaks"].items())
    return f"rows repeated: {surplus}; contents shared: {leaks}; under two labels: {repeated['conflicts']}"


def keys(contents: np.ndarray) -> np.ndarray:
    """(rows,) numbers that are equal where, and only where, the contents are."""
    return pandas.factorize(np.asarray(contents, dtype=None if isinstance(contents, np.ndarray) else object))[0]


def text_keys(texts: Iterable[str]) -> np.ndarray:
    """As `keys`, of texts that are not in memory all at once; in the order in which they first occur.

    They are told apart by 64 bits of a digest: two of five million share one with a probability below 10⁻⁶.
    """
    rows, parts = iter(texts), []
    while part := list(islice(rows, _ROWS)):
        parts.append(_numbers(part))
    return pandas.factorize(np.concatenate(parts or [np.zeros(0, dtype=np.int64)]))[0].astype(np.int32)


def surplus(keys: np.ndarray, split_ids: np.ndarray) -> np.ndarray:
    """(rows,) whether a row's key stands in an earlier row of the same split."""
    return pandas.Series(_both(keys, split_ids)).duplicated().to_numpy()


def present(keys: np.ndarray, split_ids: np.ndarray, splits: int) -> np.ndarray:
    """(splits, keys) whether a key occurs in a split."""
    found = np.zeros((splits, int(keys.max(initial=-1)) + 1), dtype=bool)
    found[split_ids, keys] = True
    return found


def leaks(keys: np.ndarray, split_ids: np.ndarray, splits: list[str]) -> dict[tuple[str, str], int]:
    """Distinct contents that two of the `splits` share, for each pair of them."""
    found = present(keys, split_ids, len(splits))
    pairs = combinations(enumerate(splits), 2)
    return {(one, other): int((found[i] & found[j]).sum()) for (i, one), (j, other) in pairs}


def conflicting(keys: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """(rows,) whether the content of a row also occurs under another label."""
    pairs = pandas.unique(_both(keys, labels))
    return (np.bincount(pairs // _size(labels), minlength=_size(keys)) > 1)[keys]


def _both(keys: np.ndarray, other: np.ndarray) -> np.ndarray:
    """(rows,) one number for a key and another small number."""
    return keys.astype(np.int64) * _size(other) + other


def _size(numbers: np.ndarray) -> int:
    return int(numbers.max(initial=0)) + 1


def objects(values: list) -> np.ndarray:
    """(values,) an array of objects, whatever they are."""
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array


def _digests_of_rows(split: datasets.Dataset) -> tuple[np.ndarray, np.ndarray]:
    """(rows,) twice: numbers that stand for content and label of each row; a part of them is in memory at a time.

    They are 64 bits of a digest: two of five million different texts share one with a probability below 10⁻⁶.
    """
    contents, labels = [np.zeros(0, dtype=np.int64)], [np.zeros(0, dtype=np.int64)]
    for rows in parts(split):
        contents.append(_numbers(read_contents(rows)))
        labels.append(_numbers([str(label) for label in rows["label"]]))  # a list is one, too
    return np.concatenate(contents), np.concatenate(labels)


def _numbers(contents: list[str] | list[bytes]) -> np.ndarray:
    encoded = (one if isinstance(one, bytes) else one.encode("utf-8", "surrogatepass") for one in contents)
    return np.frombuffer(b"".join(hashlib.blake2b(one, digest_size=8).digest() for one in encoded), dtype=np.int64)


def read_contents(split: datasets.Dataset) -> list[str] | list[bytes]:
    """What stands in each row of `split`: its text, with the second text of a pair on the next line, or a digest of its
    image.
    """
    if "text_pair" in split.column_names:
        pairs = zip(split["text"], split["text_pair"], strict=True)
        return [f"{text}\n{other}" if other else text for text, other in pairs]
    if "text" in split.column_names:
        return split["text"][:]
    # Images are compared as they are encoded; a builder writes all of a corpus with one encoder.
    images = split.select_columns("image").cast_column("image", datasets.Image(decode=False))
    return [_digest(row["image"]) for row in images]


def _digest(image: dict) -> bytes:
    """Of the bytes of an image, which are in Arrow or in a file."""
    if image["bytes"] is not None:
        return hashlib.blake2b(image["bytes"]).digest()
    with open(image["path"], "rb") as file:
        return hashlib.file_digest(file, "blake2b").digest()
