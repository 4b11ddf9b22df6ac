"""Class offsets against a search of all pairs of them, with scikit-learn's F1."""

import itertools

import numpy as np
import pytest
from sklearn.metrics import f1_score

from hfcls.metrics.class_offsets import fit_class_offsets, offsets_line


def unbalanced(rows: int, seed: int = 0):
    """Three classes, the second of them frequent, and logits of a model that learned them as equally frequent."""
    generator = np.random.default_rng(seed)
    labels = generator.choice(3, size=rows, p=[0.1, 0.75, 0.15])
    return generator.normal(size=(rows, 3)) + 1.2 * np.eye(3)[labels], labels


def f1(labels, logits):
    return f1_score(labels, logits.argmax(axis=1), average="macro")


def test_nearly_as_good_as_the_best_of_all_pairs():
    logits, labels = unbalanced(300)
    offsets = fit_class_offsets(logits, labels)
    grid = np.arange(-2, 2.01, 0.2)
    best = max(f1(labels, logits + [a, 0, b]) for a, b in itertools.product(grid, grid))
    assert f1(labels, logits + offsets) >= best - 0.01
    assert offsets.mean() == pytest.approx(0, abs=1e-12)
    assert offsets.argmax() == 1
    others, truth = unbalanced(3000, seed=1)
    assert f1(truth, others + offsets) > f1(truth, others) + 0.02  # on rows that it was not chosen by


def test_nothing_to_be_gained_or_known():
    labels = np.arange(6) % 3
    assert fit_class_offsets(5 * np.eye(3)[labels], labels).tolist() == [0, 0, 0]
    assert fit_class_offsets(np.full((2, 3), np.nan), labels[:2]).tolist() == [0, 0, 0]
    logits, truth = unbalanced(200)
    broken = np.concatenate([logits, np.full((1, 3), np.nan)])
    np.testing.assert_array_equal(fit_class_offsets(broken, np.append(truth, 0)), fit_class_offsets(logits, truth))


def test_what_is_said_of_them():
    assert offsets_line(["neg", "pos"], [0.25, -0.25]).endswith(": neg +0.25, pos -0.25")
