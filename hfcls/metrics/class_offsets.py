"""Offsets of classes: what is added to logits so that the macro F1 is greatest, where accuracy alone was learned."""

from collections.abc import Sequence

import numpy as np

SHARES = np.linspace(0.0, 1.0, 201)  # of the rows that a class may be given
PASSES = 5  # over the classes; the second seldom changes anything


def fit_class_offsets(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """(classes,) what is to be added to logits for the greatest macro F1; their mean is 0.

    Coordinate ascent from zero: one class after the other gets the offset that is best beside those of the others, of
    equally good ones that in the middle; tried are those that give it one of `SHARES`. A class without rows keeps 0.

    Args:
        logits: (rows, classes). Rows that are not finite are left out.
        labels: (rows,).
    """
    finite = np.isfinite(logits).all(axis=1)
    logits, labels = logits[finite].astype(np.float64), labels[finite]
    offsets = np.zeros(logits.shape[1])
    best = _macro_f1(labels, logits.argmax(axis=1), len(offsets)) if len(labels) else 1.0
    for _ in range(PASSES):
        before = best
        for label in np.unique(labels):
            others = logits + offsets
            others[:, label] = -np.inf
            strongest, margin = others.argmax(axis=1), others.max(axis=1) - logits[:, label]
            tried = np.quantile(margin, SHARES)
            scores = [_macro_f1(labels, np.where(margin < offset, label, strongest), len(offsets)) for offset in tried]
            if max(scores) > best:
                best = max(scores)
                offsets[label] = np.median(tried[_first_plateau(scores, best)])
        if best == before:
            break
    return offsets - offsets.mean()


def offsets_line(names: list[str], offsets: Sequence[float]) -> str:
    """What log, report and model card say of `offsets`, one of each class in `names`."""
    added = ", ".join(f"{name} {offset:+.2f}" for name, offset in zip(names, offsets, strict=True))
    return f"offsets of the logits for the greatest macro F1, chosen on validation: {added}"


def _first_plateau(scores: list[float], best: float) -> slice:
    """The first of those `scores` that are the `best`, and those next to it."""
    start = scores.index(best)
    end = next((at for at in range(start, len(scores)) if scores[at] < best), len(scores))
    return slice(start, end)


def _macro_f1(labels: np.ndarray, predicted: np.ndarray, classes: int) -> float:
    """As `one_label.macro_f1`, which takes a hundred times as long: it is asked some thousand times here."""
    support = np.bincount(labels, minlength=classes)
    hits = np.bincount(labels[labels == predicted], minlength=classes)
    occurring = support > 0
    return float(np.mean(2 * hits[occurring] / (support + np.bincount(predicted, minlength=classes))[occurring]))
