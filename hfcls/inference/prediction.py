"""Files of texts, of any length, classified into CSV files that a run which was killed goes on with."""

import json
import math
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from tqdm import tqdm

from hfcls.errors import InputError
from hfcls.inference.text_classifier import TextClassifier, answer
from hfcls.inference.text_files import AnswerFile, TextFile
from hfcls.runs.predictions import probability_columns
from hfcls.terminal import print_lines

WINDOW_ROWS = 4096  # that are sorted together, and that a killed run may lose
WINDOW_CHARACTERS = 2**22


def predict_file(
    classifier: TextClassifier,
    texts: TextFile,
    output: str,
    *,
    batch_size: int | None = None,
    all_probabilities: bool = False,
    excel: bool = False,
) -> int:
    """Classifies every row of `texts` into the CSV file `output`, in order, going on where that file ends.

    While rows are computed, the next ones are read and made tokens of.

    Its columns are those of `texts`, `prediction` and `probability` (both empty where the logits are not finite), then
    with `all_probabilities` one for each class, named as the class, or `class_NAME` where that name is taken. Where a
    text has several labels, both are JSON lists. With `excel` the file begins so that Excel reads it as UTF-8.

    Returns:
        The number of rows now in `output`.

    Raises:
        InputError: `texts` has a row that cannot be read, `output` is of another run, is being written by another
            process or cannot be written; what was written before stays valid.
    """
    labels, thresholds = classifier.labels, classifier.thresholds
    added = added_columns(texts, labels, all_probabilities)
    with AnswerFile(output, [*texts.columns, *added], excel) as answers:
        rows = iter(texts)
        if answers.skip_answered(rows):
            print_lines(f"{output} has {answers.rows:,} rows already: going on after them", file=sys.stderr)
        with tqdm(total=texts.size, initial=texts.bytes_read, unit="B", unit_scale=True, disable=None) as bar:
            for window, encoded, read in _encoded_ahead(classifier, rows, texts):
                share = (read - bar.n) / len(window)
                scores = classifier.encoded_probabilities(
                    encoded, batch_size, lambda done, share=share: bar.update(done * share)
                )
                answers.append(
                    [
                        [*row, *answer_cells(row_scores, labels, thresholds, all_probabilities)]
                        for row, row_scores in zip(window, scores, strict=True)
                    ]
                )
                bar.set_postfix_str(f"{answers.rows:,} rows")
        return answers.rows


def _encoded_ahead(
    classifier: TextClassifier, rows: Iterator[list[str]], texts: TextFile
) -> Iterator[tuple[list[list[str]], dict[str, list[list[int]]], int]]:
    """Rows of a window, what the model reads of them, and bytes of the file so far; one window ahead of who asks."""
    windows = _windows(rows, texts.text)

    def encoded() -> tuple[list[list[str]], dict[str, list[list[int]]], int] | None:
        window = next(windows, None)
        if window is None:
            return None
        pairs = None if texts.pair is None else [row[texts.pair] for row in window]
        return window, classifier.encode([row[texts.text] for row in window], pairs), texts.bytes_read

    if texts.size is None:  # standard input, at which a thread would wait, whatever Ctrl-C says
        yield from iter(encoded, None)
        return
    with ThreadPoolExecutor(1) as reader:
        ahead = reader.submit(encoded)
        while (found := ahead.result()) is not None:
            ahead = reader.submit(encoded)
            yield found


def _windows(rows: Iterator[list[str]], text: int) -> Iterator[list[list[str]]]:
    window, characters = [], 0
    for row in rows:
        window.append(row)
        characters += len(row[text])
        if len(window) == WINDOW_ROWS or characters >= WINDOW_CHARACTERS:
            yield window
            window, characters = [], 0
    if window:
        yield window


def added_columns(texts: TextFile, labels: list[str], all_probabilities: bool = False) -> list[str]:
    """Names of the cells that `answer_cells` adds to each row of `texts`.

    Raises:
        InputError: `texts` has such a column already.
    """
    added = ["prediction", "probability"]
    for name in added:
        if name in texts.columns:
            raise InputError(f"{texts.path}:1: has a column {name} already, which is to be added: rename it")
    return [*added, *probability_columns(labels, [*texts.columns, *added])] if all_probabilities else added


def answer_cells(scores: np.ndarray, labels: list[str], thresholds: np.ndarray | None, every: bool) -> list[str]:
    """What probabilities (classes,) of one text say, as cells of a table: with `every` one for each class as well."""
    given = answer(scores, labels, thresholds).labels
    if np.isnan(scores).any():
        label, probability = "", ""
    elif thresholds is None:
        label, probability = next((label, f"{probability:.9g}") for label, probability in given.items())
    else:
        label = json.dumps(list(given), ensure_ascii=False)
        probability = json.dumps([float(f"{probability:.9g}") for probability in given.values()])
    return [label, probability, *("" if math.isnan(p) else f"{p:.9g}" for p in (scores.tolist() if every else []))]
