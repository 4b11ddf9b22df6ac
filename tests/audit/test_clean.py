import json

import datasets
import numpy as np
import pandas
import pytest
import torch
from PIL import Image

from hfcls.audit.sources import load_tables
from hfcls.cli import main
from hfcls.data.imdb import IMDB
from hfcls.data.mnist import MNIST
from hfcls.data.repetition import count_repeated, repeated_line
from hfcls.data.table import Table
from hfcls.data.thucnews import THUCNews


def _main(*words) -> int:
    with pytest.raises(SystemExit) as exit_:
        main([str(word) for word in words])
    return exit_.value.code


def _headlines(folder):
    folder.mkdir()
    (folder / "class.txt").write_text("finance\nsports\n")
    train = [f"headline number {row} of the corpus\t{row % 2}" for row in range(30)]
    train[5], train[6] = train[3], "tested as well\t0"
    train[8], train[9] = "both at once\t0", "both at once\t1"
    (folder / "train.txt").write_text("\n".join(train) + "\n")
    (folder / "dev.txt").write_text("a first dev row\t0\na second dev row\t1\n")
    (folder / "test.txt").write_text("tested as well\t0\ntested as well\t0\nanother one\t1\n")
    return folder


def test_headlines_are_written_back_in_their_layout(tmp_path, capsys):
    source, target = _headlines(tmp_path / "corpus"), tmp_path / "clean"
    before = {path.name: path.read_bytes() for path in source.iterdir()}
    page = ["--output", tmp_path / "audit.html"]
    assert _main("check", "thucnews", "--data_dir", source, *page, "--write-clean", target) == 0
    assert "without 4 train, 0 validation, 0 test rows" in capsys.readouterr().out
    assert before == {path.name: path.read_bytes() for path in source.iterdir()}
    lines = before["train.txt"].decode().splitlines(keepends=True)
    assert (target / "train.txt").read_text() == "".join(lines[row] for row in range(30) if row not in (5, 6, 8, 9))
    assert all((target / name).read_bytes() == before[name] for name in ("dev.txt", "test.txt", "class.txt"))
    THUCNews(data_dir=str(target))
    assert _main("check", "thucnews", "--data_dir", source, *page, "--write-clean", target) == 2
    assert "is there already" in capsys.readouterr().err


@pytest.mark.parametrize("suffix", ["csv", "tsv", "jsonl", "parquet"])
def test_tables_keep_their_other_columns(suffix, tmp_path):
    frame = pandas.DataFrame({"id": range(12), "text": [f"text, “{row % 10}”" for row in range(12)], "label": "x"})
    frame.loc[3, "label"] = "y"
    path = tmp_path / f"table.{suffix}"
    separator = "\t" if suffix == "tsv" else ","
    if suffix in ("csv", "tsv"):
        frame.to_csv(path, index=False, sep=separator)
    elif suffix == "jsonl":
        frame.to_json(path, orient="records", lines=True, force_ascii=False)
    else:
        frame.to_parquet(path)
    assert _main("check", path, "--output", tmp_path / "a.html", "--write-clean", tmp_path / "clean") == 0
    cleaned = tmp_path / "clean" / path.name
    if suffix in ("csv", "tsv"):
        cleaned = pandas.read_csv(cleaned, sep=separator)
    elif suffix == "jsonl":
        cleaned = pandas.DataFrame([json.loads(line) for line in cleaned.read_text().splitlines()])
    else:
        cleaned = pandas.read_parquet(cleaned)
    assert cleaned.to_dict("records") == frame.iloc[:10].to_dict("records")


def test_excel_is_looked_at_but_not_written(tmp_path, capsys):
    pytest.importorskip("openpyxl")
    frame = pandas.DataFrame({"text": ["one", "one", "two", "three"], "label": ["x", "x", "x", "x"]})
    frame.to_excel(tmp_path / "table.xlsx", index=False)
    words = ["check", tmp_path / "table.xlsx", "--output", tmp_path / "a.html"]
    assert _main(*words) == 0
    assert "4 train rows, 1 classes" in capsys.readouterr().out
    assert _main(*words, "--write-clean", tmp_path / "clean") == 2
    assert "table.xlsx: a .xlsx file is not written back; save it as .csv" in capsys.readouterr().err


