"""Arrays of bytes in idx files, gzipped or not; http://yann.lecun.com/exdb/mnist describes the format.

This file needs numpy, and `files.py` beside it.
"""

import gzip
import math
import os
import re
import struct
import zlib

import numpy as np

from .files import regular

__all__ = ["idx_pairs", "is_idx", "read_idx", "write_idx"]

_NAME = re.compile(r"(.+?)[-_.](images|labels)[-_.]idx([13])[-_.]ubyte(\.gz)?")
_MAX_BYTES = 1 << 30  # of one file, unpacked; MNIST's own largest has 47 MB


def is_idx(path: str) -> bool:
    """Whether a file is called as those of MNIST are, `train-images-idx3-ubyte` or the like."""
    return _NAME.fullmatch(os.path.basename(path)) is not None


def idx_pairs(paths: list[str]) -> dict[str, dict[str, str]]:
    """By the name before it ("train"), the path of `images` and that of `labels`.

    Raises:
        ValueError: one line: of a pair one file is missing, or there twice.
    """
    pairs: dict[str, dict[str, str]] = {}
    for path in paths:
        name, kind, _, _ = _NAME.fullmatch(os.path.basename(path)).groups()
        if kind in pairs.setdefault(name, {}):
            raise ValueError(f"{path}: {os.path.basename(pairs[name][kind])} is there too; remove one of them")
        pairs[name][kind] = path
    for pair in pairs.values():
        for kind in {"images", "labels"} - set(pair):
            raise ValueError(f"{next(iter(pair.values()))}: its file of {kind} is missing; put it beside")
    return pairs


def read_idx(path: str, dimensions: int) -> np.ndarray:
    """The content of an idx file, (N,) or (N, height, width) uint8.

    Raises:
        ValueError: one line: the file is torn, or of another kind.
    """
    opened = gzip.open if path.endswith(".gz") else open
    try:
        with opened(regular(path), "rb") as file:
            content = file.read(_MAX_BYTES + 1)
    except (OSError, EOFError, zlib.error) as error:  # gzip.BadGzipFile is an OSError
        raise ValueError(f"{path}: cannot be read ({error}); fetch it again") from None
    start = 4 + 4 * dimensions
    if len(content) < start:
        raise ValueError(f"{path}: torn within its header of {start} bytes; fetch it again")
    magic, *shape = struct.unpack(f">{1 + dimensions}I", content[:start])
    if magic != 0x800 + dimensions:
        raise ValueError(
            f"{path}: its magic number is {magic:#010x} where {0x800 + dimensions:#010x} belongs; it is no idx file of "
            f"{'pictures' if dimensions == 3 else 'labels'}, fetch it again"
        )
    expected = start + math.prod(shape)
    if len(content) != expected or not expected > start:
        raise ValueError(f"{path}: its header promises {expected} bytes, it has {len(content)}; fetch it again")
    return np.frombuffer(content, np.uint8, offset=start).reshape(shape)


def write_idx(path: str, array: np.ndarray) -> None:
    """Writes an array of uint8, gzipped."""
    with gzip.open(path, "wb") as file:
        file.write(struct.pack(f">{1 + array.ndim}I", 0x800 + array.ndim, *array.shape) + array.tobytes())
