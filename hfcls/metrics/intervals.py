"""How sure a test score is: intervals of shares, and bootstrap intervals of accuracy and macro F1."""

import numpy as np
from scipy.stats import binomtest


def wilson_interval(share: float, n: int) -> tuple[float, float]:
    """The 95 % confidence interval of a share measured on `n` >= 1 rows, of which it counts a whole number.

    Source: Wilson, Journal of the American Statistical Association 22 (1927), 209-212.
    """
    interval = binomtest(round(share * n), n).proportion_ci(confidence_level=0.95, method="wilson")
    return float(interval.low), float(interval.high)


def bootstrap_intervals(
    labels: np.ndarray,
    predictions: np.ndarray,
    num_classes: int,
    *,
    resamples: int = 2000,
    seed: int = 0,
    level: float = 0.95,
) -> dict[str, tuple[float, float]]:
    """Percentile bootstrap intervals of accuracy and macro F1 over the test rows.

    Macro F1 is the mean of the per-class F1 over the classes present among the true labels of the evaluated rows; a
    class absent from them is left out of the mean, and an F1 of 0/0 cannot arise. That is scikit-learn's
    `f1_score(labels, predictions, labels=np.unique(labels), average="macro", zero_division=0)`.

    Args:
        labels: (N,) integers in [0, num_classes), N >= 1.
        predictions: (N,) integers in [-1, num_classes); -1 is a row without a prediction, counted as wrong.
        level: coverage, 0.95 for a 95 % interval.

    Returns:
        `{"accuracy": (low, high), "f1": (low, high)}`, each in [0, 1].

    Raises:
        ValueError: no rows, shapes that differ, or a class number out of range.

    Source: Efron and Tibshirani, An Introduction to the Bootstrap (1993), chapter 13.
    """
    labels, predictions = np.asarray(labels), np.asarray(predictions)
    if labels.ndim != 1 or labels.shape != predictions.shape or labels.size == 0:
        raise ValueError(f"need equally many labels and predictions, at least one: {labels.shape}, {predictions.shape}")
    if labels.min() < 0 or predictions.min() < -1 or max(labels.max(), predictions.max()) >= num_classes:
        raise ValueError(f"labels must lie in [0, {num_classes}) and predictions in [-1, {num_classes})")
    tail = (1 - level) / 2
    return {
        name: tuple(float(bound) for bound in np.quantile(values, [tail, 1 - tail]))
        for name, values in _resampled_scores(labels, predictions, num_classes, resamples, seed).items()
    }


def _resampled_scores(
    labels: np.ndarray, predictions: np.ndarray, num_classes: int, resamples: int, seed: int
) -> dict[str, np.ndarray]:
    """Accuracy and macro F1 of as many resamples of the rows as `resamples` says, (resamples,) each."""
    # Both scores see the rows only through the confusion matrix. Drawing N rows with replacement and counting them into
    # its cells is, by definition, one multinomial draw of N over the cells with probabilities count / N: the same
    # distribution as resampling rows, at the cost of the occupied cells. Missing predictions are column num_classes.
    width = num_classes + 1
    cells, counts = np.unique(labels * width + predictions % width, return_counts=True)
    true_class, predicted_class = cells // width, cells % width
    hit = true_class == predicted_class
    true_of, predicted_of = _indicator(true_class, num_classes), _indicator(predicted_class, width)[:, :num_classes]

    generator = np.random.default_rng(seed)
    accuracy, f1 = [], []
    for start in range(0, resamples, 256):  # bounds the memory for hundreds of classes
        size = min(256, resamples - start)
        drawn = generator.multinomial(labels.size, counts / labels.size, size=size).astype(float)  # (size, cells)
        hits = drawn[:, hit] @ true_of[hit]  # (size, num_classes), as the next two
        support, predicted = drawn @ true_of, drawn @ predicted_of
        present = support > 0
        class_f1 = np.divide(2 * hits, support + predicted, out=np.zeros_like(hits), where=present)
        accuracy.append(hits.sum(axis=1) / labels.size)
        f1.append(class_f1.sum(axis=1) / present.sum(axis=1))
    return {"accuracy": np.concatenate(accuracy), "f1": np.concatenate(f1)}


def _indicator(classes: np.ndarray, width: int) -> np.ndarray:
    """(cells,) class numbers as a (cells, width) matrix of ones and zeros."""
    return (classes[:, None] == np.arange(width)).astype(float)