def test_no_class_is_emptied(tmp_path, capsys):
    """A corpus of short intents: every row of the largest class has its text under another class, too."""
    rows = [("yes", "agree"), ("ok", "agree")] * 30 + [("yes", "confirm"), ("ok", "confirm")]
    rows += [(f"text number {row}", ("confirm", "other", "other")[row % 3]) for row in range(30)] + [
        ("same", "other")
    ] * 40
    source, page = tmp_path / "t.csv", ["--output", tmp_path / "a.html"]
    pandas.DataFrame(rows, columns=["text", "label"]).to_csv(source, index=False)
    assert _main("check", source, *page, "--write-clean", tmp_path / "clean") == 0
    printed = capsys.readouterr().out
    assert "kept whole, or hardly a row would be left: agree in train" in printed
    assert "lost over half of their rows: other in train (21 of 60)" in printed
    kept = pandas.read_csv(tmp_path / "clean" / "t.csv")["label"].value_counts().to_dict()
    assert kept == {"agree": 60, "other": 21, "confirm": 10}
    assert Table(data_dir=str(tmp_path / "clean" / "t.csv")).config.labels == ["agree", "confirm", "other"]


def test_what_is_cleaned_of_quotes_is_read_as_before(tmp_path):
    rows = [f'"{row} begins' if row % 2 else f'{row} "quotes" 5"' for row in range(12)]
    (tmp_path / "t.tsv").write_text("text\tlabel\n" + "".join(f"{text}\tx\n" for text in [*rows, rows[0]]))
    page = ["--output", tmp_path / "a.html"]
    assert _main("check", tmp_path / "t.tsv", *page, "--write-clean", tmp_path / "clean") == 0
    found = load_tables(str(tmp_path / "clean" / "t.tsv"), text_column="text", label_column="label")
    assert list(found.contents) == rows and found.notes == ()


def test_the_sample_is_written_back_too(tmp_path):
    """A sample is a corpus like any other, of the comments of CCF too."""
    page = ["--output", tmp_path / "a.html"]
    assert _main("check", "ccf_sentiment", *page, "--write-clean", tmp_path / "clean") == 0
    assert _main("check", "ccf_sentiment", "--data_dir", tmp_path / "clean", *page) == 0


def test_reviews_are_written_back_with_their_ratings(tmp_path):
    source, target = tmp_path / "aclImdb", tmp_path / "clean"
    for split in ("train", "test"):
        for label, rating in (("neg", 2), ("pos", 9)):
            folder = source / split / label
            folder.mkdir(parents=True)
            for row in range(12):
                (folder / f"{row}_{rating}.txt").write_text(f"{split} review {row} is {label}<br />indeed", "utf-8")
    (source / "train" / "neg" / "12_2.txt").write_text("train review 3 is neg<br />indeed", "utf-8")
    (source / "train" / "pos" / "12_9.txt").write_text("test review 5 is pos<br />indeed", "utf-8")
    page = ["--output", tmp_path / "audit.html"]
    assert _main("check", "imdb", "--data_dir", source, *page, "--write-clean", target) == 0
    names = [path.relative_to(target).as_posix() for path in target.rglob("*.txt")]
    assert all(name.endswith("_2.txt" if "/neg/" in name else "_9.txt") for name in names)
    splits = IMDB(data_dir=str(target / "aclImdb"))
    splits.download_and_prepare()
    splits = splits.as_dataset()
    kept = sorted([*splits["train"]["text"], *splits["validation"]["text"]])
    assert kept == sorted(f"train review {row} is {label}\nindeed" for row in range(12) for label in ("neg", "pos"))
    assert len(splits["test"]) == 24


