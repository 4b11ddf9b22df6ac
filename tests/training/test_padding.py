"""What padding costs is told from the lengths of the rows, and is what the collator does."""

import numpy as np
import pytest
from torch.utils.data import BatchSampler

from hfcls.inference.buckets import length_buckets
from hfcls.text.collator import PaddingCollator
from hfcls.training.padding import describe_padding, padding_share
from hfcls.training.sampling import LengthGroupedSampler


@pytest.mark.parametrize("buckets", [(), length_buckets(64)])
def test_share_is_that_of_the_batches(buckets):
    lengths = np.random.default_rng(0).integers(1, 60, 203)
    order = list(LengthGroupedSampler(lengths, 16, 7))
    collate = PaddingCollator(0, buckets=buckets)
    masks = [
        collate([{"input_ids": np.ones(lengths[row], dtype=int)} for row in rows])["attention_mask"]
        for rows in BatchSampler(order, 16, drop_last=False)
    ]
    cells = sum(mask.numel() for mask in masks)
    share, shapes = padding_share(lengths, order, 16, buckets)
    assert share == pytest.approx(1 - lengths.sum() / cells)
    assert shapes == len({mask.shape[1] for mask in masks})
    assert shapes <= (len(buckets) or 60)


def test_what_is_said():
    line = describe_padding(np.array([8, 8, 8, 4]), [0, 1, 2, 3], 2, (8, 16))
    assert line == (
        "batches are padded to 1 lengths, not 1: 12.5% of the tokens are padding, not 12.5% "
        "(--length_buckets False switches it off)"
    )
