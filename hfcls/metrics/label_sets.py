"""Several labels a row: each label is a question of its own, answered by a sigmoid.

Scores are scikit-learn's, at a threshold for each label (0.5, or what `--calibrate` fitted). What it leaves undefined
is defined as for one label: a row whose logits are not finite has no prediction, counts as a mistake, has
probability 0.5 in the ROC-AUC and makes the loss NaN; the macro F1 is over the labels that occur, the ROC-AUC over
those that occur in some rows and not in others.
"""

import json
from dataclasses import dataclass

import datasets
import numpy as np
from scipy.special import expit
from sklearn.metrics import f1_score, roc_auc_score

THRESHOLD = 0.5
GRID = np.linspace(0.05, 0.95, 91)  # thresholds that are tried


def probabilities(logits: np.ndarray) -> np.ndarray:
    """Sigmoid of `logits` (rows, labels) as float32; rows that are not finite become 0.5."""
    logits = np.asarray(logits, dtype=np.float64)
    finite = np.isfinite(logits).all(axis=1, keepdims=True)
    return expit(np.where(finite, logits, 0.0)).astype(np.float32)


def predictions(logits: np.ndarray, thresholds: np.ndarray | float = THRESHOLD) -> np.ndarray:
    """(rows, labels) whether each label is predicted; none is where the logits are not finite."""
    finite = np.isfinite(logits).all(axis=1, keepdims=True)
    return finite & (probabilities(logits) >= np.float32(thresholds))


def exact(logits: np.ndarray, labels: np.ndarray, thresholds: np.ndarray | float = THRESHOLD) -> np.ndarray:
    """(rows,) whether exactly the right labels are predicted; none are where the logits are not finite."""
    equal = (predictions(logits, thresholds) == labels.astype(bool)).all(axis=1)
    return equal & np.isfinite(logits).all(axis=1)


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
        "accuracy": float(exact(logits, labels, thresholds).mean()),
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


def as_json(names: list[str], chosen: np.ndarray) -> str:
    """The names where `chosen` (labels,) is true, as a JSON list."""
    return json.dumps([name for name, applies in zip(names, chosen, strict=True) if applies], ensure_ascii=False)


@dataclass(frozen=True)
class LabelSets:
    """The target of a classifier whose rows have any number of labels.

    Attributes:
        names: of the labels, by their number.
        thresholds: (labels,) the probabilities from which each label is predicted; None: from 0.5.
    """

    names: list[str]
    thresholds: np.ndarray | None = None

    kind = "label_sets"
    problem_type = "multi_label_classification"
    printed = ("accuracy", "f1", "f1_micro", "roc_auc", "loss")
    losses = ("binary_cross_entropy",)  # that a classification head may be trained on, what it computes itself first

    def labels_of(self, split: datasets.Dataset) -> np.ndarray:
        """The labels of `split`, (rows, labels) float32 of zeros and ones."""
        hot = np.zeros((len(split), len(self.names)), dtype=np.float32)
        for row, labels in enumerate(split["label"]):
            hot[row, labels] = 1
        return hot

    def probabilities(self, logits: np.ndarray) -> np.ndarray:
        """The sigmoid of `logits` (rows, labels) as float32; 0.5 where they are not finite."""
        return probabilities(logits)

    def loss(self, labels: np.ndarray, logits: np.ndarray) -> float:
        """Mean binary cross entropy in nats."""
        return loss(labels, logits)

    def score(self, logits: np.ndarray, labels: np.ndarray) -> dict[str, float]:
        """All metrics of `logits` (rows, labels) against `labels` (rows, labels), at the thresholds."""
        return score(logits, labels, self._thresholds)

    def correct(self, logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """(rows,) whether `logits` (rows, labels) are for exactly the labels of `labels` (rows, labels)."""
        return exact(logits, labels, self._thresholds)

    def compute_metrics(self, evaluation) -> dict[str, float]:
        """`Trainer(compute_metrics=…)`: `evaluation.predictions` are the logits, `label_ids` the labels."""
        return self.score(evaluation.predictions, evaluation.label_ids)

    def count(self, labels: np.ndarray) -> dict[str, int]:
        """How many rows of `labels` (rows, labels) have each label."""
        return dict(zip(self.names, labels.sum(0).astype(int).tolist(), strict=True))

    def label_cells(self, labels: np.ndarray) -> list[str]:
        """How `labels` (rows, labels) are written in predictions.csv: as JSON lists."""
        return [as_json(self.names, row) for row in labels.astype(bool)]

    def prediction_cells(self, logits: np.ndarray) -> list[str]:
        """How the predictions of `logits` (rows, labels) are written; empty where they are not finite."""
        finite = np.isfinite(logits).all(axis=1)
        chosen = predictions(logits, self._thresholds)
        return [as_json(self.names, row) if known else "" for row, known in zip(chosen, finite, strict=True)]

    def submission_cells(self, logits: np.ndarray) -> list[str]:
        """The predicted labels as JSON lists; none where the logits are not finite."""
        return [as_json(self.names, row) for row in predictions(logits, self._thresholds)]

    def read_cells(self, cells: list[str]) -> np.ndarray:
        """What the two functions above wrote, (rows, labels) bool; no label for an empty cell.

        Raises:
            ValueError: a cell that is no list of the labels; `args` are the message and the place of the cell, from 0.
        """
        number = {name: index for index, name in enumerate(self.names)}
        hot = np.zeros((len(cells), len(self.names)), dtype=bool)
        for place, cell in enumerate(cells):
            try:
                hot[place, [number[name] for name in json.loads(cell or "[]")]] = True
            except (ValueError, KeyError, TypeError) as error:
                raise ValueError(f"{cell!r:.80} is no list of the labels", place) from error
        return hot

    @property
    def _thresholds(self) -> np.ndarray | float:
        return THRESHOLD if self.thresholds is None else self.thresholds
