"""Classifying texts with a finished model, from the command line or a file of any length.

The answers are those of `pipeline("text-classification")`, faster: texts are tokenized by the thousand, batches are
made of texts of equal length, and on a CPU each core computes a batch of its own instead of sharing every matrix
product.
"""

import json
import math
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from pickle import UnpicklingError

import numpy as np
import torch
from safetensors import SafetensorError
from tqdm import tqdm
from transformers import AutoModelForSequenceClassification, PreTrainedModel, PreTrainedTokenizerBase
from transformers.utils import logging

from hfcls.errors import InputError
from hfcls.inference.loading import check_whole, longest_input, register_models, tokenizer_class
from hfcls.inference.text_files import AnswerFile, TextFile
from hfcls.models.truncation import Truncation
from hfcls.runs.predictions import probability_columns
from hfcls.terminal import print_lines

BATCH_SIZE = 64
TOKENS_PER_ROW = 128  # rows longer than this on average make a batch of fewer rows
WINDOW_ROWS = 4096  # that are sorted together, and that a killed run may lose
WINDOW_CHARACTERS = 2**22


@dataclass(frozen=True)
class Classifier:
    """A sequence classifier and its tokenizer.

    Attributes:
        max_length: tokens it can take, None if any number.
        truncation: which of them it was trained on; None for a model that does not say, whose tokenizer cuts.
    """

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    max_length: int | None
    truncation: Truncation | None = None

    @property
    def labels(self) -> list[str]:
        return [str(self.model.config.id2label[index]) for index in range(self.model.config.num_labels)]

    @property
    def thresholds(self) -> np.ndarray | None:
        """(classes,) from which probability on each label applies; None where one class is chosen."""
        if self.model.config.problem_type != "multi_label_classification":
            return None
        noted = getattr(self.model.config, "decision_thresholds", None)
        return np.array(noted or [0.5] * self.model.config.num_labels, dtype=np.float32)

    def probabilities(
        self,
        texts: list[str],
        batch_size: int = BATCH_SIZE,
        progress: Callable[[int], None] = lambda rows: None,
        pairs: list[str] | None = None,
    ) -> np.ndarray:
        """Class probabilities of `texts` (rows,) as float32, (rows, classes); a row with logits not finite is NaN.

        They are what `pipeline` calls scores: independent of each other for `multi_label_classification`, the bare
        output for `regression`. Longer texts are cut as in training. `progress` is called with the rows of each batch.
        `pairs` (rows,) are second texts, which may be empty.
        """
        encoded = self._encode(texts, pairs)
        lengths = np.array([len(ids) for ids in encoded["input_ids"]])
        if self.tokenizer.pad_token_id is None:
            batch_size = 1

        def classify(rows: np.ndarray) -> np.ndarray:
            inputs = {name: self._pad([column[row] for row in rows], name) for name, column in encoded.items()}
            with torch.inference_mode():
                logits = self.model(**inputs).logits.float()
                return self._scores(logits).cpu().numpy()

        # Padding on the left moves the positions of a decoder's tokens: then only texts of one length share a batch.
        batches = list(_batches(lengths, batch_size, of_one_length=self.tokenizer.padding_side == "left"))
        result = np.empty((len(texts), self.model.config.num_labels), dtype=np.float32)
        with _each_core_its_batch(self.model.device) as map_batches:
            for rows, scores in zip(batches, map_batches(classify, batches), strict=True):
                result[rows] = scores
                progress(len(rows))
        return result

    def _encode(self, texts: list[str], pairs: list[str] | None) -> dict[str, list[list[int]]]:
        """The inputs of the model, a list for each row."""
        if self.truncation is not None:
            return self.truncation.inputs(self.tokenizer, texts, pairs)
        options = {"truncation": self.max_length is not None, "max_length": self.max_length, "verbose": False}
        if pairs is None:
            return self.tokenizer(texts, **options)
        if self.tokenizer.sep_token is None:
            return self.tokenizer(
                [f"{text}\n{pair}" if pair else text for text, pair in zip(texts, pairs, strict=True)], **options
            )
        rows = [self.tokenizer(text, pair or None, **options) for text, pair in zip(texts, pairs, strict=True)]
        return {name: [row[name] for row in rows] for name in rows[0]}

    def _pad(self, rows: list[list[int]], name: str) -> torch.Tensor:
        """One input of the model, (rows, longest row) int64."""
        fills = {"input_ids": self.tokenizer.pad_token_id, "token_type_ids": self.tokenizer.pad_token_type_id}
        width, left = max(map(len, rows)), self.tokenizer.padding_side == "left"
        padded = []
        for row in rows:
            padding = [fills.get(name, 0)] * (width - len(row))
            padded.append(padding + row if left else row + padding)
        return torch.tensor(padded, dtype=torch.int64, device=self.model.device)

    def _scores(self, logits: torch.Tensor) -> torch.Tensor:
        finite = logits.isfinite().all(dim=1, keepdim=True)
        config = self.model.config
        if config.problem_type == "regression":
            scores = logits
        elif config.problem_type == "multi_label_classification" or config.num_labels == 1:
            scores = logits.sigmoid()
        else:
            scores = logits.softmax(dim=1)
        return scores.where(finite, math.nan)


