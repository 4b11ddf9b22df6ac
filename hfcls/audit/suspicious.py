"""Labels that are probably wrong: confident learning on out-of-fold probabilities of an n-gram model.

Northcutt, Jiang, Chuang: "Confident Learning: Estimating Uncertainty in Dataset Labels", JAIR 2021,
https://arxiv.org/abs/1911.00068.
"""

import numpy as np

from hfcls.audit.flat import Example, Finding, FlatCorpus, spaced
from hfcls.metrics.calibration import fit_temperature

FOLDS = 4
MOST = 60_000  # rows that are looked at: of a larger corpus a sample shows what kind of errors there are
EXAMPLES = 30


def find_suspicious_labels(corpus: FlatCorpus, keys: np.ndarray) -> Finding:
    """The finding `suspicious`, the most suspicious first.

    Args:
        keys: (rows,) of the normalised texts: equal ones are kept in one fold, or they would vouch for each other.
    """
    looked_at = np.arange(len(corpus.contents))
    if len(looked_at) > MOST:
        looked_at = np.sort(np.random.default_rng(42).choice(looked_at, MOST, replace=False))
    labels = corpus.labels[looked_at]
    frequent = np.isin(labels, np.flatnonzero(np.bincount(labels, minlength=1) >= 2 * FOLDS))
    looked_at, labels = looked_at[frequent], labels[frequent]  # of a class of a few rows nothing can be learned
    present, labels = np.unique(labels, return_inverse=True)
    if len(present) < 2:
        rows, likely, margins, probabilities = np.empty(0, dtype=np.int64), [], [], np.empty((0, 1))
    else:
        probabilities = out_of_fold_probabilities(corpus.contents[looked_at], labels, keys[looked_at])
        rows, likely, margins = confident_learning(probabilities, labels)
    examples = [
        Example(
            f"{corpus.classes[present[labels[row]]]}, perhaps {corpus.classes[present[other]]} "
            f"({probabilities[row, labels[row]]:.1%} against {probabilities[row, other]:.1%})",
            [(corpus.where(looked_at[row]), corpus.excerpt(looked_at[row]))],
        )
        for row, other in list(zip(rows, likely, strict=True))[:EXAMPLES]
    ]
    share = len(rows) / max(len(looked_at), 1)
    sample = f" of {len(looked_at):,} looked at" if len(looked_at) < len(corpus.contents) else ""
    return Finding(
        name="suspicious",
        title="Suspicious labels",
        found=len(rows),
        summary=f"{len(rows):,} labels{sample} ({share:.1%}) that the other rows speak against",
        explanation="A linear model of character n-grams is trained on three quarters of the rows and asked about the "
        "fourth; a label is suspicious where another class is as probable as it is for that class's own rows "
        "(confident learning, Northcutt et al. 2021). Hard rows are among them: read before you correct.",
        numbers={
            "looked_at": len(looked_at),
            "likely": {
                str(looked_at[row]): corpus.classes[present[other]] for row, other in zip(rows, likely, strict=True)
            },
        },
        examples=examples,
        rows=looked_at[rows],
    )


def out_of_fold_probabilities(texts: np.ndarray, labels: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """(rows, classes) probabilities from models that did not see the row's group, calibrated on all rows together.

    They are uniform for a row whose class such a model never saw, because all of it is in one group.
    """
    from scipy.special import softmax
    from sklearn.feature_extraction.text import HashingVectorizer
    from sklearn.linear_model import SGDClassifier
    from sklearn.model_selection import StratifiedGroupKFold

    how = (
        {"token_pattern": r"(?u)\w+", "ngram_range": (1, 2)}
        if spaced(texts)
        else {"analyzer": "char", "ngram_range": (1, 3)}
    )
    vectorizer = HashingVectorizer(n_features=2**20, alternate_sign=False, **how)
    features = vectorizer.transform(texts)
    logits = np.full((len(texts), labels.max() + 1), -1e4)  # of a class that a fold does not have
    for train, held_out in StratifiedGroupKFold(FOLDS, shuffle=True, random_state=42).split(features, labels, groups):
        known = np.isin(labels[held_out], labels[train])
        logits[held_out[~known]] = 0
        held_out = held_out[known]
        if len(held_out) == 0 or len(np.unique(labels[train])) < 2:
            logits[held_out] = 0
            continue
        model = SGDClassifier(loss="log_loss", alpha=1e-6, max_iter=5, tol=None, average=True, random_state=42)
        model.fit(features[train], labels[train])
        scores = model.decision_function(features[held_out])
        scores = np.stack([-scores / 2, scores / 2], axis=1) if scores.ndim == 1 else scores
        logits[np.ix_(held_out, model.classes_)] = scores
    return softmax(logits / fit_temperature(logits, labels), axis=1)


def confident_learning(probabilities: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """As many rows as the confident joint has off its diagonal, for each pair of classes those with the least margin.

    The joint counts the rows of a label that are confidently of a class; scaled to the rows of the label, it says how
    many of them are of that class ("prune by noise rate", section 4.2 of the paper).

    Args:
        probabilities: (rows, classes), out of fold.
        labels: (rows,) ids; every class occurs.

    Returns:
        (found,) rows, the label that each probably has, and its margin (probability of the given label minus that of
        the probable one), by which they are sorted: the most suspicious first.
    """
    classes = probabilities.shape[1]
    given = probabilities[np.arange(len(labels)), labels]
    thresholds = np.bincount(labels, weights=given) / np.bincount(labels)
    confident = np.where(probabilities >= thresholds, probabilities, -np.inf)
    counted = np.isfinite(confident.max(axis=1))
    joint = np.zeros((classes, classes))
    np.add.at(joint, (labels[counted], confident[counted].argmax(axis=1)), 1)
    joint *= (np.bincount(labels) / np.maximum(joint.sum(axis=1), 1))[:, None]
    margins = given[:, None] - probabilities
    least = np.full(len(labels), np.inf)
    likely = labels.copy()
    for label, other in zip(*np.nonzero(joint * (1 - np.eye(classes))), strict=True):
        rows = np.flatnonzero((labels == label) & (margins[:, other] < least) & (margins[:, other] < 0))
        chosen = rows[np.argsort(margins[rows, other], kind="stable")][: round(joint[label, other])]
        least[chosen], likely[chosen] = margins[chosen, other], other
    rows = np.flatnonzero(likely != labels)
    order = np.argsort(least[rows], kind="stable")
    return rows[order], likely[rows][order], least[rows][order]
