"""From a corpus of texts to rows of token ids."""

import logging
import math
import os
from collections.abc import Iterator

import datasets
import numpy as np
import torch
from transformers import PreTrainedTokenizerBase, TrainingArguments

from hfcls.data.mapped_files import ROWS, MappedFiles, parts
from hfcls.metrics.target import Target
from hfcls.models.truncation import Truncation, encode
from hfcls.text.arguments import ROWS_IN_MEMORY
from hfcls.text.token_storage import FlatTokens, MappedTokens, token_lengths
from hfcls.training.processes import prepared_once
from hfcls.training.setup import Corpus, Rows, read_labels

logger = logging.getLogger(__name__)

MAX_LENGTH_LIMIT = 512  # of `auto`: what BERT-like encoders have positions for
COVERED = (0.95, 0.99)  # shares of the training texts that `auto` keeps whole: at least and at most
WHOLE_TEXTS = (4096, 32768)  # tokens that a model of whole texts reads: at least, for longer texts to come, and at most

TOKENIZED = 2**28  # bytes of a file whose rows are tokenized together
BLOCK_ROWS = 4096  # that are read one after the other where rows are on a disk


def tokenize(
    corpus: datasets.DatasetDict, tokenizer: PreTrainedTokenizerBase, *, num_workers: int = 1
) -> datasets.DatasetDict:
    """Adds `input_ids` to every split: whole texts with the tokenizer's special tokens, cached by Arrow.

    Texts are not cut here, so that the report can show their lengths and another `--max_length` finds the same cache.
    A large split is tokenized, and cached, in parts of some `TOKENIZED` bytes.

    A split may have a second column of texts, `text_pair` (empty where there is none). A tokenizer with a separator
    encodes both as a pair, and `pair_start` is the position of the second; any other gets them as one text.
    """
    with_pairs = "text_pair" in corpus["train"].features

    def encode_rows(batch):
        rows, starts = encode(tokenizer, batch["text"], batch["text_pair"] if with_pairs else None)
        return {"input_ids": rows} | ({} if starts is None else {"pair_start": starts})

    added = {"input_ids": datasets.List(datasets.Value("int32"))}
    if with_pairs and tokenizer.sep_token is not None:
        added["pair_start"] = datasets.Value("int32")
    # `datasets` asks for no more processes than there are rows, and starts none for one.
    options = {"batched": True, "desc": "tokenizing", "num_proc": num_workers if num_workers > 1 else None}
    splits = {}
    for name, split in corpus.items():
        features = datasets.Features({**split.features, **added})
        mapped = [part.map(encode_rows, features=features, **options) for part in parts(split, _rows_together(split))]
        splits[name] = mapped[0] if len(mapped) == 1 else datasets.concatenate_datasets(mapped, split=split.split)
    return datasets.DatasetDict(splits)


