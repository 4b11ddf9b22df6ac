"""The rows of a table's split while it is read: labels in memory, texts in a file once they are many.

This file needs `datasets`, and `mapped_files.py` beside it.
"""

import contextlib
import os
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

import datasets
import numpy as np
import pyarrow

from .mapped_files import MappedFiles

__all__ = ["StoredRows", "cache_folder", "store"]

_ROWS = 10_000  # together, in a batch
_IN_MEMORY = 16 * 2**20  # bytes of texts


@dataclass(frozen=True)
class StoredRows:
    """Rows in their order.

    Attributes:
        batches: all columns but the labels: `line`, a number, and texts.
        labels: of each row the names of its labels; equal ones are one object.
        chosen: numbers of the rows that are meant, ascending; None: all.
    """

    batches: list[pyarrow.RecordBatch]
    labels: list[tuple[str, ...]]
    chosen: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.labels)

    def __iter__(self) -> Iterator[dict]:
        """Each row as `line`, its texts, and the list of its `labels`."""
        labels = iter(self.labels)
        for batch in self._chosen_batches():
            for row in batch.to_pylist():
                yield row | {"labels": list(next(labels))}

    def select(self, numbers: Sequence[int]) -> "StoredRows":
        """The rows with these numbers, ascending."""
        numbers = np.asarray(numbers, dtype=np.int64)
        chosen = numbers if self.chosen is None else self.chosen[numbers]
        return replace(self, labels=[self.labels[number] for number in numbers.tolist()], chosen=chosen)

    def column(self, name: str) -> list:
        """The cells of a column."""
        return [cell for batch in self._chosen_batches() for cell in batch.column(name).to_pylist()]

    def _chosen_batches(self) -> Iterator[pyarrow.RecordBatch]:
        first, files = 0, MappedFiles(column for batch in self.batches for column in batch.columns)
        for batch in self.batches:
            if self.chosen is None:
                yield batch
            else:
                low, high = np.searchsorted(self.chosen, (first, first + len(batch)))
                yield batch.take(pyarrow.array(self.chosen[low:high] - first))
            first += len(batch)
            files.release()


def store(rows: Iterable[dict]) -> StoredRows:
    """Lays rows down as they come: with `line`, `labels` (a list), and texts, the same in each.

    Beyond some megabytes the texts go to a file beside the cache of `datasets`, which is there as long as what is
    returned.
    """
    batches: list[pyarrow.RecordBatch] = []
    labels: list[tuple[str, ...]] = []
    equal: dict[tuple[str, ...], tuple[str, ...]] = {}
    rows, size, writer, path = iter(rows), 0, None, None
    while part := list(islice(rows, _ROWS)):
        for row in part:
            names = tuple(row["labels"])
            labels.append(equal.setdefault(names, names))
        columns = {name: [row[name] for row in part] for name in part[0] if name != "labels"}
        batch = pyarrow.RecordBatch.from_pydict(columns)
        size += batch.nbytes
        if writer is None and size > _IN_MEMORY:
            path = _new_file()
            writer = pyarrow.ipc.new_file(str(path), batch.schema)
            for earlier in batches:
                writer.write_batch(earlier)
            batches.clear()
        if writer is None:
            batches.append(batch)
        else:
            writer.write_batch(batch)
    if writer is not None:
        writer.close()
        reader = pyarrow.ipc.open_file(pyarrow.memory_map(str(path)))
        batches = [reader.get_batch(number) for number in range(reader.num_record_batches)]
        with contextlib.suppress(OSError):  # Windows keeps what is mapped
            path.unlink()
    return StoredRows(batches, labels)


def cache_folder() -> Path:
    """Where large files of the moment go: the cache of `datasets`. What is meant for such files may be memory."""
    folder = Path(datasets.config.HF_DATASETS_CACHE)
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _new_file() -> Path:
    handle, path = tempfile.mkstemp(prefix="hfcls-rows-", suffix=".arrow", dir=cache_folder())
    os.close(handle)
    return Path(path)
