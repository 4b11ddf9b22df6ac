"""Cross-validation: what is held out, what is averaged, and going on after an interruption."""

import csv
import json
import shutil

import datasets
import numpy as np
import pytest
from sklearn.metrics import accuracy_score, f1_score

from hfcls.data.thucnews import THUCNews
from hfcls.errors import InputError
from hfcls.report.run import load_run
from hfcls.training.folds import _write_out_of_fold, held_out_parts
from tests.text.test_baselines import run

FLAGS = "--architecture ngram_linear --num_folds 3 --num_train_epochs 1 --max_train_samples 240 --calibrate True"


def rows_of(path) -> list[list[str]]:
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.reader(file))


@pytest.fixture(scope="module")
def validated(tmp_path_factory):
    folder = tmp_path_factory.mktemp("folds") / "out"
    with pytest.MonkeyPatch.context() as monkeypatch:
        run("thucnews_rnn.py", FLAGS, folder, monkeypatch)
    return folder


def test_every_row_is_held_out_once(validated):
    header, *rows = rows_of(validated / "out_of_fold.csv")
    assert header[:4] == ["fold", "text", "label", "prediction"]
    assert {row[0] for row in rows} == {"1", "2", "3"}
    builder = THUCNews()
    builder.download_and_prepare()
    validation = builder.as_dataset()["validation"]["text"]
    assert len(rows) == 240 + len(validation) and set(validation) <= {row[1] for row in rows}
    for number in (1, 2, 3):
        held_out = [row for row in rows if row[0] == str(number)]
        results = json.loads((validated / f"fold_{number}" / "all_results.json").read_text())
        truth, predicted = [row[2] for row in held_out], [row[3] for row in held_out]
        assert accuracy_score(truth, predicted) == pytest.approx(results["test_accuracy"])


def test_the_mean_of_the_folds_predicts_test(validated):
    found = [np.load(validated / f"fold_{number}" / "probabilities.npz")["test"] for number in (1, 2, 3)]
    assert not np.allclose(found[0], found[1])
    predictions = load_run(validated).predictions
    np.testing.assert_allclose(predictions.probabilities, np.mean(found, axis=0), atol=1e-6)
    results = json.loads((validated / "all_results.json").read_text())
    f1 = f1_score(predictions.labels, np.mean(found, axis=0).argmax(axis=1), average="macro")
    assert results["test_f1"] == pytest.approx(f1)
    record = json.loads((validated / "run.json").read_text())
    of_folds = [json.loads((validated / f"fold_{number}" / "run.json").read_text()) for number in (1, 2, 3)]
    assert record["temperature"] is None and len({one["temperature"] for one in of_folds} - {None}) == 3
    folds = record["folds"]
    accuracies = [fold["accuracy"] for fold in folds]
    assert results["fold_accuracy_mean"] == pytest.approx(np.mean(accuracies))
    assert results["fold_accuracy_sd"] == pytest.approx(np.std(accuracies, ddof=1))
    page = (validated / "report.html").read_text(encoding="utf-8")
    assert f"{np.mean(accuracies):.4f} ± {np.std(accuracies, ddof=1):.4f}" in page and "No curves" not in page


def test_goes_on_after_the_second_fold(validated, tmp_path, monkeypatch, capsys):
    """Of the third fold, files of a start that came to nothing; the last one is missing."""
    folder = tmp_path / "out"
    last = shutil.ignore_patterns("*.csv", "all_results.json", "probabilities.npz", "setup.json")
    shutil.copytree(validated, folder, ignore=last)
    for number in (1, 2):
        shutil.copytree(validated / f"fold_{number}", folder / f"fold_{number}", dirs_exist_ok=True)
    before = (folder / "fold_2" / "model.safetensors").stat().st_mtime_ns
    run("thucnews_rnn.py", f"{FLAGS} --resume_from_checkpoint auto", folder, monkeypatch)
    assert (folder / "fold_2" / "model.safetensors").stat().st_mtime_ns == before
    assert "fold_2: finished before" in capsys.readouterr().err
    for name in ("predictions.csv", "out_of_fold.csv", "all_results.json"):
        assert (folder / name).read_bytes() == (validated / name).read_bytes()


@pytest.mark.parametrize("grouped", [False, True], ids=["rows", "groups"])
def test_parts(grouped):
    labels = np.repeat([0, 1], [80, 20])
    columns = {"label": labels.tolist(), "text": [str(row) for row in range(100)]}
    columns |= {"group": [str(row // 2) for row in range(100)]} if grouped else {}
    rows = datasets.Dataset.from_dict(columns)
    found = list(held_out_parts(rows, 5, seed=1))
    assert sorted(np.concatenate([held_out for _, held_out in found])) == list(range(100))
    for kept, held_out in found:
        assert not set(kept) & set(held_out) and len(kept) + len(held_out) == 100
        assert labels[held_out].sum() == 4
        if grouped:
            assert not {row // 2 for row in kept} & {row // 2 for row in held_out}
    again = list(held_out_parts(rows, 5, seed=1))
    assert all((one[1] == other[1]).all() for one, other in zip(found, again, strict=True))


def test_too_few_rows_for_the_folds():
    rows = datasets.Dataset.from_dict({"label": [0] * 10 + [1] * 3})
    with pytest.raises(InputError, match="3 rows of a class are too few for 5 parts"):
        list(held_out_parts(rows, 5, seed=1))


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ("--num_folds 1", "--num_folds: give at least 2, and no --evaluate_only"),
        ("--num_folds 3 --evaluate_only m", "--num_folds: give at least 2, and no --evaluate_only"),
        ("--num_folds 3 --push_to_hub --hub_model_id a/b", "--num_folds makes several models: push the one you choose"),
    ],
    ids=["one", "evaluate", "push"],
)
def test_what_does_not_go_together(flags, message, tmp_path, monkeypatch, capsys):
    with pytest.raises(SystemExit, match="2"):
        run("thucnews_rnn.py", f"--architecture ngram_linear {flags}", tmp_path / "out", monkeypatch)
    assert message in capsys.readouterr().err.splitlines()[-1]
    assert not (tmp_path / "out").exists()


def test_documents_of_any_length_are_put_together(tmp_path):
    """The module `csv` takes 128 KiB for the longest cell unless it is told otherwise."""
    folders = [tmp_path / "fold_1", tmp_path / "fold_2"]
    for folder in folders:
        folder.mkdir()
        with (folder / "predictions.csv").open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows([["text", "label", "prediction", "a", "b"], ["x" * 300_000, "a", "b", 0.4, 0.6]])
    csv.field_size_limit(2**17)
    _write_out_of_fold(tmp_path / "out_of_fold.csv", folders)
    csv.field_size_limit(2**20)
    assert [(row[0], len(row[1])) for row in rows_of(tmp_path / "out_of_fold.csv")[1:]] == [
        ("1", 300_000),
        ("2", 300_000),
    ]
