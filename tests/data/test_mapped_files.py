"""The memory of what was read of mapped files, as the system counts it."""

import pickle
import re
import subprocess
import sys
from pathlib import Path

import datasets
import pyarrow
import pytest

from hfcls.data import stored_rows
from hfcls.data.mapped_files import MappedFiles, parts

SIZE = 100  # MB of the file
LONGEST = """
import re, datasets
from hfcls.data.mapped_files import parts
split = datasets.Dataset.from_file({path!r})
whole = [split]
most = lambda: int(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1])
before = most()
letters = sum(len(text) for part in {how} for rows in part.iter(10) for text in rows["text"])
print(letters, (most() - before) / 1000)
"""

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="what is mapped is known of Linux alone")


def text(row: int) -> str:
    return f"{row:05}" * 20_000


@pytest.fixture(scope="module")
def path(tmp_path_factory) -> Path:
    """A thousand rows, of 100,000 letters each."""
    path = tmp_path_factory.mktemp("mapped") / "rows.arrow"
    schema = pyarrow.schema({"text": pyarrow.string()})
    with pyarrow.OSFile(str(path), "wb") as sink, pyarrow.ipc.new_stream(sink, schema) as stream:
        for first in range(0, 1000, 10):
            stream.write_batch(pyarrow.record_batch({"text": [text(first + row) for row in range(10)]}, schema))
    return path


def resident(name: str) -> float:
    """MB of the files named so that this process has in memory."""
    maps = Path("/proc/self/smaps").read_text()
    return sum(int(size) for size in re.findall(rf"{re.escape(name)}.*\n(?:\w+: .*\n)*?Rss: +(\d+) kB", maps)) / 1000


@pytest.mark.parametrize(("how", "flat"), [("parts(split, 50)", True), ("whole", False)])
def test_the_most_memory_of_a_process_that_reads_it_all(how, flat, path):
    script = LONGEST.format(path=str(path), how=how)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    letters, most = done.stdout.split()
    assert int(letters) == SIZE * 10**6
    assert (float(most) < SIZE / 3) == flat, done.stdout


def test_what_was_given_back_is_read_again(path):
    split = datasets.Dataset.from_file(str(path))
    files = MappedFiles.of(split)
    assert all(len(row) == 100_000 for row in split["text"]) and resident("rows.arrow") > SIZE * 0.9
    files.release()
    assert resident("rows.arrow") < 1
    assert split[700]["text"] == text(700)


def test_of_a_choice_and_of_some_columns(path):
    split = datasets.Dataset.from_file(str(path)).shuffle(seed=1).add_column("number", list(range(1000)))
    order = [row["text"] for part in parts(split.select_columns("text"), 300) for row in part]
    assert order == [row["text"] for row in split] and sorted(order) == [text(row) for row in range(1000)]
    assert [len(part) for part in parts(split, 300)] == [300, 300, 300, 100]
    assert [len(part) for part in parts(split.select([]), 300)] == [0]


def test_memory_of_no_file_is_left_alone(path):
    """Rows in memory; and those of a mapped file that were sent to another process, which has a copy."""
    rows = datasets.Dataset.from_dict({"text": ["a", "b"]})
    assert MappedFiles.of(rows).regions == []
    files = MappedFiles.of(datasets.Dataset.from_file(str(path)))
    assert len(files.regions) == 1
    assert pickle.loads(pickle.dumps(files)).regions == []


def test_rows_laid_down_are_read_in_little_memory(monkeypatch, tmp_path):
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path)
    monkeypatch.setattr(stored_rows, "_IN_MEMORY", 0)
    monkeypatch.setattr(stored_rows, "_ROWS", 10)
    stored = stored_rows.store({"line": row, "text": text(row), "labels": ["a"]} for row in range(300))
    most = 0.0
    for number, row in enumerate(stored):
        assert row["text"] == text(number)
        most = max(most, resident("hfcls-rows-")) if number % 10 == 0 else most
    assert 0 < most < 3
