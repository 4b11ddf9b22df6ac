"""TF-IDF and a linear SVM, as scikit-learn has them, on words, pairs of them or characters: what the texts want."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import datasets
import numpy as np

from hfcls.metrics.target import target_of
from hfcls.text.scripts import UNSPACED
from hfcls.training.setup import Corpus, joined_texts

Kind = Literal["pairs", "words", "characters"]

METHODS: dict[Kind, str] = {
    "pairs": "a linear SVM on TF-IDF of single words and signs and of pairs of them (scikit-learn)",
    "words": "a linear SVM on TF-IDF of single words and signs (scikit-learn)",
    "characters": "a linear SVM on TF-IDF of one to four characters (scikit-learn)",
}
# Longer training texts are not compared: a sample knows less than they teach, and characters cost eight times words.
MOST_CHARACTERS = 10**7
# The rows that are looked at to choose a kind: at most so many of each split, and with so many characters in all.
SAMPLE_ROWS, SAMPLE_CHARACTERS = 4_000, 1_000_000

_TOKEN = rf"[{UNSPACED}]|[^\W{UNSPACED}]+|[^\w\s]"
_NGRAMS = {
    "pairs": {"token_pattern": _TOKEN, "ngram_range": (1, 2)},
    "words": {"token_pattern": _TOKEN},
    "characters": {"analyzer": "char", "ngram_range": (1, 4)},
}


@dataclass(frozen=True)
class Comparison:
    """The loss of each kind on validation rows, and how many `rows` these are.

    It is the squared hinge, which a linear SVM makes least on training rows. How many rows are right would tell less:
    of some hundred, one kind has a few more than another by chance.
    """

    losses: dict[Kind, float]
    rows: int

    @property
    def best(self) -> Kind:
        """The kind with the least loss; of equal ones the first in `METHODS`."""
        return min(METHODS, key=self.losses.__getitem__)

    def __str__(self) -> str:
        losses = ", ".join(f"{self.losses[kind]:.3f} by {kind}" for kind in ("words", "pairs", "characters"))
        return f"the loss of an SVM on {self.rows:,} validation rows is {losses}"


def compare(corpus: Corpus) -> Comparison | None:
    """The loss of each kind on validation rows, learned from training rows: samples of both.

    None where the training texts are blank, or have more than some `MOST_CHARACTERS` in all. The same rows give the
    same answer, in every process.
    """
    train, asked = (_sample(corpus.splits[split]) for split in ("train", "validation"))
    texts = joined_texts(train)
    characters = sum(map(len, texts)) / len(texts) * len(corpus.splits["train"])
    if characters > MOST_CHARACTERS or not any(map(str.strip, texts)):
        return None
    target = target_of(corpus.target.kind, corpus.target.names)  # no thresholds that were fitted for another model
    num_labels = len(target.names)
    labels, sides = target.labels_of(train), _sides(target.labels_of(asked), num_labels)
    learned = (_sides(labels, num_labels) > 0).any(axis=0)

    def loss(kind: Kind) -> float:
        found = distances(texts, labels, joined_texts(asked), num_labels, kind)
        return float(np.square(np.maximum(0, 1 - sides * found))[:, learned].sum(axis=1).mean())

    return Comparison({kind: loss(kind) for kind in METHODS}, rows=len(asked))


def distances(
    texts: Sequence[str], labels: np.ndarray, asked: Sequence[str], num_labels: int, kind: Kind = "pairs"
) -> np.ndarray:
    """How far the texts `asked` lie on the side of each label, (rows, labels): on the other side below 0.

    Args:
        texts, labels: what is learned from; `labels` are numbers (rows,), or zeros and ones (rows, labels).
        kind: what n-grams are of.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.svm import LinearSVC

    several = labels.ndim == 2
    present = np.flatnonzero(labels.any(axis=0)) if several else np.unique(labels)
    found = np.full((len(asked), num_labels), -1e4)  # of a label without a training row
    vectorizer = TfidfVectorizer(**_NGRAMS[kind], sublinear_tf=True)
    features, questions = vectorizer.fit_transform(texts), vectorizer.transform(asked)

    def on_its_side(of: np.ndarray) -> np.ndarray:
        if len(np.unique(of)) < 2:
            return np.ones(len(asked))
        return LinearSVC(random_state=0).fit(features, of).decision_function(questions)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # a floor may be lower than it could be
        if several:
            for label in present:
                found[:, label] = on_its_side(labels[:, label])
        elif len(present) > 2:
            found[:, present] = on_its_side(labels)
        else:  # scikit-learn tells two classes by one number
            found[:, present[0]] = 0.0
            found[:, present[-1]] = on_its_side(labels)
    return found


def _sides(labels: np.ndarray, num_labels: int) -> np.ndarray:
    """Numbers (rows,), or zeros and ones (rows, labels) → 1 where a row has a label, -1 elsewhere, (rows, labels)."""
    return 2 * (np.eye(num_labels)[labels] if labels.ndim == 1 else labels) - 1


def _sample(split: datasets.Dataset) -> datasets.Dataset:
    rows = split.select(np.random.default_rng(0).permutation(len(split))[:SAMPLE_ROWS])
    characters = np.cumsum([len(text) for text in joined_texts(rows)])
    return rows.select(range(max(1, int(np.searchsorted(characters, SAMPLE_CHARACTERS, side="right")))))
