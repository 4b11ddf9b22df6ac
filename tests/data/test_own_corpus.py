import json
import os
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import datasets
import pytest

from hfcls.cli import main
from hfcls.data.own_corpus import OwnCorpus
from hfcls.errors import InputError
from tests.text.test_baselines import run as run_recipe

ROOT = Path(__file__).parent.parent.parent
BUILDER = """
import datasets

class Reviews(datasets.GeneratorBasedBuilder):
    def _info(self):
        label = datasets.ClassLabel(names=["bad", "good"])
        return datasets.DatasetInfo(features=datasets.Features({"text": datasets.Value("string"), "label": label}))

    def _split_generators(self, dl_manager):
        return [datasets.SplitGenerator("train", {"path": f"{self.config.data_dir}/reviews.txt"})]

    def _generate_examples(self, path):
        with open(path, encoding="utf-8") as file:
            for row, line in enumerate(file):
                yield row, {"text": line.strip(), "label": "good" if "fine" in line else "bad"}
"""
INLINE = """
import datasets

class Inline(datasets.GeneratorBasedBuilder):
    def _info(self):
        from datasets import ClassLabel, Features, List, Value
        return datasets.DatasetInfo(features=Features(FEATURES))

    def _split_generators(self, dl_manager):
        return [datasets.SplitGenerator(name, {"rows": rows}) for name, rows in SPLITS.items()]

    def _generate_examples(self, rows):
        yield from enumerate(rows)
"""
TEXT_LABEL = '{"text": Value("string"), "label": ClassLabel(names=["a", "b"])}'


@pytest.fixture(autouse=True)
def fresh(tmp_path, monkeypatch):
    """A cache of the test's own, and none of its modules afterwards."""
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    yield
    forget(tmp_path)


def forget(folder):
    """The modules of a folder are imported anew, as in another process."""
    for name, module in list(sys.modules.items()):
        if (getattr(module, "__file__", None) or "").startswith(str(folder)):
            del sys.modules[name]


@pytest.fixture
def corpus(tmp_path):
    (tmp_path / "my_corpus.py").write_text(BUILDER)
    (tmp_path / "data").mkdir()
    write_reviews(tmp_path / "data", 100)
    return tmp_path


def write_reviews(folder, rows):
    lines = [f"a {('poor', 'fine')[row % 2]} film, number {row}\n" for row in range(rows)]
    (folder / "reviews.txt").write_text("".join(lines))


def inline(path, features=TEXT_LABEL, **splits):
    """A corpus whose builder has these rows in its code."""
    path.write_text(INLINE.replace("FEATURES", features).replace("SPLITS", repr(splits)))
    return OwnCorpus(str(path))


def rows(count, **more):
    return [{"text": f"text {row}", "label": "ab"[row % 2], **more} for row in range(count)]


def texts(prepared):
    return sorted(text for split in prepared.splits.values() for text in split["text"])


def test_missing_splits_are_drawn_and_it_is_said(corpus):
    prepared = OwnCorpus(str(corpus / "my_corpus.py"), "en").prepare(str(corpus / "data"))
    assert (prepared.title, prepared.source, prepared.language) == ("my_corpus", "data", "en")
    assert {name: len(split) for name, split in prepared.splits.items()} == {"train": 80, "validation": 10, "test": 10}
    assert all(len(set(Counter(split["label"]).values())) == 1 for split in prepared.splits.values())
    assert texts(prepared) == sorted((corpus / "data" / "reviews.txt").read_text().splitlines())
    path = corpus / "my_corpus.py"
    said = [f"{path.name}: no split validation nor test: a tenth of train is drawn for each, class by class"]
    assert prepared.notes == said
    again = OwnCorpus(f"{path}:Reviews").prepare(str(corpus / "data"))
    assert again.notes == said and again.splits["test"]["text"][:] == prepared.splits["test"]["text"][:]