def _rows_together(split: datasets.Dataset) -> int:
    """How many rows of `split` have some `TOKENIZED` bytes."""
    size = sum(os.path.getsize(file["filename"]) for file in split.cache_files)
    return max(ROWS, len(split) * TOKENIZED // max(1, size))


def auto_max_length(lengths: np.ndarray, *, whole: bool = False) -> int:
    """The tokens to keep of texts that are as long as those of train, `lengths` (rows,).

    Mean + 2 standard deviations, but no less than covers 95 % and no more than covers 99 %, at most `MAX_LENGTH_LIMIT`;
    for a model of `whole` texts the longest, within `WHOLE_TEXTS`.
    """
    if whole:
        return int(np.clip(lengths.max(), *WHOLE_TEXTS))
    least, most = np.quantile(lengths, COVERED, method="inverted_cdf")
    return min(math.ceil(np.clip(lengths.mean() + 2 * lengths.std(), least, most)), MAX_LENGTH_LIMIT)


def batches_of_like_length(lengths: np.ndarray, *, rows: int, tokens: int) -> Iterator[list[int]]:
    """All rows, the shortest first, in batches of at most so many `rows`, and padded to at most so many `tokens`.

    A row of more `tokens` is a batch of its own.
    """
    batch = []
    for row in np.argsort(lengths, kind="stable").tolist():
        if batch and (len(batch) == rows or (len(batch) + 1) * lengths[row] > tokens):
            yield batch
            batch = []
        batch.append(row)
    yield batch


class TokenRows(torch.utils.data.Dataset):
    """The rows of one split, cut to length.

    With a `target` rows have labels; with `token_types`, they tell the first text of a pair (0) from the second (1), as
    BERT does. `on_disk`, the tokens stay in the files that they were tokenized into, and `block_rows` says how many of
    them a Trainer should read that follow each other.
    """

    def __init__(
        self,
        split: datasets.Dataset,
        truncation: Truncation,
        *,
        target: Target | None = None,
        token_types: bool = False,
        on_disk: bool = False,
    ):
        lengths = token_lengths(split)
        self.lengths = np.minimum(lengths, truncation.max_length)
        self.labels = None if target is None else read_labels(target, split)
        self.block_rows = BLOCK_ROWS if on_disk else None
        cut_from = np.full(len(lengths), truncation.first)  # where what may be cut begins
        self.pair_starts = None
        if "pair_start" in split.column_names:
            pair_starts = np.asarray(split.with_format("numpy")["pair_start"][:])
            cut_from = np.where(pair_starts < lengths, pair_starts, cut_from)
            self.pair_starts = pair_starts if token_types else None
        storage = MappedTokens if on_disk else FlatTokens
        self.storage = storage(split, lengths, self.lengths, truncation.head(cut_from))
        MappedFiles.of(split).release()

    def __len__(self) -> int:
        return len(self.lengths)

    def __getitem__(self, row: int) -> dict:
        return self.__getitems__([row])[0]

    def __getitems__(self, rows: list[int]) -> list[dict]:
        batch = [{"input_ids": tokens} for tokens in self.storage.read(rows)]
        if self.pair_starts is not None:
            for row, pair_start in zip(batch, self.pair_starts[rows].tolist(), strict=True):
                row["token_type_ids"] = (np.arange(len(row["input_ids"])) >= pair_start).astype(np.int64)
        if self.labels is not None:
            labels = self.labels[rows]
            for row, label in zip(batch, labels.tolist() if labels.ndim == 1 else labels, strict=True):
                row["labels"] = label
        return batch

    def count_tokens(self, vocab_size: int) -> np.ndarray:
        """How often each token stands in the rows, (vocab_size,)."""
        counts = np.zeros(vocab_size, dtype=np.int64)
        for start in range(0, len(self), BLOCK_ROWS):
            rows = list(range(start, min(start + BLOCK_ROWS, len(self))))
            counts += np.bincount(np.concatenate(self.storage.read(rows)), minlength=vocab_size)
        return counts


def tokenize_corpus(
    corpus: Corpus,
    tokenizer: PreTrainedTokenizerBase,
    training_args: TrainingArguments,
    *,
    keep: str,
    max_length: int | None,
    limit: int | None = None,
    whole: bool = False,
    num_workers: int = 1,
    rows_in_memory: int = ROWS_IN_MEMORY,
) -> tuple[Rows, Truncation]:
    """Token rows of every split, and the rule that cut them.

    Args:
        keep: head, tail or head_tail.
        max_length: tokens kept; None for `auto_max_length` of the training texts, but at most `limit`.
        whole: the model reads whole texts, if nothing else is said.
        num_workers: processes that tokenize.
        rows_in_memory: a split of more is read from the disk.
    """
    with prepared_once(training_args, "tokenizing"):
        everything = corpus.splits if corpus.unlabelled is None else corpus.splits | {"unlabelled": corpus.unlabelled}
        splits = tokenize(everything, tokenizer, num_workers=num_workers)
    lengths = {name: token_lengths(split) for name, split in splits.items()}
    automatic = max_length is None
    if automatic:
        max_length = auto_max_length(lengths["train"], whole=whole)
        max_length = max_length if limit is None else min(max_length, limit)
    truncation = Truncation.of(keep, max_length, tokenizer)
    covered = float((lengths["train"] <= max_length).mean())
    if not automatic:
        log = logger.info if covered >= COVERED[0] else logger.warning
        log("max_length %d covers %.1f %% of the training texts (--max_length)", max_length, 100 * covered)
    token_types = "token_type_ids" in tokenizer.model_input_names
    rows = {}
    for name, split in splits.items():
        target, on_disk = None if name == "unlabelled" else corpus.target, len(split) > rows_in_memory
        if on_disk:
            logger.info("%s: %s rows stay on the disk (--rows_in_memory %d)", name, f"{len(split):,}", rows_in_memory)
        rows[name] = TokenRows(split, truncation, target=target, token_types=token_types, on_disk=on_disk)
    return Rows(**rows, max_length=max_length, covered=covered, lengths=lengths), truncation
