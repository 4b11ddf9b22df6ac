"""The scores of a run with several labels a row, computed anew from its predictions, and where it is wrong."""

from dataclasses import dataclass

import numpy as np

from hfcls.metrics.intervals import wilson_interval
from hfcls.report.mistakes import excerpt
from hfcls.report.scores import ClassScores
from hfcls.runs.predictions import Predictions


@dataclass(frozen=True)
class LabelSetScores:
    """As `hfcls.metrics.label_sets.score` defines them, and those of each label. `intervals` has that of `accuracy`."""

    rows: int
    without_prediction: int
    accuracy: float
    f1: float
    f1_micro: float
    roc_auc: float | None
    intervals: dict[str, tuple[float, float] | None]
    classes: list[ClassScores]


@dataclass(frozen=True)
class Surprise:
    """A label that test row `row`, counted from 1, has or has not, against a `probability` that says the opposite."""

    row: int
    text: str
    label: int
    has: bool
    probability: float


def compute_label_scores(found: Predictions, names: list[str]) -> LabelSetScores:
    """The scores of `found`, whose columns are `names`."""
    from sklearn.metrics import f1_score, precision_recall_fscore_support  # not needed to import hfcls.report

    from hfcls.metrics.label_sets import label_areas

    labels, predicted = found.labels, found.predicted
    precision, recall, f1, support = precision_recall_fscore_support(labels, predicted, average=None, zero_division=0)
    areas = label_areas(found.probabilities, labels)
    classes = [
        ClassScores(
            id=index,
            name=name,
            support=int(support[index]),
            precision=float(precision[index]) if predicted[:, index].any() else None,
            recall=float(recall[index]) if support[index] else None,
            f1=float(f1[index]) if support[index] else None,
            roc_auc=areas[index],
            roc_curve=None,
        )
        for index, name in enumerate(names)
    ]
    defined = [area for area in areas if area is not None]
    accuracy = float(found.correct.mean())
    return LabelSetScores(
        rows=len(labels),
        without_prediction=int((~found.known).sum()),
        accuracy=accuracy,
        f1=float(np.mean(f1[support > 0])),
        f1_micro=float(f1_score(labels, predicted, average="micro", zero_division=0)),
        roc_auc=float(np.mean(defined)) if defined else None,
        intervals={"accuracy": wilson_interval(accuracy, len(labels)), "f1": None},
        classes=classes,
    )


def surprises(found: Predictions, most: int) -> list[Surprise]:
    """The `most` wrong decisions whose probability is farthest from the truth, farthest first."""
    distance = np.where((found.labels != found.predicted) & found.known[:, None], 0.0, -1.0)
    distance += np.where(distance == 0, np.abs(found.labels - found.probabilities), 0.0)
    cells = np.argsort(-distance, axis=None, kind="stable")[:most]
    return [
        Surprise(
            int(row) + 1,
            excerpt(found.texts[row]),
            int(label),
            bool(found.labels[row, label]),
            float(found.probabilities[row, label]),
        )
        for row, label in (divmod(int(cell), found.labels.shape[1]) for cell in cells)
        if distance[row, label] >= 0
    ]
