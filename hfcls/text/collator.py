"""From rows to batches."""

from dataclasses import dataclass

import numpy as np
import torch
from transformers import PreTrainedTokenizerBase

from hfcls.inference.buckets import padded_length
from hfcls.models.padding_free import boundaries


@dataclass
class PaddingCollator:
    """Pads a batch to its longest row; `token_type_ids` and `labels` are there if the rows have them.

    >>> PaddingCollator(pad_token_id=0)([{"input_ids": [5, 6, 7], "labels": 1}, {"input_ids": [8], "labels": 0}])
    {'input_ids': tensor([[5, 6, 7], [8, 0, 0]]),
     'attention_mask': tensor([[1, 1, 1], [1, 0, 0]]),
     'labels': tensor([1, 0])}

    Args:
        pad_token_id: of the tokenizer.
        padding_side: right or left.
        pad_to_multiple_of: widths are rounded up to a multiple, for tensor cores.
        buckets: the widths that a batch may have, ascending; none: any.
        omit_full_mask: leave `attention_mask` out where no row is padded, for models that take that to be so.
        padding_free: add the `boundaries` that a model computes a batch without padding by.
    """

    pad_token_id: int
    padding_side: str = "right"
    pad_to_multiple_of: int = 1
    buckets: tuple[int, ...] = ()
    omit_full_mask: bool = False
    padding_free: bool = False

    def __call__(self, rows: list[dict]) -> dict[str, torch.Tensor]:
        lengths = np.array([len(row["input_ids"]) for row in rows])
        width = max(1, -(-lengths.max() // self.pad_to_multiple_of) * self.pad_to_multiple_of)
        width = padded_length(width, self.buckets)
        columns = np.arange(width)
        mask = columns < lengths[:, None] if self.padding_side == "right" else columns >= width - lengths[:, None]
        input_ids = np.full(mask.shape, self.pad_token_id, dtype=np.int64)
        input_ids[mask] = np.concatenate([row["input_ids"] for row in rows])
        batch = {"input_ids": torch.from_numpy(input_ids)}
        if not (self.omit_full_mask and mask.all()):
            batch["attention_mask"] = torch.from_numpy(mask.astype(np.int64))
        if "token_type_ids" in rows[0]:
            token_type_ids = np.zeros(mask.shape, dtype=np.int64)
            token_type_ids[mask] = np.concatenate([row["token_type_ids"] for row in rows])
            batch["token_type_ids"] = torch.from_numpy(token_type_ids)
        if "labels" in rows[0]:
            batch["labels"] = torch.from_numpy(np.array([row["labels"] for row in rows]))
        return batch | boundaries(mask) if self.padding_free else batch


def text_collator(tokenizer: PreTrainedTokenizerBase, **options) -> PaddingCollator:
    """The collator that pads as `tokenizer` does; `options` are those of `PaddingCollator`."""
    return PaddingCollator(tokenizer.pad_token_id, tokenizer.padding_side, **options)
