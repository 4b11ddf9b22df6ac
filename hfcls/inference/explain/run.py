"""The rows of a finished run that are worth explaining: its surest mistakes, and some drawn at random."""

import numpy as np
from tqdm import tqdm

from hfcls.errors import InputError
from hfcls.inference.classifier import Classifier
from hfcls.inference.explain.explanation import explain, method
from hfcls.inference.explain.ngrams import strong_ngrams
from hfcls.inference.explain.tokens import read_tokens
from hfcls.models.ngram_linear import NgramLinearForSequenceClassification
from hfcls.runs.explanations import Explanations, Strong
from hfcls.runs.predictions import Predictions, surest_mistakes

MISTAKES = 20  # as many as the report lists
RANDOM = 20
SEED = 42
STRONG_ROWS = 1000  # in which the strong n-grams of a class are looked for


def explain_rows(classifier: Classifier, predictions: Predictions) -> Explanations:
    """Explains the predicted labels of the surest mistakes, where a row has one label, and of rows drawn at random.

    Raises:
        InputError: the rows are no single texts, or the model needs an extra that is missing.
    """
    noted = getattr(classifier.config, "long_texts", None)
    if predictions.column != "text" or (noted is not None and noted["pairs"]):
        raise InputError("only single texts of a run can be explained: give the texts, or --input FILE")
    wrong = surest_mistakes(predictions, MISTAKES).tolist() if predictions.labels.ndim == 1 else []
    known = np.flatnonzero(predictions.known)
    drawn = np.sort(np.random.default_rng(SEED).permutation(known)[:RANDOM]).tolist()
    gaps, explained = [0.0], {}
    for row in tqdm(sorted({*wrong, *drawn}), desc="explaining", unit="row", disable=None, leave=False):
        explained[row], gap = explain(classifier, predictions.texts[row], row=row + 1)
        gaps.append(gap)
    return Explanations(
        method=method(classifier),
        gap=max(gaps),
        mistakes=[explained[row] for row in wrong],
        random=[explained[row] for row in drawn],
        strong=_strong(classifier, predictions.texts[:STRONG_ROWS]),
    )


def _strong(classifier: Classifier, texts: list[str]) -> list[Strong]:
    if not isinstance(classifier.model, NgramLinearForSequenceClassification):
        return []
    strong = strong_ngrams(classifier.model, (read_tokens(classifier, text) for text in texts))
    return [
        Strong(label, [ngram for ngram, _ in ngrams], [weight for _, weight in ngrams])
        for label, ngrams in zip(classifier.labels, strong, strict=True)
    ]
