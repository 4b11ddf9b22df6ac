"""The order in which training rows are read."""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch


class LengthGroupedSampler(torch.utils.data.Sampler[int]):
    """Random order in which neighbouring rows have similar lengths, so that little of a batch is padding.

    The order follows from (seed, epoch) alone: not from the global random state, nor from the number of processes or
    workers, so that a run resumed in the middle of an epoch reads the rows it would have read. (Trainer's own
    `group_by_length` draws from the global state: huggingface/transformers#39215.)

    Rows are shuffled, sorted by length within chunks of `CHUNK` batches, cut into batches, and the batches shuffled.
    The rows left over when `len(lengths)` is not a multiple of `batch_size` are drawn before sorting and come last.

    With `block_rows`, for rows on a disk, whole blocks of rows that follow each other are shuffled, and then the rows
    of `WINDOW` blocks at a time, and their batches: as many blocks are read from at a time, and each once an epoch.

    Args:
        lengths: number of tokens of each row, (rows,).
        batch_size: rows read in one step by all processes together.
        seed: of the order.
        on_epoch: called with the number of each epoch that begins, for rows that change with it.
        block_rows: see above; None shuffles everything.
        drop_last, fill_last: see `last_batch`.
    """

    CHUNK = 50
    WINDOW = 64

    def __init__(
        self,
        lengths: np.ndarray,
        batch_size: int,
        seed: int,
        on_epoch: Callable[[int], None] | None = None,
        *,
        block_rows: int | None = None,
        drop_last: bool = False,
        fill_last: bool = False,
    ):
        self.block_rows = block_rows
        self.lengths = np.asarray(lengths)
        self.batch_size = batch_size
        self.seed = seed
        self.epoch = 0
        self.on_epoch = on_epoch
        self.last = {"drop_last": drop_last, "fill_last": fill_last}

    def __len__(self) -> int:
        return len(last_batch(range(len(self.lengths)), self.batch_size, **self.last))

    def set_epoch(self, epoch: int) -> None:
        """Called by accelerate at the start of every epoch, a resumed one included."""
        self.epoch = epoch
        if self.on_epoch is not None:
            self.on_epoch(epoch)

    def __iter__(self) -> Iterator[int]:
        random = np.random.default_rng([self.seed, self.epoch])
        order = self._shuffled(random)
        whole = len(order) - len(order) % self.batch_size
        chunk = self.CHUNK * self.batch_size
        for start in range(0, whole, chunk):
            part = order[start : min(start + chunk, whole)]
            part[:] = part[np.argsort(self.lengths[part], kind="stable")]
        batches = order[:whole].reshape(-1, self.batch_size)
        together = len(batches) if self.block_rows is None else self.WINDOW * self.block_rows // self.batch_size
        for start in range(0, len(batches), max(1, together)):
            random.shuffle(batches[start : start + max(1, together)])
        order = np.asarray(last_batch(order, self.batch_size, **self.last))
        for start in range(0, len(order), chunk):
            yield from order[start : start + chunk].tolist()

    def _shuffled(self, random: np.random.Generator) -> np.ndarray:
        """All rows, (rows,)."""
        rows = len(self.lengths)
        if self.block_rows is None:
            return random.permutation(rows)
        blocks = random.permutation(-(-rows // self.block_rows))
        order, filled = np.empty(rows, dtype=np.int64), 0
        for start in range(0, len(blocks), self.WINDOW):
            firsts = (blocks[start : start + self.WINDOW] * self.block_rows).tolist()
            window = np.concatenate([np.arange(first, min(first + self.block_rows, rows)) for first in firsts])
            order[filled : filled + len(window)] = random.permutation(window)
            filled += len(window)
        return order


def longest_first(dataset: torch.utils.data.Dataset) -> np.ndarray | None:
    """The order in which the rows of `dataset` are measured, (rows,): by length, so that little of a batch is padding.

    Lengths are its attribute `lengths` (rows,); None, for their own order, without it and for rows on a disk. The
    longest rows come first, so that memory runs out at once or never.
    """
    lengths = getattr(dataset, "lengths", None)
    if lengths is None or getattr(dataset, "block_rows", None) is not None:
        return None
    return np.argsort(-lengths, kind="stable")


def last_batch(order: Sequence[int], batch_size: int, *, drop_last: bool, fill_last: bool) -> Sequence[int]:
    """The rows of `order` so that the last batch of `batch_size` can be trained on.

    Args:
        drop_last: leave its rows out if they are too few.
        fill_last: give it the first row of all as a second one if it has one alone, for models that normalise over the
            rows of a batch.
    """
    rest = len(order) % batch_size
    if drop_last:
        return order[: len(order) - rest]
    return [*order, order[0]] if fill_last and rest == 1 else order


def normalises_rows(model: torch.nn.Module) -> bool:
    """Whether `model` cannot be trained on one row, as the variance of a single number is none."""
    return any(isinstance(module, torch.nn.BatchNorm1d) for module in model.modules())
