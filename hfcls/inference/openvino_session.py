"""A graph that `hfcls export --format openvino` wrote, asked as a session of onnxruntime is."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from hfcls.errors import InputError

# Where a processor has bfloat16, OpenVINO computes in it unless told, and logits differ by hundredths.
EXACT = {"INFERENCE_PRECISION_HINT": "f32"}


class OpenVinoSession:
    """A graph on the CPU, which several threads may ask at once.

    Args:
        graph: the .xml file, with its .bin beside it.
        threads: that one batch is computed with.
        at_once: batches that are computed at the same time.

    Raises:
        InputError: OpenVINO is not installed, or cannot read the file.
    """

    def __init__(self, graph: Path, threads: int, at_once: int):
        try:
            import openvino
        except ImportError as error:
            raise InputError(f"{graph}: is computed by OpenVINO: pip install 'hfcls[openvino]'") from error
        options = EXACT | {"INFERENCE_NUM_THREADS": threads * at_once, "NUM_STREAMS": at_once}
        try:
            self._compiled = openvino.Core().compile_model(graph, "CPU", options)
        except RuntimeError as error:
            reason = str(error).strip().splitlines()[-1][:200]
            raise InputError(f"{graph}: OpenVINO cannot read it ({reason}): export the model again") from error

    def run(self, outputs: Sequence[str], inputs: dict[str, np.ndarray]) -> list[np.ndarray]:
        """The named outputs for one batch."""
        found = self._compiled.infer_new_request(inputs)
        return [found[name] for name in outputs]
