import collections
import logging
import os
import subprocess
import sys
import tracemalloc
import types
from pathlib import Path

import datasets
import pytest

from hfcls.data import folders, thucnews
from hfcls.data.thucnews import THUCNews

SHARED = Path(__file__).parents[2] / ".." / "shared"
TITLES = SHARED / "data" / "thucnews_titles"
SOURCE = Path(thucnews.__file__)
SAMPLE = SOURCE.parent / "samples" / "thucnews"
SPLITS = ("train", "validation", "test")

CNEWS = {
    "cnews.train.txt": "财经\t央行加息\n体育\t主队\t取胜\n",
    "cnews.val.txt": "体育\t客队取胜\n",
    "cnews.test.txt": "财经\t金价走高\n",
}
HEADLINES = {
    "class.txt": "finance\nsports\n",
    "train.txt": "央行加息\t0\n主队取胜\t1\n",
    "dev.txt": "客队取胜\t1\n",
    "test.txt": "金价走高\t0\n",
}
ONE_HOT = {
    "train.csv": "财经,体育,content\n1,0,央行加息\n0,1,主队取胜\n",
    "val.csv": "财经,体育,content\n0,1,客队取胜\n",
    "test.csv": "财经,体育,content\n1,0,金价走高\n",
}


def write(folder, files, encoding="utf-8"):
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode(encoding))
    return folder


def tree(per_class=20, classes=("体育", "财经")):
    return {f"{name}/{i}.txt": f"{name}第{i}篇\n\u3000\u3000正文" for name in classes for i in range(per_class)}


def prepare(folder, cache, **options):
    builder = THUCNews(data_dir=folder and str(folder), cache_dir=str(cache), **options)
    builder.download_and_prepare()
    return builder.as_dataset()


def rows(corpus):
    """By split: (text, class name) of every row."""
    return {s: [(r["text"], corpus[s].features["label"].int2str(r["label"])) for r in corpus[s]] for s in SPLITS}


@pytest.fixture(autouse=True)
def _quiet():
    datasets.disable_progress_bars()


@pytest.mark.parametrize(
    "files, labels, second",
    [
        (CNEWS, ["体育", "财经"], "主队\t取胜"),
        (HEADLINES, ["finance", "sports"], "主队取胜"),
        (ONE_HOT, ["财经", "体育"], "主队取胜"),
    ],
    ids=["cnews", "headlines", "one_hot"],
)
def test_file_layouts(tmp_path, files, labels, second):
    corpus = prepare(write(tmp_path / "corpus", files), tmp_path / "cache")
    expected = datasets.Features({"text": datasets.Value("string"), "label": datasets.ClassLabel(names=labels)})
    assert list(corpus) == list(SPLITS) and all(corpus[s].features == expected for s in SPLITS)
    finance, sports = (labels if files is not CNEWS else labels[::-1])[:2]
    assert rows(corpus) == {
        "train": [("央行加息", finance), (second, sports)],
        "validation": [("客队取胜", sports)],
        "test": [("金价走高", finance)],
    }


@pytest.mark.parametrize("files", [CNEWS, HEADLINES, ONE_HOT], ids=["cnews", "headlines", "one_hot"])
def test_byte_order_mark_windows_line_ends_and_blank_lines_change_nothing(tmp_path, files):
    plain = prepare(write(tmp_path / "plain", files), tmp_path / "cache")
    dressed = {n: "\ufeff" + t.replace("\n", "\r\n\r\n") + " \r\n" * ("csv" not in n) for n, t in files.items()}
    assert rows(prepare(write(tmp_path / "dressed", dressed), tmp_path / "cache")) == rows(plain)


def test_csv_content_may_hold_commas_quotes_and_line_breaks(tmp_path):
    files = ONE_HOT | {"train.csv": '财经,体育,content\n1,0,"甲,""乙""\n丙"\n0,1,丁\n'}
    assert prepare(write(tmp_path / "corpus", files), tmp_path / "cache")["train"]["text"][:] == ['甲,"乙"\n丙', "丁"]


