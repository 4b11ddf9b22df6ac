"""Whether an exported model answers as the model it was made of."""

import importlib.util
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import numpy as np

from hfcls.errors import InputError

TOLERANCE = 1e-4  # of logits, and of features of unit length
BATCH_SIZE = 32


@dataclass(frozen=True)
class Agreement:
    """How near an exported model is on some rows.

    Attributes:
        rows: that were asked.
        what: the rows are, for people.
        distance: the largest difference of a logit.
        outputs: what was compared.
    """

    rows: int
    what: str
    distance: float
    outputs: str = "logits"

    @property
    def _answers(self) -> str:
        return "labels" if self.outputs == "logits" else "nearest pictures"

    def __str__(self) -> str:
        return f"{self.rows:,} {self.what}: {self.outputs} equal to {self.distance:.1e}, {self._answers} equal"


def load_script(path: Path) -> ModuleType:
    """The predict.py of an exported folder, whose modules are few, as a module of its own."""
    spec = importlib.util.spec_from_file_location(f"exported_{abs(hash(path))}", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def script_outputs(answer: Callable, rows: Sequence, lengths: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
    """Logits and chosen labels of predict.py for `rows`, (rows, classes) each, in batches of nearly equal length."""
    order = np.argsort(lengths, kind="stable")
    outputs = None
    for start in range(0, len(order), BATCH_SIZE):
        places = order[start : start + BATCH_SIZE]
        found = answer([rows[place] for place in places])
        if outputs is None:
            outputs = [np.empty((len(rows), output.shape[1]), output.dtype) for output in found]
        for output, values in zip(outputs, found, strict=True):
            output[places] = values
    return outputs[0], outputs[-1]


def compare(expected: np.ndarray, chosen: np.ndarray, found: tuple[np.ndarray, np.ndarray], what: str) -> Agreement:
    """The agreement of `found`, logits and chosen labels, with the logits `expected` and labels `chosen` of the model.

    Raises:
        InputError: logits differ by more than `TOLERANCE`, or a label does.
    """
    logits, labels = found
    distances = np.abs(logits - expected).max(axis=1)
    worst = int(np.argmax(np.where(np.isfinite(distances), distances, np.inf)))
    if not distances[worst] <= TOLERANCE:
        raise InputError(
            f"the exported model disagrees: row {worst + 1} of {len(expected):,} {what} has logits that differ by "
            f"{distances[worst]:.2g}, which is more than {TOLERANCE:g}; nothing was written, ask the model itself"
        )
    differing = (labels != chosen).any(axis=1)
    if differing.any():
        raise InputError(
            f"the exported model disagrees: {differing.sum():,} of {len(expected):,} {what} have another label; "
            "nothing was written, ask the model itself"
        )
    return Agreement(len(expected), what, float(distances.max()))
