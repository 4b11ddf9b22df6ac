"""Loading a classifier and its tokenizer, this project's own included, from a folder or the Hub."""

import importlib
import pkgutil

from transformers import AutoModelForSequenceClassification, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase
from transformers.models.auto.tokenization_auto import get_tokenizer_config

import hfcls.models
from hfcls.errors import InputError
from hfcls.jieba_tokenizer import JiebaTokenizer


def load(name_or_path: str, labels: list[str] | None = None) -> tuple[PreTrainedTokenizerBase, PreTrainedModel]:
    """Tokenizer and classifier of a Hub name or a folder, with a head for `labels` (None: the head it was saved with).

    Raises:
        InputError: it is not there, or there is no network.
    """
    for module in pkgutil.iter_modules(hfcls.models.__path__):  # each makes its models known to the Auto classes
        importlib.import_module(f"hfcls.models.{module.name}")
    head = {}
    if labels is not None:
        head = {"id2label": dict(enumerate(labels)), "label2id": {name: i for i, name in enumerate(labels)}}
    try:
        # transformers can register a tokenizer only for one kind of model, and this one serves several.
        ours = get_tokenizer_config(name_or_path).get("tokenizer_class") == JiebaTokenizer.__name__
        tokenizer = (JiebaTokenizer if ours else AutoTokenizer).from_pretrained(name_or_path)
        model = AutoModelForSequenceClassification.from_pretrained(name_or_path, **head)
    except (OSError, ValueError) as error:
        reason = str(error).strip().splitlines()[0]
        raise InputError(
            f"{name_or_path}: cannot be loaded ({reason}). Without a network: give a downloaded folder as "
            f"--model_name_or_path, set HF_ENDPOINT to a mirror, or train with --from_scratch mini"
        ) from error
    return tokenizer, model
