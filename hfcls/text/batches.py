"""How the rows of a text recipe become batches: which lengths, which masks, with padding or without."""

import logging

import numpy as np
from transformers import PreTrainedModel, PreTrainedTokenizerBase, TrainingArguments

from hfcls.errors import InputError
from hfcls.inference.buckets import length_buckets
from hfcls.models.attention import use_given_masks
from hfcls.models.padding_free import difference, padding_free
from hfcls.text.arguments import TextArguments
from hfcls.text.collator import PaddingCollator, text_collator
from hfcls.text.rows import TokenRows
from hfcls.training.setup import Rows

logger = logging.getLogger(__name__)

TRIED = 4  # rows that are computed with padding and without, before a model is trained without
SAME = 1e-3  # difference of their logits that rounding explains


def build_collator(
    arguments: TextArguments,
    training_args: TrainingArguments,
    tokenizer: PreTrainedTokenizerBase,
    rows: Rows,
    model: PreTrainedModel,
) -> PaddingCollator:
    """The collator that the flags ask for; `model` is made to take its batches.

    Raises:
        InputError: `--padding_free`, and `model` cannot.
    """
    on_gpu = training_args.device.type == "cuda"
    without_padding = getattr(arguments, "padding_free", False)
    few_shapes = (on_gpu or training_args.torch_compile) and not without_padding
    bucketed = few_shapes if arguments.length_buckets is None else arguments.length_buckets
    options = {
        "buckets": length_buckets(rows.max_length) if bucketed else (),
        "omit_full_mask": use_given_masks(model),
        "padding_free": without_padding,
    }
    collator = text_collator(tokenizer, **options)
    if collator.padding_free:
        if on_gpu and not (training_args.bf16 or training_args.fp16):
            raise InputError("--padding_free: a GPU has a kernel for halves only: give --bf16 True, or leave it out")
        _make_padding_free(model, collator, rows.train)
    return collator


def _make_padding_free(model: PreTrainedModel, collator: PaddingCollator, rows: TokenRows) -> None:
    name = type(model).__name__
    _, first = np.unique(rows.lengths[:1000], return_index=True)  # of each length, the shortest first
    batch = collator(rows.__getitems__(first[:TRIED].tolist()))
    del batch["labels"]
    try:
        padding_free(model)
        largest = difference(model, batch)
    except (AttributeError, IndexError, KeyError, RuntimeError, TypeError, ValueError) as error:
        raise InputError(f"--padding_free: {name} needs its padding ({error}): leave it out") from error
    if not largest < SAME:
        raise InputError(f"--padding_free: {name} answers otherwise without padding (by {largest:.1e}): leave it out")
    logger.info("rows without padding (--padding_free): logits agree to %.0e", largest)
