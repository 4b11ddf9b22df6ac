"""Accuracy, macro F1, ROC-AUC and loss of a classifier: one definition, used at every evaluation and in every report.

The values are scikit-learn's; what scikit-learn leaves undefined is defined here:

- a row whose logits are not all finite has no prediction: it counts as a mistake, gets uniform probabilities in the
  ROC-AUC, and makes the loss NaN (no finite mean exists); `invalid_rows` says how many there were;
- F1 is the mean over the classes that occur among the true labels: an absent class has no recall to speak of;
- ROC-AUC is one-versus-rest, averaged over the classes that have both positive and negative rows (`roc_auc_classes`
  says how many); with none, as for a single row, it is NaN, which Trainer never ranks above a number.
"""

from dataclasses import dataclass

import datasets
import numpy as np
from scipy.special import log_softmax, softmax
from sklearn.metrics import accuracy_score, f1_score, roc_auc_score


def probabilities(logits: np.ndarray) -> np.ndarray:
    """Softmax of `logits` (rows, classes) as float32, (rows, classes); rows that are not finite become uniform.

    float32, because nine digits write it exactly: what is computed from predictions.csv equals what was reported.
    """
    logits = np.asarray(logits, dtype=np.float64)
    finite = np.isfinite(logits).all(axis=1)
    return softmax(np.where(finite[:, None], logits, 0.0), axis=1).astype(np.float32)


def predictions(logits: np.ndarray) -> np.ndarray:
    """The most probable class of each row of `logits` (rows, classes); -1 where the logits are not finite."""
    finite = np.isfinite(logits).all(axis=1)
    return np.where(finite, np.argmax(np.where(finite[:, None], logits, 0.0), axis=1), -1)


def macro_f1(labels: np.ndarray, predicted: np.ndarray) -> float:
    """Mean F1 of the classes present in `labels` (rows,); `predicted` (rows,) may hold -1 for no prediction."""
    return f1_score(labels, predicted, labels=np.unique(labels), average="macro", zero_division=0)


def macro_roc_auc(labels: np.ndarray, probability: np.ndarray) -> tuple[float, int]:
    """One-versus-rest ROC-AUC and the number of classes it is the mean of (NaN and 0 where there is none).

    `labels` is (rows,), `probability` (rows, classes).
    """
    positive = labels[:, None] == np.arange(probability.shape[1])
    defined = np.flatnonzero(positive.any(axis=0) & ~positive.all(axis=0))
    if len(defined) == 0:
        return float("nan"), 0
    return float(np.mean([roc_auc_score(positive[:, c], probability[:, c]) for c in defined])), len(defined)


def cross_entropy(labels: np.ndarray, logits: np.ndarray) -> float:
    """Mean negative log-likelihood in nats of `labels` (rows,) under `logits` (rows, classes); NaN if a row is NaN."""
    logits = np.asarray(logits, dtype=np.float64)
    if not np.isfinite(logits).all():
        return float("nan")
    return float(-log_softmax(logits, axis=1)[np.arange(len(labels)), labels].mean())


def score(logits: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """All metrics of `logits` (rows, classes) against `labels` (rows,), as the module's docstring defines them."""
    predicted = predictions(logits)
    roc_auc, roc_auc_classes = macro_roc_auc(labels, probabilities(logits))
    return {
        "accuracy": float(accuracy_score(labels, predicted)),
        "f1": float(macro_f1(labels, predicted)),
        "roc_auc": roc_auc,
        "loss": cross_entropy(labels, logits),
        "roc_auc_classes": roc_auc_classes,
        "invalid_rows": int((predicted < 0).sum()),
    }


@dataclass(frozen=True)
class OneLabel:
    """The target of a classifier whose rows have one class each.

    Attributes:
        names: of the classes, by their number.
    """

    names: list[str]

    kind = "one_label"
    problem_type = "single_label_classification"
    printed = ("accuracy", "f1", "roc_auc", "loss")
    losses = ("cross_entropy", "focal")  # that a classification head may be trained on, what it computes itself first

    def labels_of(self, split: datasets.Dataset) -> np.ndarray:
        """The labels of `split`, (rows,) int64."""
        return np.asarray(split.with_format("arrow")["label"][:], dtype=np.int64)

    def probabilities(self, logits: np.ndarray) -> np.ndarray:
        """The softmax of `logits` (rows, classes) as float32; uniform where they are not finite."""
        return probabilities(logits)

    def loss(self, labels: np.ndarray, logits: np.ndarray) -> float:
        """Mean cross entropy in nats."""
        return cross_entropy(labels, logits)

    def score(self, logits: np.ndarray, labels: np.ndarray) -> dict[str, float]:
        """All metrics of `logits` (rows, classes) against `labels` (rows,)."""
        return score(logits, labels)

    def correct(self, logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """(rows,) whether `logits` (rows, classes) are most for the class of `labels` (rows,)."""
        return predictions(logits) == labels

    def compute_metrics(self, evaluation) -> dict[str, float]:
        """`Trainer(compute_metrics=…)`: `evaluation.predictions` are the logits, `label_ids` the labels."""
        return self.score(evaluation.predictions, evaluation.label_ids)

    def count(self, labels: np.ndarray) -> dict[str, int]:
        """How many rows of `labels` (rows,) each class has."""
        counts = np.bincount(labels, minlength=len(self.names)).tolist()
        return dict(zip(self.names, counts, strict=True))

    def label_cells(self, labels: np.ndarray) -> list[str]:
        """How `labels` (rows,) are written in predictions.csv."""
        return [self.names[label] for label in labels]

    def prediction_cells(self, logits: np.ndarray) -> list[str]:
        """How the predictions of `logits` (rows, classes) are written; empty where they are not finite."""
        return [self.names[answer] if answer >= 0 else "" for answer in predictions(logits)]

    def submission_cells(self, logits: np.ndarray) -> list[str]:
        """The numbers of the predicted classes, as contests want them; 0 where the logits are not finite."""
        return [str(max(answer, 0)) for answer in predictions(logits)]

    def read_cells(self, cells: list[str]) -> np.ndarray:
        """What the two functions above wrote, (rows,) int64; -1 for an empty cell.

        Raises:
            ValueError: a cell that names no class; `args` are the message and the place of the cell, from 0.
        """
        number = {name: index for index, name in enumerate(self.names)} | {"": -1}
        for place, cell in enumerate(cells):
            if cell not in number:
                raise ValueError(f"{cell!r:.80} is not one of the classes", place)
        return np.array([number[cell] for cell in cells], dtype=np.int64)