def test_missing_validation_is_a_stratified_seeded_tenth_of_train(tmp_path):
    lines = [f"{label}\t第{i}条{label}" for i in range(200) for label in ("体育", "财经")] + [
        "时政\t唯一一条",
        "时政\t又一条",
    ]
    files = {"cnews.train.txt": "\n".join(lines), "cnews.test.txt": CNEWS["cnews.test.txt"]}
    folder = write(tmp_path / "corpus", files)
    first, again, other = (rows(prepare(folder, tmp_path / f"{i}", seed=s)) for i, s in enumerate((42, 42, 7)))
    assert first == again and first["validation"] != other["validation"]
    assert collections.Counter(name for _, name in first["validation"]) == {"体育": 20, "财经": 20, "时政": 1}
    assert sorted(first["train"] + first["validation"]) == sorted(tuple(x.split("\t")[::-1]) for x in lines)
    in_file = {text: i for i, text in enumerate(line.split("\t")[1] for line in lines)}
    order = [in_file[text] for text, _ in first["train"]]
    assert order == sorted(order)


def test_a_single_csv_of_any_name_is_split_80_10_10(tmp_path):
    lines = ["a,b,c,content"] + [f"{','.join('1' if i % 3 == k else '0' for k in range(3))},文{i}" for i in range(150)]
    splits = rows(prepare(write(tmp_path / "corpus", {"all.csv": "\n".join(lines)}), tmp_path / "cache"))
    assert {s: collections.Counter(name for _, name in splits[s]) for s in SPLITS} == {
        "train": {"a": 40, "b": 40, "c": 40},
        "validation": {"a": 5, "b": 5, "c": 5},
        "test": {"a": 5, "b": 5, "c": 5},
    }
    assert len({text for split in splits.values() for text, _ in split}) == 150


def test_folder_tree_is_split_alike_whatever_the_file_system_order(tmp_path, monkeypatch):
    files = tree()
    first = rows(prepare(write(tmp_path / "a", files), tmp_path / "cache"))
    backwards = types.SimpleNamespace(
        path=os.path,
        listdir=lambda path: sorted(os.listdir(path), reverse=True),
        scandir=lambda path: sorted(os.scandir(path), key=lambda entry: entry.name, reverse=True),
    )
    monkeypatch.setattr(folders, "os", backwards)
    assert rows(prepare(write(tmp_path / "b", dict(reversed(files.items()))), tmp_path / "cache")) == first
    counts = {s: collections.Counter(name for _, name in first[s]) for s in SPLITS}
    assert counts["train"] == {"体育": 16, "财经": 16} and counts["test"] == counts["validation"] == {
        "体育": 2,
        "财经": 2,
    }
    assert sorted(sum(first.values(), [])) == sorted((text, name.split("/")[0]) for name, text in files.items())
    assert rows(prepare(tmp_path / "a", tmp_path / "cache", seed=1)) != first


def test_what_is_no_document_of_a_class_is_left_out_and_told(tmp_path, caplog):
    """What a Mac packs beside the files, empty folders and folders within folders make no classes and no rows."""
    files = tree() | {"__MACOSX/._1.txt": b"\0\5\x16\7", "体育/._1.txt": b"\0\5\x16\7", ".git/a.txt": "x"}
    files |= {"空/readme.md": "x", "嵌套/2021/1.txt": "x", "财经/2021/1.txt": "x", "._train.csv": b"\0"}
    with caplog.at_level(logging.WARNING):
        splits = prepare(write(tmp_path / "corpus", files), tmp_path / "cache")
    assert splits["train"].features["label"].names == ["体育", "财经"]
    assert {text for split in rows(splits).values() for text, _ in split} == set(tree().values())
    assert "4 hidden files or folders are left out" in caplog.text
    assert "2 folders without a document are no classes (嵌套, 空)" in caplog.text
    assert "财经: 1 folders within it are left out" in caplog.text
    assert "空: 1 files that are no documents are left out" in caplog.text


