"""From a corpus of texts to rows of token ids."""

import logging
import math
from dataclasses import dataclass

import datasets
import numpy as np
import torch
from transformers import PreTrainedTokenizerBase, TrainingArguments

from hfcls.arguments import TextArguments
from hfcls.corpus import Corpus

logger = logging.getLogger(__name__)

MAX_LENGTH_LIMIT = 512  # of `auto`: what BERT-like encoders have positions for


def tokenize(corpus: datasets.DatasetDict, tokenizer: PreTrainedTokenizerBase) -> datasets.DatasetDict:
    """Adds `input_ids` to every split: whole texts with the tokenizer's special tokens, cached by Arrow.

    Texts are not cut here, so that the report can show their lengths and another `--max_length` finds the same cache.
    """

    def encode(batch):
        encoded = tokenizer(batch["text"], return_attention_mask=False, return_token_type_ids=False, verbose=False)
        return {"input_ids": encoded["input_ids"]}

    features = datasets.Features({**corpus["train"].features, "input_ids": datasets.List(datasets.Value("int32"))})
    return corpus.map(encode, batched=True, features=features, desc="tokenizing")


def token_lengths(split: datasets.Dataset) -> np.ndarray:
    """Number of tokens of every row, (rows,), read from Arrow's offsets."""
    return _flatten(split)[1]


def auto_max_length(lengths: np.ndarray) -> int:
    """Mean + 2 standard deviations of `lengths` (rows,), rounded up, at most `MAX_LENGTH_LIMIT`."""
    return min(math.ceil(lengths.mean() + 2 * lengths.std()), MAX_LENGTH_LIMIT)


@dataclass(frozen=True)
class Truncation:
    """Which tokens of a row longer than `max_length` are kept: the first `head` and the last `max_length - head`."""

    max_length: int
    head: int

    @classmethod
    def of(cls, how: str, max_length: int, tokenizer: PreTrainedTokenizerBase) -> "Truncation":
        """`how` is head, tail or head_tail (of 510 tokens the first 128 and the last 382, in that proportion for other
        lengths: Sun et al. 2019, "How to Fine-Tune BERT for Text Classification?"). Special tokens always stay.
        """
        mask = tokenizer("a", return_special_tokens_mask=True)["special_tokens_mask"]
        first, last = _leading_ones(mask), _leading_ones(mask[::-1])
        content = max_length - first - last
        head = {"head": content, "tail": 0, "head_tail": content * 128 // 510}[how]
        return cls(max_length, first + head)


def _leading_ones(mask: list[int]) -> int:
    return next((i for i, special in enumerate(mask) if not special), len(mask))


class TokenRows(torch.utils.data.Dataset):
    """The rows of one split, cut to length, in memory as one flat array.

    A batch is read as views into that array: some 20 µs for 64 rows, where Arrow, row by row, takes a millisecond.
    """

    def __init__(self, split: datasets.Dataset, truncation: Truncation):
        tokens, lengths = _flatten(split)
        starts = np.cumsum(lengths) - lengths
        self.lengths = np.minimum(lengths, truncation.max_length)
        self.ends = np.cumsum(self.lengths)
        self.labels = np.asarray(split["label"], dtype=np.int64)
        if len(tokens) == self.lengths.sum():
            self.tokens = tokens
        else:
            # Where each kept token stands in its row; those after the head move to the row's end if the row is cut.
            position = np.arange(self.ends[-1]) - np.repeat(self.ends - self.lengths, self.lengths)
            position += np.repeat(lengths - self.lengths, self.lengths) * (position >= truncation.head)
            self.tokens = tokens[np.repeat(starts, self.lengths) + position]

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, row: int) -> dict:
        end = self.ends[row]
        return {"input_ids": self.tokens[end - self.lengths[row] : end], "labels": self.labels[row]}

    def __getitems__(self, rows: list[int]) -> list[dict]:
        return [self[row] for row in rows]


def _flatten(split: datasets.Dataset) -> tuple[np.ndarray, np.ndarray]:
    """All tokens of a split one after the other, and the number of tokens of each row."""
    column = split.with_format("arrow")["input_ids"][:].combine_chunks()
    return column.flatten().to_numpy(), np.diff(column.offsets.to_numpy())


@dataclass
class Rows:
    """The rows of the three splits as the collator takes them, each with `labels` (rows,), and how texts were cut.

    Attributes:
        max_length: tokens kept of a text.
        covered: share of the training texts that are not longer.
        lengths: of each split, the number of tokens of every text before cutting, (rows,); None for what is no text.
    """

    train: torch.utils.data.Dataset
    validation: torch.utils.data.Dataset
    test: torch.utils.data.Dataset
    max_length: int | None = None
    covered: float | None = None
    lengths: dict[str, np.ndarray] | None = None


def tokenize_corpus(
    corpus: Corpus, tokenizer: PreTrainedTokenizerBase, arguments: TextArguments, training_args: TrainingArguments
) -> Rows:
    """Token rows of every split, cut to `--max_length`."""
    with training_args.main_process_first(desc="tokenizing"):
        splits = tokenize(corpus.splits, tokenizer)
    lengths = {name: token_lengths(split) for name, split in splits.items()}
    limit = arguments.max_length
    max_length = auto_max_length(lengths["train"]) if limit == "auto" else int(limit)
    covered = float((lengths["train"] <= max_length).mean())
    logger.info("max_length %d covers %.1f %% of the training texts", max_length, 100 * covered)
    tokenizer.model_max_length = max_length  # saved with it: where predictions are cut
    truncation = Truncation.of(arguments.truncation, max_length, tokenizer)
    rows = {name: TokenRows(split, truncation) for name, split in splits.items()}
    return Rows(**rows, max_length=max_length, covered=covered, lengths=lengths)
