"""predictions.csv and submission.csv: what a classifier answered for the test rows and for rows without a label."""

import csv
import logging
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from hfcls.data.files import csv_reader
from hfcls.errors import InputError

if TYPE_CHECKING:  # torch and datasets are not needed to read predictions
    from hfcls.metrics.target import Target
    from hfcls.training.setup import Corpus

NAME = "predictions.csv"
RESERVED = ("text", "id", "label", "prediction", "fold")  # columns of predictions.csv and out_of_fold.csv

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Predictions:
    """Test rows in their order.

    Attributes:
        column: what `texts` are: "text", or "id" where the input was no text.
        texts: (rows,).
        labels, predicted: as the target has them: (rows,) numbers of classes, -1 in `predicted` for a row without a
            prediction; or (rows, labels) bool, no label for such a row.
        known: (rows,) whether a row has a prediction.
        probabilities: (rows, classes); of a row without a prediction, what the target gives for logits that are NaN.
    """

    column: str
    texts: list[str]
    labels: np.ndarray
    predicted: np.ndarray
    known: np.ndarray
    probabilities: np.ndarray

    @property
    def correct(self) -> np.ndarray:
        """(rows,) whether each row got its class, or exactly its labels."""
        equal = self.labels == self.predicted
        return self.known & (equal if equal.ndim == 1 else equal.all(axis=1))


def probability_columns(names: Iterable[str], taken: Iterable[str] = RESERVED) -> list[str]:
    """What the probability column of each class is called: as the class; `class_label` for a class "label".

    Args:
        taken: names of the columns before them.
    """
    names, columns = list(names), []
    for name in names:
        column = name
        while column in taken or (column != name and column in names):
            column = f"class_{column}"
        columns.append(column)
    return columns


def write_predictions(
    path: Path, corpus: "Corpus", target: "Target", *, labels: np.ndarray, logits: np.ndarray
) -> None:
    """One line a test row: text or id, label, prediction (empty where the logits are not finite), probabilities.

    `logits` is (rows, classes), `labels` as `target` has them.
    """
    from hfcls.training.setup import joined_texts

    split = corpus.splits["test"]
    column = corpus.display_column
    rows = zip(
        joined_texts(split) if column == "text" else split[column],
        target.label_cells(labels),
        target.prediction_cells(logits),
        target.probabilities(logits),
        strict=True,
    )
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([column, "label", "prediction", *probability_columns(target.names)])
        writer.writerows([row, label, answer, *(f"{p:.9g}" for p in shares)] for row, label, answer, shares in rows)


def write_submission(path: Path, corpus: "Corpus", target: "Target", *, logits: np.ndarray) -> None:
    """One line for each unlabelled row: its `id`, and as `label` the number of the predicted class, or where a row has
    several the names of the predicted labels as a JSON list.

    `logits` is (rows, classes). A row whose logits are not finite gets class 0, or no label, with a warning: every row
    has to have an answer.
    """
    unknown = (~np.isfinite(logits).all(axis=1)).sum()
    if unknown:
        instead = target.submission_cells(np.full((1, len(target.names)), np.nan))[0]
        logger.warning("%s: %d rows without a finite prediction get %s", path, unknown, instead)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "label"])
        writer.writerows(zip(corpus.unlabelled["id"], target.submission_cells(logits), strict=True))


def read_predictions(path: Path, target: "Target") -> Predictions:
    """Reads what `write_predictions` wrote of `target`.

    Raises:
        InputError: the file is missing, is no UTF-8, or has a column, row, label or probability that does not fit.
    """
    # Columns are taken by position, since in old files a class may itself be called "text" or "label". A lone
    # surrogate in a text is read as it was written; every other byte that is no UTF-8 is an error.
    lines, texts, labels, answers, shares = [], [], [], [], []
    try:
        with open(path, encoding="utf-8", errors="surrogatepass", newline="") as file:
            rows = csv_reader(file)
            header = next(rows, None) or [""]
            # Older versions named the column of a class "label" so, too.
            columns = [["label", "prediction", *names] for names in (probability_columns(target.names), target.names)]
            if header[0] not in ("text", "id") or header[1:] not in columns:
                raise InputError(
                    f"{path}:1: the columns must be text or id, label, prediction and the {len(target.names)} classes "
                    "of run.json in their order: evaluate again"
                )
            for row in rows:
                if len(row) != len(header):
                    raise InputError(
                        f"{path}:{rows.line_num}: {len(row)} fields instead of {len(header)}, the file is torn: "
                        "evaluate again"
                    )
                text, label, answer, *cells = row
                if not label:
                    raise InputError(
                        f"{path}:{rows.line_num}: '' is not one of the classes of run.json: evaluate again"
                    )
                lines.append(rows.line_num)
                texts.append(text)
                labels.append(label)
                answers.append(answer)
                shares.append(_shares(cells, f"{path}:{rows.line_num}") if answer else [np.nan] * len(cells))
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}; a finished run leaves this file") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path}: no CSV file in UTF-8 ({error}): evaluate again") from error
    if not texts:
        raise InputError(f"{path}: no test rows, nothing to report: evaluate again, on some")

    known, probabilities = np.array([answer != "" for answer in answers]), np.array(shares)
    probabilities[~known] = target.probabilities(probabilities[~known])
    return Predictions(
        column=header[0],
        texts=texts,
        labels=_numbers(target, labels, path, lines),
        predicted=_numbers(target, answers, path, lines),
        known=known,
        probabilities=probabilities,
    )


def _numbers(target: "Target", cells: list[str], path: Path, lines: list[int]) -> np.ndarray:
    """The cells of a column as `target` has labels; `lines` are those of the file that they end on."""
    try:
        return target.read_cells(cells)
    except ValueError as error:
        message, place = error.args
        raise InputError(f"{path}:{lines[place]}: {message} of run.json: evaluate again") from error


def _shares(cells: list[str], where: str) -> list[float]:
    try:
        shares = [float(cell) for cell in cells]
    except ValueError as error:
        raise InputError(f"{where}: {error}, where a probability belongs: evaluate again") from error
    if not all(0 <= share <= 1 for share in shares):  # NaN included
        raise InputError(f"{where}: a probability that is not between 0 and 1: evaluate again")
    return shares


def surest_mistakes(predictions: Predictions, most: int) -> np.ndarray:
    """The numbers, from 0, of the `most` wrong rows with the highest probability of the predicted class, highest first.

    The rows have one class each.
    """
    wrong = np.flatnonzero(predictions.known & ~predictions.correct)
    confidence = predictions.probabilities[wrong, predictions.predicted[wrong]]
    return wrong[np.argsort(-confidence, kind="stable")[:most]]