def test_hidden_files_beside_a_table_are_no_tables(tmp_path):
    files = {"all.csv": ONE_HOT["train.csv"] * 1 + "1,0,央行\n0,1,主队\n" * 9}
    expected = rows(prepare(write(tmp_path / "a", files), tmp_path / "cache"))
    assert rows(prepare(write(tmp_path / "b", files | {"._all.csv": b"\0"}), tmp_path / "cache")) == expected


def test_a_new_document_leaves_the_draw_of_other_classes_alone(tmp_path):
    def held_out(files, name):
        return {x for x in rows(prepare(write(tmp_path / "corpus", files), tmp_path / "cache"))["test"] if x[1] == name}

    before = held_out(tree(), "财经")
    assert held_out({"体育/新.txt": "新文"}, "财经") == before


GBK = "体育\t主队取胜\n".encode("gb18030")
STRUCTURE = {  # raised before anything is generated: files, what is named, what is said
    "no corpus": ({"notes.md": "x"}, "", "no corpus; give a folder with cnews.train.txt"),
    "no test": (CNEWS | {"cnews.test.txt": None}, "/cnews.test.txt", "missing"),
    "no train": (HEADLINES | {"train.txt": None}, "/train.txt", "missing"),
    "no class.txt": (HEADLINES | {"class.txt": None}, "/class.txt", "missing"),
    "no csv test": (ONE_HOT | {"test.csv": None}, "/test.csv", "missing"),
    "two validations": (ONE_HOT | {"dev.csv": ONE_HOT["val.csv"]}, "/val.csv", "keep one"),
    "one class": ({"体育/1.txt": "x"}, ":1", "found the classes ['体育']"),
    "class twice": (HEADLINES | {"class.txt": "a\nb\na\n"}, "/class.txt:1", "name two or more, each of its own"),
    "empty train": (CNEWS | {"cnews.train.txt": "\n"}, "/cnews.train.txt:1", "found the classes []"),
    "no labels": (CNEWS | {"cnews.train.txt": "主队取胜\n"}, "/cnews.train.txt:1", "found the classes []"),
    "columns swapped": (
        CNEWS | {"cnews.train.txt": "".join(f"第{i}篇文章\t体育\n" for i in range(1001))},
        "/cnews.train.txt:1001",
        "must be label<TAB>content",
    ),
    "last column": (ONE_HOT | {"train.csv": "财经,体育,text\n1,0,x\n"}, "/train.csv:1", "last column must be content"),
    "empty csv": (ONE_HOT | {"train.csv": ""}, "/train.csv:1", "no header"),
    "neither encoding": (
        CNEWS | {"cnews.val.txt": "体育\t好\n".encode() + b"\xe4\xbd\xff\xff\n"},
        "/cnews.val.txt:2",
        "neither UTF-8 nor GB18030",
    ),
    "torn GB18030": (CNEWS | {"cnews.train.txt": GBK * 7 + b"\xd6\n" + GBK}, "/cnews.train.txt:8", "neither UTF-8"),
    "UTF-16": (CNEWS | {"cnews.test.txt": "财经\t金价".encode("utf-16")}, "/cnews.test.txt:1", "save it as UTF-8"),
}
ROW = {
    "no tab": (CNEWS | {"cnews.train.txt": CNEWS["cnews.train.txt"] + "\n主队取胜\n"}, "cnews.train.txt:4", "no tab"),
    "unknown label": (
        CNEWS | {"cnews.val.txt": "体育\tx\n游戏\ty\n"},
        "cnews.val.txt:2",
        "'游戏' is not in the training",
    ),
    "cnews empty text": (CNEWS | {"cnews.test.txt": "财经\t \u3000\n"}, "cnews.test.txt:1", "the text is empty"),
    "cnews empty split": (CNEWS | {"cnews.val.txt": " \n"}, "cnews.val.txt:1", "no rows"),
    "index too high": (HEADLINES | {"dev.txt": "甲\t1\n乙\t2\n"}, "dev.txt:2", "'2' is no class index; use 0 to 1"),
    "index negative": (HEADLINES | {"dev.txt": "甲\t-1\n"}, "dev.txt:1", "'-1' is no class index"),
    "index of 5,000 digits": (HEADLINES | {"dev.txt": "甲\t" + "9" * 5000}, "dev.txt:1", "is no class index"),
    "index a word": (HEADLINES | {"test.txt": "甲\tfinance\n"}, "test.txt:1", "'finance' is no class index"),
    "headline no tab": (HEADLINES | {"train.txt": "\r\n甲 0\r\n"}, "train.txt:2", "no tab"),
    "headline empty": (HEADLINES | {"train.txt": "甲\t0\n\t1\n"}, "train.txt:2", "the text is empty"),
    "headlines empty split": (HEADLINES | {"test.txt": ""}, "test.txt:1", "no rows"),
    "two hot": (
        ONE_HOT | {"train.csv": '财经,体育,content\n1,0,"a\nb"\n1,1,x\n'},
        "train.csv:4",
        "1,1; one class column",
    ),
    "none hot": (ONE_HOT | {"val.csv": "财经,体育,content\n\n0,0,x\n"}, "val.csv:3", "0,0; one class column must be 1"),
    "not 0 or 1": (ONE_HOT | {"test.csv": "财经,体育,content\n1,nan,x\n"}, "test.csv:2", "1,nan; one class column"),
    "cells": (ONE_HOT | {"test.csv": "财经,体育,content\n1,0,甲,乙\n"}, "test.csv:2", "4 cells, the header has 3"),
    "open quote": (ONE_HOT | {"test.csv": '财经,体育,content\n1,0,x\n0,1,"y\n'}, "test.csv:3", "every quote is closed"),
    "other columns": (ONE_HOT | {"val.csv": "体育,财经,content\n1,0,x\n"}, "val.csv:1", "expected ['财经', '体育']"),
    "csv empty text": (ONE_HOT | {"train.csv": "财经,体育,content\n1,0,\n"}, "train.csv:2", "the text is empty"),
    "csv empty split": (ONE_HOT | {"test.csv": "财经,体育,content\n"}, "test.csv:1", "no rows"),
    "empty document": (tree() | {"财经/7.txt": "\n"}, "财经/7.txt:1", "the text is empty"),
    "few documents": (tree() | {"时政/1.txt": "x"}, "", "1 of class '时政' are too few"),
    "few rows": (
        {"cnews.train.txt": "a\t1\na\t2\nb\t3\n", "cnews.test.txt": "a\t4\n"},
        "cnews.train.txt",
        "1 of class 'b' are too few to draw train, validation",
    ),
}


