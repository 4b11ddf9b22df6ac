import math

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, f1_score, log_loss, roc_auc_score

from hfcls.metrics.one_label import OneLabel, predictions, probabilities, score
from hfcls.training.classifier import keep_logits


def softmax(logits):
    exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
    return exponentials / exponentials.sum(axis=1, keepdims=True)


@pytest.fixture
def evaluation():
    random = np.random.default_rng(0)
    labels = random.integers(0, 5, 400)
    logits = random.normal(size=(400, 5)).astype(np.float32)
    logits[np.arange(400), labels] += 1.0
    return logits, labels


def test_all_classes_present_equals_scikit_learn(evaluation):
    logits, labels = evaluation
    values = OneLabel(list(map(str, range(logits.shape[1])))).score(logits, labels)
    predicted = logits.argmax(axis=1)
    assert values["accuracy"] == accuracy_score(labels, predicted)
    assert values["f1"] == pytest.approx(f1_score(labels, predicted, average="macro"))
    expected = roc_auc_score(labels, softmax(logits.astype(np.float64)), multi_class="ovr", average="macro")
    assert values["roc_auc"] == pytest.approx(expected, abs=1e-6)
    assert values["loss"] == pytest.approx(log_loss(labels, softmax(logits.astype(np.float64))), rel=1e-6)
    assert values["roc_auc_classes"] == 5
    assert values["invalid_rows"] == 0


def test_binary_equals_scikit_learn():
    random = np.random.default_rng(1)
    labels = random.integers(0, 2, 100)
    logits = random.normal(size=(100, 2)) + np.eye(2)[labels]
    assert score(logits, labels)["roc_auc"] == pytest.approx(roc_auc_score(labels, softmax(logits)[:, 1]), abs=1e-6)


def test_absent_class_is_left_out_of_the_means(evaluation):
    logits, labels = evaluation
    kept = labels != 3
    logits, labels = logits[kept], labels[kept]
    values = score(logits, labels)
    present = [0, 1, 2, 4]
    predicted = logits.argmax(axis=1)
    assert (predicted == 3).any()
    assert values["f1"] == pytest.approx(f1_score(labels, predicted, labels=present, average="macro"))
    one_versus_rest = [roc_auc_score(labels == c, softmax(logits.astype(np.float64))[:, c]) for c in present]
    assert values["roc_auc"] == pytest.approx(np.mean(one_versus_rest), abs=1e-6)
    assert values["roc_auc_classes"] == 4


def test_single_row_has_no_roc_auc():
    values = score(np.array([[0.0, 2.0]]), np.array([1]))
    assert values["accuracy"] == values["f1"] == 1.0
    assert math.isnan(values["roc_auc"])
    assert values["roc_auc_classes"] == 0


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_row_without_finite_logits_is_a_mistake(evaluation, bad):
    logits, labels = evaluation
    right = np.flatnonzero(logits.argmax(axis=1) == labels)[0]
    before = score(logits, labels)
    logits = logits.copy()
    logits[right, 2] = bad
    after = score(logits, labels)
    assert after["accuracy"] == pytest.approx(before["accuracy"] - 1 / 400)
    assert after["f1"] < before["f1"]
    assert math.isnan(after["loss"])
    assert math.isfinite(after["roc_auc"])
    assert after["invalid_rows"] == 1
    assert predictions(logits)[right] == -1
    np.testing.assert_allclose(probabilities(logits)[right], 0.2)


def test_all_rows_nan_is_chance_and_never_a_best_checkpoint():
    labels = np.array([0, 1, 1, 0])
    values = score(np.full((4, 2), np.nan), labels)
    assert values["accuracy"] == 0.0
    assert values["roc_auc"] == 0.5
    assert not np.greater(values["loss"], -math.inf) and not np.less(values["loss"], math.inf)


def test_nine_digits_write_probabilities_exactly(evaluation):
    written = [[float(f"{p:.9g}") for p in row] for row in probabilities(evaluation[0])]
    np.testing.assert_array_equal(np.array(written, dtype=np.float32), probabilities(evaluation[0]))


def test_trainer_hooks(evaluation):
    import torch
    from transformers import EvalPrediction

    logits, labels = evaluation
    kept = keep_logits((torch.from_numpy(logits).bfloat16(), torch.zeros(400, 7)), None)
    assert kept.shape == (400, 5) and kept.dtype == torch.float32
    values = OneLabel(list(map(str, range(logits.shape[1])))).compute_metrics(
        EvalPrediction(predictions=logits, label_ids=labels)
    )
    assert values["accuracy"] == score(logits, labels)["accuracy"]
