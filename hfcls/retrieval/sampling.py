"""Batches of pairs, each of which needs another pair to be contrasted with."""

from collections.abc import Iterator

import torch


class AccompaniedSampler(torch.utils.data.Sampler[int]):
    """The order of `sampler`, and then its first row once more.

    For epochs that would end in a batch of one pair, whose loss and gradient are zero: where there are several
    processes, accelerate completes the last batch from the first one in the same way.
    """

    def __init__(self, sampler: torch.utils.data.Sampler[int]):
        self.sampler = sampler

    def __len__(self) -> int:
        return len(self.sampler) + 1

    def set_epoch(self, epoch: int) -> None:
        """Called by accelerate at the start of every epoch; the sampler of `--train_sampling_strategy sequential` has
        none.
        """
        if hasattr(self.sampler, "set_epoch"):
            self.sampler.set_epoch(epoch)

    def __iter__(self) -> Iterator[int]:
        order = list(self.sampler)
        yield from order
        yield order[0]


def batches_of_pairs(rows: torch.Tensor, size: int) -> list[torch.Tensor]:
    """Cuts `rows` into batches of `size`, of two at least; one row left over joins the batch before it."""
    size = max(2, size)
    batches = list(rows.split(size))
    if len(batches) > 1 and len(batches[-1]) == 1:
        batches[-2:] = [torch.cat(batches[-2:])]
    return batches