@pytest.mark.parametrize("files, where, what", STRUCTURE.values(), ids=STRUCTURE)
def test_structural_errors_come_from_the_constructor(tmp_path, files, where, what):
    folder = write(tmp_path / "corpus", {name: content for name, content in files.items() if content is not None})
    with pytest.raises(ValueError) as caught:
        THUCNews(data_dir=str(folder), cache_dir=str(tmp_path / "cache"))
    message = str(caught.value)
    assert what in message and "\n" not in message
    assert message.startswith(str(folder)) and f"{where}: " in message


@pytest.mark.parametrize("files, where, what", ROW.values(), ids=ROW)
def test_bad_rows_are_named_by_file_and_line(tmp_path, files, where, what):
    folder = write(tmp_path / "corpus", files)
    with pytest.raises(ValueError) as caught:
        prepare(folder, tmp_path / "cache")
    message = str(caught.value)
    assert what in message and "\n" not in message
    assert message.startswith(f"{folder / where}: ")


def test_a_folder_that_is_none(tmp_path):
    write(tmp_path, {"file.txt": "x"})
    for name in ("absent", "file.txt"):
        with pytest.raises(ValueError, match=f"{name}: N.*; give the folder that holds the corpus"):
            THUCNews(data_dir=str(tmp_path / name))


