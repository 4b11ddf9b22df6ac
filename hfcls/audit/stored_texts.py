"""Texts of a corpus that may be larger than memory: in a file once they are many."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow

from hfcls.data.repetition import objects
from hfcls.data.stored_rows import StoredRows, store


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

    def __len__(self) -> int:
        return sum(map(len, self.batches))

    def __iter__(self) -> Iterator[str]:
        for batch in self.batches:
            yield from batch.to_pylist()

    def __getitem__(self, rows):
        """The text of a row; or of an array of rows, an array of objects."""
        if isinstance(rows, np.ndarray):
            return objects([self[row] for row in rows.tolist()])
        batch, place = divmod(int(rows), len(self.batches[0]))
        return self.batches[batch][place].as_py()


def store_texts(texts: Iterable[str]) -> StoredTexts:
    """Lays texts down as they come."""
    return StoredTexts.of(store({"text": text, "labels": ()} for text in texts))
