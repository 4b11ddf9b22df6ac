"""The n-gram floor: a linear model of words or characters, which a larger model should be above.

TF-IDF and a linear SVM, as scikit-learn has them, fitted on the training rows alone, of words, of pairs of them or of
characters, whichever has the least loss on validation rows where there is time to try all. Wang and Manning, "Baselines
and Bigrams", ACL 2012, https://aclanthology.org/P12-2018, show how often such a model is enough.
"""

import logging
import time
from collections.abc import Callable

import numpy as np

from hfcls.metrics.mcnemar import mcnemar
from hfcls.metrics.target import target_of
from hfcls.models.ngram_linear import NgramLinearForSequenceClassification
from hfcls.runs.floor import Floor
from hfcls.text.arguments import FloorArguments
from hfcls.text.tfidf import METHODS, Kind, compare, distances
from hfcls.training.setup import Corpus, joined_texts

logger = logging.getLogger(__name__)

SHARE = 0.1  # of the time of a run that the floor may take unasked
FREE_SECONDS = 1.0  # nor does anyone mind so short a time
SAMPLE_ROWS, SAMPLE_CHARACTERS = 5_000, 100_000  # on which is measured how long all of them will take

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
    """`measure`, or None where it would take more than a tenth of the `seconds` that the run took up to here.

    Of pairs of words where trying words and characters, too, would take more.
    """
    allowed = max(SHARE * seconds, FREE_SECONDS)
    of_pairs = _expected_seconds(corpus, "pairs")
    if of_pairs > allowed:
        logger.info(
            "the n-gram floor would take some %.0f s, over a tenth of the run: left out (--floor yes)", of_pairs
        )
        return None
    # All are tried on samples, the best is fitted on all rows; single words cost less than pairs.
    tried = 2 * (of_pairs + _expected_seconds(corpus, "characters"))
    return measure(corpus, correct, kind=None if tried <= allowed else "pairs")


def measure(
    corpus: Corpus, correct: np.ndarray, seconds: float | None = None, *, kind: Kind | None = None
) -> Floor | None:
    """The floor on the test rows of `corpus`, whatever it takes; None where the training texts are blank.

    Args:
        correct: (rows,) whether the model of the run answers each test row right.
        kind: what n-grams are of; None for what is better on validation rows, or pairs where `compare` tries none.
    """
    begun = time.monotonic()
    train, test = corpus.splits["train"], corpus.splits["test"]
    texts = joined_texts(train)
    if not any(map(str.strip, texts)):
        return None
    if kind is None:
        compared = compare(corpus)
        kind = "pairs" if compared is None else compared.best
    target = target_of(corpus.target.kind, corpus.target.names)  # no thresholds that were fitted for another model
    answers = distances(texts, target.labels_of(train), joined_texts(test), len(target.names), kind)
    labels = target.labels_of(test)
    scores = target.score(answers, labels)
    return Floor(
        method=METHODS[kind],
        accuracy=scores["accuracy"],
        f1=scores["f1"],
        p_value=mcnemar(target.correct(answers, labels), correct),
        seconds=round(time.monotonic() - begun, 1),
    )


def _expected_seconds(corpus: Corpus, kind: Kind) -> float:
    """How long one `kind` will take: as a sample of the training rows takes, in proportion to the characters of all.

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
    distances(texts[:few], labels[:few], texts[:1], len(corpus.target.names), kind)
    return (time.monotonic() - begun) * characters / lengths[:few].sum()
