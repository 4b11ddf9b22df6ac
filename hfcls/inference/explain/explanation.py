"""A text explained: which of its characters spoke for the label that it got."""

import numpy as np

from hfcls.inference.classifier import Classifier
from hfcls.inference.explain.gradients import token_weights
from hfcls.inference.explain.ngrams import ngram_weights
from hfcls.inference.explain.tokens import Span, read_tokens
from hfcls.models.ngram_linear import NgramLinearForSequenceClassification
from hfcls.runs.explanations import Explanation, Mark


def method(classifier: Classifier) -> str:
    """How the weights are found, in words."""
    if isinstance(classifier.model, NgramLinearForSequenceClassification):
        return "exact: the n-grams of the text, shared by their tokens"
    return "integrated gradients, from the text without its tokens"


def explain(
    classifier: Classifier,
    text: str,
    pair: str | None = None,
    label: str | None = None,
    row: int | None = None,
    most_tokens: int | None = None,
) -> tuple[Explanation, float]:
    """Why `classifier` gives a text a label, the most probable one if none is named; and the gap, see `token_weights`.

    Raises:
        InputError: the model needs an extra that is missing, or more than `most_tokens`.
        ValueError: the model has no such label.
    """
    tokens = read_tokens(classifier, text, pair)
    probabilities = classifier.probabilities([text], pairs=None if pair is None else [pair])[0]
    chosen = int(np.argmax(probabilities)) if label is None else classifier.labels.index(label)
    inputs = {name: np.array([values], dtype=np.int64) for name, values in tokens.inputs.items()}
    logit = float(classifier.logits(inputs)[0, chosen])
    gap = 0.0
    if isinstance(classifier.model, NgramLinearForSequenceClassification):
        weights, rest = ngram_weights(classifier.model, tokens, chosen)
    else:
        weights, rest, gap = token_weights(classifier.model, tokens, chosen, most_tokens)
    explained = Explanation(
        row=row,
        text=tokens.text,
        label=classifier.labels[chosen],
        probability=float(probabilities[chosen]),
        logit=logit,
        rest=rest,
        marks=_marks(tokens.spans, weights),
        unread=list(tokens.unread),
    )
    return explained, gap


def _marks(spans: list[Span], weights: np.ndarray) -> list[Mark]:
    """One mark for each stretch of characters that tokens share: the bytes of one character, say."""
    marks: list[Mark] = []
    for (begin, end), weight in sorted(zip(spans, weights.tolist(), strict=True), key=lambda item: item[0]):
        if begin == end:
            continue
        if marks and begin < marks[-1].end:
            marks[-1] = Mark(marks[-1].begin, max(end, marks[-1].end), marks[-1].weight + weight)
        else:
            marks.append(Mark(begin, end, weight))
    return marks
