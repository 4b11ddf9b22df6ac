"""predictions.csv: what is written of logits comes back, of both kinds of target."""

import csv

import datasets
import numpy as np
import pytest
from scipy.special import expit, softmax

from hfcls.errors import InputError
from hfcls.metrics.label_sets import LabelSets
from hfcls.metrics.one_label import OneLabel
from hfcls.runs.predictions import read_predictions, surest_mistakes, write_predictions
from hfcls.training.setup import Corpus

NAMES = ["text", 'b, "c"', "第三"]
ROWS = 30


def _corpus(label) -> Corpus:
    features = datasets.Features({"text": datasets.Value("string"), "label": label})
    rows = [0] * ROWS if isinstance(label, datasets.ClassLabel) else [[]] * ROWS
    test = datasets.Dataset.from_dict({"text": [f"行\n{row}" for row in range(ROWS)], "label": rows}, features=features)
    return Corpus("x", "x", "zh", datasets.DatasetDict(train=test, test=test))


def _logits() -> np.ndarray:
    logits = np.random.default_rng(0).normal(size=(ROWS, 3)).astype(np.float32) * 5
    logits[4] = np.nan
    logits[5, 1] = np.inf
    return logits


def test_one_class_a_row(tmp_path):
    labels, logits, target = np.arange(ROWS) % 3, _logits(), OneLabel(NAMES)
    path = tmp_path / "predictions.csv"
    write_predictions(path, _corpus(datasets.ClassLabel(names=NAMES)), target, labels=labels, logits=logits)
    found = read_predictions(path, target)
    known = np.isfinite(logits).all(axis=1)
    assert found.known.tolist() == known.tolist() and (~known).sum() == 2
    assert found.labels.tolist() == labels.tolist() and found.texts[7] == "行\n7" and found.column == "text"
    assert found.predicted[known].tolist() == logits[known].argmax(axis=1).tolist()
    assert found.predicted[~known].tolist() == [-1, -1]
    np.testing.assert_allclose(found.probabilities[known], softmax(logits[known].astype(float), axis=1), rtol=1e-6)
    np.testing.assert_allclose(found.probabilities[~known], 1 / 3, rtol=1e-6)

    wrong = [row for row in range(ROWS) if known[row] and found.predicted[row] != labels[row]]
    by_confidence = sorted(wrong, key=lambda row: -found.probabilities[row].max())
    assert surest_mistakes(found, 5).tolist() == by_confidence[:5]


def test_several_labels_a_row(tmp_path):
    logits, thresholds = _logits(), np.array([0.2, 0.5, 0.9])
    labels = (np.arange(ROWS * 3).reshape(ROWS, 3) % 4 == 0).astype(np.float32)
    target = LabelSets(NAMES, thresholds)
    path = tmp_path / "predictions.csv"
    corpus = _corpus(datasets.List(datasets.ClassLabel(names=NAMES)))
    write_predictions(path, corpus, target, labels=labels, logits=logits)
    found = read_predictions(path, target)
    known = np.isfinite(logits).all(axis=1)
    shares = expit(logits[known].astype(float))
    assert found.labels.tolist() == labels.astype(bool).tolist() and found.known.tolist() == known.tolist()
    assert found.predicted[known].tolist() == (shares >= thresholds).tolist() and not found.predicted[~known].any()
    np.testing.assert_allclose(found.probabilities[known], shares, rtol=1e-5, atol=1e-9)
    np.testing.assert_allclose(found.probabilities[~known], 0.5)


def test_no_column_is_there_twice(tmp_path):
    """A class may be called as a column; files of older versions have such a name twice, and are read."""
    names = ["text", "label", "class_label", "prediction", "id", "fold", "Label"]
    target, logits = OneLabel(names), np.eye(7, dtype=np.float32)[np.arange(ROWS) % 7] * 9
    path = tmp_path / "predictions.csv"
    corpus = _corpus(datasets.ClassLabel(names=names))
    write_predictions(path, corpus, target, labels=np.arange(ROWS) % 7, logits=logits)
    header, *rest = path.read_text("utf-8").split("\n", 1)
    expected = "class_text,class_class_label,class_label,class_prediction,class_id,class_fold,Label"
    assert header.strip() == f"text,label,prediction,{expected}"
    assert read_predictions(path, target).correct.all()
    path.write_text("\n".join([f"text,label,prediction,{','.join(names)}", *rest]), "utf-8")
    assert read_predictions(path, target).correct.all()


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (["t", '["x"]', '["z"]', 0.5, 0.5], r"predictions\.csv:3: .* is no list of the labels of run\.json"),
        (["t", "x", "[]", 0.5, 0.5], r"predictions\.csv:3: 'x' is no list of the labels of run\.json"),
        (["t", '["x"]', "[]", 0.5, 2], r"predictions\.csv:3: a probability that is not between 0 and 1"),
        (["t", '["x"]', "[]", 0.5], r"predictions\.csv:3: 4 fields instead of 5, the file is torn"),
    ],
)
def test_label_sets_that_do_not_fit_are_named_by_their_line(tmp_path, row, message):
    path = tmp_path / "predictions.csv"
    with path.open("w", newline="") as file:
        first = ["text", "label", "prediction", "x", "y"]
        csv.writer(file).writerows([first, ["t", '["y"]', "", "", ""], row, ["t", "[]", "[]", 0, 0]])
    with pytest.raises(InputError, match=message):
        read_predictions(path, LabelSets(["x", "y"]))
