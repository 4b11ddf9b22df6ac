"""What a run computes for padding, told before it begins."""

from collections.abc import Sequence

import numpy as np

from hfcls.inference.buckets import padded_length


def padding_share(
    lengths: np.ndarray, order: Sequence[int], batch_size: int, buckets: tuple[int, ...]
) -> tuple[float, int]:
    """The share of all tokens of an epoch that is padding, and the number of different lengths of its batches.

    Args:
        lengths: tokens of each row, (rows,).
        order: in which an epoch reads the rows.
        buckets: the lengths that batches are padded to; none: to that of their longest row.
    """
    ordered = lengths[np.asarray(order)]
    widths = [
        padded_length(max(1, int(ordered[start : start + batch_size].max())), buckets)
        for start in range(0, len(ordered), batch_size)
    ]
    sizes = np.diff([*range(0, len(ordered), batch_size), len(ordered)])
    return 1 - ordered.sum() / (sizes * widths).sum(), len(set(widths))


def describe_padding(lengths: np.ndarray, order: Sequence[int], batch_size: int, buckets: tuple[int, ...]) -> str:
    """One line for the log: what `buckets` cost, and how many shapes they leave."""
    (lost, shapes), (before, all_shapes) = (
        padding_share(lengths, order, batch_size, widths) for widths in (buckets, ())
    )
    return (
        f"batches are padded to {shapes} lengths, not {all_shapes}: {lost:.1%} of the tokens are padding, not "
        f"{before:.1%} (--length_buckets False switches it off)"
    )
