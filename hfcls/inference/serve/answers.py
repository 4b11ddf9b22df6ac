"""Logits as what clients get, by what was saved with the model."""

from collections.abc import Sequence

import numpy as np

from hfcls.inference.serve.schema import predictions
from hfcls.inference.text_classifier import TextClassifier, probabilities_of


class Answers:
    """The labels of one classifier, their thresholds, and what becomes of its logits.

    Attributes:
        classifier: whose they are.
        labels: names of the classes.
        thresholds: (classes,) from which probability on each applies; None where one class is chosen.
    """

    def __init__(self, classifier: TextClassifier):
        self.classifier = classifier
        self.labels, self.thresholds = classifier.labels, classifier.thresholds

    def probabilities(self, logits: Sequence[np.ndarray]) -> np.ndarray:
        """(rows, classes) float32, NaN where logits are not finite."""
        return probabilities_of(np.stack(logits), self.classifier.config)

    def predictions(self, logits: Sequence[np.ndarray], raw: bool = False) -> list[list[dict]]:
        """All labels of each row with their probabilities, or logits if `raw`, the highest first."""
        probabilities = self.probabilities(logits)
        applies = [None] * len(logits) if self.thresholds is None else probabilities >= self.thresholds
        scores = logits if raw else probabilities
        return [predictions(*row, self.labels) for row in zip(scores, applies, strict=True)]
