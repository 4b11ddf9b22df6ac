"""Where a model is wrong: the classes it confuses and the rows it is surest of."""

from dataclasses import dataclass

import numpy as np

from hfcls.runs.predictions import Predictions, surest_mistakes

EXCERPT = 200  # characters of a text that are shown


@dataclass(frozen=True)
class Confusion:
    """`rows` test rows of class `label` were taken for class `prediction`; `share` of all rows of `label`."""

    label: int
    prediction: int
    rows: int
    share: float


@dataclass(frozen=True)
class Mistake:
    """Test row `row`, counted from 1, of class `label`, taken for `prediction`, and the probabilities of both."""

    row: int
    text: str
    label: int
    prediction: int
    probability_of_prediction: float
    probability_of_label: float


def frequent_confusions(confusion: np.ndarray, most: int) -> list[Confusion]:
    """The `most` largest wrong cells of a confusion matrix (classes, classes + 1), the last column left out."""
    wrong = confusion[:, :-1].copy()
    np.fill_diagonal(wrong, 0)
    cells = [divmod(int(cell), len(wrong)) for cell in np.argsort(-wrong, axis=None, kind="stable")[:most]]
    return [
        Confusion(label, prediction, int(wrong[label, prediction]), wrong[label, prediction] / confusion[label].sum())
        for label, prediction in cells
        if wrong[label, prediction]
    ]


def confident_mistakes(predictions: Predictions, most: int) -> list[Mistake]:
    """The `most` wrong rows with the highest probability of the predicted class, highest first."""
    labels, predicted, probabilities = predictions.labels, predictions.predicted, predictions.probabilities
    return [
        Mistake(
            row=int(row) + 1,
            text=excerpt(predictions.texts[row]),
            label=int(labels[row]),
            prediction=int(predicted[row]),
            probability_of_prediction=float(probabilities[row, predicted[row]]),
            probability_of_label=float(probabilities[row, labels[row]]),
        )
        for row in surest_mistakes(predictions, most)
    ]


def excerpt(text: str) -> str:
    """The beginning of `text` in one line, with an ellipsis where something was cut off."""
    beginning = text[: 20 * EXCERPT]  # white space is folded, and a document may be megabytes long
    line = " ".join(beginning.split())
    return line if len(line) <= EXCERPT and beginning == text else line[:EXCERPT].rstrip() + "…"
