import numpy as np
import pytest
from torch.utils.data import BatchSampler

from hfcls.training.sampling import LengthGroupedSampler


@pytest.fixture
def lengths():
    return np.random.default_rng(0).integers(3, 60, 1003)


def order(lengths, batch_size=16, seed=7, epoch=0):
    sampler = LengthGroupedSampler(lengths, batch_size, seed)
    sampler.set_epoch(epoch)
    return list(sampler)


def test_every_row_once(lengths):
    assert sorted(order(lengths)) == list(range(1003))
    assert len(LengthGroupedSampler(lengths, 16, 7)) == 1003


def test_order_follows_from_seed_and_epoch_alone(lengths):
    np.random.seed(1)
    first = order(lengths)
    np.random.seed(2)
    assert order(lengths) == first
    assert order(lengths, epoch=1) != first
    assert order(lengths, seed=8) != first


def test_batches_hold_similar_lengths_and_come_in_random_order(lengths):
    batches = [lengths[batch] for batch in BatchSampler(order(lengths), 16, drop_last=False)]
    padded = sum(len(batch) * batch.max() for batch in batches)
    assert padded < 1.15 * lengths.sum()
    means = np.array([batch.mean() for batch in batches[:-1]])
    assert abs(np.corrcoef(means, np.arange(len(means)))[0, 1]) < 0.3


def test_rows_on_a_disk_are_shuffled_in_blocks(monkeypatch):
    monkeypatch.setattr(LengthGroupedSampler, "WINDOW", 4)
    lengths = np.random.default_rng(0).integers(3, 60, 10_003)
    sampler = LengthGroupedSampler(lengths, 16, 7, block_rows=100)
    order = np.array(list(sampler))
    assert sorted(order) == list(range(10_003))
    assert list(sampler) == order.tolist()  # from seed and epoch alone
    sampler.set_epoch(1)
    assert list(sampler) != order.tolist()
    blocks = [len(set((order[start : start + 400] // 100).tolist())) for start in range(0, 10_000, 400)]
    assert max(blocks) <= 12  # those of a window, and of the two that its batches are cut between
    neighbours = np.abs(np.diff(order))
    assert np.median(neighbours) > 20  # rows, but within a window they are well mixed


def test_left_over_rows_are_drawn_before_sorting_and_come_last(lengths):
    """1003 rows are 62 batches of 16 and 11 rows, of any length and in every epoch other ones."""
    rest = [order(lengths, epoch=epoch)[62 * 16 :] for epoch in range(200)]
    assert {len(rows) for rows in rest} == {11}
    drawn = np.array(rest).ravel()
    assert len(set(drawn.tolist())) == pytest.approx(1003 * (1 - (1 - 11 / 1003) ** 200), rel=0.05)
    standard_error = lengths.std() / np.sqrt(len(drawn))
    assert abs(lengths[drawn].mean() - lengths.mean()) < 3 * standard_error
    spread = np.array([lengths[rows].std() for rows in rest])  # of rows that were sorted it would be next to nothing
    assert spread.mean() > 0.9 * lengths.std()


@pytest.mark.parametrize("rows", [1, 15, 16, 17])
def test_few_rows(rows):
    assert sorted(order(np.ones(rows, dtype=int))) == list(range(rows))


def test_same_global_batches_for_one_process_and_two(lengths):
    """accelerate deals out batches in turn, so two batches of 8 are the one batch of 16."""
    whole = list(BatchSampler(order(lengths, batch_size=16), 16, drop_last=True))
    halves = list(BatchSampler(order(lengths, batch_size=8 * 2), 8, drop_last=True))
    assert [a + b for a, b in zip(halves[::2], halves[1::2], strict=False)][: len(whole)] == whole
