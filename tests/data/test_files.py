import ast
import csv
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from hfcls.data import encodings, files
from hfcls.data.ccf_sentiment import CCFSentiment
from hfcls.data.table import Table

ROOT = Path(__file__).parent.parent.parent
DATA = ROOT / "hfcls" / "data"
BUILDERS = ["ccf_sentiment", "dataset_cards", "imdb", "mnist", "muge", "table", "thucnews"]
OF_TABLES = {
    *("arrow_files", "drawn_splits", "excel_files", "labels", "mapped_files", "split_files"),
    *("stored_rows", "table_files", "table_rows"),
}
OF_PICTURES = {"folders", "idx_files", "picture_folders", "picture_modes", "tensor_files"}
BESIDE = (
    {"builder", "encodings", "card_text", "files", "tar_files"} | OF_TABLES | OF_PICTURES
)  # that builders may import


@pytest.mark.parametrize(
    ("content", "encoding"),
    [
        ("中文\n".encode(), "utf-8-sig"),
        ("中文\n".encode("utf-8-sig"), "utf-8-sig"),
        ("中文\n".encode("gb18030"), "gb18030"),
        (b"", "utf-8-sig"),
        (b"plain\n" * 1000, "utf-8-sig"),
    ],
)
def test_encodings(content, encoding, tmp_path):
    path = tmp_path / "file.txt"
    path.write_bytes(content)
    assert encodings.find_encoding(str(path)) == encoding
    assert [line for _, line in files.numbered_lines(str(path), encoding)] == content.decode(encoding).splitlines()


def test_the_line_of_no_encoding_is_named(tmp_path):
    path = tmp_path / "file.txt"
    path.write_bytes("股市\n球队\n".encode("gb18030") + b"\xff\xff\n")
    with pytest.raises(ValueError, match=r"file\.txt:3: neither UTF-8 nor GB18030; repair"):
        encodings.find_encoding(str(path))
    with pytest.raises(ValueError, match=r"file\.txt:1: not UTF-8"):
        encodings.find_encoding(str(path), ("utf-8-sig",))


def test_records_know_the_line_they_start_in(tmp_path):
    path = tmp_path / "file.csv"
    path.write_text('a,b\n1,"two\nlines, ""quoted"""\n\n3,4\r\n5,6', encoding="utf-8", newline="")
    found = list(files.csv_records(str(path), "utf-8-sig"))
    assert found == [(1, ["a", "b"]), (2, ["1", 'two\nlines, "quoted"']), (5, ["3", "4"]), (6, ["5", "6"])]
    path.write_text("a,b\n1,2\n\n3\n")
    with pytest.raises(ValueError, match=r"file\.csv:4: 1 cells, the header has 2; quote cells that hold ','"):
        list(files.csv_records(str(path), "utf-8-sig"))


def test_a_document_fits_into_a_cell_after_whoever_set_another_limit(tmp_path):
    path = tmp_path / "file.csv"
    path.write_text(f"a,b\n1,{'x' * 1_000_000}\n")
    csv.field_size_limit(10)
    assert len(list(files.csv_records(str(path), "utf-8-sig"))[1][1][1]) == 1_000_000


