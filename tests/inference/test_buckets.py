import pytest

from hfcls.inference.buckets import length_buckets, padded_length


@pytest.mark.parametrize(("longest", "count"), [(5, 1), (8, 1), (32, 4), (100, 11), (512, 28), (8192, 148)])
def test_buckets_end_with_the_longest(longest, count):
    buckets = length_buckets(longest)
    assert len(buckets) == count and buckets[-1] == longest
    assert list(buckets) == sorted(set(buckets))
    assert all(width % 8 == 0 for width in buckets[:-1])


def test_a_row_is_padded_by_less_than_a_third():
    buckets = length_buckets(512)
    assert buckets == (*range(8, 64, 8), *range(64, 256, 16), *range(256, 513, 32))
    for length in range(1, 513):
        width = padded_length(length, buckets)
        assert length <= width <= max(length + 7, 1.25 * length)
    assert padded_length(600, buckets) == 600 and padded_length(5, ()) == 5
