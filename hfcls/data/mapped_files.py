"""Rows that `datasets` maps from files, read so that the memory of what was read is given back.

What a process has read of a mapped file counts as its memory (`ru_maxrss`, `top`) until the system is short of it: of a
corpus that is read once, its whole size. This file needs `datasets` only.
"""

import ctypes
import mmap
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import datasets
import numpy as np
import pyarrow

__all__ = ["MappedFiles", "parts"]

ROWS = 10_000  # read at once
# Of a line of `maps`: a file of Arrow that is mapped to be read alone. What is mapped to be written is nowhere else.
_REGION = re.compile(r"^([0-9a-f]+)-([0-9a-f]+) r--[ps] .*\.arrow(?: \(deleted\))?$", re.MULTILINE)


class MappedFiles:
    """The files named *.arrow that `arrays` are mapped from; those that lie in memory have none.

    Of systems other than Linux nothing is known, and nothing done.
    """

    def __init__(self, arrays: Iterable[pyarrow.Array]):
        self.arrays = list(arrays)  # as long as they are held, nothing else can come to lie where they are
        buffers = (buffer for array in self.arrays for buffer in array.buffers())
        addresses = np.unique([buffer.address for buffer in buffers if buffer is not None]).astype(np.uint64)
        self.regions = []
        for begin, end in _regions() if len(addresses) else ():
            first = np.searchsorted(addresses, np.uint64(begin))
            if first < len(addresses) and int(addresses[first]) < end:
                self.regions.append((begin, end))

    @classmethod
    def of(cls, split: datasets.Dataset) -> "MappedFiles":
        """Those of a split."""
        return cls(chunk for column in split.data.table.columns for chunk in column.chunks)

    def __reduce__(self):
        return MappedFiles, (self.arrays,)  # in another process they lie elsewhere

    def release(self) -> None:
        """Gives back the memory of what was read; who reads it again gets it from the file, or the system's cache."""
        for begin, end in self.regions:
            ctypes.CDLL(None).madvise(ctypes.c_void_p(begin), ctypes.c_size_t(end - begin), mmap.MADV_DONTNEED)


def parts(split: datasets.Dataset, rows: int = ROWS) -> Iterator[datasets.Dataset]:
    """`split` in parts of so many rows, at least one; after each, the memory of what was read is given back."""
    files = MappedFiles.of(split)
    for start in range(0, max(1, len(split)), rows):
        yield split.select(range(start, min(start + rows, len(split))))
        files.release()


def _regions() -> list[tuple[int, int]]:
    """Where every mapped file of Arrow begins and ends that this process only reads."""
    maps = Path("/proc/self/maps")
    return [(int(begin, 16), int(end, 16)) for begin, end in _REGION.findall(maps.read_text())] if maps.exists() else []
