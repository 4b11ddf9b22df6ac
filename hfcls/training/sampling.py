"""The order in which training rows are read."""

from collections.abc import Callable, Iterator

import numpy as np
import torch


class LengthGroupedSampler(torch.utils.data.Sampler[int]):
    """Random order in which neighbouring rows have similar lengths, so that little of a batch is padding.

    The order follows from (seed, epoch) alone: not from the global random state, nor from the number of processes or
    workers, so that a run resumed in the middle of an epoch reads the rows it would have read. (Trainer's own
    `group_by_length` draws from the global state: huggingface/transformers#39215.)

    Rows are shuffled, sorted by length within chunks of `CHUNK` batches, cut into batches, and the batches shuffled.
    The rows left over when `len(lengths)` is not a multiple of `batch_size` are drawn before sorting and come last.

    Args:
        lengths: number of tokens of each row, (rows,).
        batch_size: rows read in one step by all processes together.
        seed: of the order.
        on_epoch: called with the number of each epoch that begins, for rows that change with it.
    """

    CHUNK = 50

    def __init__(self, lengths: np.ndarray, batch_size: int, seed: int, on_epoch: Callable[[int], None] | None = None):
        self.lengths = np.asarray(lengths)
        self.batch_size = batch_size
        self.seed = seed
        self.epoch = 0
        self.on_epoch = on_epoch

    def __len__(self) -> int:
        return len(self.lengths)

    def set_epoch(self, epoch: int) -> None:
        """Called by accelerate at the start of every epoch, a resumed one included."""
        self.epoch = epoch
        if self.on_epoch is not None:
            self.on_epoch(epoch)

    def __iter__(self) -> Iterator[int]:
        random = np.random.default_rng([self.seed, self.epoch])
        order = random.permutation(len(self.lengths))
        whole = len(order) - len(order) % self.batch_size
        order, rest = order[:whole], order[whole:]
        chunk = self.CHUNK * self.batch_size
        for start in range(0, whole, chunk):
            part = order[start : start + chunk]
            order[start : start + chunk] = part[np.argsort(self.lengths[part], kind="stable")]
        batches = order.reshape(-1, self.batch_size)
        random.shuffle(batches)
        yield from batches.ravel().tolist()
        yield from rest.tolist()
