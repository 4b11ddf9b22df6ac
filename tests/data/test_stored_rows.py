"""Rows of a table that are too many for memory: in a file while they are read, and prepared as those of a small one."""

import pandas
import pytest

from hfcls.data import stored_rows, table_rows
from hfcls.data.stored_rows import store
from hfcls.data.table import Table


def rows(count: int) -> list[dict]:
    return [{"line": n + 2, "text": f"text {n}", "labels": [f"{n % 3}"] if n % 5 else []} for n in range(count)]


@pytest.fixture
def tiny(monkeypatch, tmp_path):
    """Few rows at once, nothing in memory."""
    monkeypatch.setattr(stored_rows, "_ROWS", 7)
    monkeypatch.setattr(stored_rows, "_IN_MEMORY", 0)
    monkeypatch.setattr(table_rows, "_SMALL", 0)
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")


def test_what_is_laid_down_comes_back(tiny, tmp_path):
    stored = store(iter(rows(50)))
    assert list(stored) == rows(50) and len(stored) == 50
    assert not list((tmp_path / "cache").iterdir())  # the file has no name any more
    some = stored.select([0, 6, 7, 20, 49])
    assert list(some) == [rows(50)[n] for n in (0, 6, 7, 20, 49)]
    assert list(some.select([1, 4])) == [rows(50)[n] for n in (6, 49)]
    assert some.column("line") == [2, 8, 9, 22, 51]
    assert list(store(iter([]))) == []


def test_many_small_files_are_not_in_memory_together(tmp_path, monkeypatch):
    paths = [tmp_path / f"train-{number}.csv" for number in range(3)]
    for path in paths:
        path.write_text("text,label\na,b\n", encoding="utf-8")

    def in_memory() -> list[bool]:
        pieces = table_rows.open_pieces([str(path) for path in paths], print, encoding=None)
        assert [list(piece.records) for piece in pieces] == [[(2, {"text": "a", "label": "b"})]] * 3
        return [isinstance(piece.records, list) for piece in pieces]

    monkeypatch.setattr(table_rows, "_SMALL", 3 * 15)
    assert in_memory() == [True] * 3
    monkeypatch.setattr(table_rows, "_SMALL", 3 * 15 - 1)
    assert in_memory() == [False] * 3


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
def test_a_large_table_is_prepared_as_a_small_one(kind, tmp_path, request):
    frame = pandas.DataFrame({"text": [f"text {n % 61}" for n in range(150)], "label": [n % 3 for n in range(150)]})
    frame.loc[[4, 9], "text"] = ""
    path = tmp_path / f"rows.{kind}"
    if kind == "csv":
        frame.to_csv(path, index=False)
    elif kind == "jsonl":
        frame.to_json(path, orient="records", lines=True)
    else:
        frame.to_parquet(path)
    small = Table(data_dir=str(path)).config
    request.getfixturevalue("tiny")
    large = Table(data_dir=str(path)).config
    assert (large.labels, large.notes, large.fingerprint) == (small.labels, small.notes, small.fingerprint)
    assert {name: list(split) for name, split in large.splits.items()} == {
        name: list(split) for name, split in small.splits.items()
    }
    assert sum(map(len, large.splits.values())) == 148
