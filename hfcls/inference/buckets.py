"""The few lengths that batches are padded to, so that a device sees few shapes."""

from bisect import bisect_left

STEPS = ((64, 8), (256, 16), (512, 32))  # up to a length, the distance to the next; tensor cores want multiples of 8
LAST_STEP = 64


def length_buckets(longest: int) -> tuple[int, ...]:
    """Multiples of 8 to 64, of 16 to 256, of 32 to 512, of 64 beyond, none above `longest`, which is the last.

    >>> length_buckets(100)
    (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 100)
    """
    buckets, length = [], 8
    while length < longest:
        buckets.append(length)
        length += next((step for limit, step in STEPS if length < limit), LAST_STEP)
    return (*buckets, longest)


def padded_length(longest: int, buckets: tuple[int, ...]) -> int:
    """The first of `buckets`, which are ascending, that holds `longest` tokens; `longest` itself if none does."""
    place = bisect_left(buckets, longest)
    return buckets[place] if place < len(buckets) else longest
