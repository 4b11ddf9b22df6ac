"""The n-gram floor: a linear model of single words and pairs of them, which a larger model should be above.

TF-IDF and a linear SVM, as scikit-learn has them, fitted on the training rows alone. Wang and Manning, "Baselines and
Bigrams", ACL 2012, https://aclanthology.org/P12-2018, show how often such a model is enough.
"""

import logging
import time
import warnings
from collections.abc import Callable, Sequence

import numpy as np

from hfcls.metrics.mcnemar import mcnemar
from hfcls.metrics.target import target_of
from hfcls.models.ngram_linear import NgramLinearForSequenceClassification
from hfcls.runs.floor import Floor
from hfcls.text.arguments import FloorArguments
from hfcls.text.scripts import UNSPACED
from hfcls.training.setup import Corpus, joined_texts

logger = logging.getLogger(__name__)

METHOD = "a linear SVM on TF-IDF of single words and signs and of pairs of them (scikit-learn)"
SHARE = 0.1  # of the time of a run that the floor may take unasked
FREE_SECONDS = 1.0  # nor does anyone mind so short a time
SAMPLE_ROWS, SAMPLE_CHARACTERS = 5_000, 100_000  # on which is measured how long all of them will take

_TOKEN = rf"[{UNSPACED}]|[^\W{UNSPACED}]+|[^\w\s]"

MeasureFloor = Callable[[Corpus, np.ndarray, float], Floor | None]


def ngram_floor(arguments: FloorArguments, model) -> MeasureFloor | None:
    """What measures the floor of a run that trains `model`, as `ClassifierSetup.floor` takes it.

    None for n-grams, which are the floor themselves, unless it is asked for; and where nothing is trained.
    """
    if arguments.evaluate_only is not None or arguments.floor == "no":
        return None
    if arguments.floor == "yes":
        return measure
    return None if isinstance(model, NgramLinearForSequenceClassification) else measure_if_cheap


def measure_if_cheap(corpus: Corpus, correct: np.ndarray, seconds: float) -> Floor | None:
    """`measure`, or None where it would take more than a tenth of the `seconds` that the run took up to here."""
    expected = _expected_seconds(corpus)
    if expected > max(SHARE * seconds, FREE_SECONDS):
        logger.info(
            "the n-gram floor would take some %.0f s, over a tenth of the run: left out (--floor yes)", expected
        )
        return None
    return measure(corpus, correct)


def measure(corpus: Corpus, correct: np.ndarray, seconds: float | None = None) -> Floor | None:
    """The floor on the test rows of `corpus`, whatever it takes; None where the training texts are blank.

    Args:
        correct: (rows,) whether the model of the run answers each test row right.
    """
    begun = time.monotonic()
    train, test = corpus.splits["train"], corpus.splits["test"]
    texts = joined_texts(train)
    if not any(map(str.strip, texts)):
        return None
    target = target_of(corpus.target.kind, corpus.target.names)  # no thresholds that were fitted for another model
    answers = distances(texts, target.labels_of(train), joined_texts(test), len(target.names))
    labels = target.labels_of(test)
    scores = target.score(answers, labels)
    return Floor(
        method=METHOD,
        accuracy=scores["accuracy"],
        f1=scores["f1"],
        p_value=mcnemar(target.correct(answers, labels), correct),
        seconds=round(time.monotonic() - begun, 1),
    )


def distances(texts: Sequence[str], labels: np.ndarray, asked: Sequence[str], num_labels: int) -> np.ndarray:
    """How far the texts `asked` lie on the side of each label, (rows, labels): on the other side below 0.

    Args:
        texts, labels: what is learned from; `labels` are numbers (rows,), or zeros and ones (rows, labels).
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.svm import LinearSVC

    several = labels.ndim == 2
    present = np.flatnonzero(labels.any(axis=0)) if several else np.unique(labels)
    found = np.full((len(asked), num_labels), -1e4)  # of a label without a training row
    vectorizer = TfidfVectorizer(token_pattern=_TOKEN, ngram_range=(1, 2), sublinear_tf=True)
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


def _expected_seconds(corpus: Corpus) -> float:
    """How long `measure` will take: as a sample of the training rows takes, in proportion to the characters of all.

    0 where all are no more than such a sample, or that is blank. Test texts are taken to be as long as those of train.
    """
    train, num_test = corpus.splits["train"], len(corpus.splits["test"])
    rows = np.random.default_rng(0).permutation(len(train))[:SAMPLE_ROWS]
    sample = train.select(rows)
    texts, labels = joined_texts(sample), corpus.target.labels_of(sample)
    lengths = np.array([len(text) for text in texts])
    characters = lengths.mean() * (len(train) + num_test)
    few = 1 + int(np.searchsorted(lengths.cumsum(), SAMPLE_CHARACTERS))
    if characters <= SAMPLE_CHARACTERS or not any(map(str.strip, texts[:few])):
        return 0.0
    begun = time.monotonic()
    distances(texts[:few], labels[:few], texts[:1], len(corpus.target.names))
    return (time.monotonic() - begun) * characters / lengths[:few].sum()