def test_documents_are_written_back_in_their_layout(tmp_path):
    source, target = tmp_path / "cnews", tmp_path / "clean"
    source.mkdir()
    for name, rows in (("train", 40), ("val", 20), ("test", 20)):
        lines = [f"{('体育', '财经')[row % 2]}\t{name} 第{row}篇\n" for row in range(rows)]
        (source / f"cnews.{name}.txt").write_text("".join([*lines, lines[0]]), encoding="utf-8")
    page = ["--output", tmp_path / "a.html"]
    assert _main("check", "thucnews", "--data_dir", source, *page, "--write-clean", target) == 0
    lines = {name: (target / f"cnews.{name}.txt").read_text("utf-8").splitlines() for name in ("train", "val", "test")}
    assert [len(found) for found in lines.values()] == [40, 20, 21]  # what is tested on stays whole
    assert lines["train"][0] == "体育\ttrain 第0篇"


def test_a_folder_of_documents_becomes_one_hot_tables(tmp_path, capsys):
    source, target = tmp_path / "tree", tmp_path / "clean"
    for label in ("体育", "财经"):
        (source / label).mkdir(parents=True)
        for row in range(40):
            text = f'{label}第{min(row, 35)}篇,\n“好” "quoted"'  # the last five are one
            (source / label / f"{row}.txt").write_text(text, encoding="gb18030")
    page = ["--output", tmp_path / "a.html"]
    assert _main("check", "thucnews", "--data_dir", source, *page, "--write-clean", target) == 0
    assert sorted(path.name for path in target.iterdir()) == ["test.csv", "train.csv", "val.csv"]
    before, after = THUCNews(data_dir=str(source)), THUCNews(data_dir=str(target))
    before.download_and_prepare()
    after.download_and_prepare()
    before, after = before.as_dataset(), after.as_dataset()
    assert after["train"].features == before["train"].features
    assert after["test"][:] == before["test"][:]  # what is tested on stays whole
    tested = {*before["validation"]["text"], *before["test"]["text"]}
    assert sorted(after["train"]["text"]) == sorted({*before["train"]["text"]} - tested)
    left_out = len(before["train"]) - len(after["train"])
    assert left_out > 0 and f"without {left_out} train" in capsys.readouterr().out


def test_comments_are_written_back_with_their_ids(tmp_path, capsys):
    source, target = tmp_path / "ccf", tmp_path / "clean"
    source.mkdir()
    texts = [f"第{row}条评论, “好”" for row in range(60)]
    texts[7] = texts[4]
    rows = "".join(f'r{row},,"{text}"\n' for row, text in enumerate(texts))
    (source / "Train_DataSet.csv").write_text(f"id,title,content\n{rows}", encoding="gb18030")
    labels = "".join(f"r{row},{row % 3}\n" for row in range(60))
    (source / "Train_DataSet_Label.csv").write_text(f"id,label\n{labels}", encoding="utf-8")
    (source / "Test_DataSet.csv").write_text("id,title,content\nt1,,新的\n", encoding="utf-8")
    page = ["--output", tmp_path / "audit.html"]
    assert _main("check", "ccf_sentiment", "--data_dir", source, *page, "--write-clean", target) == 0
    for name, encoding in (("Train_DataSet.csv", "gb18030"), ("Train_DataSet_Label.csv", "utf-8")):
        kept, before = pandas.read_csv(target / name), pandas.read_csv(source / name, encoding=encoding)
        assert 58 <= len(kept) < 60 and not {"r4", "r7"} <= set(kept["id"])
        pandas.testing.assert_frame_equal(kept, before[before["id"].isin(kept["id"])].reset_index(drop=True))
    assert (target / "Test_DataSet.csv").read_bytes() == (source / "Test_DataSet.csv").read_bytes()
    assert _main("check", "muge", *page, "--write-clean", tmp_path / "sample") == 2
    assert "--write_clean: a corpus of MUGE is not written back; edit its files" in capsys.readouterr().err


