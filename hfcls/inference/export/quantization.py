"""8-bit weights and products: a smaller and faster graph, and whether it answers as well."""

import logging
import warnings
from collections.abc import Callable, Iterable, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hfcls.errors import InputError
from hfcls.inference.export.manifest import GRAPH, INT8_GRAPH
from hfcls.metrics.mcnemar import mcnemar

SIGNIFICANT = 0.05
CALIBRATION_ROWS = 128


@dataclass(frozen=True)
class Accuracies:
    """What 8 bits cost on the test rows.

    Attributes:
        kind: dynamic, where the ranges of activations are measured in each batch; static, where they were measured on
            calibration rows.
        rows: that both were measured on.
        float32, int8: the accuracy of each.
        p: of McNemar's test that they err equally often.
    """

    kind: str
    rows: int
    float32: float
    int8: float
    p: float

    def __str__(self) -> str:
        return (
            f"int8 ({self.kind}): accuracy {self.int8:.4f}, float32 {self.float32:.4f} on {self.rows:,} rows, "
            f"McNemar's p = {self.p:.2g}"
        )

    def check(self, force: bool) -> None:
        """Refuses an int8 model that errs more or less often than chance explains.

        Raises:
            InputError: p is below 0.05, and nobody forces it.
        """
        if self.p < SIGNIFICANT and not force:
            raise InputError(
                f"{self}: it answers otherwise than the model, nothing was written; --calibrate_on FILE may help, "
                "--force keeps it, without --int8 it stays exact"
            )


def measure(kind: str, correct: np.ndarray, correct_int8: np.ndarray) -> Accuracies:
    """What is told of `correct` and `correct_int8`, (rows,) bool, of the float32 and the int8 model."""
    return Accuracies(
        kind, len(correct), float(correct.mean()), float(correct_int8.mean()), mcnemar(correct, correct_int8)
    )


def quantize(folder: Path, feeds: Sequence[dict[str, np.ndarray]], logits: Callable[[Path], np.ndarray]) -> str:
    """Writes the int8 graph beside the float32 one in `folder`, and says which kind it is.

    With calibration rows, both kinds are made, and the one stays that is nearer to float32 on them.

    Args:
        feeds: inputs of the graph for calibration rows, a batch of one each; empty without such rows.
        logits: of the calibration rows by a graph.

    Raises:
        InputError: the graph cannot be quantised.
    """
    from onnxruntime.quantization import (
        CalibrationDataReader,
        QuantFormat,
        QuantType,
        quantize_dynamic,
        quantize_static,
    )
    from onnxruntime.quantization.registry import IntegerOpsRegistry

    class Rows(CalibrationDataReader):
        def __init__(self, rows: Iterable[dict[str, np.ndarray]]):
            self.rows = iter(rows)

        def get_next(self) -> dict[str, np.ndarray] | None:
            return next(self.rows, None)

    exact, made = folder / GRAPH, {kind: folder / f"{kind}.onnx" for kind in ("dynamic", "static")}
    # Its Attention is not that of the ONNX standard. A Gather reads embeddings: 8 bits of them gain no time, and cost
    # a fine-tuned MiniLM a point of accuracy.
    operators = [name for name in IntegerOpsRegistry if name not in ("Attention", "Gather")]
    options = {"weight_type": QuantType.QInt8, "per_channel": True, "op_types_to_quantize": operators}
    with _quiet():
        quantize_dynamic(exact, made["dynamic"], **options)
        if feeds:
            quantize_static(exact, made["static"], Rows(feeds), quant_format=QuantFormat.QDQ, **options)
    kinds = ["dynamic", "static"] if feeds else ["dynamic"]
    if feeds:
        expected = logits(exact)
        kinds.sort(key=lambda kind: float(np.abs(logits(made[kind]) - expected).mean()))
    made[kinds[0]].replace(folder / INT8_GRAPH)
    for kind in kinds[1:]:
        made[kind].unlink()
    return kinds[0]


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
