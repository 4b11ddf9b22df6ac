"""What each n-gram of a text adds to the logits of a linear model: exact, because a sum is all there is."""

from collections.abc import Iterable

import numpy as np
import torch

from hfcls.inference.explain.tokens import Tokens
from hfcls.models.ngram_linear import NgramLinearForSequenceClassification

STRONG = 15  # n-grams of a class that are listed
CANDIDATES = 1000  # the strongest of each class, looked for in the texts


@torch.no_grad()
def ngram_weights(model: NgramLinearForSequenceClassification, tokens: Tokens, label: int) -> tuple[np.ndarray, float]:
    """What each token adds to the logit of class `label`, (tokens,), and the logit without any of them.

    An n-gram counts once, however often it occurs: what it adds is shared by its occurrences, and by the tokens of
    each. What the boundaries of the text add on their own belongs to no token.
    """
    features, steps, scale = _features(model, tokens)
    added = (model.weight[:, label] * model.ratios[:, label])[features] * scale  # (orders, steps)
    occurrences = features.flatten().bincount(minlength=model.config.num_features + 1)[features]
    added = (added / occurrences).masked_fill(features == model.config.num_features, 0).double()
    shares = torch.zeros(len(steps) + 2, dtype=torch.float64)  # of the boundary in front, each token, the one behind
    for order, row in enumerate(added, start=model.config.ngram_min):
        for offset in range(order):
            behind = row[: len(shares) - order + 1] / order
            shares[offset : offset + len(behind)] += behind.cpu()
    weights = np.zeros(len(tokens.spans))
    weights[steps] = shares[1 : len(steps) + 1].numpy()
    rest = float(model.bias[label]) * model.config.logit_scale + float(shares[0] + shares[len(steps) + 1])
    return weights, rest


@torch.no_grad()
def strong_ngrams(
    model: NgramLinearForSequenceClassification, texts: Iterable[Tokens]
) -> list[list[tuple[str, float]]]:
    """For each class the n-grams that speak most for it, the strongest first, with their weights.

    They are those that occur in `texts`, as they are written there: a model knows only their hashes. A weight is what
    the n-gram adds to the logit of a text that has no other.
    """
    products = model.weight * model.ratios * model.config.logit_scale
    candidates = products.topk(min(CANDIDATES, len(products)), dim=0).indices.unique()
    candidates = candidates[candidates != model.config.num_features]
    written: dict[int, str] = {}
    for tokens in texts:
        features, steps, _ = _features(model, tokens)
        for row, first in torch.isin(features, candidates).nonzero().tolist():
            begin = first - 1  # step 0 is the boundary
            ngram = _written(tokens, steps, begin, begin + model.config.ngram_min + row)
            written.setdefault(int(features[row, first]), ngram)
    found = sorted(written)
    strong = []
    for column in products[found].t():
        best = column.topk(min(STRONG, len(found)))
        pairs = zip(best.indices.tolist(), best.values.tolist(), strict=True)
        strong.append([(written[found[place]], weight) for place, weight in pairs if weight > 0])
    return strong


def _features(model: NgramLinearForSequenceClassification, tokens: Tokens) -> tuple[torch.Tensor, list[int], float]:
    """The feature that begins at each step, (orders, steps + 2), both boundaries included; which tokens the other steps
    are; and what a feature is scaled by.
    """
    ids = tokens.inputs["input_ids"]
    steps = [place for place, token in enumerate(ids) if token not in model.config.special_token_ids]
    rows = torch.tensor([ids], device=model.bias.device)
    features = model.features_of(model.ngrams_in_order(rows, torch.ones_like(rows)))[0]
    distinct = features.unique()
    number = int((distinct != model.config.num_features).sum())
    return features[:, : len(steps) + 2], steps, model.config.logit_scale / max(1, number) ** 0.5


def _written(tokens: Tokens, steps: list[int], first: int, end: int) -> str:
    """The n-gram of steps `first` to `end` as the text has it; a boundary of the text is written ⊢ or ⊣."""
    spans = [tokens.spans[steps[step]] for step in range(max(first, 0), min(end, len(steps)))]
    middle = tokens.text[spans[0][0] : spans[-1][1]] if spans else ""
    return ("⊢" if first < 0 else "") + " ".join(middle.split()) + ("⊣" if end > len(steps) else "")
