"""Several labels a row: each label is a question of its own, answered by a sigmoid.

Scores are scikit-learn's, at a threshold for each label (0.5, or what `--calibrate` fitted). What it leaves undefined
is defined as in `hfcls.metrics`: a row whose logits are not finite has no prediction, counts as a mistake, has
probability 0.5 in the ROC-AUC and makes the loss NaN; the macro F1 is over the labels that occur, the ROC-AUC over
those that occur in some rows and not in others.
"""

import csv
import json
from pathlib import Path

import numpy as np
from sklearn.metrics import f1_score, roc_auc_score

THRESHOLD = 0.5
GRID = np.linspace(0.05, 0.95, 91)  # thresholds that are tried


def probabilities(logits: np.ndarray) -> np.ndarray:
    """Sigmoid of `logits` (rows, labels) as float32; rows that are not finite become 0.5."""
    logits = np.asarray(logits, dtype=np.float64)
    finite = np.isfinite(logits).all(axis=1, keepdims=True)
    return (0.5 + 0.5 * np.tanh(np.where(finite, logits, 0.0) / 2)).astype(np.float32)


def predictions(logits: np.ndarray, thresholds: np.ndarray | float = THRESHOLD) -> np.ndarray:
    """(rows, labels) whether each label is predicted; none is where the logits are not finite."""
    finite = np.isfinite(logits).all(axis=1, keepdims=True)
    return finite & (probabilities(logits) >= np.float32(thresholds))


def loss(labels: np.ndarray, logits: np.ndarray) -> float:
    """Mean binary cross entropy in nats of `labels` (rows, labels) under `logits`; NaN if a row is not finite."""
    logits = np.asarray(logits, dtype=np.float64)
    if not np.isfinite(logits).all():
        return float("nan")
    return float(np.mean(np.logaddexp(0, logits) - labels * logits))


def score(logits: np.ndarray, labels: np.ndarray, thresholds: np.ndarray | float = THRESHOLD) -> dict[str, float]:
    """All metrics of `logits` (rows, labels) against `labels` (rows, labels) of zeros and ones.

    `accuracy` is the share of rows with exactly the right labels (subset accuracy), `f1` the mean over labels,
    `f1_micro` that of all decisions together.
    """
    labels, predicted = labels.astype(bool), predictions(logits, thresholds)
    finite = np.isfinite(logits).all(axis=1)
    occurring = labels.any(axis=0)
    areas = label_areas(probabilities(logits), labels)
    defined = [area for area in areas if area is not None]
    return {
        "accuracy": float(((predicted == labels).all(axis=1) & finite).mean()),
        "f1": float(f1_score(labels[:, occurring], predicted[:, occurring], average="macro", zero_division=0)),
        "f1_micro": float(f1_score(labels, predicted, average="micro", zero_division=0)),
        "roc_auc": float(np.mean(defined)) if defined else float("nan"),
        "loss": loss(labels, logits),
        "roc_auc_classes": len(defined),
        "invalid_rows": int((~finite).sum()),
    }


def label_areas(probability: np.ndarray, labels: np.ndarray) -> list[float | None]:
    """The ROC-AUC of each label; None where all rows or none have it. Both arguments are (rows, labels)."""
    return [
        float(roc_auc_score(truth, shares)) if truth.any() and not truth.all() else None
        for truth, shares in zip(labels.T, probability.T, strict=True)
    ]


def compute_metrics(evaluation) -> dict[str, float]:
    """`Trainer(compute_metrics=…)`: logits and labels (rows, labels), at the threshold 0.5."""
    return score(evaluation.predictions, evaluation.label_ids)


def fit_thresholds(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """(labels,) for each label the threshold of the greatest F1; the middle one of several, 0.5 for a label that never
    occurs.
    """
    shares, labels = probabilities(logits), labels.astype(bool)
    thresholds = np.full(labels.shape[1], THRESHOLD)
    for label in np.flatnonzero(labels.any(axis=0)):
        predicted = shares[:, label, None] >= GRID.astype(np.float32)
        hits = (predicted & labels[:, label, None]).sum(axis=0)
        f1 = 2 * hits / (predicted.sum(axis=0) + labels[:, label].sum())
        best = np.flatnonzero(f1 == f1.max())
        thresholds[label] = GRID[best[len(best) // 2]]
    return thresholds


def write_predictions(path: Path, shown: list[str], column: str, names: list[str], labels, logits, thresholds) -> None:
    """One line a test row: `column`, its labels and those predicted (JSON lists), the probability of every label.

    The prediction is empty where the logits are not finite; `labels` and `logits` are (rows, labels).
    """
    finite = np.isfinite(logits).all(axis=1)
    rows = zip(shown, labels.astype(bool), predictions(logits, thresholds), probabilities(logits), finite, strict=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([column, "label", "prediction", *names])
        for row, truth, predicted, shares, there in rows:
            answer = as_json(names, predicted) if there else ""
            writer.writerow([row, as_json(names, truth), answer, *(f"{share:.9g}" for share in shares)])


def as_json(names: list[str], chosen: np.ndarray) -> str:
    """The names where `chosen` (labels,) is true, as a JSON list."""
    return json.dumps([name for name, there in zip(names, chosen, strict=True) if there], ensure_ascii=False)
