import json
import re
from collections import Counter
from pathlib import Path

import pandas as pd
import pytest

from hfcls.data.table import Table
from hfcls.inference.classifier import Classifier
from tests.text.test_baselines import run as run_recipe

# 40 % / 40 % / 19 % / 1 %
LABELS = ["good"] * 120 + ["bad"] * 120 + ["odd"] * 57 + ["rare"] * 3
WORDS = {"good": "fine great lovely", "bad": "awful poor sad", "odd": "strange weird", "rare": "unicorn"}
ROWS = [
    {
        "review": f"{WORDS[label].split()[i % len(WORDS[label].split())]} number {i}, said someone",
        "kind": label,
        "by": i % 40,
    }
    for i, label in enumerate(LABELS)
]
COLUMNS = {"text_column": "review", "label_column": "kind"}


def write(path, rows=ROWS):
    frame = pd.DataFrame(rows)
    path.parent.mkdir(exist_ok=True, parents=True)
    if path.suffix == ".jsonl":
        frame.to_json(path, orient="records", lines=True, force_ascii=False)
    elif path.suffix == ".parquet":
        frame.to_parquet(path)
    elif path.suffix == ".xlsx":
        frame.to_excel(path, index=False)
    else:
        frame.to_csv(path, index=False, sep="\t" if path.suffix == ".tsv" else ",")
    return path


def build(path, tmp_path, **options):
    builder = Table(data_dir=str(path), cache_dir=str(tmp_path / "cache"), **{**COLUMNS, **options})
    builder.download_and_prepare()
    return builder.as_dataset()


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".jsonl", ".parquet", ".xlsx"])
def test_every_format_gives_the_same_splits(suffix, tmp_path):
    if suffix == ".xlsx":
        pytest.importorskip("openpyxl")
    splits = build(write(tmp_path / f"reviews{suffix}"), tmp_path)
    assert {name: len(split) for name, split in splits.items()} == {"train": 238, "validation": 31, "test": 31}
    names = splits["train"].features["label"].names
    assert names == ["bad", "good", "odd", "rare"]
    counts = {name: Counter(names[i] for i in split["label"]) for name, split in splits.items()}
    assert counts["test"] == counts["validation"] == {"good": 12, "bad": 12, "odd": 6, "rare": 1}
    found = sorted((row["text"], names[row["label"]]) for split in splits.values() for row in split)
    assert found == sorted((row["review"], row["kind"]) for row in ROWS)
    csv_test = build(write(tmp_path / "again.csv"), tmp_path)["test"]
    assert list(csv_test["text"]) == list(splits["test"]["text"])


def test_a_file_a_split(tmp_path):
    folder = tmp_path / "reviews"
    write(folder / "train.csv", ROWS)
    write(folder / "dev.jsonl", ROWS[110:130])
    write(folder / "test.parquet", ROWS[100:125])
    splits = build(folder, tmp_path)
    assert {name: len(split) for name, split in splits.items()} == {"train": 300, "validation": 20, "test": 25}
    assert list(splits["test"]["text"]) == [row["review"] for row in ROWS[100:125]]
    (folder / "dev.jsonl").unlink()
    splits = build(folder, tmp_path)
    assert {name: len(split) for name, split in splits.items()} == {"train": 269, "validation": 31, "test": 25}
    write(folder / "test.parquet", [{"review": "x", "kind": "new"}])
    with pytest.raises(ValueError, match=r"test\.parquet:1: label 'new' is not in the training file"):
        build(folder, tmp_path)


def test_groups_stay_together_and_classes_near_their_shares(tmp_path):
    rows = [{"review": f"{row['review']} by{row['by']}", **{k: row[k] for k in ("kind", "by")}} for row in ROWS]
    splits = build(write(tmp_path / "r.csv", rows), tmp_path, group_column="by")
    groups = {name: {text.split(" by")[1] for text in split["text"]} for name, split in splits.items()}
    assert not groups["train"] & groups["test"] and not groups["train"] & groups["validation"]
    assert not groups["validation"] & groups["test"]
    assert all(15 <= len(splits[name]) <= 31 for name in ("validation", "test"))


def test_numbers_in_order_pairs_and_gaps(tmp_path, caplog):
    rows = [{"a": f"t{i}", "b": f"p{i}", "n": [10, 9, 2][i % 3]} for i in range(60)]
    rows += [{"a": "no label", "b": "", "n": None}, {"a": None, "b": "no text", "n": 2}]
    splits = build(write(tmp_path / "r.csv", rows), tmp_path, text_column="a", text_pair_column="b", label_column="n")
    assert splits["train"].features["label"].names == ["2", "9", "10"]
    found = {(row["text"], row["text_pair"]) for split in splits.values() for row in split}
    assert found == {(f"t{i}", f"p{i}") for i in range(60)}
    assert "1 rows without a text (lines 63)" in caplog.text and "1 rows without a label (lines 62)" in caplog.text


