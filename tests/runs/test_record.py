"""run.json and all_results.json: what is written comes back, older files are read, what does not fit is one line."""

import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from hfcls.errors import InputError
from hfcls.runs.record import VERSION, read_record, write_record
from hfcls.runs.results import metric_title, read_results, validation_score, write_results
from tests.finished_run import LABELS, RUN, write_run

SAVED = Path(__file__).parent.parent / "saved_models"


def test_what_is_written_comes_back(tmp_path):
    record = read_record(write_run(tmp_path))
    assert record.data.splits["train"].labels == {"finance": 700, "sports": 800, "games": 1500}
    assert record.model.parameters == 4_900_000 and record.chosen_by == "accuracy"
    assert record.data.splits["test"].length.edges == [3, 60]
    write_record(tmp_path, record)
    written = json.loads((tmp_path / "run.json").read_text(encoding="utf-8"))
    assert list(written)[:3] == ["version", "task", "target"] and written["version"] == VERSION
    assert written == asdict(record)
    assert read_record(tmp_path) == record


@pytest.mark.parametrize(
    ("name", "target", "chosen_by"),
    [
        ("bert", "one_label", "accuracy"),
        ("ngram_linear_multi_label", "label_sets", "accuracy"),
        ("chinese_clip", "pairs", "recall_at_1"),
        ("folds", "one_label", "accuracy"),
    ],
)
def test_version_1_is_read(name, target, chosen_by):
    content = json.loads((SAVED / name / "run.json").read_text(encoding="utf-8"))
    assert "version" not in content and "target" not in content
    record = read_record(SAVED / name)
    assert (record.target, record.chosen_by, record.greater_is_better) == (target, chosen_by, True)
    assert record.labels == content["labels"] and record.settings == content["settings"]
    for key, split in content["data"]["splits"].items():
        assert record.data.splits[key].rows == split["rows"] and record.data.splits[key].images == split.get("images")
    assert (record.folds is None) == (name != "folds")


@pytest.mark.parametrize(
    ("changes", "chosen_by", "greater_is_better"),
    [
        ({"settings": {"metric_for_best_model": "eval_f1"}}, "f1", True),
        ({"settings": {"metric_for_best_model": "loss"}}, "loss", False),
        ({"settings": {}}, None, True),
        ({"settings": {"metric_for_best_model": "f1", "train_on_validation": True}}, None, True),
        ({"settings": {"metric_for_best_model": "f1"}, "command": "x.py --evaluate_only y"}, None, True),
    ],
)
def test_what_chose_the_checkpoint_of_version_1(tmp_path, changes, chosen_by, greater_is_better):
    old = {key: value for key, value in RUN.items() if key not in ("version", "target", "chosen_by")} | changes
    (tmp_path / "run.json").write_text(json.dumps(old), encoding="utf-8")
    record = read_record(tmp_path)
    assert (record.chosen_by, record.greater_is_better) == (chosen_by, greater_is_better)


def test_a_newer_version_is_refused_in_one_line(tmp_path):
    write_run(tmp_path, run={"version": 3})
    with pytest.raises(InputError) as error:
        read_record(tmp_path)
    assert str(error.value) == f"{tmp_path / 'run.json'}: is of version 3, this hfcls knows 2: update hfcls to read it"
    write_run(tmp_path, run={"version": "new"})
    with pytest.raises(InputError, match="run.json: version: 'new' is none"):
        read_record(tmp_path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"target": "pair"}, "target: 'pair' does not belong here"),
        ({"target": "pairs"}, "data: splits: train: 'images' or 'pairs' is missing"),
        ({"processes": True}, "processes: True does not belong here"),
        ({"processes": 1.5}, "processes: 1.5 does not belong here"),
        ({"model.parameters": None}, "model: parameters: None does not belong here"),
        ({"model": ["x"]}, "model: .* does not belong here"),
        ({"labels": ["a", "a"]}, "labels: must be names, at least one, each once"),
        ({"labels": []}, "labels: must be names"),
        ({"temperature": 0}, "temperature: must be above 0"),
        ({"thresholds": [0.5]}, "thresholds: need one for each label"),
        ({"thresholds": ["high"] * 3}, "thresholds: 'high' does not belong here"),
        ({"class_weights": {"finance": 1.0}}, "class_weights: need one for each label"),
        ({"class_weights": dict.fromkeys(LABELS, "heavy")}, "class_weights: finance: 'heavy' does not belong here"),
        ({"folds": [{"f1": 0.5}]}, "folds: 'accuracy' is missing"),
        ({"data.repeated": {"surplus": {}, "leaks": {}}}, "data: repeated: 'conflicts' is missing"),
        ({"data.splits": {}}, "data: splits: 'test' is missing"),
        ({"data.splits": {"test": {"rows": 1, "labels": {"a": "many"}}}}, "data: splits: test: labels: a: 'many'"),
        ({"data.notes": [1]}, "data: notes: 1 does not belong here"),
        ({"hardware.gpus": "A100"}, "hardware: gpus: 'A100' does not belong here"),
    ],
)
def test_what_does_not_fit_is_named(tmp_path, changes, message):
    write_run(tmp_path, run=changes)
    with pytest.raises(InputError, match=rf"run\.json: {message}") as error:
        read_record(tmp_path)
    assert "\n" not in str(error.value)


def test_results_come_back_and_what_was_not_measured_is_none(tmp_path):
    write_results(tmp_path, {"test_accuracy": 0.5, "test_f1": 0.4, "test_roc_auc": float("nan"), "epoch": 3})
    results = read_results(tmp_path, "one_label")
    assert (results["test_accuracy"], results["test_roc_auc"], results["epoch"]) == (0.5, None, 3)
    assert results["train_runtime"] is None and results["test_coarse_accuracy"] is None
    assert read_results(tmp_path, "pairs")["test_recall_at_1"] is None
    (tmp_path / "all_results.json").write_text('{"test_accuracy": 0.5}')
    with pytest.raises(InputError, match=r"all_results\.json: 'test_f1' is missing"):
        read_results(tmp_path, "one_label")
    (tmp_path / "all_results.json").write_text('{"test_accuracy": 0.5, "test_f1": 0.1, "eval_loss": "low"}')
    with pytest.raises(InputError, match=r"all_results\.json: eval_loss: 'low' does not belong here"):
        read_results(tmp_path, "one_label")


def test_validation_scores(tmp_path):
    record = read_record(write_run(tmp_path))
    results = {"eval_accuracy": 0.9, "fold_accuracy_mean": 0.8, "test_accuracy": 0.7}
    assert validation_score(record, results, "accuracy") == 0.9
    assert validation_score(record, results, "f1") is None
    assert validation_score(replace(record, chosen_by=None), results, "accuracy") is None
    assert validation_score(read_record(SAVED / "folds"), results, "accuracy") == 0.8
    assert [metric_title(name) for name in ("f1", "recall_at_1", "loss")] == ["macro F1", "recall at 1", "loss"]