def test_pictures_are_copied(tmp_path, capsys):
    draw, source = np.random.default_rng(0), tmp_path / "pictures"
    for label in ("cat", "dog"):
        for split in ("train", "test"):
            folder = source / split / label
            folder.mkdir(parents=True)
            for row in range(6):
                Image.fromarray(draw.integers(0, 256, (8, 8), dtype=np.uint8)).save(folder / f"{row}.png")
    (source / "train" / "cat" / "copy.png").write_bytes((source / "test" / "cat" / "2.png").read_bytes())
    (source / "train" / "dog" / "seen.png").write_bytes((source / "test" / "dog" / "1.png").read_bytes())
    target = tmp_path / "clean"
    page = ["--output", tmp_path / "a.html"]
    assert _main("check", "mnist", "--data_dir", source, *page, "--write-clean", target) == 0
    files = {path.relative_to(target).as_posix() for path in target.rglob("*.png")}
    before = {path.relative_to(source).as_posix() for path in source.rglob("*.png")}
    assert before - files == {"train/cat/copy.png", "train/dog/seen.png"} and files < before
    assert "test/cat/2.png" in (tmp_path / "a.html").read_text("utf-8")
    assert "distinct test in train" in capsys.readouterr().out


def test_arrays_become_idx_files(tmp_path):
    draw = np.random.default_rng(0)
    tensors = {}
    for split, rows in (("train", 40), ("test", 10)):
        tensors[f"{split}_data"] = torch.from_numpy(draw.integers(0, 256, (rows, 28, 28), dtype=np.uint8))
        tensors[f"{split}_labels"] = torch.arange(rows) % 2
    tensors["train_data"][4] = tensors["test_data"][2]
    torch.save(tensors, tmp_path / "digits.pth")
    target = tmp_path / "clean"
    words = ["mnist", "--data_dir", tmp_path / "digits.pth", "--output", tmp_path / "a.html", "--write-clean", target]
    assert _main("check", *words) == 0
    builder = MNIST(data_dir=str(target))
    builder.download_and_prepare()
    splits = builder.as_dataset()
    read = [np.asarray(image).tobytes() for name in ("train", "validation") for image in splits[name]["image"]]
    kept = [image.tobytes() for row, image in enumerate(tensors["train_data"].numpy()) if row != 4]
    assert sorted(read) == sorted(kept)
    np.testing.assert_array_equal([np.asarray(image) for image in splits["test"]["image"]], tensors["test_data"])
    assert splits["test"]["label"][:] == tensors["test_labels"].tolist()


def test_what_every_recipe_counts():
    labels = datasets.ClassLabel(names=["a", "b"])
    features = datasets.Features({"text": datasets.Value("string"), "label": labels})
    split = {"train": (["x", "x", "y", "z"], [0, 0, 0, 1]), "test": (["y", "w"], [1, 1])}
    splits = datasets.DatasetDict(
        {
            name: datasets.Dataset.from_dict({"text": texts, "label": ids}, features)
            for name, (texts, ids) in split.items()
        }
    )
    repeated = count_repeated(splits)
    assert repeated == {"surplus": {"train": 1, "test": 0}, "leaks": {"train/test": 1}, "conflicts": 1}
    assert repeated_line(repeated) == (
        "rows repeated: 1 in train, 0 in test; contents shared: 1 in train and test; under two labels: 1"
    )
    assert count_repeated(splits.rename_column("text", "features")) is None


def test_a_class_of_one_text_is_looked_at_and_kept(tmp_path, capsys):
    """Equal texts are in one fold, so that of such a class nothing can be learned for it."""
    rows = [("yes", "affirm")] * 60 + [(f"no way {number} friend", "deny") for number in range(40)]
    rows += [(f"perhaps {number}", "maybe") for number in range(40)]
    for classes in (2, 3):
        source, page = tmp_path / f"{classes}.csv", ["--output", tmp_path / "a.html"]
        pandas.DataFrame(rows[: 60 + 40 * (classes - 1)], columns=["text", "label"]).to_csv(source, index=False)
        assert _main("check", source, *page, "--write-clean", tmp_path / f"clean{classes}") == 0
        assert "suspicious" in capsys.readouterr().out.partition("nothing found")[2].splitlines()[0]
        kept = Table(data_dir=str(tmp_path / f"clean{classes}" / source.name)).config
        assert len(kept.labels) == classes
