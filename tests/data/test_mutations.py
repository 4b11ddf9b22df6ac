from tests.fuzz import faults


def test_mutated_files_are_read_alike_or_refused_in_one_line(tmp_path):
    """`python -m tests.fuzz 20000` tries more of them."""
    assert list(faults(range(500), tmp_path)) == []
