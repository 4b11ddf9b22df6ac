"""Texts of a corpus that may be larger than memory: in a file once they are many."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow

from hfcls.data.mapped_files import MappedFiles
from hfcls.data.repetition import objects
from hfcls.data.stored_rows import StoredRows, store

TEXTS = 1000  # of those that are asked for at once, read together


@dataclass(frozen=True)
class StoredTexts:
    """(rows,) str, of which some are in memory at a time.

    Attributes:
        batches: of as many rows as the first, but the last.
    """

    batches: list[pyarrow.StringArray]

    @classmethod
    def of(cls, rows: StoredRows) -> "StoredTexts":
        """The texts of rows that are laid down already."""
        return cls([batch.column("text") for batch in rows.batches])

    @cached_property
    def _files(self) -> MappedFiles:
        return MappedFiles(self.batches)

    def __len__(self) -> int:
        return sum(map(len, self.batches))

    def __iter__(self) -> Iterator[str]:
        for batch in self.batches:
            yield from batch.to_pylist()
            self._files.release()

    def __getitem__(self, rows):
        """The text of a row; or of an array of rows, an array of objects."""
        if isinstance(rows, np.ndarray):
            found = np.empty(len(rows), dtype=object)
            for start in range(0, len(rows), TEXTS):
                part = rows[start : start + TEXTS].tolist()
                found[start : start + len(part)] = objects([self[row] for row in part])
                self._files.release()
            return found
        batch, place = divmod(int(rows), len(self.batches[0]))
        return self.batches[batch][place].as_py()


def store_texts(texts: Iterable[str]) -> StoredTexts:
    """Lays texts down as they come."""
    return StoredTexts.of(store({"text": text, "labels": ()} for text in texts))