def load_classifier(name_or_path: str, trust_remote_code: bool = False) -> Classifier:
    """A folder or Hub model as a classifier, on the GPU if there is one. The models of hfcls need no remote code.

    Raises:
        InputError: it is not there, is no sequence classifier, has no trained head, or brings code that nobody trusted.
    """
    register_models()
    if Path(name_or_path).is_dir() and not Path(name_or_path, "config.json").is_file():
        raise InputError(f"{name_or_path}: holds no model (no config.json): name the --output_dir of a finished run")

    logging.disable_progress_bar()
    verbosity = logging.get_verbosity()
    logging.set_verbosity_error()  # what it would warn of is checked below
    try:
        tokenizer = tokenizer_class(name_or_path).from_pretrained(name_or_path, trust_remote_code=trust_remote_code)
        model, loading = AutoModelForSequenceClassification.from_pretrained(
            name_or_path, dtype=torch.float32, trust_remote_code=trust_remote_code, output_loading_info=True
        )
    except (OSError, ValueError, RuntimeError, ImportError, EOFError, UnpicklingError, SafetensorError) as error:
        raise InputError(_explain(name_or_path, error)) from error
    finally:
        logging.set_verbosity(verbosity)
    check_whole(name_or_path, loading["missing_keys"])
    if model.config.pad_token_id is None:
        model.config.pad_token_id = tokenizer.pad_token_id  # decoders look for the last token that is no padding
    model.config.use_cache = False
    device = "cuda" if torch.cuda.is_available() else "cpu"
    return Classifier(
        model.to(device).eval(),
        tokenizer,
        longest_input(model, tokenizer),
        Truncation.from_config(model.config, tokenizer),
    )


def predict_texts(classifier: Classifier, texts: list[str]) -> list[list[tuple[str, float]]]:
    """The labels of each text and their probabilities: the most probable one, or where a text has several those above
    their thresholds. None where logits are not finite.
    """
    return [_answers(scores, classifier.labels, classifier.thresholds) for scores in classifier.probabilities(texts)]


