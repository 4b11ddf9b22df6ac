"""Loading a classifier and its tokenizer, this project's own included, from a folder or the Hub."""

import importlib
import pkgutil

from transformers import AutoModelForSequenceClassification, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase
from transformers.models.auto.tokenization_auto import get_tokenizer_config

import hfcls.models
from hfcls.errors import InputError
from hfcls.jieba_tokenizer import JiebaTokenizer


def register_models() -> None:
    """Makes the models of this project known to the Auto classes, so that none of them needs remote code."""
    for module in pkgutil.iter_modules(hfcls.models.__path__):  # each registers its own
        importlib.import_module(f"hfcls.models.{module.name}")


def tokenizer_class(name_or_path: str) -> type:
    """`AutoTokenizer`, or the one class of this project that it cannot know.

    transformers registers a tokenizer for one kind of model, and `JiebaTokenizer` serves several.
    """
    ours = get_tokenizer_config(name_or_path).get("tokenizer_class") == JiebaTokenizer.__name__
    return JiebaTokenizer if ours else AutoTokenizer


def load(name_or_path: str, labels: list[str] | None = None) -> tuple[PreTrainedTokenizerBase, PreTrainedModel]:
    """Tokenizer and classifier of a Hub name or a folder, with a head for `labels` (None: the head it was saved with).

    Raises:
        InputError: it is not there, or there is no network.
    """
    register_models()
    head = {}
    if labels is not None:
        head = {"id2label": dict(enumerate(labels)), "label2id": {name: i for i, name in enumerate(labels)}}
    try:
        tokenizer = tokenizer_class(name_or_path).from_pretrained(name_or_path)
        model = AutoModelForSequenceClassification.from_pretrained(name_or_path, **head)
    except (OSError, ValueError) as error:
        reason = str(error).strip().splitlines()[0]
        raise InputError(
            f"{name_or_path}: cannot be loaded ({reason}). Without a network: give a downloaded folder as "
            f"--model_name_or_path, set HF_ENDPOINT to a mirror, or train with --from_scratch mini"
        ) from error
    return tokenizer, model
