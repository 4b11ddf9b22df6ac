"""Which part of a long text a classifier reads: one cut for training, for `hfcls predict` and for `pipeline`.

The file needs only torch and transformers. Where no tokenizer can make the cut, `save_pipeline` puts the file beside
the weights, and `pipeline(task, model=folder, trust_remote_code=True)` cuts with the class below where hfcls is not
installed.
"""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from transformers import PreTrainedConfig, PreTrainedTokenizerBase, TextClassificationPipeline

# Of 510 tokens that are kept, so many come from the beginning. head_tail: Sun et al. 2019, "How to Fine-Tune BERT for
# Text Classification?".
HEADS = {"head": 510, "tail": 0, "head_tail": 128}


@dataclass(frozen=True)
class Truncation:
    """Which tokens of a row longer than `max_length` are kept: some from its beginning, the others from its end.

    Attributes:
        keep: head, tail or head_tail.
        max_length: tokens kept, special ones included.
        first, last: special tokens in front and behind, which always stay.
    """

    keep: str
    max_length: int
    first: int
    last: int

    @classmethod
    def of(cls, keep: str, max_length: int, tokenizer: PreTrainedTokenizerBase) -> "Truncation":
        """The rule for rows that `tokenizer` makes."""
        special = tokenizer("a", return_special_tokens_mask=True)["special_tokens_mask"]
        return cls(keep, max_length, _leading_ones(special), _leading_ones(special[::-1]))

    @classmethod
    def from_config(cls, config: PreTrainedConfig, tokenizer: PreTrainedTokenizerBase) -> "Truncation | None":
        """The rule that `to_config` put into the config of a model; None for a model of another origin."""
        noted = getattr(config, "long_texts", None)
        return None if noted is None else cls.of(noted["keep"], noted["max_length"], tokenizer)

    def to_config(self, *, pairs: bool) -> dict:
        """What the config of the model has to say of the rule, and of the pipeline where only ours obeys it.

        `pairs` tells that rows have a second text: a tokenizer shortens the longer text of a pair, this rule the
        second.
        """
        note = {"long_texts": {"keep": self.keep, "max_length": self.max_length, "pairs": pairs}}
        if not pairs and self.keep in ("head", "tail"):  # which `truncation_side` says
            return note
        implementation = f"{Path(__file__).stem}.{TruncatingPipeline.__name__}"
        pipelines = {"text-classification": {"impl": implementation, "pt": ["AutoModelForSequenceClassification"]}}
        return note | {"custom_pipelines": pipelines}

    def head(self, start):
        """Tokens kept from the beginning of rows of which all before `start` is to stay: integers, or arrays (rows,).

        That is the first text of a pair: it stays whole as long as it is shorter than `max_length`.
        """
        content = self.max_length - start - self.last
        return np.minimum(start + content * HEADS[self.keep] // 510, self.max_length - self.last)

    def cut(self, row: list[int], pair_start: int) -> list[int]:
        """The tokens that are kept of one row, of which the second text begins at `pair_start` (see `encode`)."""
        if len(row) <= self.max_length:
            return row
        head = int(self.head(pair_start if pair_start < len(row) else self.first))
        return row[:head] + row[len(row) - (self.max_length - head) :]

    def inputs(
        self, tokenizer: PreTrainedTokenizerBase, texts: Sequence[str], pairs: Sequence[str] | None = None
    ) -> dict[str, list[list[int]]]:
        """What the model takes of each text, and of its second one if there are `pairs`: lists, cut and not padded."""
        rows, pair_starts = encode(tokenizer, texts, pairs)
        pair_starts = [len(row) for row in rows] if pair_starts is None else pair_starts
        kept = [self.cut(row, start) for row, start in zip(rows, pair_starts, strict=True)]
        inputs = {"input_ids": kept, "attention_mask": [[1] * len(row) for row in kept]}
        if "token_type_ids" in tokenizer.model_input_names:
            inputs["token_type_ids"] = [
                [0] * min(start, len(row)) + [1] * (len(row) - start)
                for row, start in zip(kept, pair_starts, strict=True)
            ]
        return inputs


def encode(
    tokenizer: PreTrainedTokenizerBase, texts: Sequence[str], pairs: Sequence[str] | None = None
) -> tuple[list[list[int]], list[int] | None]:
    """Whole texts as token ids, with the tokenizer's special tokens, and where in each row its second text begins.

    Args:
        pairs: the second texts, empty where there is none. A tokenizer with a separator encodes both as a pair; any
            other gets the second on the next line of the first.

    Returns:
        The rows, and the place of the first token of each second text, the row's length where there is none; None for
        texts that are not encoded as pairs.
    """
    quiet = {"return_attention_mask": False, "return_token_type_ids": False, "verbose": False}
    if pairs is not None and tokenizer.sep_token is None:
        texts = [f"{text}\n{pair}" if pair else text for text, pair in zip(texts, pairs, strict=True)]
    if pairs is None or tokenizer.sep_token is None:
        return tokenizer(list(texts), **quiet)["input_ids"], None
    rows, starts = [[] for _ in texts], [0] * len(texts)
    for paired in (False, True):
        chosen = [row for row, pair in enumerate(pairs) if bool(pair) == paired]
        if not chosen:
            continue
        columns = [[column[row] for row in chosen] for column in ((texts, pairs) if paired else (texts,))]
        encoded = tokenizer(*columns, **quiet)
        for place, row in enumerate(chosen):
            rows[row] = encoded["input_ids"][place]
            starts[row] = len(rows[row])
            if paired and 1 in encoded.sequence_ids(place):  # no token comes of white space
                starts[row] = encoded.sequence_ids(place).index(1)
    return rows, starts


class TruncatingPipeline(TextClassificationPipeline):
    """`text-classification` that cuts long texts as the model was trained and measured with.

    >>> classifier = pipeline("text-classification", model=folder, trust_remote_code=True)
    >>> classifier({"text": "a title", "text_pair": "and what stands below it"})

    Called with `truncation=False` it does not cut, with `max_length` to no more than that.
    """

    def preprocess(self, inputs, truncation=True, max_length=None, padding=False) -> dict[str, torch.Tensor]:
        """A text, or a dict of `text` and `text_pair`, as tensors (1, tokens); `padding` is the business of batches."""
        row = {"text": inputs} if isinstance(inputs, str) else inputs
        rule = Truncation.from_config(self.model.config, self.tokenizer)
        limit = rule.max_length if max_length is None else min(rule.max_length, max_length)
        rule = replace(rule, max_length=limit if truncation else 10**9)
        pair = row.get("text_pair")
        columns = rule.inputs(self.tokenizer, [row["text"]], [pair] if pair else None)
        return {name: torch.tensor(values, dtype=torch.int64) for name, values in columns.items()}

    def save_pretrained(self, save_directory, **kwargs) -> None:
        # transformers has put classes where the config had their names, which no JSON takes.
        noted = self.model.config.long_texts
        rule = Truncation.from_config(self.model.config, self.tokenizer)
        self.model.config.update(rule.to_config(pairs=noted["pairs"]))
        super().save_pretrained(save_directory, **kwargs)
        save_pipeline(self.model.config, save_directory)


def save_pipeline(config: PreTrainedConfig, folder: str | Path) -> None:
    """Puts this file into `folder`, where a model with `config` was saved, if its texts are cut by the class above."""
    if hasattr(config, "long_texts") and hasattr(config, "custom_pipelines"):
        shutil.copyfile(__file__, Path(folder, Path(__file__).name))


def _leading_ones(special: list[int]) -> int:
    return next((place for place, one in enumerate(special) if not one), len(special))
