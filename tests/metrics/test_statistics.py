"""Intervals against brute force on the rows themselves, Wilson's and McNemar's against their formulas."""

import math
from statistics import NormalDist

import numpy as np
import pytest
from sklearn.metrics import f1_score

from hfcls.metrics.intervals import bootstrap_intervals, wilson_interval
from hfcls.metrics.mcnemar import mcnemar


def _rows(classes: int, rows: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    labels = generator.choice(classes, size=rows, p=np.arange(1, classes + 1) / np.arange(1, classes + 1).sum())
    predictions = np.where(generator.random(rows) < 0.7, labels, generator.integers(classes, size=rows))
    predictions[generator.random(rows) < 0.03] = -1
    return labels, predictions


def _macro_f1(labels, predictions) -> float:
    """By the definition, class by class; scikit-learn's own takes milliseconds a call."""
    pairs = list(zip(labels, predictions, strict=True))
    scores = []
    for one in set(labels):
        hits = sum(label == prediction == one for label, prediction in pairs)
        scores.append(2 * hits / sum((label == one) + (prediction == one) for label, prediction in pairs))
    return sum(scores) / len(scores)


def test_macro_f1_of_these_tests_is_that_of_sklearn():
    labels, predictions = _rows(12, 40)
    labels[labels == 5] = 6  # predicted, never true
    expected = f1_score(labels, predictions, labels=np.unique(labels), average="macro", zero_division=0)
    assert _macro_f1(labels.tolist(), predictions.tolist()) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(("classes", "rows"), [(2, 150), (4, 80), (12, 40)])  # 12 classes: some vanish from resamples
def test_intervals_equal_those_of_resampled_rows(classes, rows):
    labels, predictions = _rows(classes, rows)
    found = bootstrap_intervals(labels, predictions, classes, resamples=20_000)

    generator = np.random.default_rng(1)
    accuracy, f1 = [], []
    for _ in range(1000):
        drawn = generator.integers(rows, size=rows)
        accuracy.append(np.mean(labels[drawn] == predictions[drawn]))
        f1.append(_macro_f1(labels[drawn].tolist(), predictions[drawn].tolist()))
    for name, values in (("accuracy", accuracy), ("f1", f1)):
        assert found[name] == pytest.approx(np.quantile(values, [0.025, 0.975]), abs=0.35 * np.std(values))


def test_level_and_seed():
    labels, predictions = _rows(3, 200)
    wide = bootstrap_intervals(labels, predictions, 3, level=0.99)
    narrow = bootstrap_intervals(labels, predictions, 3, level=0.5)
    for name in ("accuracy", "f1"):
        assert wide[name][0] < narrow[name][0] < narrow[name][1] < wide[name][1]
    assert bootstrap_intervals(labels, predictions, 3, level=0.99) == wide
    assert bootstrap_intervals(labels, predictions, 3, level=0.99, seed=1) != wide


def test_extreme_rows():
    assert bootstrap_intervals([2], [2], 5) == {"accuracy": (1, 1), "f1": (1, 1)}
    assert bootstrap_intervals([2, 2], [-1, -1], 5) == {"accuracy": (0, 0), "f1": (0, 0)}
    # A class that is predicted and never true is left out of the mean: each resample scores 1 where it holds only right
    # rows, and otherwise the F1 of class 0 alone.
    low, high = bootstrap_intervals([0, 0, 0, 0], [0, 0, 0, 1], 2)["f1"]
    assert (low, high) == pytest.approx((_macro_f1([0] * 4, [0, 1, 1, 1]), 1.0))


SHAPES, RANGE = (
    "equally many labels and predictions, at least one",
    r"must lie in \[0, 3\) and predictions in \[-1, 3\)",
)


@pytest.mark.parametrize(
    ("labels", "predictions", "message"),
    [
        ([], [], SHAPES),
        ([0, 1], [0], SHAPES),
        ([[0]], [[0]], SHAPES),
        ([3], [0], RANGE),
        ([-1], [0], RANGE),
        ([0], [3], RANGE),
        ([0], [-2], RANGE),
    ],
)
def test_rows_that_do_not_fit_are_refused(labels, predictions, message):
    with pytest.raises(ValueError, match=message):
        bootstrap_intervals(labels, predictions, 3)


@pytest.mark.parametrize(("right", "n"), [(271, 300), (0, 5), (7, 7), (1, 10_000)])
def test_wilson_interval_holds_the_shares_that_a_normal_test_does_not_reject(right, n):
    z = NormalDist().inv_cdf(0.975)
    for bound in wilson_interval(right / n, n):
        distance = abs(right / n - bound)
        assert distance == pytest.approx(z * math.sqrt(bound * (1 - bound) / n), abs=1e-9)
    low, high = wilson_interval(right / n, n)
    assert 0 <= low <= right / n <= high <= 1 and low < high


def _models(both: int, only_a: int, only_b: int) -> tuple[np.ndarray, np.ndarray]:
    correct_a = np.repeat([True, True, False, False], [both, only_a, only_b, 5])
    correct_b = np.repeat([True, False, True, False], [both, only_a, only_b, 5])
    return correct_a, correct_b


@pytest.mark.parametrize(("only_a", "only_b"), [(0, 1), (3, 9), (12, 12), (24, 0), (1, 23)])
def test_mcnemar_of_few_discordant_rows_is_the_binomial_test(only_a, only_b):
    discordant = only_a + only_b
    tail = sum(math.comb(discordant, k) for k in range(min(only_a, only_b) + 1)) / 2**discordant
    expected = min(1.0, 2 * tail)
    assert mcnemar(*_models(40, only_a, only_b)) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(("only_a", "only_b"), [(5, 20), (25, 0), (121, 59), (59, 121), (300, 290)])
def test_mcnemar_of_many_discordant_rows_is_chi_square(only_a, only_b):
    statistic = (abs(only_a - only_b) - 1) ** 2 / (only_a + only_b)
    expected = 2 * NormalDist().cdf(-math.sqrt(statistic))  # chi-square of one degree: the square of a normal variable
    assert mcnemar(*_models(40, only_a, only_b)) == pytest.approx(expected, rel=1e-9)


def test_mcnemar_without_a_difference_is_one():
    assert mcnemar(*_models(40, 0, 0)) == 1
    assert mcnemar(*_models(40, 30, 30)) == 1


def test_mcnemar_needs_the_same_rows():
    with pytest.raises(ValueError, match="same rows"):
        mcnemar([True, False], [True])
