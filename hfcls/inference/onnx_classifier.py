"""A classifier of texts that `hfcls export` wrote, computed by onnxruntime or OpenVINO."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from os import PathLike
from pathlib import Path

import numpy as np
import torch

from hfcls.errors import InputError
from hfcls.inference.classifier import Classifier, each_core_its_batch
from hfcls.inference.export.manifest import NAME, TextManifest
from hfcls.inference.loading import loading_errors, tokenizer_class
from hfcls.inference.openvino_session import OpenVinoSession
from hfcls.inference.text_classifier import TextClassifier
from hfcls.models.truncation import Truncation

ONNX_BATCH_SIZE = 16  # what lies between two operators of so few rows stays in the cache of a core


class OnnxClassifier(TextClassifier):
    """The folder that `hfcls export MODEL OUT` wrote, asked as a `Classifier` is, on the CPU.

    A pickled one is its folder.

    >>> OnnxClassifier("outputs/reviews/onnx")("great value").label
    'positive'

    Args:
        folder: OUT.
        threads: that one batch is computed with. With one, as many batches are computed at once as torch has threads.

    Raises:
        InputError: it is no such folder, or what computes its graph is not installed.
    """

    def __init__(self, folder: str | PathLike[str], *, threads: int = 1):
        self.folder, self.threads = Path(folder), threads
        self.name_or_path = str(folder)
        if not (self.folder / NAME).is_file():
            raise InputError(f"{folder}: holds no exported model (no {NAME}): make one with hfcls export MODEL OUT")
        manifest = TextManifest.read(self.folder)
        self.config = manifest.config()
        self.max_length = manifest.max_length
        with loading_errors(self.name_or_path):
            self.tokenizer = tokenizer_class(self.name_or_path).from_pretrained(
                self.name_or_path, trust_remote_code=False
            )
        self.truncation = Truncation.from_config(self.config, self.tokenizer)
        self._session = open_session(self.folder / manifest.graph, threads)
        self._inputs = manifest.inputs

    @property
    def batch_size(self) -> int:
        return ONNX_BATCH_SIZE

    def logits(self, inputs: dict[str, np.ndarray]) -> np.ndarray:
        if inputs["input_ids"].shape[1] == 0:  # nothing but empty texts: a graph reads one token of padding
            inputs = {name: np.zeros((len(values), 1), dtype=np.int64) for name, values in inputs.items()}
        return self._session.run(["logits"], {name: inputs[name] for name in self._inputs})[0]

    def mapping(self) -> AbstractContextManager[Callable]:
        several = self.threads == 1 and torch.get_num_threads() > 1
        return each_core_its_batch() if several else nullcontext(map)

    def __getstate__(self) -> dict:
        return {"folder": self.folder.resolve(), "threads": self.threads}

    def __setstate__(self, state: dict) -> None:
        self.__init__(state["folder"], threads=state["threads"])


def is_exported(name_or_path: str | PathLike[str]) -> bool:
    """Whether it is a folder that `hfcls export` wrote, not one of a model."""
    folder = Path(name_or_path)
    return (folder / NAME).is_file() and not (folder / "config.json").is_file()


def load_classifier(name_or_path: str | PathLike[str], *, trust_remote_code: bool = False) -> TextClassifier:
    """The classifier of a folder or of a hub, computed by torch, or by onnxruntime or OpenVINO where the folder is an
    exported one.

    Raises:
        InputError: as `Classifier` and `OnnxClassifier`.
    """
    if is_exported(name_or_path):
        return OnnxClassifier(name_or_path)
    return Classifier(name_or_path, trust_remote_code=trust_remote_code)


def open_session(graph: Path, threads: int = 1):
    """An onnxruntime session on the CPU, or what is asked like one; `threads` compute one operator together.

    Raises:
        InputError: onnxruntime, or for its graphs OpenVINO, is not installed, or the file is missing or torn.
    """
    if not graph.is_file():
        raise InputError(f"{graph}: no such file: export the model again")
    if graph.suffix == ".xml":
        return OpenVinoSession(graph, threads, torch.get_num_threads() if threads == 1 else 1)
    try:
        import onnxruntime
        from onnxruntime.capi.onnxruntime_pybind11_state import Fail, InvalidGraph, InvalidProtobuf
    except ImportError as error:
        raise InputError(f"{graph}: is computed by onnxruntime: pip install 'hfcls[export]'") from error
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3  # errors
    try:
        return onnxruntime.InferenceSession(str(graph), options, providers=["CPUExecutionProvider"])
    except (Fail, InvalidGraph, InvalidProtobuf) as error:
        raise InputError(f"{graph}: onnxruntime cannot read it ({str(error)[:200]}): export the model again") from error
