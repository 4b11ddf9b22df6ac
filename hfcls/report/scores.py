"""The scores of rows with one class each, computed anew from their predictions."""

from dataclasses import dataclass

import numpy as np

from hfcls.metrics.intervals import bootstrap_intervals
from hfcls.runs.predictions import Predictions

CURVE_POINTS = 300


@dataclass(frozen=True)
class ClassScores:
    """One class against the rest. `f1` is None for a class without test rows, `precision` for one never predicted,
    `roc_auc` and `roc_curve` (false positive rates, true positive rates) where all or no test rows are of the class."""

    id: int
    name: str
    support: int
    precision: float | None
    recall: float | None
    f1: float | None
    roc_auc: float | None
    roc_curve: tuple[np.ndarray, np.ndarray] | None


@dataclass(frozen=True)
class Scores:
    """`roc_auc` is None where no class has one. `intervals` are 95 %, of `accuracy` and `f1`. `confusion` is
    (classes, classes + 1): true class by predicted class, the last column rows without a prediction."""

    accuracy: float
    f1: float
    roc_auc: float | None
    intervals: dict[str, tuple[float, float]]
    confusion: np.ndarray
    classes: list[ClassScores]

    @property
    def rows(self) -> int:
        return int(self.confusion.sum())

    @property
    def without_prediction(self) -> int:
        return int(self.confusion[:, -1].sum())


def compute_scores(predictions: Predictions, names: list[str]) -> Scores:
    """Accuracy, macro F1 and macro one-versus-rest ROC-AUC as hfcls.metrics defines them, and their parts."""
    from sklearn.metrics import auc, precision_recall_fscore_support, roc_curve  # not needed to import hfcls.report

    labels, predicted, count = predictions.labels, predictions.predicted, len(names)
    precision, recall, f1, support = precision_recall_fscore_support(
        labels, predicted, labels=np.arange(count), zero_division=0
    )
    confusion = np.zeros((count, count + 1), dtype=np.int64)
    np.add.at(confusion, (labels, predicted), 1)  # -1 is the last column

    classes = []
    for index, name in enumerate(names):
        area, curve = None, None
        if 0 < support[index] < len(labels):
            false_positive, true_positive, _ = roc_curve(labels == index, predictions.probabilities[:, index])
            area, curve = float(auc(false_positive, true_positive)), (false_positive, true_positive)
        present = support[index] > 0
        classes.append(
            ClassScores(
                id=index,
                name=name,
                support=int(support[index]),
                precision=float(precision[index]) if confusion[:, index].any() else None,
                recall=float(recall[index]) if present else None,
                f1=float(f1[index]) if present else None,
                roc_auc=area,
                roc_curve=curve,
            )
        )
    areas = [scores.roc_auc for scores in classes if scores.roc_auc is not None]
    return Scores(
        accuracy=float(np.mean(labels == predicted)),
        f1=float(np.mean(f1[support > 0])),
        roc_auc=float(np.mean(areas)) if areas else None,
        intervals=bootstrap_intervals(labels, predicted, count),
        confusion=confusion,
        classes=classes,
    )


def macro_roc_curve(classes: list[ClassScores]) -> tuple[np.ndarray, np.ndarray]:
    """The mean of the classes' curves over a common grid of false positive rates; at least one class must have one."""
    grid = np.linspace(0, 1, CURVE_POINTS)
    curves = [scores.roc_curve for scores in classes if scores.roc_curve is not None]
    mean = np.mean([np.interp(grid, *curve) for curve in curves], axis=0)
    return np.concatenate([[0.0], grid]), np.concatenate([[0.0], mean])
