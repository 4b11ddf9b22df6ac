"""What is asked of a classifier of cards besides accuracy: cards have several classes, and classes coarse ones."""

from collections.abc import Sequence

import datasets
import numpy as np
from scipy.special import softmax

from hfcls.metrics.one_label import macro_f1, predictions


class CardMetrics:
    """Metrics of the rows of one split from their logits (rows, classes).

    - `top_3_accuracy`: the row's class is among the three most probable;
    - `any_true_label_accuracy`: the most probable class is one of those of the row's card, in whichever row;
    - `coarse_accuracy` and `coarse_f1`, where classes have coarse ones: of the largest sum of probabilities.

    A row whose logits are not finite is wrong in all of them.

    Args:
        split: with `id` and `label`.
        coarse_of: the coarse class of each class.
        coarse_labels: names of the coarse classes.
    """

    def __init__(
        self,
        split: datasets.Dataset,
        coarse_of: Sequence[int] | None = None,
        coarse_labels: Sequence[str] | None = None,
    ):
        self.labels = np.asarray(split["label"])
        cards = np.unique(list(split["id"]), return_inverse=True)[1]
        classes = np.zeros((cards.max() + 1, len(split.features["label"].names)), dtype=bool)
        classes[cards, self.labels] = True
        self.of_card = classes[cards]  # (rows, classes)
        self.coarse_of = None if coarse_of is None else np.asarray(coarse_of)
        self.num_coarse = len(coarse_labels or [])

    def __call__(self, logits: np.ndarray) -> dict[str, float]:
        answers = predictions(logits)
        valid = answers >= 0
        top_3 = np.argsort(-np.nan_to_num(logits), axis=1, kind="stable")[:, :3]
        among = (top_3 == self.labels[:, None]).any(1) & valid
        scores = {
            "top_3_accuracy": float(among.mean()),
            "any_true_label_accuracy": float((self.of_card[np.arange(len(answers)), answers] & valid).mean()),
        }
        if self.coarse_of is not None:
            probabilities = softmax(np.where(valid[:, None], logits, 0.0).astype(np.float64), axis=1)
            sums = probabilities @ np.eye(self.num_coarse)[self.coarse_of]
            coarse = np.where(valid, sums.argmax(1), -1)
            expected = self.coarse_of[self.labels]
            scores["coarse_accuracy"] = float((coarse == expected).mean())
            scores["coarse_f1"] = float(macro_f1(expected, coarse))
        return scores
