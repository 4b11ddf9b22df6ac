"""Logits as what clients get, by what was saved with the model."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from transformers import PreTrainedConfig

from hfcls.inference.serve.schema import predictions
from hfcls.inference.text_classifier import probabilities_of


@dataclass(frozen=True)
class Answers:
    """The classes of one model, and what becomes of its logits.

    Attributes:
        config: of the model.
        labels: names of the classes.
        thresholds: (classes,) from which probability on each applies; None where one class is chosen.
    """

    config: PreTrainedConfig
    labels: list[str]
    thresholds: np.ndarray | None = None

    def probabilities(self, logits: Sequence[np.ndarray]) -> np.ndarray:
        """(rows, classes) float32, NaN where logits are not finite."""
        return probabilities_of(np.stack(logits), self.config)

    def predictions(self, logits: Sequence[np.ndarray], raw: bool = False) -> list[list[dict]]:
        """All labels of each row with their probabilities, or logits if `raw`, the highest first."""
        probabilities = self.probabilities(logits)
        applies = [None] * len(logits) if self.thresholds is None else probabilities >= self.thresholds
        scores = logits if raw else probabilities
        return [predictions(*row, self.labels) for row in zip(scores, applies, strict=True)]
