"""Whether probabilities mean what they say: how often predictions of a certain confidence are right."""

from dataclasses import dataclass

import numpy as np
from scipy.special import softmax

BINS = 15  # of confidence, as in Guo et al. 2017, https://arxiv.org/abs/1706.04599


@dataclass(frozen=True)
class Reliability:
    """How often predictions are right that are made with a certain confidence, by bins of confidence.

    Attributes:
        confidence, accuracy: means of the rows of each bin that has rows, (bins,).
        rows: their number, (bins,).
        error: expected calibration error: the mean distance of the two, weighted by the rows.
    """

    confidence: np.ndarray
    accuracy: np.ndarray
    rows: np.ndarray
    error: float


def reliability(probabilities: np.ndarray, labels: np.ndarray) -> Reliability:
    """Of `probabilities` (rows, classes) against `labels` (rows,), in `BINS` bins of equal width."""
    confidence = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == labels
    place = np.clip(np.ceil(confidence * BINS).astype(int) - 1, 0, BINS - 1)
    rows = np.bincount(place, minlength=BINS)
    occupied = rows > 0
    rows = rows[occupied]
    confidences = np.bincount(place, confidence, BINS)[occupied] / rows
    accuracies = np.bincount(place, right, BINS)[occupied] / rows
    error = float(rows @ np.abs(confidences - accuracies) / len(labels))
    return Reliability(confidences, accuracies, rows, error)


def at_temperature(probabilities: np.ndarray, temperature: float) -> np.ndarray:
    """What `probabilities` (rows, classes) would be had their logits been divided by `temperature`."""
    logits = np.log(np.maximum(probabilities, np.finfo(np.float32).tiny)) / temperature
    return softmax(logits, axis=1)