@pytest.mark.parametrize("files", [CNEWS, HEADLINES, ONE_HOT, tree()], ids=["cnews", "headlines", "one_hot", "tree"])
def test_gb18030_is_read_and_said_in_one_line(tmp_path, caplog, files):
    expected = rows(prepare(write(tmp_path / "utf8", files), tmp_path / "cache"))
    assert not [r for r in caplog.records if r.name == thucnews.__name__]
    folder = write(tmp_path / "gb", files, encoding="gb18030")
    with caplog.at_level(logging.WARNING, logger=thucnews.__name__):
        assert rows(prepare(folder, tmp_path / "cache")) == expected
    [record] = [r for r in caplog.records if r.name == thucnews.__name__]
    first, count = min(p for p in folder.rglob("*") if p.is_file() and not p.read_bytes().isascii()), len(files)
    count -= files is HEADLINES  # class.txt is plain ASCII
    assert record.getMessage() == f"{first}: not UTF-8, read as GB18030 (files of this kind: {count})"


def test_the_same_corpus_is_prepared_once(tmp_path, monkeypatch):
    folder = write(tmp_path / "corpus", CNEWS)
    first = prepare(folder, tmp_path / "cache")
    monkeypatch.delattr(THUCNews, "_generate_examples")
    assert rows(prepare(folder, tmp_path / "cache")) == rows(first)


def test_an_edit_that_keeps_size_and_time_is_not_served_stale(tmp_path):
    folder = write(tmp_path / "corpus", CNEWS)
    prepare(folder, tmp_path / "cache")
    path = folder / "cnews.test.txt"
    before = path.stat()
    path.write_text(path.read_text(encoding="utf-8").replace("走高", "走低"), encoding="utf-8")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert (path.stat().st_size, path.stat().st_mtime_ns) == (before.st_size, before.st_mtime_ns)
    assert rows(prepare(folder, tmp_path / "cache"))["test"] == [("金价走低", "财经")]


def test_every_change_of_a_tree_changes_the_cache_key(tmp_path):
    folder = write(tmp_path / "corpus", tree(4))
    keys = [THUCNews(data_dir=str(folder)).config_id]
    for change in (
        lambda: (folder / "体育/0.txt").rename(folder / "体育/x.txt"),
        lambda: (folder / "体育/1.txt").rename(folder / "财经/y.txt"),
        lambda: (folder / "财经/0.txt").unlink(),
        lambda: (folder / "财经/z.txt").write_text("新"),
        lambda: (folder / "财经").rename(folder / "股票"),
    ):
        change()
        keys.append(THUCNews(data_dir=str(folder)).config_id)
    assert len(set(keys)) == len(keys)


def test_a_killed_preparation_leaves_nothing_that_is_served(tmp_path):
    folder = write(tmp_path / "corpus", tree(200))
    script = f"""
import os, signal
from hfcls.data.thucnews import THUCNews
generate = THUCNews._generate_examples
def killed(self, **source):
    for row, example in generate(self, **source):
        if row == 100:
            os.kill(os.getpid(), signal.SIGKILL)
        yield row, example
THUCNews._generate_examples = killed
THUCNews(data_dir={str(folder)!r}, cache_dir={str(tmp_path / "cache")!r}, writer_batch_size=10).download_and_prepare()
"""
    assert subprocess.run([sys.executable, "-c", script], cwd=SOURCE.parents[2], capture_output=True).returncode == -9
    assert list((tmp_path / "cache").rglob("*.incomplete"))
    corpus = prepare(folder, tmp_path / "cache")
    assert {s: len(corpus[s]) for s in SPLITS} == {"train": 320, "validation": 40, "test": 40}