def csv_of(*lines):
    return "review,kind\n" + "".join(f"{line}\n" for line in lines)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        (
            "r.csv",
            "revew,kind\nx,a\n",
            r"r\.csv:1: no column 'review'; there are 'revew', 'kind': did you mean 'revew'\?",
        ),
        ("r.csv", "zzz,kind\nx,a\n", r"no column 'review'; there are 'zzz', 'kind': give --text_column"),
        ("r.csv", csv_of("x,0.5", "y,0.25"), r"r\.csv:2: column 'kind' holds fractions \(0\.5\), not classes"),
        ("r.csv", csv_of("x,a", "y,b,c"), r"r\.csv:3: 3 cells, the header has 2; quote cells that hold ','"),
        ("r.csv", csv_of(*(f"x,{i}" for i in range(10000))), "10,000 different values in 10,000 rows, at most 1,000"),
        ("r.csv", csv_of("x,a", "y,a"), "every row of column 'kind' is 'a'"),
        ("r.csv", csv_of("x,a", "y,a", "z,b"), "1 rows of class 'b' are too few for train, validation, test"),
        ("r.csv", "review;kind\nx;a\n", "save it with commas"),
        ("r.csv", "review,kind,kind\nx,a,b\n", "column 'kind' is there twice"),
        ("r.csv", 'review,kind\n"x,a\n', r"r\.csv:2: unexpected end of data; check that every quote is closed"),
        ("r.csv", csv_of(), "no rows with a text and a label"),
        ("r.csv", b"review,kind\nx,\xff\xff\n", r"r\.csv:2: neither UTF-8 nor GB18030"),
        ("r.jsonl", '{"review": "x", "kind": "a"}\n{"review": \n', r"r\.jsonl:2: no JSON"),
        ("r.jsonl", '["x", "a"]\n', r"r\.jsonl:1: no object"),
        (
            "r.jsonl",
            '{"review": "x", "kind": ["a", "b"]}\n',
            r"r\.jsonl:1: the label is \['a', 'b'\]; give each row one",
        ),
        ("r.parquet", "PAR1 torn", "no whole Parquet file"),
        ("r.xlsx", "torn", "no whole Excel file|reading Excel needs an extra: pip install 'hfcls.excel.'"),
        ("r.docx", "x", "what is in it must show in its name: .csv, .tsv, .txt, .json, .jsonl, .parquet, .xlsx"),
        ("r.txt", "x", "r.txt: no labels in a text file; make a table, or name the corpus it is of"),
    ],
)
def test_what_cannot_be_used_is_said_in_one_line(name, content, message, tmp_path):
    (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(ValueError, match=message) as error:
        build(tmp_path / name, tmp_path)
    assert "\n" not in str(error.value)
    with pytest.raises(ValueError, match="No such file"):
        build(tmp_path / "absent.csv", tmp_path)


TO_TRAIN = "--architecture ngram_linear --text_column review --label_column kind"
FLAGS = "--text_column review --label_column kind --per_device_train_batch_size 16 --learning_rate 1e-2"


@pytest.mark.parametrize(
    ("suffix", "model"),
    [
        (".csv", "--architecture ngram_linear --class_weight balanced --tokens word"),
        (".parquet", "--from_scratch tiny"),
    ],
)
def test_trained_reloaded_and_predicted(suffix, model, tmp_path, monkeypatch):
    table = write(tmp_path / f"reviews{suffix}")
    flags = f"--data_dir {table} {FLAGS} {model} --num_train_epochs 4"
    flags = flags.replace("1e-2", "1e-3") if "tiny" in model else flags
    results = run_recipe("text_classification.py", flags, tmp_path / "out", monkeypatch)
    assert results["test_accuracy"] > 0.9
    run = json.loads((tmp_path / "out" / "run.json").read_text())
    assert (run["data"]["name"], run["data"]["source"]) == ("reviews", table.name)
    classifier = Classifier(str(tmp_path / "out"))
    assert classifier("awful number 7, said someone").label == "bad"


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ("--data_dir r.csv --architecture text_cnn --text_column revie --label_column kind", "did you mean 'review'?"),
        ("--data_dir absent.csv --from_scratch tiny", "absent.csv: No such file"),
        ("--from_scratch tiny", "give the table as --data_dir"),
        ("--data_dir r.csv", "give one of --model_name_or_path, --from_scratch, --architecture, --evaluate_only"),
        ("--data_dir r.csv --from_scratch tiny --architecture dpcnn", "give one of"),
        (f"--data_dir fractions.csv {TO_TRAIN}", "holds fractions (0.5), not classes"),
        (f"--data_dir ragged.csv {TO_TRAIN}", "ragged.csv:3: 3 cells, the header has 2"),
        (f"--data_dir many.csv {TO_TRAIN}", "10,000 different values in 10,000 rows"),
    ],
)
def test_mistakes_end_with_exit_code_2(flags, message, tmp_path, monkeypatch, capsys):
    write(tmp_path / "r.csv")
    (tmp_path / "fractions.csv").write_text(csv_of("x,0.5", "y,0.25"))
    (tmp_path / "ragged.csv").write_text(csv_of("x,a", "y,b,c"))
    (tmp_path / "many.csv").write_text(csv_of(*(f"x,{i}" for i in range(10000))))
    recipe = Path("recipes/text_classification.py").resolve()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as exit_:
        run_recipe(str(recipe), flags, tmp_path / "out", monkeypatch)
    assert exit_.value.code == 2
    last = capsys.readouterr().err.strip().splitlines()[-1]
    assert last.startswith("error: ") and re.search(re.escape(message), last)


def test_a_corpus_by_its_name(tmp_path, monkeypatch):
    flags = "--dataset ccf_sentiment --architecture ngram_linear --class_weight balanced --num_train_epochs 6"
    results = run_recipe("text_classification.py", flags, tmp_path / "out", monkeypatch)
    assert results["test_f1"] > 0.6
    assert json.loads((tmp_path / "out" / "run.json").read_text())["data"]["name"] == "CCF sentiment"
