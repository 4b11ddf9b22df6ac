"""Labels as people write them, and splits that have none."""

import csv
import json

import datasets
import pytest

from hfcls.audit.balance import find_imbalance
from hfcls.audit.sources import load_tables
from hfcls.data.labels import near_equal
from hfcls.data.table import Table
from hfcls.data.thucnews import THUCNews
from tests.text.test_baselines import run as run_recipe

SETS = [["a"], ["b"], ["a", "b"], []] * 10


def write_csv(path, header, rows):
    with open(path, "w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([header, *rows])
    return path


def labels_of(path, **options):
    """In the order of the rows, which their texts tell."""
    config = Table(data_dir=str(path), multi_label=True, **options).config
    rows = {int(row["text"]): row["labels"] for split in config.splits.values() for row in split}
    return [rows[row] for row in sorted(rows)], config


@pytest.mark.parametrize("writing", [json.dumps, repr, ",".join, ", ".join, lambda names: f" {names!r} "])
def test_lists_in_a_cell(writing, tmp_path):
    path = write_csv(tmp_path / "t.csv", ["text", "label"], [(row, writing(names)) for row, names in enumerate(SETS)])
    found, config = labels_of(path)
    assert found == SETS and config.labels == ["a", "b"]


@pytest.mark.parametrize("writing", [json.dumps, repr, None])
@pytest.mark.parametrize("kind", [int, bool, float])
def test_a_place_a_label(writing, kind, tmp_path):
    hot = [[kind("a" in names), kind("b" in names), kind(names == ["a"])] for names in SETS]
    if writing is None:
        path = tmp_path / "t.jsonl"
        path.write_text("".join(json.dumps({"text": str(row), "label": cell}) + "\n" for row, cell in enumerate(hot)))
    else:
        path = write_csv(tmp_path / "t.csv", ["text", "label"], [(row, writing(cell)) for row, cell in enumerate(hot)])
    found, config = labels_of(path)
    assert found == [["0", "2"], ["1"], ["0", "1"], []] * 10 and config.labels == ["0", "1", "2"]
    assert "label holds lists of 3 times 0 or 1: a place a label, called 0, 1, …" in config.notes[0]


def test_numbers_of_labels_are_no_places(tmp_path):
    lists = [[0], [1], [0, 1], [2]] * 10
    path = write_csv(tmp_path / "t.csv", ["text", "label"], [(row, cell) for row, cell in enumerate(lists)])
    assert labels_of(path)[0] == [[str(number) for number in cell] for cell in lists]


@pytest.mark.parametrize("marks", ["01", ["False", "True"], ["", "1.0"]])
def test_a_column_a_label(marks, tmp_path):
    rows = [
        (row, *(marks["x y" in names] for names in (["x y"] * ("a" in n), ["x y"] * ("b" in n))))
        for row, n in enumerate(SETS)
    ]
    path = write_csv(tmp_path / "t.csv", ["text", "a", "b"], rows)
    found, config = labels_of(path, label_column="a,b")
    assert found == SETS and config.labels == ["a", "b"]
    with pytest.raises(ValueError, match=r"t\.csv:4: a, b are 1 at once; give each row one class, or --multi_label"):
        Table(data_dir=str(path), label_column="a,b")
    write_csv(path, ["text", "a", "b"], [row for row, names in zip(rows, SETS, strict=True) if len(names) == 1])
    one = Table(data_dir=str(path), label_column="a, b").config
    assert {tuple(row["labels"]) for row in one.splits["train"]} == {("a",), ("b",)}
    write_csv(path, ["text", "a", "b"], [(0, "7", "0")])
    with pytest.raises(ValueError, match=r"t\.csv:2: a is '7'; a column for a label holds 0 or 1"):
        Table(data_dir=str(path), label_column="a,b")
    with pytest.raises(ValueError, match="no column 'c'; there are 'text', 'a', 'b'"):
        Table(data_dir=str(path), label_column="a,c")


@pytest.mark.parametrize("cell", ["['a' 'b']", "[a, b]", "[0 1 0]", "['a', ['b']]"])
def test_what_is_no_list(cell, tmp_path):
    path = write_csv(tmp_path / "t.csv", ["text", "label"], [("x", cell)])
    with pytest.raises(ValueError, match=r"t\.csv:2: the labels are \["):
        Table(data_dir=str(path), multi_label=True)


def test_our_own_predictions_are_read_back(tmp_path):
    rows = [(row, json.dumps(names), json.dumps(names)) for row, names in enumerate(SETS)]
    path = write_csv(tmp_path / "predictions.csv", ["text", "label", "prediction"], rows)
    assert labels_of(path)[0] == labels_of(path, label_column="prediction")[0] == SETS


def test_nearly_equal_names(tmp_path):
    names = ["Sports", "sports ", "Ｓports", "news"]
    path = write_csv(tmp_path / "t.csv", ["text", "label"], [(f"t{row}", names[row % 4]) for row in range(80)])
    config = Table(data_dir=str(path)).config
    assert config.labels == ["Sports", "news", "sports", "Ｓports"]
    assert "the labels 'Sports', 'sports', 'Ｓports' are a class each, though nearly equal" in config.notes[0]
    corpus = load_tables(str(path), text_column="text", label_column="label")
    assert corpus.classes == config.labels
    finding = find_imbalance(corpus)
    assert finding.found == 1 and finding.numbers["near_equal"] == [["Sports", "sports", "Ｓports"]]
    assert near_equal(["a", "b", "a b"]) == []


def test_all_classes_that_are_too_rare_are_named(tmp_path):
    rows = [(f"t{row}", "ab"[row % 2]) for row in range(40)] + [("x", "c"), ("y", "d"), ("z", "d")]
    path = write_csv(tmp_path / "t.csv", ["text", "label"], rows)
    with pytest.raises(ValueError, match="1 rows of class 'c', 2 rows of class 'd' are too few for train, validation"):
        Table(data_dir=str(path))
    path.unlink()
    for label, documents in (("a", 5), ("b", 1), ("c", 2)):
        (tmp_path / label).mkdir()
        for number in range(documents):
            (tmp_path / label / f"{number}.txt").write_text("x")
    builder = THUCNews(data_dir=str(tmp_path), cache_dir=str(tmp_path / "cache"))
    with pytest.raises(ValueError, match="1 of class 'b', 2 of class 'c' are too few to draw"):
        builder.download_and_prepare()


@pytest.mark.parametrize("secret", [["text", "id"], ["text", "id", "label"], "minus", "parquet"])
def test_a_test_split_without_labels_is_predicted(secret, tmp_path, monkeypatch):
    rows = [(f"{('good', 'awful')[row % 2]} number {row}", ("pos", "neg")[row % 2]) for row in range(60)]
    folder = tmp_path / "t"
    folder.mkdir()
    if secret == "parquet":
        features = datasets.Features(text=datasets.Value("string"), label=datasets.ClassLabel(names=["pos", "neg"]))
        for split, numbers in (("train", [row % 2 for row in range(60)]), ("test", [-1] * 8)):
            columns = {"text": [text for text, _ in rows[: len(numbers)]], "label": numbers}
            datasets.Dataset.from_dict(columns, features).to_parquet(folder / f"{split}.parquet")
    else:
        write_csv(folder / "train.csv", ["text", "label"], rows)
        cells = {"minus": ["-1"], 3: [""], 2: []}[secret if secret == "minus" else len(secret)]
        header = ["text", "id", "label"] if secret == "minus" else secret
        write_csv(folder / "test.csv", header, [(text, f"r{n}", *cells) for n, (text, _) in enumerate(rows[:8])])
    flags = f"--data_dir {folder} --architecture ngram_linear --tokens word --per_device_train_batch_size 16"
    corpus = load_tables(str(folder), text_column="text", label_column="label")
    assert corpus.splits == {"train": 60, "test": 8} and list(corpus.contents) == [t for t, _ in [*rows, *rows[:8]]]
    results = run_recipe("text_classification.py", f"{flags} --num_train_epochs 3", tmp_path / "out", monkeypatch)
    assert results["test_accuracy"] == 1
    with open(tmp_path / "out" / "submission.csv", newline="") as file:
        header, *answers = csv.reader(file)
    ids = [str(n) if secret == "parquet" else f"r{n}" for n in range(8)]
    assert header == ["id", "label"] and answers == [[name, str((n + 1) % 2)] for n, name in enumerate(ids)]
    notes = json.loads((tmp_path / "out" / "run.json").read_text())["data"]["notes"]
    assert any("no labels: predicted in submission.csv, by numbers of classes; test is drawn" in n for n in notes)


@pytest.mark.parametrize("secret", [{}, {"tags": None}, {"tags": []}, {"体育": -1, "财经": -1}])
def test_a_test_split_without_label_sets_is_predicted(secret, tmp_path, monkeypatch):
    hot = len(secret) == 2
    rows = [(f"{('球队', '股市')[row % 2]} {row}", [("体育", "财经")[row % 2]]) for row in range(60)]
    folder = tmp_path / "t"
    folder.mkdir()
    for split, several in (("train", rows), ("test", rows[:8])):
        with open(folder / f"{split}.jsonl", "w", encoding="utf-8") as file:
            for text, labels in several:
                known = {name: int(name in labels) for name in ("体育", "财经")} if hot else {"tags": labels}
                file.write(json.dumps({"text": text} | (secret if split == "test" else known)) + "\n")
    flags = f"--data_dir {folder} --architecture ngram_linear --tokens word --per_device_train_batch_size 16"
    flags += f" --multi_label --label_column {'体育,财经' if hot else 'tags'} --num_train_epochs 3"
    assert run_recipe("text_classification.py", flags, tmp_path / "out", monkeypatch)["test_accuracy"] == 1
    with open(tmp_path / "out" / "submission.csv", encoding="utf-8", newline="") as file:
        header, *answers = csv.reader(file)
    assert header == ["id", "label"]
    assert answers == [[str(n), json.dumps(labels, ensure_ascii=False)] for n, (_, labels) in enumerate(rows[:8])]
    notes = json.loads((tmp_path / "out" / "run.json").read_text())["data"]["notes"]
    assert any("no labels: predicted in submission.csv, by lists of names; test is drawn" in n for n in notes)


def test_a_label_column_of_nearly_that_name_is_meant(tmp_path):
    write_csv(tmp_path / "train.csv", ["text", "label"], [(f"t{row}", row % 2) for row in range(60)])
    write_csv(tmp_path / "test.csv", ["text", "labels"], [(f"t{row}", row % 2) for row in range(8)])
    with pytest.raises(ValueError, match=r"test\.csv:1: no column 'label'; .*: did you mean 'labels'\?"):
        Table(data_dir=str(tmp_path))


def test_minus_one_is_a_class_where_train_has_it(tmp_path):
    for split, rows in (("train", 60), ("test", 9)):
        write_csv(tmp_path / f"{split}.csv", ["text", "label"], [(f"t{row}", row % 3 - 1) for row in range(rows)])
    config = Table(data_dir=str(tmp_path)).config
    assert config.labels == ["-1", "0", "1"] and len(config.splits["test"]) == 9
    write_csv(tmp_path / "train.csv", ["text", "label"], [(f"t{row}", row % 2) for row in range(60)])
    config = Table(data_dir=str(tmp_path)).config
    assert len(config.splits["test"]) == 6 and any("3 rows without a label" in note for note in config.notes)


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_headlines_and_documents_of_every_line_end(end, tmp_path):
    files = {
        "headlines": {"class.txt": ["x", "y"]}
        | {f"{s}.txt": [f"t{n}\t{n % 2}" for n in range(9)] for s in ("train", "dev", "test")},
        "cnews": {f"cnews.{s}.txt": [f"{'xy'[n % 2]}\tt{n}" for n in range(9)] for s in ("train", "val", "test")},
    }
    for layout, contents in files.items():
        (tmp_path / layout).mkdir()
        for name, lines in contents.items():
            (tmp_path / layout / name).write_bytes(end.join([*lines, ""]).encode())
        builder = THUCNews(data_dir=str(tmp_path / layout), cache_dir=str(tmp_path / "cache"))
        builder.download_and_prepare()
        for rows in builder.as_dataset().values():
            assert rows["text"][:] == [f"t{n}" for n in range(9)] and rows["label"][:] == [n % 2 for n in range(9)]