def predict_file(
    classifier: Classifier,
    texts: TextFile,
    output: str,
    *,
    batch_size: int = BATCH_SIZE,
    all_probabilities: bool = False,
) -> int:
    """Classifies every row of `texts` into the CSV file `output`, in order, going on where that file ends.

    Its columns are those of `texts`, `prediction` and `probability` (both empty where the logits are not finite), then
    with `all_probabilities` one for each class, named as the class, or `class_NAME` where that name is taken. Where a
    text has several labels, both are JSON lists.

    Returns:
        The number of rows now in `output`.

    Raises:
        InputError: `texts` has a row that cannot be read, `output` is of another run or cannot be written; what was
            written before stays valid.
    """
    labels, thresholds = classifier.labels, classifier.thresholds
    added = ["prediction", "probability"]
    for name in added:
        if name in texts.columns:
            raise InputError(f"{texts.path}:1: has a column {name} already, which is to be added: rename it")

    if all_probabilities:
        added += probability_columns(labels, [*texts.columns, *added])
    with AnswerFile(output, [*texts.columns, *added]) as answers:
        rows = iter(texts)
        if answers.skip_answered(rows):
            print_lines(f"{output} has {answers.rows:,} rows already: going on after them", file=sys.stderr)
        with tqdm(total=texts.size, initial=texts.bytes_read, unit="B", unit_scale=True, disable=None) as bar:
            for window in _windows(rows, texts.text):
                share = (texts.bytes_read - bar.n) / len(window)
                scores = classifier.probabilities(
                    [row[texts.text] for row in window],
                    batch_size,
                    lambda done, share=share: bar.update(done * share),
                    None if texts.pair is None else [row[texts.pair] for row in window],
                )
                answers.append(
                    [
                        [*row, *_fields(row_scores, labels, thresholds, all_probabilities)]
                        for row, row_scores in zip(window, scores, strict=True)
                    ]
                )
                bar.set_postfix_str(f"{answers.rows:,} rows")
        return answers.rows


def _windows(rows: Iterator[list[str]], text: int) -> Iterator[list[list[str]]]:
    window, characters = [], 0
    for row in rows:
        window.append(row)
        characters += len(row[text])
        if len(window) == WINDOW_ROWS or characters >= WINDOW_CHARACTERS:
            yield window
            window, characters = [], 0
    if window:
        yield window


def _batches(lengths: np.ndarray, batch_size: int, of_one_length: bool) -> Iterator[np.ndarray]:
    """Numbers of rows of nearly equal length (rows,), the longest first, so that memory runs out at once or never."""
    order = np.argsort(-lengths, kind="stable")
    while len(order):
        longest = lengths[order[0]]
        size = min(batch_size, max(1, batch_size * TOKENS_PER_ROW // max(1, longest)))
        if of_one_length:
            size = min(size, int((lengths[order] == longest).sum()))
        yield order[:size]
        order = order[size:]


@contextmanager
def _each_core_its_batch(device: torch.device):
    """A `map` that computes as many batches at once as torch has threads, each batch in one of them.

    Threads that share every matrix product wait for each other at its end, which costs small models half their time.
    """
    threads = torch.get_num_threads()
    if device.type != "cpu" or threads == 1:
        yield map
        return
    torch.set_num_threads(1)
    # The number of threads is one for each thread, too.
    pool = ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,))
    try:
        yield pool.map
    finally:
        pool.shutdown(cancel_futures=True)  # Ctrl-C waits for the batches at work only
        torch.set_num_threads(threads)


def _answers(scores: np.ndarray, labels: list[str], thresholds: np.ndarray | None) -> list[tuple[str, float]]:
    if np.isnan(scores).any():
        return []
    chosen = [int(np.argmax(scores))] if thresholds is None else np.flatnonzero(scores >= thresholds)
    return [(labels[index], float(scores[index])) for index in chosen]


def _fields(scores: np.ndarray, labels: list[str], thresholds: np.ndarray | None, every: bool) -> list[str]:
    answers = _answers(scores, labels, thresholds)
    if np.isnan(scores).any():
        label, probability = "", ""
    elif thresholds is None:
        label, probability = answers[0][0], f"{answers[0][1]:.9g}"
    else:
        label = json.dumps([label for label, _ in answers], ensure_ascii=False)
        probability = json.dumps([float(f"{probability:.9g}") for _, probability in answers])
    return [label, probability, *("" if math.isnan(p) else f"{p:.9g}" for p in (scores.tolist() if every else []))]


def _explain(name: str, error: Exception) -> str:
    if "trust_remote_code" in str(error):
        return f"{name}: brings code of its own: read it, and give --trust_remote_code if you trust it"
    if isinstance(error, UnpicklingError):
        return f"{name}: its weights (.bin) are torn, or hold code, which is not run: give one with model.safetensors"
    reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    return (
        f"{name}: cannot be loaded ({reason}): name the folder of a sequence classifier or one of the Hub; without a "
        "network, one that was downloaded"
    )