def test_memory_is_that_of_one_document(tmp_path):
    document = "体育\t" + "长" * 3000 + "\n"
    files = CNEWS | {"cnews.train.txt": CNEWS["cnews.train.txt"] + document * 1000}
    folder = write(tmp_path / "corpus", files)
    tracemalloc.start()
    builder = THUCNews(data_dir=str(folder), cache_dir=str(tmp_path / "cache"))
    for generator in builder._split_generators(None):
        assert sum(1 for _ in builder._generate_examples(**generator.gen_kwargs)) > 0
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (folder / "cnews.train.txt").stat().st_size > 9e6 and peak < 1e6


def test_sample_is_balanced_varied_and_neither_trivial_nor_noise(tmp_path):
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.svm import LinearSVC

    corpus = prepare(None, tmp_path)
    assert {s: len(corpus[s]) for s in SPLITS} == {"train": 800, "validation": 100, "test": 100}
    assert len({text for s in SPLITS for text in corpus[s]["text"]}) == 1000
    for split, per_class in {"train": 80, "validation": 10, "test": 10}.items():
        assert collections.Counter(corpus[split]["label"]) == dict.fromkeys(range(10), per_class)
    vectorizer = TfidfVectorizer(analyzer="char", ngram_range=(1, 3), sublinear_tf=True)
    model = LinearSVC(C=0.5).fit(vectorizer.fit_transform(corpus["train"]["text"]), corpus["train"]["label"])
    assert 0.7 < model.score(vectorizer.transform(corpus["test"]["text"]), corpus["test"]["label"]) < 1


@pytest.mark.skipif(not TITLES.exists(), reason="the THUCNews headlines are not there")
def test_real_headlines(tmp_path):
    corpus = prepare(TITLES, tmp_path)
    assert {s: len(corpus[s]) for s in SPLITS} == {"train": 33590, "validation": 10000, "test": 10000}
    names = (TITLES / "class.txt").read_text(encoding="utf-8").split()
    assert corpus["test"].features["label"].names == names == (SAMPLE / "class.txt").read_text("utf-8").split()
    for split, name in zip(SPLITS, ("train", "dev", "test"), strict=True):
        lines = (TITLES / f"{name}.txt").read_text(encoding="utf-8").strip().split("\n")
        assert corpus[split]["text"][:] == [line.split("\t")[0].strip() for line in lines]
        assert corpus[split]["label"][:] == [int(line.split("\t")[1]) for line in lines]
    sample = {line.split("\t")[0] for p in SAMPLE.glob("[dt]*.txt") for line in p.read_text("utf-8").splitlines()}
    assert len(sample) == 1000 and not sample & {text for s in SPLITS for text in corpus[s]["text"]}


@pytest.mark.parametrize("layout", ["cnews", "headlines", "documents"])
def test_an_encoding_that_is_named_is_that_of_all_files(layout, tmp_path):
    files = {
        "cnews": {f"cnews.{s}.txt": "".join(f"{'體育'[n % 2]}\t第{n}篇\n" for n in range(20)) for s in SPLIT_NAMES},
        "headlines": {"class.txt": "體\n育\n"}
        | {f"{s}.txt": "".join(f"第{n}篇\t{n % 2}\n" for n in range(20)) for s in ("train", "dev", "test")},
        "documents": {f"{'體育'[n % 2]}/{n}.txt": f"第{n}篇\r\n" for n in range(20)},
    }[layout]
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(text.encode("big5"))
    with pytest.raises(ValueError, match="name the encoding: --encoding NAME"):
        THUCNews(data_dir=str(tmp_path))
    builder = THUCNews(data_dir=str(tmp_path), encoding="big5", cache_dir=str(tmp_path / "cache"))
    builder.download_and_prepare()
    texts = {text for split in builder.as_dataset().values() for text in split["text"]}
    assert texts == {f"第{n}篇" for n in range(20)} and set(builder.info.features["label"].names) == {"體", "育"}
    with pytest.raises(ValueError, match="klingon: no encoding of that name"):
        THUCNews(data_dir=str(tmp_path), encoding="klingon")


SPLIT_NAMES = ("train", "val", "test")
