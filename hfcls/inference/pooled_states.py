"""What a classifier makes of a text before it decides: vectors of length 1, whose products are similarities."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from scipy.sparse import csr_matrix, vstack
from torch import nn

from hfcls.errors import InputError
from hfcls.inference.classifier import Classifier
from hfcls.inference.loading import head_weights
from hfcls.models.ngram_linear import NgramLinearForSequenceClassification

BATCH_SIZE = 32

Vectors = np.ndarray | csr_matrix  # (rows, size) float32


class PooledStates:
    """What reaches the last layer of a classifier of texts; of n-gram models which of the features a text has.

    Attributes:
        what: the vectors are, for people.

    Raises:
        InputError: the last layer is not one that takes a vector of each text.
    """

    def __init__(self, classifier: Classifier):
        self._classifier = classifier
        if isinstance(classifier.model, NgramLinearForSequenceClassification):
            self.what, self._batch = "its n-grams", self._ngrams
            return
        names = {name.rpartition(".")[0] for name in head_weights(classifier.model)}
        layer = classifier.model.get_submodule(names.pop()) if len(names) == 1 else None
        if not isinstance(layer, nn.Linear):
            raise InputError(
                f"{classifier.name_or_path}: has no linear layer at its end, whose input could be compared"
            )
        self._layer = layer
        self.what, self._batch = f"{layer.in_features} numbers", self._states

    def of(self, encoded: dict[str, list[list[int]]], progress: Callable[[int], object] = lambda rows: None) -> Vectors:
        """(rows, size) of what `Classifier.encode` returned; `progress` is called with the rows of each batch.

        Raises:
            InputError: the model decides for every token, not for every text.
        """
        order = np.argsort([len(ids) for ids in encoded["input_ids"]], kind="stable")
        found = []
        for start in range(0, len(order), BATCH_SIZE):
            rows = order[start : start + BATCH_SIZE]
            found.append(
                self._batch(
                    {
                        name: self._classifier.padded([column[row] for row in rows], name)
                        for name, column in encoded.items()
                    }
                )
            )
            progress(len(rows))
        together = np.concatenate(found) if isinstance(found[0], np.ndarray) else vstack(found, format="csr")
        return together[np.argsort(order)]

    def _states(self, inputs: dict[str, np.ndarray]) -> np.ndarray:
        states: list[np.ndarray] = []
        hook = self._layer.register_forward_pre_hook(
            lambda module, given: states.append(given[0].float().cpu().numpy())
        )
        try:
            self._classifier.logits(inputs)
        finally:
            hook.remove()
        if states[0].ndim != 2:
            raise InputError(f"{self._classifier.name_or_path}: decides for every token, and has no vector of a text")
        return states[0] / np.maximum(np.linalg.norm(states[0], axis=1, keepdims=True), 1e-12)

    def _ngrams(self, inputs: dict[str, np.ndarray]) -> csr_matrix:
        model = self._classifier.model
        ids, mask = (torch.from_numpy(inputs[name]).to(model.device) for name in ("input_ids", "attention_mask"))
        with torch.inference_mode():
            features = model.features_of(model.hash_ngrams(ids, mask)).cpu().numpy()
        rows, places = np.nonzero(features != model.config.num_features)
        counts = np.bincount(rows, minlength=len(features))
        values = (1 / np.sqrt(counts[rows])).astype(np.float32)
        return csr_matrix((values, (rows, features[rows, places])), shape=(len(features), model.config.num_features))


def similarities(vectors: Vectors, query: Vectors) -> np.ndarray:
    """(rows,) float32: of each of `vectors` (rows, size) to `query` (1, size)."""
    products = vectors @ query.T
    return (products if isinstance(products, np.ndarray) else products.toarray()).ravel()


def size_in_memory(vectors: Vectors) -> int:
    """Bytes."""
    parts: Sequence[np.ndarray] = (
        [vectors] if isinstance(vectors, np.ndarray) else [vectors.data, vectors.indices, vectors.indptr]
    )
    return sum(part.nbytes for part in parts)