def test_no_builder_reads_on_its_own():
    """Neither decodes, nor parses CSV, nor imports more of the house than what is made for builders."""
    for name in [*BUILDERS, *OF_TABLES, *OF_PICTURES]:
        for node in ast.walk(ast.parse((DATA / f"{name}.py").read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                assert not {alias.name for alias in node.names} & {"csv", "hashlib"} or name == "mnist", name
            if isinstance(node, ast.ImportFrom):
                wanted = {node.module} if node.module else {alias.name for alias in node.names}
                assert node.level == 0 and not node.module.startswith("hfcls") or wanted <= BESIDE, (name, wanted)


def test_builders_work_outside_of_the_house(tmp_path):
    (tmp_path / "lifted").mkdir()
    for name in {*BUILDERS, *BESIDE, "__init__"}:
        shutil.copy(DATA / f"{name}.py", tmp_path / "lifted")
    (tmp_path / "table.csv").write_text("text,label\n" + "".join(f"t{row},{row % 2}\n" for row in range(40)))
    script = f"""
import sys
from lifted import {", ".join(BUILDERS)}
builder = table.Table(data_dir="table.csv", cache_dir="cache")
builder.download_and_prepare()
assert len(builder.as_dataset()["train"]) == 32
assert not [name for name in sys.modules if name.split(".")[0] in ("hfcls", "transformers", "sklearn")]
try:
    thucnews.THUCNews()
except ValueError as error:
    assert "give the folder that holds the corpus" in str(error)
else:
    raise AssertionError("there is no sample beside the copy")
"""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    subprocess.run([sys.executable, "-c", script], cwd=tmp_path, env=environment, check=True)


def write_ccf(folder, empty):
    folder.mkdir(exist_ok=True)
    rows = "".join(f"r{row},标题{row},内容{row}\n" for row in range(60)) + "".join(f"{name},,\n" for name in empty)
    (folder / "Train_DataSet.csv").write_text(f"id,title,content\n{rows}", encoding="gb18030")
    labels = "".join(f"r{row},{row % 3}\n" for row in range(60))
    (folder / "Train_DataSet_Label.csv").write_text(f"id,label\n{labels}", encoding="utf-8")


def said(folder, cache):
    """What a fresh process logs, and has as notes."""
    script = f"""
import json, logging
from hfcls.data.ccf_sentiment import CCFSentiment
logged = []
handler = logging.Handler()
handler.emit = lambda record: logged.append(record.getMessage())
logging.getLogger("hfcls.data").addHandler(handler)
builder = CCFSentiment(data_dir={str(folder)!r}, cache_dir={str(cache)!r})
builder.download_and_prepare()
print(json.dumps([logged, builder.notes]))
"""
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def test_a_warm_cache_says_what_the_cold_one_said(tmp_path):
    write_ccf(tmp_path / "ccf", ["lone"])
    path = tmp_path / "ccf" / "Train_DataSet.csv"
    notes = [f"{path}: read as GB18030", f"{path}: 1 rows have neither title nor content (lone): left out"]
    assert said(tmp_path / "ccf", tmp_path / "cache") == [notes, notes]
    assert said(tmp_path / "ccf", tmp_path / "cache") == [notes, notes]
    write_ccf(tmp_path / "ccf", ["lone", "other"])
    notes[1] = f"{path}: 2 rows have neither title nor content (lone, other): left out"
    assert said(tmp_path / "ccf", tmp_path / "cache") == [notes, notes]


def test_a_builder_has_nothing_to_say_of_a_sound_corpus(tmp_path):
    builder = CCFSentiment(cache_dir=str(tmp_path))
    builder.download_and_prepare()
    assert builder.notes == [] and builder.title is None


def test_the_key_of_the_cache_follows_from_the_shared_code(tmp_path, monkeypatch):
    (tmp_path / "table.csv").write_text("text,label\n" + "".join(f"t{row},{row % 2}\n" for row in range(40)))
    before = Table(data_dir=str(tmp_path / "table.csv")).config_id
    assert Table(data_dir=str(tmp_path / "table.csv")).config_id == before
    other = tmp_path / "files.py"
    other.write_text((DATA / "files.py").read_text(encoding="utf-8") + "\n", encoding="utf-8")
    monkeypatch.setattr(files, "__file__", str(other))
    assert Table(data_dir=str(tmp_path / "table.csv")).config_id != before


def test_there_is_one_csv_reader():
    """So that there is one limit of a cell, and no file that one verb reads and another refuses."""
    found = {
        path.relative_to(ROOT / "hfcls").as_posix()
        for path in (ROOT / "hfcls").rglob("*.py")
        if "csv.reader(" in path.read_text(encoding="utf-8") or "field_size_limit" in path.read_text(encoding="utf-8")
    }
    assert found == {"data/files.py"}


@pytest.mark.parametrize(
    ("row", "line"), [(r'"he said \"hi\" x",1', 3), (r'"a \"b", \"c\"",1', 3), ('"two\n\\" lines",1', 3)]
)
def test_quotes_that_are_escaped_by_a_backslash_are_named(row, line, tmp_path):
    (tmp_path / "t.csv").write_text(f"text,label\na,1\n{row}\n" + "b,1\n" * 3)
    with pytest.raises(ValueError, match=rf't\.csv:{line}: .*; write a quote inside a cell as "", not as \\"$'):
        list(files.csv_records(str(tmp_path / "t.csv"), "utf-8"))
    (tmp_path / "t.csv").write_text('text,label\na,1\n"b,1\n')
    with pytest.raises(ValueError, match="check that every quote is closed"):
        list(files.csv_records(str(tmp_path / "t.csv"), "utf-8"))
