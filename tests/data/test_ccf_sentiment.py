import csv
import json
import logging
import shutil
from collections import Counter
from pathlib import Path

import pytest

from hfcls.data.ccf_sentiment import CCFSentiment
from tests.text.test_baselines import run as run_recipe

SHARED = Path(__file__).parent.parent.parent.parent / "shared" / "data" / "ccf_sentiment"
ROWS = [(f"id{i}", f"标题{i}", f"内容,有逗号{i}", i % 3) for i in range(60)]


def write(folder, rows=ROWS, encoding="utf-8", labels=None, unlabelled=None):
    folder.mkdir(exist_ok=True)
    tables = {
        "Train_DataSet.csv": [("id", "title", "content"), *(row[:3] for row in rows)],
        "Train_DataSet_Label.csv": [("id", "label"), *((row[0], row[3]) for row in rows)] if labels is None else labels,
    }
    if unlabelled:
        tables["Test_DataSet.csv"] = [("id", "title", "content"), *unlabelled]
    for name, table in tables.items():
        with (folder / name).open("w", encoding=encoding, newline="") as file:
            csv.writer(file).writerows(table)
    return folder


def build(folder, tmp_path, **options):
    builder = CCFSentiment(
        data_dir=None if folder is None else str(folder), cache_dir=str(tmp_path / "cache"), **options
    )
    builder.download_and_prepare()
    return builder.as_dataset()


def cause(error):
    return str(error.value.__cause__ or error.value)


def test_titles_and_contents_in_stratified_splits(tmp_path):
    splits = build(write(tmp_path / "ccf"), tmp_path)
    assert {name: len(split) for name, split in splits.items()} == {"train": 42, "validation": 6, "test": 12}
    for split in splits.values():
        assert len(set(Counter(split["label"]).values())) == 1
    rows = {row["id"]: row for split in splits.values() for row in split}
    names = splits["train"].features["label"].names
    assert names == ["positive", "neutral", "negative"]
    assert all(rows[i] == {"id": i, "text": t, "text_pair": c, "label": y} for i, t, c, y in ROWS)
    assert len(rows) == 60
    other = build(tmp_path / "ccf", tmp_path, seed=1)
    assert set(other["test"]["id"]) != set(splits["test"]["id"])


def test_gb18030_and_a_missing_title(tmp_path, caplog):
    rows = [("x", "", "只有内容", 0), ("y", "只有标题", "", 1), *ROWS]
    splits = build(write(tmp_path / "ccf", rows, "gb18030"), tmp_path)
    found = {row["id"]: (row["text"], row["text_pair"]) for split in splits.values() for row in split}
    assert (found["x"], found["y"]) == (("只有内容", ""), ("只有标题", ""))
    assert "Train_DataSet.csv: read as GB18030" in caplog.text


def test_what_is_left_out_is_counted(tmp_path, caplog):
    rows = [*ROWS, ("none", "", "", 0), ROWS[0], ("id1", "又一个标题", "x", 1), ("lone", "t", "c", 0)]
    labels = [("id", "label"), *((row[0], row[3]) for row in rows if row[0] != "lone"), ("ghost", 2), ("id2", 0)]
    with caplog.at_level(logging.WARNING, "hfcls.data.ccf_sentiment"):
        splits = build(write(tmp_path / "ccf", rows, labels=labels), tmp_path)
    assert {i for split in splits.values() for i in split["id"]} == {row[0] for row in ROWS} - {"id1", "id2"}
    for said in (
        "1 rows have neither title nor content (none)",
        "1 rows are repetitions (id0)",
        "1 ids stand for different rows (id1)",
        "1 ids have different labels (id2)",
        "2 rows have no label (id2, lone)",
        "3 labels have no row (id1, none, ghost)",
    ):
        assert said in caplog.text


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("Train_DataSet_Label.csv", "id,label\nid0,0\nid1,3\nid2,\n", r"Label\.csv:3: 2 labels are not 0, 1 or 2"),
        ("Train_DataSet.csv", "id,title,content\nid0,a,b\nid1,a\n", r"DataSet\.csv:3: 2 cells, the header has 3"),
        ("Train_DataSet.csv", 'id,title,content\nid0,"a,b\n', r"DataSet\.csv:2: unexpected end of data"),
        ("Train_DataSet.csv", "id,text\n", r"DataSet\.csv:1: has the columns 'id,text'; name them id,title,content"),
        ("Train_DataSet.csv", "id,title,content\n", r"DataSet\.csv:1: no rows"),
        ("Train_DataSet.csv", b"id,title,content\nid0,a,\xff\xff\n", r"DataSet\.csv:2: neither UTF-8 nor GB18030"),
        (
            "Train_DataSet_Label.csv",
            "id,label\nid0,0\n",
            "0 rows of class neutral are too few|1 rows of class positive",
        ),
    ],
)
def test_bad_files(tmp_path, file, content, message):
    folder = write(tmp_path / "ccf")
    (folder / file).write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(ValueError, match=message) as error:
        build(folder, tmp_path)
    assert "\n" not in cause(error)


def test_a_missing_file_is_named(tmp_path):
    folder = write(tmp_path / "ccf")
    (folder / "Train_DataSet_Label.csv").unlink()
    with pytest.raises(ValueError, match=r"Train_DataSet_Label\.csv: No such file"):
        CCFSentiment(data_dir=str(folder))


def test_an_edited_file_is_read_again(tmp_path):
    folder = write(tmp_path / "ccf")
    build(folder, tmp_path)
    write(folder, [(i, "新" + t, c, y) for i, t, c, y in ROWS])
    assert all(text.startswith("新") for text in build(folder, tmp_path)["train"]["text"])


@pytest.mark.skipif(not SHARED.exists(), reason="the real files are not here")
def test_the_real_files(tmp_path):
    splits = build(SHARED, tmp_path)
    assert sum(map(len, splits.values())) == 7888
    assert Counter(splits["test"]["label"]) == {0: 202, 1: 1142, 2: 233}


def test_from_the_sample_to_a_submission(tmp_path, monkeypatch, capsys):
    sample = Path("hfcls/data/samples/ccf_sentiment")
    shutil.copytree(Path(__file__).parent.parent.parent / sample, tmp_path / "ccf")
    flags = f"--data_dir {tmp_path / 'ccf'} --from_scratch tiny --num_train_epochs 4 --learning_rate 1e-3"
    results = run_recipe("ccf_sentiment_bert.py", f"{flags} --class_weight balanced", tmp_path / "out", monkeypatch)
    assert results["test_f1"] > 0.5
    with (tmp_path / "out" / "submission.csv").open(encoding="utf-8", newline="") as file:
        header, *rows = csv.reader(file)
    with (tmp_path / "ccf" / "Test_DataSet.csv").open(encoding="utf-8", newline="") as file:
        _, *asked = csv.reader(file)
    assert header == ["id", "label"] and [row[0] for row in rows] == [row[0] for row in asked]
    assert {row[1] for row in rows} <= {"0", "1", "2"} and len({row[1] for row in rows}) > 1

    from transformers import pipeline

    names = json.loads((tmp_path / "out" / "run.json").read_text())["labels"]
    classify = pipeline("text-classification", model=str(tmp_path / "out"), trust_remote_code=True)
    for (_, label), (_, title, content) in zip(rows, asked, strict=True):
        assert classify({"text": title, "text_pair": content})["label"] == names[int(label)]
