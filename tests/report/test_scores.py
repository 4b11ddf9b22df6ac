"""Scores against scikit-learn, against what a recipe writes, and against files that belong to another run."""

import json
import os

import numpy as np
import pytest
from sklearn.metrics import confusion_matrix, precision_recall_fscore_support, roc_auc_score

from hfcls.errors import InputError
from hfcls.report import write_report
from hfcls.report.run import load_run
from hfcls.report.scores import CURVE_POINTS, compute_scores, macro_roc_curve


def _scores(folder):
    run = load_run(folder)
    return run, compute_scores(run.predictions, run.classes)


def test_scores_are_those_of_sklearn(make_run):
    run, scores = _scores(make_run(rows=400, without_prediction=range(0, 400, 50)))
    rows = run.predictions
    assert scores.accuracy == pytest.approx(run.results["test_accuracy"], abs=1e-12)
    assert scores.f1 == pytest.approx(run.results["test_f1"], abs=1e-12)
    assert scores.roc_auc == pytest.approx(run.results["test_roc_auc"], abs=1e-12)
    assert scores.without_prediction == 8
    expected = confusion_matrix(rows.labels, rows.predicted, labels=[0, 1, 2, -1])[:3]
    assert scores.confusion.tolist() == expected.tolist()
    precision, recall, f1, support = precision_recall_fscore_support(
        rows.labels, rows.predicted, labels=[0, 1, 2], zero_division=0
    )
    for one in scores.classes:
        found = (one.precision, one.recall, one.f1, one.support)
        assert found == pytest.approx((precision[one.id], recall[one.id], f1[one.id], support[one.id]))
        area = roc_auc_score(rows.labels == one.id, rows.probabilities[:, one.id])
        assert one.roc_auc == pytest.approx(area, abs=1e-12)


def test_a_class_without_rows_has_no_scores(make_run):
    run, scores = _scores(make_run(rows=60, labels=[0, 2] * 30))
    absent = scores.classes[1]
    assert (absent.support, absent.recall, absent.f1, absent.roc_auc) == (0, None, None, None)
    assert absent.precision == 0  # predicted at times, always wrongly
    assert scores.f1 == pytest.approx((scores.classes[0].f1 + scores.classes[2].f1) / 2)
    assert scores.roc_auc == pytest.approx((scores.classes[0].roc_auc + scores.classes[2].roc_auc) / 2)
    assert scores.f1 == pytest.approx(run.results["test_f1"], abs=1e-12)


@pytest.mark.parametrize("labels", [[1], [1] * 20])
def test_one_class_in_the_test_rows_has_no_roc_auc(make_run, labels):
    _, scores = _scores(make_run(rows=len(labels), labels=labels))
    assert scores.roc_auc is None
    assert all(one.roc_curve is None for one in scores.classes)


def test_macro_curve_is_the_mean_of_interpolated_curves(make_run):
    _, scores = _scores(make_run())
    x, y = macro_roc_curve(scores.classes)
    assert (x[0], y[0], x[-1], y[-1]) == (0, 0, 1, 1)
    assert len(x) <= CURVE_POINTS + 1
    assert (np.diff(y) >= 0).all()
    assert np.trapezoid(y, x) == pytest.approx(scores.roc_auc, abs=0.005)


def test_what_a_recipe_writes_agrees(make_run):
    """The contract with hfcls.metrics and hfcls.runs, which compute and write the same from logits."""
    import datasets

    from hfcls.metrics import one_label as metrics
    from hfcls.runs.predictions import write_predictions
    from hfcls.runs.results import write_results
    from hfcls.training.setup import Corpus

    folder = make_run(rows=200)
    run = load_run(folder)
    generator = np.random.default_rng(3)
    logits = generator.normal(size=(200, 3)).astype(np.float32) * 30  # probabilities that saturate and tie
    logits[5] = np.nan
    features = datasets.Features({"text": datasets.Value("string"), "label": datasets.ClassLabel(names=run.classes)})
    rows = {"text": [f"row {row}" for row in range(200)], "label": run.predictions.labels}
    test = datasets.Dataset.from_dict(rows, features=features)
    corpus = Corpus("generated", "generated", "en", datasets.DatasetDict(train=test, test=test))
    labels = run.predictions.labels
    write_predictions(folder / "predictions.csv", corpus, corpus.target, labels=labels, logits=logits)
    scores = metrics.score(logits, run.predictions.labels)
    write_results(folder, {f"test_{name}": value for name, value in scores.items()})
    assert write_report(folder).exists()


@pytest.mark.parametrize("name", ["accuracy", "f1", "roc_auc"])
@pytest.mark.parametrize(
    ("older", "newer"), [("predictions.csv", "all_results.json"), ("all_results.json", "predictions.csv")]
)
def test_the_older_of_two_files_that_disagree_is_stale(make_run, name, older, newer):
    folder = make_run()
    results = json.loads((folder / "all_results.json").read_text())
    results[f"test_{name}"] += 2e-6
    (folder / "all_results.json").write_text(json.dumps(results))
    os.utime(folder / older, (1000, 1000))
    os.utime(folder / newer, (2000, 2000))
    with pytest.raises(InputError, match=rf"{older} is stale: predictions\.csv gives {name} "):
        write_report(folder)
    assert not (folder / "report.html").exists()


def test_agreement_leaves_room_for_rounding(make_run):
    folder = make_run()
    results = json.loads((folder / "all_results.json").read_text())
    results["test_accuracy"] += 5e-7
    (folder / "all_results.json").write_text(json.dumps(results))
    assert write_report(folder).exists()


def test_a_roc_auc_that_should_be_undefined_disagrees(make_run):
    folder = make_run(rows=1)
    results = json.loads((folder / "all_results.json").read_text())
    assert results["test_roc_auc"] is None
    (folder / "all_results.json").write_text(json.dumps(results | {"test_roc_auc": 0.5}))
    with pytest.raises(InputError, match="roc_auc None, all_results.json says 0.5"):
        write_report(folder)


def test_another_number_of_test_rows_is_stale(make_run):
    folder = make_run(rows=20)
    about = json.loads((folder / "run.json").read_text())
    about["data"]["splits"]["test"]["rows"] = 21
    (folder / "run.json").write_text(json.dumps(about))
    os.utime(folder / "predictions.csv", (1000, 1000))
    with pytest.raises(InputError, match=r"predictions\.csv is stale: .* 20 rows, run\.json counts 21 test rows"):
        write_report(folder)