def test_groups_stay_in_one_split(tmp_path):
    some = [row | {"group": str(number // 3)} for number, row in enumerate(rows(300))]
    features = TEXT_LABEL[:-1] + ', "group": Value("string")}'
    splits = inline(tmp_path / "c.py", features, train=some).prepare(None).splits
    groups = [set(splits[name]["group"]) for name in ("train", "validation", "test")]
    assert all(groups) and sum(map(len, groups)) == 100


def test_an_edited_file_is_never_served_stale(corpus):
    own = OwnCorpus(str(corpus / "my_corpus.py"))
    assert len(texts(own.prepare(str(corpus / "data")))) == 100
    write_reviews(corpus / "data", 60)
    assert len(texts(own.prepare(str(corpus / "data")))) == 60
    (corpus / "my_corpus.py").write_text(BUILDER.replace("line.strip()", "line.upper()"))
    forget(corpus)
    assert all(text.isupper() for text in texts(own.prepare(str(corpus / "data"))))


def test_data_beside_the_file_is_never_served_stale(corpus):
    beside = 'str(__import__("pathlib").Path(__file__).with_name("reviews.txt"))'
    (corpus / "my_corpus.py").write_text(BUILDER.replace('f"{self.config.data_dir}/reviews.txt"', beside))
    for count in (100, 60):
        write_reviews(corpus, count)
        assert len(texts(OwnCorpus(str(corpus / "my_corpus.py")).prepare(None))) == count


def test_what_is_prepared_is_prepared_once(corpus):
    script = f"""
from hfcls.data.own_corpus import OwnCorpus
prepared = OwnCorpus({str(corpus / "my_corpus.py")!r}).prepare({str(corpus / "data")!r})
print(prepared.splits["train"].cache_files[0]["filename"], prepared.notes)
"""
    environment = {**os.environ, "HF_DATASETS_CACHE": str(corpus / "cache"), "PYTHONPATH": str(ROOT)}
    found = []
    for _ in range(2):
        done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True)
        times = {path: path.stat().st_mtime_ns for path in (corpus / "cache").rglob("*.arrow")}
        found.append((done.stdout, times))
    assert found[0][0] and found[0][1] and found[0] == found[1]


NO_METHOD = BUILDER.replace("line.strip()", "line.nonsense()")
NO_FILE = BUILDER.replace("reviews.txt", "absent.txt")


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("import datasets\n\nx = 1 / 0\n", "c.py:3: ZeroDivisionError: division by zero"),
        ("import datasets\ndef f(:\n", "c.py:2: SyntaxError: invalid syntax"),
        ("import no_such_module\n", "c.py:1: ModuleNotFoundError: No module named 'no_such_module'"),
        (NO_METHOD, "c.py:15: AttributeError: 'str' object has no attribute 'nonsense'"),
        (NO_FILE, "c.py:13: FileNotFoundError: "),
    ],
    ids=["raises", "syntax", "import", "generating", "file"],
)
def test_code_that_cannot_be_used_is_one_line(code, message, corpus):
    (corpus / "c.py").write_text(code)
    with pytest.raises(InputError, match=re.escape(message)) as error:
        OwnCorpus(str(corpus / "c.py")).prepare(str(corpus / "data"))
    assert "\n" not in str(error.value)


OTHER_TEXT = '{"sentence": Value("string"), "label": ClassLabel(names=["a"])}'
NUMBERS = '{"text": Value("int32"), "label": ClassLabel(names=["a"])}'
NAMES = '{"text": Value("string"), "label": Value("string")}'


@pytest.mark.parametrize(
    ("features", "splits", "message"),
    [
        (OTHER_TEXT, {"train": [{"sentence": "x", "label": 0}]}, "train has the columns sentence, label; text is miss"),
        (NUMBERS, {"train": [{"text": 1, "label": 0}]}, "text is Value('int32'); make it datasets.Value('string')"),
        (NAMES, {"train": [{"text": "x", "label": "a"}]}, "label is Value('string'); make it datasets.ClassLabel"),
        ('{"text": Value("string")}', {"train": [{"text": "x"}]}, "label is missing; make it datasets.ClassLabel"),
        (TEXT_LABEL, {"test": rows(9)}, "no rows in a split train (there are test)"),
        (TEXT_LABEL, {"train": rows(30), "dev": rows(3), "val": rows(3)}, "dev and val are the same split; keep one"),
        (TEXT_LABEL, {"train": [*rows(30), {"text": "x", "label": -1}]}, "row 30 of train has no label; leave it out"),
        (
            TEXT_LABEL,
            {"train": rows(30), "test": [{"text": "x", "label": -1}]},
            "test has no labels; call it unlabelled, with an id, and it is predicted",
        ),
        (TEXT_LABEL, {"train": [*rows(30), {"text": None, "label": 1}]}, "the text of row 30 of train is missing"),
        (TEXT_LABEL, {"train": rows(3)}, "1 rows of class 'b' are too few for train, validation, test"),
    ],
    ids=["no_text", "text", "label", "no_label", "no_train", "twice", "unlabelled", "secret", "none", "few"],
)
def test_rows_that_do_not_fit_are_refused(features, splits, message, tmp_path):
    with pytest.raises(InputError, match=re.escape(message)) as error:
        inline(tmp_path / "c.py", features, **splits).prepare(None)
    assert "\n" not in str(error.value)


