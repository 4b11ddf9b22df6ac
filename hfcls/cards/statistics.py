"""What the models of dataset cards know before they are trained: counts, singular vectors, regressions, of train alone.

Cards are few, some hundreds, and features many: every solution is found among the cards, through their products.
"""

import numpy as np
import scipy.sparse
import torch
from sklearn.linear_model import Ridge

from hfcls.cards.rows import CardSplit
from hfcls.models.card_features import ABSENT, LSA, CardTable, NgramBag
from hfcls.models.card_fusion import CardFusionForSequenceClassification, NgramLogits
from hfcls.models.card_ngrams import PAIR

MIN_CARDS = 2  # that a feature must be in
SCORE_SCALE = 3.0  # logits per unit of score, of a class with PRIOR_FLOOR above its share
PRIOR_FLOOR = 0.02  # added to the share of a class, so that one with a single card is not answered all the time

Card = tuple[torch.Tensor, torch.Tensor]  # ids and counts


def count_features(cards: list[Card], below: int = ABSENT) -> tuple[torch.Tensor, torch.Tensor]:
    """Features of enough cards, sorted, and their inverse document frequency, smoothed as scikit-learn does.

    Only ids below `below` are counted.
    """
    ids, cards_with = torch.cat([ids for ids, _ in cards]).unique(return_counts=True)
    kept = (cards_with >= MIN_CARDS) & (ids < below)
    return ids[kept], ((1 + len(cards)) / (1 + cards_with[kept])).log() + 1


def set_features(bag: NgramBag, ids: torch.Tensor, idf: torch.Tensor) -> None:
    """Puts what `count_features` found into a bag that was made for as many features."""
    bag.ids[:-1], bag.idf[:-1] = ids, idf


def feature_matrix(batches, num_features: int) -> scipy.sparse.csr_matrix:
    """(cards, features) from `batches` of rows and values (B, L), as bags give them."""
    blocks = []
    for rows, values in batches:
        known = rows < num_features
        place = known.nonzero()[:, 0]
        content = (values[known].numpy(), (place.numpy(), rows[known].numpy()))
        blocks.append(scipy.sparse.csr_matrix(content, shape=(len(rows), num_features)))
    return scipy.sparse.vstack(blocks).tocsr()


def singular_vectors(features: scipy.sparse.csr_matrix, size: int) -> np.ndarray:
    """The right singular vectors of `features` (cards, features) with the largest values, (features, size).

    They come by falling singular value. Of the two signs of a vector, the one is taken whose entry of the greatest
    magnitude is positive. Where the rank of `features` is less than `size`, the last columns are 0.
    """
    # From the eigenvectors of the cards' products, because nearly all vectors are wanted, 512 of some 500 cards:
    # scipy.sparse.linalg.svds and scikit-learn's TruncatedSVD search for a few, take ten times as long for so many, and
    # the former refuses as many as there are cards. The subspace is the same to five digits.
    values, vectors = np.linalg.eigh((features @ features.T).toarray().astype(np.float64))
    order = np.argsort(-values)[: min(size, len(values))]
    order = order[values[order] > 1e-8 * values.max()]
    found = features.T @ (vectors[:, order] / np.sqrt(values[order]))
    found *= np.sign(found[np.abs(found).argmax(axis=0), np.arange(len(order))])
    return np.pad(found, ((0, 0), (0, size - len(order)))).astype(np.float32)


def ridge_regression(features: scipy.sparse.csr_matrix, targets: np.ndarray, penalty: float) -> np.ndarray:
    """Weights (features, targets) of least squares with `penalty` times their squares, of `targets` (cards, targets).

    >>> ridge_regression(scipy.sparse.eye(2).tocsr(), np.eye(2), 1.0)
    array([[0.5, 0. ],
           [0. , 0.5]])
    """
    # Of scikit-learn's solvers, "cholesky" is the one that is exact for sparse features, through the cards' products
    # where there are fewer cards than features.
    ridge = Ridge(alpha=penalty, fit_intercept=False, solver="cholesky")
    return ridge.fit(features.astype(np.float64), targets).coef_.T


def number_statistics(numbers: torch.Tensor) -> dict[str, list[float]]:
    """Mean and standard deviation of log(1 + number), (cards, 3), where known; 0 and 1 where no card tells."""
    mean, std = [], []
    for column in numbers.double().log1p().T:
        known = column[~column.isnan()]
        spread = float(known.std(correction=0)) if len(known) else 0.0
        mean.append(float(known.mean()) if len(known) else 0.0)
        std.append(spread if spread > 0 else 1.0)
    return {"number_mean": mean, "number_std": std}


@torch.no_grad()
def fit_table(table: CardTable, split: CardSplit, batches: list[tuple[torch.Tensor, torch.Tensor]]) -> None:
    """Gives a table the spread of similarities, and one that computes them itself its words and their embeddings.

    `batches` are the cards of `split`, padded.
    """
    similarities = split.similarities
    if table.embedding_model == LSA:
        set_features(table.bag, *count_features(split.cards, below=PAIR))
        size = table.components.shape[1]
        features = feature_matrix((table.bag(*batch) for batch in batches), len(table.components))
        table.components.copy_(torch.from_numpy(singular_vectors(features, size)))
        similarities = torch.cat([table.similarities(*batch) for batch in batches])
    table.mean.copy_(similarities.mean(0))
    std = similarities.std(0, correction=0)
    table.std.copy_(std.where(std > 1e-6, torch.ones_like(std)))  # tasks of which no word is known differ nowhere


@torch.no_grad()
def fit_prior(model: CardFusionForSequenceClassification, shares: np.ndarray) -> None:
    """Tells the model how frequent each class is, from its `shares` in each card (cards, classes)."""
    model.log_prior.copy_(torch.from_numpy(np.log(shares.mean(0) + PRIOR_FLOOR)))


@torch.no_grad()
def fit_bag(
    text: NgramLogits,
    cards: list[Card],
    batches: list[tuple[torch.Tensor, torch.Tensor]],
    shares: np.ndarray,
    penalty: float,
) -> None:
    """Gives the bag its features and the weights to start from: the regression of `shares` (cards, classes).

    A class's score becomes a logit by a scale that falls with the root of its prior, which raises rare classes.
    """
    set_features(text.bag, *count_features(cards))
    prior = shares.mean(0)
    features = feature_matrix((text.weighted_bag(*batch) for batch in batches), len(text.weight))
    text.weight.copy_(torch.from_numpy(ridge_regression(features, shares - prior, penalty)))
    text.bias.copy_(torch.from_numpy(prior))
    text.class_scale.copy_(torch.from_numpy(SCORE_SCALE / np.sqrt(prior + PRIOR_FLOOR)))
