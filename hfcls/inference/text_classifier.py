"""Texts in, answers out: what every engine that computes a classifier's logits shares.

The answers are those of `pipeline("text-classification")`, faster: texts are tokenized by the thousand, and batches are
made of texts of equal length.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, TypeVar, overload

import numpy as np
import pandas
import torch
from transformers import PreTrainedConfig, PreTrainedTokenizerBase

from hfcls.errors import InputError
from hfcls.models.truncation import Truncation, encode

BATCH_SIZE = 64
TOKENS_PER_ROW = 128  # rows longer than this on average make a batch of fewer rows
ADDED_COLUMNS = ("prediction", "probability", "truncated")

Table = TypeVar("Table", Mapping[str, Sequence], pandas.DataFrame)


@dataclass(frozen=True)
class Answer:
    """What a text is, by one classifier.

    Attributes:
        labels: the labels that apply, and the probability of each: the most probable one, or where a text may have
            several those above their thresholds. Empty where there is none, or the logits are not finite.
    """

    labels: dict[str, float]

    @property
    def label(self) -> str | None:
        """The most probable of the labels that apply."""
        return max(self.labels, key=lambda label: self.labels[label], default=None)

    @property
    def probability(self) -> float:
        """Of `label`; NaN if there is none."""
        return max(self.labels.values(), default=math.nan)


class TextClassifier(ABC):
    """A classifier of texts, whatever computes it.

    Attributes:
        config: of the model: names of the classes, whether a text has one or several, thresholds.
        tokenizer: as it was saved with the model.
        max_length: tokens the model can take, None if any number.
        truncation: which of them it was trained on; None for a model that does not say, whose tokenizer cuts.
    """

    config: PreTrainedConfig
    tokenizer: PreTrainedTokenizerBase
    max_length: int | None
    truncation: Truncation | None

    @abstractmethod
    def logits(self, inputs: dict[str, np.ndarray]) -> np.ndarray:
        """Logits (rows, classes) float32 of one batch: `inputs` are (rows, tokens) int64, padded."""

    @property
    def batch_size(self) -> int:
        """Most texts of a batch where none is asked for; fewer of texts with more than `TOKENS_PER_ROW` tokens."""
        return BATCH_SIZE

    def mapping(self) -> AbstractContextManager[Callable]:
        """The `map` by which batches are computed: one after the other, unless an engine knows better."""
        return nullcontext(map)

    @property
    def labels(self) -> list[str]:
        return [str(self.config.id2label[index]) for index in range(self.config.num_labels)]

    @property
    def thresholds(self) -> np.ndarray | None:
        """(classes,) from which probability on each label applies; None where one class is chosen."""
        if self.config.problem_type != "multi_label_classification":
            return None
        noted = getattr(self.config, "decision_thresholds", None)
        return np.array(noted or [0.5] * self.config.num_labels, dtype=np.float32)

    @overload
    def __call__(  # type: ignore[overload-overlap]  # a text is a sequence of texts, too
        self, texts: str, pairs: str | None = None
    ) -> Answer: ...

    @overload
    def __call__(self, texts: Sequence[str], pairs: Sequence[str] | None = None) -> list[Answer]: ...

    @overload
    def __call__(self, texts: Table, *, text_column: str = "text", text_pair_column: str | None = None) -> Table: ...

    def __call__(self, texts, pairs=None, *, text_column="text", text_pair_column=None):
        """Classifies one text, many, or a table of them.

        >>> classifier("great value")
        Answer(labels={'positive': 0.98})
        >>> [answer.label for answer in classifier(["great value", "never again"])]
        ['positive', 'negative']
        >>> classifier({"id": [7], "text": ["great value"]})
        {'id': [7], 'text': ['great value'], 'prediction': ['positive'], 'probability': [0.98], 'truncated': [False]}

        Args:
            texts: a text; a sequence of texts; a pandas frame, or a dict of columns of equal length (lists or arrays),
                as batches of `datasets`, Ray and Spark are.
            pairs: second texts, as many as there are texts; an empty one is none.
            text_column: of a table.
            text_pair_column: of a table with second texts.

        Returns:
            An `Answer`; a list of them; the same table with the columns `prediction`, `probability` (both lists where a
            text has several labels) and `truncated`, whether the text is longer than what the model reads.

        Raises:
            InputError: a text is no text, a column is missing, or one of the new columns is there already.
        """
        if isinstance(texts, (Mapping, pandas.DataFrame)):
            return self._answer_table(texts, text_column, text_pair_column)
        one = isinstance(texts, str)
        texts, pairs = ([texts], None if pairs is None else [pairs]) if one else (texts, pairs)
        texts = checked_texts(texts, "texts")
        answers = self._answers(texts, None if pairs is None else checked_texts(pairs, "pairs", len(texts)))
        return answers[0] if one else answers

    def probabilities(
        self,
        texts: Sequence[str],
        batch_size: int | None = None,
        progress: Callable[[int], None] = lambda rows: None,
        pairs: Sequence[str] | None = None,
    ) -> np.ndarray:
        """Class probabilities of `texts` (rows,) as float32, (rows, classes); a row with logits not finite is NaN.

        They are what `pipeline` calls scores: independent of each other for `multi_label_classification`, the bare
        output for `regression`. Longer texts are cut as in training. `progress` is called with the rows of each batch.
        `pairs` (rows,) are second texts, which may be empty. Without `batch_size`, it is the engine's.
        """
        result = np.empty((len(texts), self.config.num_labels), dtype=np.float32)
        if not len(texts):
            return result
        return self.encoded_probabilities(self.encode(texts, pairs), batch_size, progress)

    def encode(self, texts: Sequence[str], pairs: Sequence[str] | None = None) -> dict[str, list[list[int]]]:
        """What the model reads of each text: by the name of the input, a list of token ids or the like for each row."""
        if self.truncation is not None:
            return self.truncation.inputs(self.tokenizer, texts, pairs)
        options: dict[str, Any] = {
            "truncation": self.max_length is not None,
            "max_length": self.max_length,
            "verbose": False,
        }
        if pairs is None:
            return self.tokenizer(list(texts), **options)
        if self.tokenizer.sep_token is None:
            return self.tokenizer(
                [f"{text}\n{pair}" if pair else text for text, pair in zip(texts, pairs, strict=True)], **options
            )
        rows = [self.tokenizer(text, pair or None, **options) for text, pair in zip(texts, pairs, strict=True)]
        return {name: [row[name] for row in rows] for name in rows[0]}

    def encoded_probabilities(
        self,
        encoded: dict[str, list[list[int]]],
        batch_size: int | None = None,
        progress: Callable[[int], None] = lambda rows: None,
    ) -> np.ndarray:
        """`probabilities` (rows, classes) of texts that `encode` has been through."""
        return probabilities_of(self.encoded_logits(encoded, batch_size, progress), self.config)

    def encoded_logits(
        self,
        encoded: dict[str, list[list[int]]],
        batch_size: int | None = None,
        progress: Callable[[int], None] = lambda rows: None,
    ) -> np.ndarray:
        """Logits (rows, classes) float32 of what `encode` returned, computed in batches of rows of equal length."""
        lengths = np.array([len(ids) for ids in encoded["input_ids"]])
        batch_size = batch_size or self.batch_size
        if self.tokenizer.pad_token_id is None:
            batch_size = 1

        def compute(rows: np.ndarray) -> np.ndarray:
            return self.logits(
                {name: self.padded([column[row] for row in rows], name) for name, column in encoded.items()}
            )

        # Padding on the left moves the positions of a decoder's tokens: then only texts of one length share a batch.
        batches = list(_batches(lengths, batch_size, of_one_length=self.tokenizer.padding_side == "left"))
        result = np.empty((len(lengths), self.config.num_labels), dtype=np.float32)
        with self.mapping() as map_batches:
            for rows, logits in zip(batches, map_batches(compute, batches), strict=True):
                result[rows] = logits
                progress(len(rows))
        return result

    def truncated(self, texts: Sequence[str], pairs: Sequence[str] | None = None) -> np.ndarray:
        """(rows,) bool: which of `texts` are longer than what the model reads of them."""
        limit = self.max_length if self.truncation is None else self.truncation.max_length
        if limit is None or not len(texts):
            return np.zeros(len(texts), dtype=bool)
        rows, _ = encode(self.tokenizer, texts, pairs)
        return np.array([len(row) > limit for row in rows], dtype=bool)

    def _answers(self, texts: list[str], pairs: list[str] | None) -> list[Answer]:
        labels, thresholds = self.labels, self.thresholds
        return [answer(scores, labels, thresholds) for scores in self.probabilities(texts, pairs=pairs)]

    def _answer_table(self, table: Table, text_column: str, text_pair_column: str | None) -> Table:
        names = list(table)
        for name in (text_column, text_pair_column):
            if name is not None and name not in names:
                raise InputError(f"no column {name}, only {', '.join(map(str, names))}: name one as text_column")
        for name in ADDED_COLUMNS:
            if name in names:
                raise InputError(f"the table has a column {name} already, which is to be added: rename it")
        texts = checked_texts(table[text_column], f"column {text_column}")
        pairs = None
        if text_pair_column is not None:
            pairs = checked_texts(table[text_pair_column], f"column {text_pair_column}", len(texts))
        answers = self._answers(texts, pairs)
        columns: list[list] = [[a.label for a in answers], [a.probability for a in answers]]
        if self.thresholds is not None:
            columns = [[list(a.labels) for a in answers], [list(a.labels.values()) for a in answers]]
        added = dict(zip(ADDED_COLUMNS, [*columns, self.truncated(texts, pairs).tolist()], strict=True))
        return table.assign(**added) if isinstance(table, pandas.DataFrame) else {**table, **added}

    def padded(self, rows: list[list[int]], name: str) -> np.ndarray:
        """One input of the model, (rows, longest row) int64."""
        fills = {"input_ids": self.tokenizer.pad_token_id, "token_type_ids": self.tokenizer.pad_token_type_id}
        width, left = max(map(len, rows)), self.tokenizer.padding_side == "left"
        padded = []
        for row in rows:
            padding = [fills.get(name, 0)] * (width - len(row))
            padded.append(padding + row if left else row + padding)
        return np.array(padded, dtype=np.int64)


def answer(scores: np.ndarray, labels: list[str], thresholds: np.ndarray | None) -> Answer:
    """What probabilities (classes,) of one text say."""
    if np.isnan(scores).any():
        return Answer({})
    chosen = [int(np.argmax(scores))] if thresholds is None else np.flatnonzero(scores >= thresholds)
    return Answer({labels[index]: float(scores[index]) for index in chosen})


def probabilities_of(logits: np.ndarray, config: PreTrainedConfig) -> np.ndarray:
    """Probabilities (rows, classes) float32 of logits, for the kind of problem of `config`; NaN where not finite."""
    scores = torch.from_numpy(logits)
    finite = scores.isfinite().all(dim=1, keepdim=True)
    if config.problem_type == "multi_label_classification" or (
        config.num_labels == 1 and config.problem_type != "regression"
    ):
        scores = scores.sigmoid()
    elif config.problem_type != "regression":
        scores = scores.softmax(dim=1)
    return scores.where(finite, math.nan).numpy()


def checked_texts(texts: Sequence, what: str, rows: int | None = None) -> list[str]:
    """A list of `texts`, which `what` names in messages.

    Raises:
        InputError: one is no text, or there are not as many as `rows`.
    """
    texts = [texts] if isinstance(texts, str) else list(texts)
    for row, text in enumerate(texts):
        if not isinstance(text, str):
            raise InputError(f"{what}, row {row}: is {text!r}; give each row one text, an empty one for none")
    if rows is not None and len(texts) != rows:
        raise InputError(f"{what}: {len(texts)} for {rows} texts; give one for each, an empty one for none")
    return texts


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
