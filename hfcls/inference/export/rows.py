"""Texts that an exported model is checked on."""

import random
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from transformers import PreTrainedTokenizerBase

from hfcls.errors import InputError
from hfcls.inference.text_classifier import TextClassifier
from hfcls.inference.text_files import TextFile
from hfcls.metrics.target import Target, target_of
from hfcls.runs.predictions import NAME, read_predictions
from hfcls.runs.record import NAME as RECORD
from hfcls.runs.record import read_record

RANDOM_TEXTS = 200


@dataclass(frozen=True)
class CheckedTexts:
    """Texts, and their labels where they are known.

    Attributes:
        what: the texts are, for people.
        pairs: second texts, of a model of pairs.
        labels: as `target` has them.
    """

    texts: list[str]
    what: str
    pairs: list[str] | None = None
    labels: np.ndarray | None = None
    target: Target | None = None


def rows_of_run(folder: Path, classifier: TextClassifier, most: int) -> CheckedTexts:
    """At most `most` rows of the predictions.csv in `folder`, evenly drawn; without one, texts of random tokens.

    The texts of a pair lie in one cell there, on lines of their own: they are parted at the first line break.

    Raises:
        InputError: the file is torn, or its classes are not those of the model.
    """
    if not (folder / NAME).is_file() or not (folder / RECORD).is_file():
        return CheckedTexts(random_texts(classifier.tokenizer), "texts of random tokens")
    record = read_record(folder)
    if record.labels != classifier.labels:
        raise InputError(f"{folder / RECORD}: has other labels than config.json: name a folder of one run")
    target = target_of(record.target, record.labels, record.thresholds)
    predictions = read_predictions(folder / NAME, target)
    if predictions.column != "text":
        return CheckedTexts(random_texts(classifier.tokenizer), "texts of random tokens")
    places = np.unique(np.linspace(0, len(predictions.texts) - 1, most).round().astype(int))
    texts, pairs = [predictions.texts[place] for place in places], None
    if (getattr(classifier.config, "long_texts", None) or {}).get("pairs"):
        texts, _, pairs = (list(column) for column in zip(*(text.partition("\n") for text in texts), strict=True))
    return CheckedTexts(texts, f"rows of {NAME}", pairs, predictions.labels[places], target)


def rows_of_file(path: str, most: int) -> CheckedTexts:
    """The first `most` rows of a file that `hfcls predict` reads.

    Raises:
        InputError: the file cannot be read.
    """
    file = TextFile(path)
    texts = [row[file.text] for row, _ in zip(file, range(most), strict=False)]
    return CheckedTexts(texts, f"rows of {Path(path).name}")


def random_texts(tokenizer: PreTrainedTokenizerBase) -> list[str]:
    """Texts of random tokens, always the same."""
    draw = random.Random(0)
    tokens = sorted(tokenizer.get_vocab())
    return [" ".join(draw.choices(tokens, k=draw.randint(0, 60))) for _ in range(RANDOM_TEXTS)]
