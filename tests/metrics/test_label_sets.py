"""Several labels a row: scores, thresholds, and the path from a table on the command line to answers."""

import csv
import json
import random

import numpy as np
import pytest
import torch
from sklearn.metrics import accuracy_score, f1_score, roc_auc_score
from transformers import AutoModelForSequenceClassification

from hfcls.cli import main
from hfcls.data.table import Table
from hfcls.errors import InputError
from hfcls.metrics import label_sets as multi_label
from hfcls.report.run import load_run
from tests.text.test_baselines import run

WORDS = {"food": "noodles tasty chef", "price": "cheap bill costly", "place": "street parking view"}


def rows(number: int) -> list[dict]:
    """Texts of one word for each of their labels, which are none to three, and some that mean nothing."""
    draw = random.Random(3)
    found = []
    for _ in range(number):
        labels = [label for label in WORDS if draw.random() < 0.4]
        words = [draw.choice(WORDS[label].split()) for label in labels] + draw.choices(
            "the and was very so".split(), k=5
        )
        draw.shuffle(words)
        found.append({"review": " ".join(words), "about": labels})
    return found


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("multi")
    table = folder / "reviews.jsonl"
    table.write_text("".join(json.dumps(row) + "\n" for row in rows(400)), encoding="utf-8")
    flags = f"--data_dir {table} --text_column review --label_column about --multi_label --tokens word"
    flags += " --architecture ngram_linear --num_train_epochs 8 --per_device_train_batch_size 256 --calibrate"
    with pytest.MonkeyPatch.context() as monkeypatch:
        results = run("text_classification.py", flags, folder / "out", monkeypatch)
    return folder, results, flags


def test_scores_are_those_of_scikit_learn():
    draw = np.random.default_rng(0)
    labels = draw.random((50, 4)) < [0.5, 0.2, 0.1, 0.0]
    logits = draw.normal(size=(50, 4)).astype(np.float32) + labels
    shares, thresholds = 1 / (1 + np.exp(-logits.astype(np.float64))), np.array([0.5, 0.4, 0.6, 0.5])
    predicted = shares >= thresholds
    scores = multi_label.score(logits, labels.astype(np.float32), thresholds)
    assert scores["accuracy"] == pytest.approx(accuracy_score(labels, predicted))
    assert scores["f1_micro"] == pytest.approx(f1_score(labels, predicted, average="micro"))
    assert scores["f1"] == pytest.approx(f1_score(labels[:, :3], predicted[:, :3], average="macro"))
    assert scores["roc_auc"] == pytest.approx(np.mean([roc_auc_score(labels[:, i], shares[:, i]) for i in range(3)]))
    expected = torch.nn.functional.binary_cross_entropy_with_logits(
        torch.from_numpy(logits).double(), torch.from_numpy(labels).double()
    )
    assert scores["loss"] == pytest.approx(expected.item())


def test_a_row_that_is_not_finite_is_a_mistake():
    logits = np.array([[5.0, -5.0], [np.nan, -5.0], [-5.0, -5.0]])
    labels = np.array([[1, 0], [0, 0], [0, 0]])
    scores = multi_label.score(logits, labels)
    assert scores["accuracy"] == pytest.approx(2 / 3) and scores["invalid_rows"] == 1 and np.isnan(scores["loss"])


def test_thresholds_have_the_greatest_f1():
    draw = np.random.default_rng(1)
    labels = (draw.random((300, 3)) < [0.5, 0.1, 0.0]).astype(np.float32)
    logits = draw.normal(size=(300, 3)) + 2 * labels - 1.5
    thresholds = multi_label.fit_thresholds(logits, labels)
    shares = multi_label.probabilities(logits)
    for label in (0, 1):
        tried = [f1_score(labels[:, label], shares[:, label] >= np.float32(t)) for t in multi_label.GRID]
        assert f1_score(labels[:, label], shares[:, label] >= np.float32(thresholds[label])) == max(tried)
    assert thresholds[2] == 0.5


