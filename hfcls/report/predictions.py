"""The test rows of a finished run, read back from `predictions.csv`."""

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hfcls.errors import InputError


@dataclass(frozen=True)
class Predictions:
    """Test rows in their order.

    `texts` (N,) is the column named `column`: `"text"`, or `"id"` where the input was no text. `labels` (N,) and
    `predicted` (N,) are class numbers; -1 in `predicted` is a row without a prediction, whose `probabilities`
    (N, classes) are uniform, as `hfcls.metrics.one_label` counts it.
    """

    column: str
    texts: list[str]
    labels: np.ndarray
    predicted: np.ndarray
    probabilities: np.ndarray


def read_predictions(path: Path, classes: list[str]) -> Predictions:
    """Reads `path`: columns `text` or `id`, `label`, `prediction`, then one probability for each of `classes`.

    Raises:
        InputError: the file is missing, is no UTF-8, or has a column, row, label or probability that does not fit.
    """
    # Columns are taken by position, since a class may itself be called "text" or "label". A lone surrogate in a text
    # is read as it was written; every other byte that is no UTF-8 is an error.
    texts, labels, predicted, probabilities = [], [], [], []
    number = {name: index for index, name in enumerate(classes)}
    field_limit = csv.field_size_limit(2**31 - 1)  # a document may be longer than the module's 128 KiB
    try:
        with open(path, encoding="utf-8", errors="surrogatepass", newline="") as file:
            rows = csv.reader(file)
            header = next(rows, [])
            column = header[0] if header else ""
            if column not in ("text", "id") or header[1:] != ["label", "prediction", *classes]:
                raise InputError(
                    f"{path}:1: the columns must be text or id, label, prediction and the {len(classes)} classes of "
                    "run.json in their order: evaluate again"
                )
            for row in rows:
                if len(row) != len(header):
                    raise InputError(
                        f"{path}:{rows.line_num}: {len(row)} fields instead of {len(header)}, the file is torn: "
                        "evaluate again"
                    )
                text, label, prediction, *shares = row
                if label not in number or (prediction and prediction not in number):
                    unknown = label if label not in number else prediction
                    raise InputError(f"{path}:{rows.line_num}: {unknown!r:.80} is not one of the classes of run.json")
                texts.append(text)
                labels.append(number[label])
                predicted.append(number[prediction] if prediction else -1)
                probabilities.append(_shares(shares, f"{path}:{rows.line_num}") if prediction else None)
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}; a finished run leaves this file") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path}: no CSV file in UTF-8 ({error}): evaluate again") from error
    finally:
        csv.field_size_limit(field_limit)
    if not texts:
        raise InputError(f"{path}: no test rows, nothing to report")

    uniform = [1 / len(classes)] * len(classes)
    return Predictions(
        column=column,
        texts=texts,
        labels=np.array(labels),
        predicted=np.array(predicted),
        probabilities=np.array([uniform if shares is None else shares for shares in probabilities]),
    )


def _shares(fields: list[str], where: str) -> list[float]:
    try:
        shares = [float(field) for field in fields]
    except ValueError as error:
        raise InputError(f"{where}: {error}, where a probability belongs") from error
    if not all(0 <= share <= 1 for share in shares):  # NaN included
        raise InputError(f"{where}: a probability that is not between 0 and 1")
    return shares
