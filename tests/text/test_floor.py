"""The n-gram floor, against scikit-learn on tokens cut by hand."""

import json
import logging
import unicodedata

import datasets
import numpy as np
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.metrics import accuracy_score, f1_score
from sklearn.multiclass import OneVsRestClassifier
from sklearn.svm import LinearSVC

from hfcls.runs.floor import Floor
from hfcls.text import floor
from hfcls.training.setup import Corpus
from tests.text.test_baselines import run

TEXTS = ["股市大涨 A股 up", "球队 wins the cup!", "新 phone 发布", "銀行が利上げ", "ทีมชนะ", "Goal!! 进球"] * 4


def tokens(text: str) -> list[str]:
    """Letters of scripts without spaces one by one, words between, and signs; by their names in Unicode."""
    found, word = [], ""
    for letter in [*text.lower(), " "]:
        unspaced = unicodedata.name(letter, "").startswith(("CJK", "HIRAGANA", "KATAKANA", "THAI"))
        if letter.isalnum() and not unspaced:
            word += letter
            continue
        found += [word] * bool(word) + [letter] * (not letter.isspace())
        word = ""
    return found


def reference(model, texts, labels, asked):
    vectorizer = TfidfVectorizer(tokenizer=tokens, token_pattern=None, ngram_range=(1, 2), sublinear_tf=True)
    return model.fit(vectorizer.fit_transform(texts), labels).predict(vectorizer.transform(asked))


def corpus(train: list[str], train_labels, test: list[str], test_labels, names: list[str]) -> Corpus:
    label = datasets.ClassLabel(names=names)
    label = datasets.List(label) if isinstance(train_labels[0], list) else label
    features = datasets.Features({"text": datasets.Value("string"), "label": label})
    splits = {
        name: datasets.Dataset.from_dict({"text": texts, "label": labels}, features=features)
        for name, (texts, labels) in {"train": (train, train_labels), "test": (test, test_labels)}.items()
    }
    return Corpus("made up", "made up", "zh", splits)


def test_one_label_is_that_of_scikit_learn():
    labels = np.array([0, 1, 2, 0, 1, 1] * 4)
    asked = ["A股 大涨", "the cup", "phone", "ทีม", "進球!", "no word of these"]
    distances = floor.distances(TEXTS, labels, asked, num_labels=4)  # the last class has no row
    expected = reference(LinearSVC(random_state=0), TEXTS, labels, asked)
    assert distances.argmax(axis=1).tolist() == expected.tolist()
    two = floor.distances(TEXTS, (labels == 1).astype(int), asked, num_labels=2)
    assert two.argmax(axis=1).tolist() == reference(LinearSVC(random_state=0), TEXTS, labels == 1, asked).tolist()


def test_several_labels_are_those_of_scikit_learn():
    labels = np.array([[1, 0, 0], [0, 1, 0], [1, 0, 0], [1, 0, 0], [0, 1, 0], [1, 1, 0]] * 4)
    asked = ["A股 大涨", "the cup", "Goal! 股市", "ทีม"]
    distances = floor.distances(TEXTS, labels, asked, num_labels=3)
    expected = reference(OneVsRestClassifier(LinearSVC(random_state=0)), TEXTS, labels[:, :2], asked)
    assert (distances[:, :2] > 0).astype(int).tolist() == expected.tolist() and (distances[:, 2] < 0).all()


@pytest.mark.parametrize("several", [False, True])
def test_scores_and_the_comparison_with_the_model_of_the_run(several):
    def labels(numbers):
        return [[number] for number in numbers] if several else numbers

    rows = corpus(
        TEXTS[:18], labels([0, 1, 2, 0, 1, 1] * 3), TEXTS[:6], labels([0, 1, 2, 0, 1, 0]), ["财经", "体育", "科技"]
    )
    found = floor.measure(rows, np.zeros(6, dtype=bool))
    assert found.accuracy == accuracy_score([0, 1, 2, 0, 1, 0], [0, 1, 2, 0, 1, 1])
    assert found.f1 == pytest.approx(f1_score([0, 1, 2, 0, 1, 0], [0, 1, 2, 0, 1, 1], average="macro"))
    assert found.p_value == 2 * 0.5**5  # five rows that the floor alone gets right


def test_nothing_to_tell_apart():
    assert floor.measure(corpus([" ", "\n"], [0, 1], ["a"], [0], ["a", "b"]), np.zeros(1, dtype=bool)) is None
    one = floor.measure(corpus(["a", "b"], [1, 1], ["a", "b"], [1, 0], ["a", "b"]), np.zeros(2, dtype=bool))
    assert one.accuracy == 0.5


def test_what_would_take_too_long_is_left_out_and_said(caplog, monkeypatch):
    rows = corpus(["新闻 " * 30_000, "体育 " * 30_000], [0, 1], ["新闻"], [0], ["a", "b"])
    monkeypatch.setattr(floor, "FREE_SECONDS", 0.0)
    caplog.set_level(logging.INFO, logger="hfcls")
    assert floor.measure_if_cheap(rows, np.ones(1, dtype=bool), seconds=0.0) is None
    assert "--floor yes" in caplog.text
    assert floor.measure_if_cheap(rows, np.ones(1, dtype=bool), seconds=1e4).accuracy == 1.0


def test_a_run_below_the_floor_says_so_everywhere(tmp_path, monkeypatch, capsys):
    few = "--embedding_dim 8 --hidden_size 8 --max_steps 2 --eval_strategy no --save_strategy no"
    run("thucnews_rnn.py", few, tmp_path / "out", monkeypatch)
    record = json.loads((tmp_path / "out" / "run.json").read_text(encoding="utf-8"))
    found = record["floor"]
    assert found["accuracy"] > 0.8 and found["p_value"] < 1e-4 and "floor" not in record["settings"]
    line = Floor(**found).comparison(0.1, 0.1)
    assert line.endswith("this model is below it") and line in capsys.readouterr().out
    for name in ("report.html", "README.md"):
        assert line[1:] in (tmp_path / "out" / name).read_text(encoding="utf-8"), name

    run("thucnews_rnn.py", f"{few} --evaluate_only {tmp_path / 'out'}", tmp_path / "evaluated", monkeypatch)
    run("thucnews_rnn.py", f"{few} --floor no", tmp_path / "without", monkeypatch)
    run("thucnews_rnn.py", f"{few} --architecture ngram_linear", tmp_path / "ngrams", monkeypatch)
    for name in ("evaluated", "without", "ngrams"):
        assert json.loads((tmp_path / name / "run.json").read_text(encoding="utf-8"))["floor"] is None, name
    assert "n-gram floor" not in capsys.readouterr().out


def test_it_is_of_training_alone(tmp_path, monkeypatch, capsys):
    with pytest.raises(SystemExit, match="2"):
        run("thucnews_rnn.py", "--evaluate_only somewhere --floor yes", tmp_path / "out", monkeypatch)
    assert "--floor yes" in capsys.readouterr().err