def test_names_of_files_and_classes(corpus):
    path = corpus / "my_corpus.py"
    with pytest.raises(InputError, match=r"absent\.py: no such file"):
        OwnCorpus(str(corpus / "absent.py")).prepare(None)
    with pytest.raises(
        InputError, match=r"my_corpus\.py:Other: no class Other that is a DatasetBuilder; name one of R"
    ):
        OwnCorpus(f"{path}:Other").prepare(None)
    with pytest.raises(InputError, match=r"--data_dir .*absent: no such file or folder"):
        OwnCorpus(str(path)).prepare(str(corpus / "absent"))


def test_other_splits_and_columns_are_left_out(tmp_path):
    features = TEXT_LABEL[:-1] + ', "stars": Value("int32")}'
    splits = {name: rows(30, stars=1) for name in ("train", "dev", "test", "raw")}
    prepared = inline(tmp_path / "c.py", features, **splits).prepare(None)
    assert list(prepared.splits) == ["train", "validation", "test"]
    assert prepared.splits["train"].column_names == ["text", "label"]
    assert prepared.notes == ["c.py: the split raw is left out"]


def test_trained_by_the_recipe(corpus, tmp_path, monkeypatch):
    flags = f"--dataset {corpus / 'my_corpus.py'} --data_dir {corpus / 'data'} --language en --tokens word"
    flags += " --architecture ngram_linear --num_train_epochs 6 --per_device_train_batch_size 16"
    results = run_recipe("text_classification.py", flags, tmp_path / "out", monkeypatch)
    assert results["test_accuracy"] == 1.0
    run = json.loads((tmp_path / "out" / "run.json").read_text())
    assert run["data"]["name"] == "my_corpus" and run["labels"] == ["bad", "good"]
    assert any("a tenth of train is drawn" in note for note in run["data"]["notes"])


def test_label_sets_are_trained_by_the_recipe(tmp_path, monkeypatch):
    features = '{"text": Value("string"), "text_pair": Value("string"), "label": List(ClassLabel(names=["a", "b"]))}'
    some = []
    for row in range(120):
        a, b = row % 2, int(row % 3 == 0)
        labels = ["a"] * a + ["b"] * b
        some.append({"text": f"{'left ' * a}x {row}", "text_pair": "right" * b, "label": labels})
    inline(tmp_path / "c.py", features, train=some)
    flags = f"--dataset {tmp_path / 'c.py'} --architecture ngram_linear --tokens word --num_train_epochs 8"
    flags += " --per_device_train_batch_size 16"
    results = run_recipe("text_classification.py", flags, tmp_path / "out", monkeypatch)
    assert results["test_f1"] > 0.9


@pytest.mark.parametrize(
    ("dataset", "message"),
    [
        ("absent.py", "error: --dataset absent.py: no such file"),
        ("absent.py --multi_label", "--multi_label is of a table"),
        ("my_corpus", "give thucnews, imdb, ccf_sentiment, NAMESPACE/NAME of the Hub, or FILE.py"),
    ],
)
def test_mistakes_end_with_exit_code_2(dataset, message, tmp_path, monkeypatch, capsys):
    with pytest.raises(SystemExit) as exit_:
        flags = f"--dataset {dataset} --architecture ngram_linear"
        run_recipe("text_classification.py", flags, tmp_path / "out", monkeypatch)
    assert exit_.value.code == 2 and message in capsys.readouterr().err.strip().splitlines()[-1]


def _main(*words) -> int:
    with pytest.raises(SystemExit) as exit_:
        main([str(word) for word in words])
    return exit_.value.code


def test_checked(corpus, tmp_path, capsys):
    words = ["check", corpus / "my_corpus.py", "--data_dir", corpus / "data", "--output", tmp_path / "a.html"]
    assert _main(*words) == 0
    assert "80 train, 10 validation, 10 test rows, 2 classes" in capsys.readouterr().out
    assert json.loads((tmp_path / "a.json").read_text())["notes"]
    assert _main(*words, "--write_clean", tmp_path / "clean") == 2
    assert "a builder of your own does not write; edit its files" in capsys.readouterr().err
