"""A finished model at work: `Classifier("outputs/x")("great value")`.

On a CPU each core computes a batch of its own instead of sharing every matrix product. On a GPU batches are larger, and
the next one is padded, copied and launched while the GPU computes the one before.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, nullcontext
from os import PathLike
from pathlib import Path
from pickle import UnpicklingError

import numpy as np
import torch
from safetensors import SafetensorError
from transformers import AutoModelForSequenceClassification, PreTrainedModel, PreTrainedTokenizerBase

from hfcls.errors import InputError
from hfcls.inference.download import model_folder
from hfcls.inference.load_report import quiet_loading
from hfcls.inference.loading import check_whole, longest_input, register_models, tokenizer_class
from hfcls.inference.text_classifier import TextClassifier
from hfcls.models.attention import use_given_masks
from hfcls.models.truncation import Truncation

GPU_BATCH_SIZE = 512  # see `TextClassifier.batch_size`


class Classifier(TextClassifier):
    """A sequence classifier of a folder or of a hub, in float32. The models of hfcls need no remote code.

    A pickled one is its name: it is loaded anew where it is unpickled, by a worker of Ray or Spark on its own device.

    >>> classifier = Classifier("outputs/reviews")
    >>> classifier("great value").label
    'positive'

    Args:
        name_or_path: the folder of a finished run; or OWNER/NAME of the Hub, or modelscope:OWNER/NAME, both also at a
            revision, OWNER/NAME@REVISION.
        device: "cpu", "cuda:1" and the like; None for the GPU if there is one.
        trust_remote_code: run code that the model brings.

    Raises:
        InputError: it is not there, is no sequence classifier, has no trained head, or brings code that nobody trusted.
    """

    def __init__(
        self,
        name_or_path: str | PathLike[str],
        *,
        device: str | torch.device | None = None,
        trust_remote_code: bool = False,
    ):
        self.name_or_path = str(name_or_path)
        self._options = {"device": device, "trust_remote_code": trust_remote_code}
        if device is None:
            device = "cuda" if torch.cuda.is_available() else "cpu"
        self.tokenizer, model = _load(self.name_or_path, trust_remote_code)
        self.model: PreTrainedModel = model.to(device).eval()
        self.config = model.config
        self.max_length = longest_input(model, self.tokenizer)
        self.truncation = Truncation.from_config(model.config, self.tokenizer)
        self.on_gpu = self.model.device.type == "cuda"
        self._takes_given_masks = self.on_gpu and use_given_masks(model)

    @property
    def batch_size(self) -> int:
        return GPU_BATCH_SIZE if self.on_gpu else super().batch_size

    def logits(self, inputs: dict[str, np.ndarray]) -> np.ndarray:
        if self._takes_given_masks and inputs.get("attention_mask", np.zeros(1)).all():
            inputs = {name: values for name, values in inputs.items() if name != "attention_mask"}
        with torch.inference_mode():
            tensors = {name: self._on_device(torch.from_numpy(values)) for name, values in inputs.items()}
            return self.model(**tensors).logits.float().cpu().numpy()

    def _on_device(self, tensor: torch.Tensor) -> torch.Tensor:
        if self.on_gpu:
            return tensor.pin_memory().to(self.model.device, non_blocking=True)
        return tensor.to(self.model.device)

    def mapping(self) -> AbstractContextManager[Callable]:
        if self.on_gpu:
            return two_batches_at_once()
        on_cores = self.model.device.type == "cpu" and torch.get_num_threads() > 1
        return each_core_its_batch() if on_cores else nullcontext(map)

    def __getstate__(self) -> dict:
        folder = Path(self.name_or_path)
        name = str(folder.resolve()) if folder.is_dir() else self.name_or_path  # a worker runs in another folder
        return {"name_or_path": name, **self._options}

    def __setstate__(self, state: dict) -> None:
        self.__init__(**state)  # type: ignore[misc]  # a subclass has to take the same


def _load(name_or_path: str, trust_remote_code: bool) -> tuple[PreTrainedTokenizerBase, PreTrainedModel]:
    register_models()
    if Path(name_or_path).is_dir() and not Path(name_or_path, "config.json").is_file():
        raise InputError(f"{name_or_path}: holds no model (no config.json): name the --output_dir of a finished run")
    folder = model_folder(name_or_path)
    try:
        with quiet_loading():  # what it would warn of is checked below
            tokenizer = tokenizer_class(folder).from_pretrained(  # type: ignore[attr-defined]
                folder, trust_remote_code=trust_remote_code
            )
            model, loading = AutoModelForSequenceClassification.from_pretrained(
                folder, dtype=torch.float32, trust_remote_code=trust_remote_code, output_loading_info=True
            )
    except (OSError, ValueError, RuntimeError, ImportError, EOFError, UnpicklingError, SafetensorError) as error:
        raise InputError(_explain(name_or_path, error)) from error
    check_whole(name_or_path, loading["missing_keys"])
    if model.config.pad_token_id is None:
        model.config.pad_token_id = tokenizer.pad_token_id  # decoders look for the last token that is no padding
    model.config.use_cache = False
    return tokenizer, model


def _explain(name: str, error: Exception) -> str:
    if "trust_remote_code" in str(error):
        return f"{name}: brings code of its own: read it, and give --trust_remote_code if you trust it"
    if isinstance(error, UnpicklingError):
        return f"{name}: its weights (.bin) are torn, or hold code, which is not run: give one with model.safetensors"
    reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    return f"{name}: cannot be loaded ({reason}): name the folder of a sequence classifier, or one of a hub"


@contextmanager
def each_core_its_batch() -> Iterator[Callable]:
    """A `map` that computes as many batches at once as torch has threads, each batch in one of them.

    Threads that share every matrix product wait for each other at its end, which costs small models half their time.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    # The number of threads is one for each thread, too.
    pool = ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,))
    try:
        yield pool.map
    finally:
        pool.shutdown(cancel_futures=True)  # Ctrl-C waits for the batches at work only
        torch.set_num_threads(threads)


@contextmanager
def two_batches_at_once() -> Iterator[Callable]:
    """A `map` for a GPU: while one thread waits for the answers of a batch, the other gives the GPU the next one.

    Both use the same stream, so the GPU computes one batch after the other.
    """
    pool = ThreadPoolExecutor(2)
    try:
        yield pool.map
    finally:
        pool.shutdown(cancel_futures=True)
