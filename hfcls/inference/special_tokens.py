"""Tokens that a classifier cannot do without: one that fills batches up, and for some the one that ends a text."""

import copy

from transformers import PreTrainedModel, PreTrainedTokenizerBase

from hfcls.errors import InputError


def with_padding(tokenizer: PreTrainedTokenizerBase, name_or_path: str) -> PreTrainedTokenizerBase:
    """`tokenizer`, or a copy that pads on the right with the end of a text if it has no token to pad with, as those of
    many decoders.

    Raises:
        InputError: it has no token for the end of a text, nor for what is unknown.
    """
    if tokenizer.pad_token is not None:
        return tokenizer
    tokenizer = copy.deepcopy(tokenizer)
    tokenizer.pad_token = tokenizer.eos_token or tokenizer.unk_token
    if tokenizer.pad_token is None:
        raise InputError(
            f"{name_or_path}: its tokenizer has no token to pad batches with, nor one for the end of a text: "
            "name one as pad_token in its tokenizer_config.json"
        )
    # On the left it would move the positions of a text's tokens. Only what is named here is saved.
    tokenizer.padding_side = tokenizer.init_kwargs["padding_side"] = "right"
    return tokenizer


def check_end(tokenizer: PreTrainedTokenizerBase, model: PreTrainedModel, name_or_path: str) -> None:
    """Makes sure that a model of encoder and decoder (T5, BART), which classifies by the token for the end of a text,
    gets one from its tokenizer.

    Raises:
        InputError: it does not.
    """
    if model.config.is_encoder_decoder and model.config.eos_token_id not in tokenizer("a")["input_ids"]:
        raise InputError(
            f"{name_or_path}: classifies by the token for the end of a text (eos_token_id {model.config.eos_token_id} "
            "in config.json), which its tokenizer does not add: fetch the tokenizer that the model was trained with"
        )
