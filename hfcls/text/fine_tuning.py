"""How a pretrained encoder is fine-tuned where the user says nothing: a small one wants larger steps than BERT-base."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from hfcls.text.presets import BY_ROWS, DEVLIN, FROM_SCRATCH, NEURAL, NGRAMS, SMALL_ENCODER

if TYPE_CHECKING:
    from transformers import PreTrainedConfig

BASE_WIDTH = 768  # hidden_size of BERT-base, which the published settings are of


def fine_tuning(name_or_path: str | None, published: dict) -> dict:
    """The defaults of a recipe for the model of `--model_name_or_path`, None for the recipe's own.

    What is as wide as BERT-base or wider gets the `published` settings; a narrower encoder gets `SMALL_ENCODER` instead
    of what they say of optimization. Which part of a text is read stays as published.

    Raises:
        InputError: the model cannot be fetched, or its config read.
    """
    if name_or_path is None:
        return published

    # Not before a model is named: --help is answered at once.
    from transformers import AutoConfig

    from hfcls.inference.download import FROM_SCRATCH, model_folder
    from hfcls.inference.loading import loading_errors

    with loading_errors(name_or_path):
        folder = model_folder(name_or_path, instead=FROM_SCRATCH)
        config = AutoConfig.from_pretrained(folder, trust_remote_code=False)
    return published | SMALL_ENCODER if is_small(config) else published


def is_small(config: PreTrainedConfig) -> bool:
    """Whether a model is narrower than BERT-base; one that does not tell its width is not."""
    return getattr(config.get_text_config(), "hidden_size", BASE_WIDTH) < BASE_WIDTH


def of_any_model(given: argparse.Namespace) -> dict:
    """The defaults for whatever model the flags of `TextClassificationArguments` name; absent ones are None.

    Raises:
        InputError: as `fine_tuning`.
    """
    if given.architecture == "ngram_linear":
        return NGRAMS | BY_ROWS
    if given.architecture is not None:
        return NEURAL | BY_ROWS | {"dropout": 0.5}
    return FROM_SCRATCH if given.from_scratch else fine_tuning(given.model_name_or_path, DEVLIN)
