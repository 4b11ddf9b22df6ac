"""The test rows of a finished run with several labels a row, read back from `predictions.csv`."""

import csv
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hfcls.errors import InputError


@dataclass(frozen=True)
class LabelSets:
    """Test rows in their order: `texts` (N,) is the column named `column`; `labels` and `predicted` (N, labels) are
    whether a row has a label, `there` (N,) whether it has a prediction, `probabilities` (N, labels)."""

    column: str
    texts: list[str]
    labels: np.ndarray
    predicted: np.ndarray
    there: np.ndarray
    probabilities: np.ndarray


def read_label_sets(path: Path, names: list[str]) -> LabelSets:
    """Reads the predictions.csv that `hfcls.runs.outputs.write_predictions` writes.

    Raises:
        InputError: the file is missing, torn, or not of these labels.
    """
    place = {name: index for index, name in enumerate(names)}
    texts, labels, predicted, there, probabilities = [], [], [], [], []
    limit = csv.field_size_limit(2**31 - 1)
    try:
        with open(path, encoding="utf-8", errors="surrogatepass", newline="") as file:
            rows = csv.reader(file)
            header = next(rows, [])
            if header[1:] != ["label", "prediction", *names] or header[0] not in ("text", "id"):
                raise InputError(f"{path}:1: the columns are not those of run.json: evaluate again")
            for text, truth, prediction, *shares in rows:
                texts.append(text)
                labels.append([place[name] for name in json.loads(truth)])
                predicted.append([place[name] for name in json.loads(prediction or "[]")])
                there.append(prediction != "")
                probabilities.append([float(share) for share in shares])
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}; a finished run leaves this file") from error
    except (ValueError, KeyError, TypeError, csv.Error) as error:
        raise InputError(f"{path}:{len(texts) + 2}: does not belong here ({error}): evaluate again") from error
    finally:
        csv.field_size_limit(limit)
    if not texts or {len(shares) for shares in probabilities} != {len(names)}:
        raise InputError(f"{path}: no test rows, or torn: evaluate again")
    return LabelSets(
        header[0],
        texts,
        _hot(labels, len(names)),
        _hot(predicted, len(names)),
        np.array(there),
        np.array(probabilities),
    )


def _hot(rows: list[list[int]], count: int) -> np.ndarray:
    hot = np.zeros((len(rows), count), dtype=bool)
    for row, chosen in enumerate(rows):
        hot[row, chosen] = True
    return hot
