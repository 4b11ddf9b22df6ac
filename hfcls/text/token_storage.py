"""Where the tokens of a split are while it is trained on: in memory, or in the files that `datasets` maps into it."""

import datasets
import numpy as np

from hfcls.data.mapped_files import MappedFiles, parts

READ = 2**24  # tokens that are read of mapped files until their memory is given back


def token_lengths(split: datasets.Dataset) -> np.ndarray:
    """Number of tokens of every row, (rows,), read from Arrow's offsets."""
    lengths = (np.diff(chunk.offsets.to_numpy()) for part in parts(split) for chunk in _chunks(part))
    return np.concatenate([np.zeros(0, np.int32), *lengths])


def _chunks(split: datasets.Dataset) -> list:
    """The parts of the column of tokens as they lie in the files; a copy where `split` is a choice of their rows."""
    return split.with_format("arrow")["input_ids"][:].chunks


class FlatTokens:
    """The tokens of rows, cut, as one flat array in memory.

    A batch is read as views into that array: some 20 µs for 64 rows, where Arrow, row by row, takes a millisecond.

    Args:
        split: with `input_ids`.
        lengths, kept: tokens of each row, and how many are kept, (rows,).
        head: of those that are kept, how many stand at the row's beginning, (rows,); the others stand at its end.
    """

    def __init__(self, split: datasets.Dataset, lengths: np.ndarray, kept: np.ndarray, head: np.ndarray):
        column = split.with_format("arrow")["input_ids"][:].combine_chunks()
        tokens, starts = column.flatten().to_numpy(), np.cumsum(lengths) - lengths
        self.lengths, self.ends = kept, np.cumsum(kept)
        if len(tokens) > kept.sum():
            # Where each kept token stands in its row; those after the head move to the row's end if the row is cut.
            position = np.arange(self.ends[-1]) - np.repeat(self.ends - kept, kept)
            position += np.repeat(lengths - kept, kept) * (position >= np.repeat(head, kept))
            tokens = tokens[np.repeat(starts, kept) + position]
        self.tokens = tokens

    def read(self, rows: list[int]) -> list[np.ndarray]:
        """The tokens of each of `rows`."""
        ends = self.ends[rows]
        starts = (ends - self.lengths[rows]).tolist()
        return [self.tokens[start:end] for start, end in zip(starts, ends.tolist(), strict=True)]


class MappedTokens:
    """The same, in the files that they were tokenized into, and cut as they are read: in memory is what was read last.

    In memory for good are some 20 bytes a row, whatever its length.
    """

    def __init__(self, split: datasets.Dataset, lengths: np.ndarray, kept: np.ndarray, head: np.ndarray):
        chunks = _chunks(split)
        self.files, self.unreleased = MappedFiles.of(split), 0
        self.values = [chunk.values.to_numpy() for chunk in chunks]
        self.first_rows = np.cumsum([0, *map(len, chunks)])
        self.starts = np.zeros(self.first_rows[-1], np.int32)
        for first, chunk in zip(self.first_rows.tolist(), chunks, strict=False):
            self.starts[first : first + len(chunk)] = chunk.offsets.to_numpy()[:-1]
            self.files.release()
        self.lengths, self.kept, self.head = lengths, kept, head

    def read(self, rows: list[int]) -> list[np.ndarray]:
        """The tokens of each of `rows`."""
        chunks = np.searchsorted(self.first_rows, rows, side="right") - 1
        self.unreleased += int(self.kept[rows].sum())
        if self.unreleased > READ:
            self.files.release()
            self.unreleased = 0
        columns = (chunks, *(column[rows] for column in (self.starts, self.lengths, self.kept, self.head)))
        read = []
        for chunk, start, length, kept, head in zip(*(column.tolist() for column in columns), strict=True):
            values, end = self.values[chunk], start + length
            if kept == length:
                read.append(values[start:end])
            else:
                read.append(np.concatenate([values[start : start + head], values[end - (kept - head) : end]]))
        return read
