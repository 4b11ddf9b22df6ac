"""Files with values that no reader has a place for, and torn ones: one line with the file's name."""

import datetime
import io
import json
import random
import struct
import zipfile

import pyarrow
import pyarrow.parquet
import pytest
import torch

from hfcls.audit.sources import load_tables
from hfcls.data.files import json_object
from hfcls.data.muge import MUGE
from hfcls.data.table import Table
from hfcls.data.table_files import read_records
from hfcls.data.tensor_files import TENSORS, read_tensors

COLUMNS = {"text_column": "text", "label_column": "label"}


def _one_line(error: Exception, path) -> bool:
    said = str(error)
    return said.startswith(str(path)) and "\n" not in said and len(said.removeprefix(str(path))) <= 300


def _broken_utf8() -> pyarrow.Array:
    return pyarrow.StringArray.from_buffers(1, pyarrow.py_buffer(struct.pack("<ii", 0, 2)), pyarrow.py_buffer(b"\xff."))


@pytest.mark.parametrize(
    "values",
    [
        pyarrow.array([2**31 - 1], pyarrow.date32()),
        pyarrow.array([-(2**31)], pyarrow.date32()),
        pyarrow.array([2**62], pyarrow.timestamp("us")),
        pyarrow.array([2**50], pyarrow.timestamp("ms")),
        pyarrow.array([2**62], pyarrow.time64("us")),
        pyarrow.array([1], pyarrow.timestamp("us", tz="No/Where")),
        _broken_utf8(),
    ],
    ids=lambda values: str(values.type),
)
def test_parquet_values_that_python_does_not_have(values, tmp_path):
    path = tmp_path / "rows.parquet"
    pyarrow.parquet.write_table(pyarrow.table({"text": ["x"], "when": values}), path)
    with pytest.raises(ValueError, match=r"rows.parquet: column 'when': has a value that cannot be read") as caught:
        read_records(str(path), note=print)
    assert _one_line(caught.value, path)


def test_parquet_dates_are_read(tmp_path):
    day = datetime.date(2024, 2, 29)
    pyarrow.parquet.write_table(pyarrow.table({"text": ["x", None], "when": [day, day]}), tmp_path / "rows.parquet")
    columns, records = read_records(str(tmp_path / "rows.parquet"), note=print)
    assert columns == ["text", "when"]
    assert records == [(1, {"text": "x", "when": day}), (2, {"text": None, "when": day})]


@pytest.mark.parametrize("seed", range(100))
def test_torn_parquet(seed, tmp_path):
    path = tmp_path / "rows.parquet"
    pyarrow.parquet.write_table(pyarrow.table({"text": [f"股市 {n}" for n in range(50)]}), path)
    draw, content = random.Random(seed), bytearray(path.read_bytes())
    if seed % 4 == 0:
        content = content[: draw.randrange(len(content))]
    for _ in range(draw.randint(1, 6) if seed % 4 else 0):
        content[draw.randrange(len(content))] = draw.randrange(256)
    path.write_bytes(content)
    try:
        read_records(str(path), note=print)
    except ValueError as error:
        assert _one_line(error, path)


@pytest.mark.parametrize("text", ['{"text": ' + "[" * 100_000, '{"text": 1', "[1]", "x" * 10**6])
def test_json_that_is_no_row(text):
    with pytest.raises(ValueError) as caught:
        json_object(text, "rows.jsonl:3")
    assert _one_line(caught.value, "rows.jsonl:3: ")


def test_json_that_is_one():
    assert json_object('{"text": "\\ud83d\\ude00 C:\\\\user"}', "") == {"text": "😀 C:\\user"}


@pytest.mark.parametrize("column", ["text", "label"])
@pytest.mark.parametrize("reader", [lambda path: Table(data_dir=path), lambda path: load_tables(path, **COLUMNS)])
def test_half_a_surrogate_pair_is_no_character(column, reader, tmp_path):
    rows = [{"text": f"text {number}", "label": "ab"[number % 2]} for number in range(40)]
    for row in rows[3:20]:
        row[column] += "\ud800"
    path = tmp_path / "rows.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    with pytest.raises(ValueError, match=rf"rows.jsonl:4: the {column} holds half a surrogate pair; write the whole"):
        reader(str(path))


def test_half_a_surrogate_pair_in_muge(tmp_path):
    for name in ("train", "valid", "test"):
        (tmp_path / f"{name}_imgs.tsv").write_text("1\tAAAA\n", encoding="utf-8")
        row = {"text_id": 1, "text": "\udc00", "image_ids": [1]}
        (tmp_path / f"{name}_texts.jsonl").write_text(json.dumps(row), encoding="utf-8")
    builder = MUGE(data_dir=str(tmp_path), config_name="texts", cache_dir=str(tmp_path / "cache"))
    with pytest.raises(ValueError, match=r"train_texts.jsonl:1: the text holds half a surrogate pair"):
        builder.download_and_prepare()


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("seed", range(60))
def test_torn_tensors(seed, zipped, tmp_path):
    """Bytes changed or cut off, in both formats of torch."""
    tensors = {name: torch.zeros(4, 28, 28) if "data" in name else torch.arange(4) for name in TENSORS}
    content, draw = io.BytesIO(), random.Random(seed)
    torch.save(tensors, content, _use_new_zipfile_serialization=zipped)
    content = bytearray(content.getvalue())
    if zipped:  # torch looks at the checksums of what is packed: change what the pickle in it says, too
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            members = {name: bytearray(archive.read(name)) for name in archive.namelist()}
        (pickle,) = (member for name, member in members.items() if name.endswith("data.pkl"))
        _change(pickle, draw)
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w") as archive:
            for name, member in members.items():
                archive.writestr(name, bytes(member))
        content = bytearray(packed.getvalue())
    else:
        content = content[: draw.randrange(len(content))] if seed % 5 == 0 else content
        _change(content, draw, end=700)
    path = tmp_path / "mnist.pth"
    path.write_bytes(content)
    try:
        read_tensors([str(path)])
    except ValueError as error:
        assert _one_line(error, path)


def _change(content: bytearray, draw: random.Random, end: int | None = None) -> None:
    for _ in range(draw.randint(1, 5)):
        content[draw.randrange(min(len(content), end or len(content)))] = draw.randrange(256)