def test_recipe(trained):
    folder, results, _ = trained
    found = load_run(folder / "out")
    labels, predicted = found.predictions.labels, found.predictions.predicted
    assert (
        results["test_accuracy"] == pytest.approx(accuracy_score(labels, predicted)) and results["test_accuracy"] > 0.8
    )
    assert results["test_f1"] == pytest.approx(f1_score(labels, predicted, average="macro"))
    assert results["test_f1_micro"] == pytest.approx(f1_score(labels, predicted, average="micro"))
    thresholds = np.float32(found.record.thresholds)
    np.testing.assert_array_equal(predicted, found.predictions.probabilities.astype(np.float32) >= thresholds)
    model = AutoModelForSequenceClassification.from_pretrained(folder / "out")
    assert model.config.problem_type == "multi_label_classification"
    np.testing.assert_allclose(model.config.decision_thresholds, found.record.thresholds)
    page = (folder / "out" / "report.html").read_text(encoding="utf-8")
    assert "Exact labels" in page and "Confusion matrix" not in page
    assert "may be none" in (folder / "out" / "README.md").read_text(encoding="utf-8")


def test_predict_gives_every_label(trained, tmp_path, capsys):
    folder, _, _ = trained
    with pytest.raises(SystemExit):
        main(["predict", str(folder / "out"), "the chef and the bill", "so very"])
    first, second = capsys.readouterr().out.splitlines()
    assert first.split()[0] == "food" and " price " in first and "place" not in first
    assert second == "–  so very"
    (tmp_path / "in.txt").write_text("noodles parking\nso\n")
    with pytest.raises(SystemExit):
        main(
            ["predict", str(folder / "out"), "--input", str(tmp_path / "in.txt"), "--output", str(tmp_path / "out.csv")]
        )
    with open(tmp_path / "out.csv", newline="") as file:
        answers = list(csv.DictReader(file))
    assert [json.loads(row["prediction"]) for row in answers] == [["food", "place"], []]
    assert all(0.3 < share <= 1 for share in json.loads(answers[0]["probability"]))


def test_evaluate_only_measures_the_same(trained, tmp_path, monkeypatch):
    folder, results, flags = trained
    flags = flags.replace("--architecture ngram_linear", f"--evaluate_only {folder / 'out'}").replace(
        " --calibrate", ""
    )
    again = run("text_classification.py", flags, tmp_path / "again", monkeypatch)
    assert again["test_f1"] == pytest.approx(results["test_f1"]) and again["test_loss"] == pytest.approx(
        results["test_loss"]
    )


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_lists_and_separators(suffix, tmp_path):
    import pandas

    frame = pandas.DataFrame([{"text": row["review"] + " x", "label": row["about"]} for row in rows(60)])
    if suffix == ".csv":
        frame["label"] = frame["label"].map("; ".join)
        frame.to_csv(tmp_path / "table.csv", index=False)
    else:
        frame.to_parquet(tmp_path / "table.parquet")
    builder = Table(data_dir=str(tmp_path / f"table{suffix}"), multi_label=True, label_separator=";")
    builder.download_and_prepare()
    splits = builder.as_dataset()
    names = splits["train"].features["label"].feature.names
    assert names == sorted(WORDS) and sum(map(len, splits.values())) == 60
    for split in splits.values():
        for row in split:
            assert {names[label] for label in row["label"]} == {
                label for label in WORDS if set(WORDS[label].split()) & set(row["text"].split())
            }


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ("--architecture ngram_linear --class_weight balanced", "--multi_label leave them out"),
        ("--architecture ngram_linear --num_folds 3", "leave one of them out"),
    ],
    ids=["weights", "folds"],
)
def test_what_does_not_go_together(flags, message, trained, tmp_path, monkeypatch, capsys):
    folder, _, _ = trained
    flags += f" --data_dir {folder / 'reviews.jsonl'} --text_column review --label_column about --multi_label"
    with pytest.raises((InputError, SystemExit)):
        run("text_classification.py", flags, tmp_path / "out", monkeypatch)
    assert message in capsys.readouterr().err
