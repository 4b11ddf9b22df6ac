"""8-bit weights and products: a smaller and faster graph, and whether it answers as well."""

import logging
import warnings
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hfcls.errors import InputError
from hfcls.inference.export.manifest import GRAPH, INT8_GRAPH
from hfcls.metrics.mcnemar import mcnemar

SIGNIFICANT = 0.05


@dataclass(frozen=True)
class Accuracies:
    """What 8 bits cost on the test rows.

    Attributes:
        rows: that both were measured on.
        float32, int8: the accuracy of each.
        p: of McNemar's test that they err equally often.
    """

    rows: int
    float32: float
    int8: float
    p: float

    def __str__(self) -> str:
        return (
            f"int8: accuracy {self.int8:.4f}, float32 {self.float32:.4f} on {self.rows:,} rows, "
            f"McNemar's p = {self.p:.2g}"
        )

    def check(self, force: bool) -> None:
        """Refuses an int8 model that errs more or less often than chance explains.

        Raises:
            InputError: p is below 0.05, and nobody forces it.
        """
        if self.p < SIGNIFICANT and not force:
            raise InputError(
                f"{self}: it answers otherwise than the model, nothing was written; --force keeps it, without "
                "--int8 it stays exact"
            )


def measure(correct: np.ndarray, correct_int8: np.ndarray) -> Accuracies:
    """What is told of `correct` and `correct_int8`, (rows,) bool, of the float32 and the int8 model."""
    return Accuracies(len(correct), float(correct.mean()), float(correct_int8.mean()), mcnemar(correct, correct_int8))


def quantize(folder: Path) -> None:
    """Writes the int8 graph beside the float32 one in `folder`; ranges of activations are measured in each batch.

    Ranges that were measured before (static quantisation) made a fine-tuned MiniLM slower than float32, and less
    accurate than these.
    """
    from onnxruntime.quantization import QuantType, quantize_dynamic
    from onnxruntime.quantization.registry import IntegerOpsRegistry

    # Its Attention is not that of the ONNX standard. A Gather reads embeddings: 8 bits of them gain no time, and cost
    # the MiniLM a point of accuracy.
    operators = [name for name in IntegerOpsRegistry if name not in ("Attention", "Gather")]
    with _quiet():
        quantize_dynamic(
            folder / GRAPH,
            folder / INT8_GRAPH,
            weight_type=QuantType.QInt8,
            per_channel=True,
            op_types_to_quantize=operators,
        )


@contextmanager
def _quiet():
    """Keeps onnxruntime from advising on the root logger to preprocess what was just exported."""
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(logging.NOTSET)
