"""Loading a classifier with its tokenizer or image processor, this project's own included, from a folder or the Hub."""

import importlib
import pkgutil

from transformers import (
    AutoConfig,
    AutoImageProcessor,
    AutoModelForImageClassification,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    ChineseCLIPModel,
    ChineseCLIPProcessor,
    PreTrainedModel,
)
from transformers.models.auto.tokenization_auto import get_tokenizer_config

import hfcls.models
from hfcls.cards.processor import CardProcessor
from hfcls.errors import InputError
from hfcls.models.jieba_tokenizer import JiebaTokenizer


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


def load(
    name_or_path: str,
    labels: list[str] | None = None,
    *,
    task: str = "text-classification",
    trust_remote_code: bool = False,
) -> tuple[object, PreTrainedModel]:
    """Tokenizer (or image processor) and classifier of a Hub name or a folder.

    Args:
        name_or_path: of the Hub, or a folder.
        labels: a new head is made for them; None for the head it was saved with.
        task: "text-classification", "image-classification", "tabular-classification" (of dataset cards) or
            "zero-shot-image-classification" (a Chinese-CLIP and its processor).
        trust_remote_code: whether the embedding model of a classifier of dataset cards may run code of its own.

    Raises:
        InputError: it is not there, or there is no network.
    """
    register_models()
    head = {}
    if labels is not None:
        head = {"id2label": dict(enumerate(labels)), "label2id": {name: i for i, name in enumerate(labels)}}
    try:
        if task == "image-classification":
            # Pillow's: torchvision is no dependency. Vision models are published with a head for their own classes.
            processor = AutoImageProcessor.from_pretrained(name_or_path, backend="pil")
            resized = labels is not None
            model = AutoModelForImageClassification.from_pretrained(
                name_or_path, ignore_mismatched_sizes=resized, **head
            )
        elif task == "zero-shot-image-classification":
            kind = AutoConfig.from_pretrained(name_or_path).model_type
            if kind != ChineseCLIPModel.config_class.model_type:
                raise InputError(
                    f"{name_or_path}: is a {kind}, not a Chinese-CLIP; give one, or a folder that holds one"
                )
            image_processor = AutoImageProcessor.from_pretrained(name_or_path, backend="pil")
            processor = ChineseCLIPProcessor(image_processor, AutoTokenizer.from_pretrained(name_or_path))
            model = ChineseCLIPModel.from_pretrained(name_or_path)
        elif task == "tabular-classification":
            model = AutoModelForSequenceClassification.from_pretrained(name_or_path, **head)
            processor = CardProcessor.from_pretrained(name_or_path, model.config, trust_remote_code=trust_remote_code)
        else:
            processor = tokenizer_class(name_or_path).from_pretrained(name_or_path)
            model = AutoModelForSequenceClassification.from_pretrained(name_or_path, **head)
    except InputError:
        raise
    except (OSError, ValueError) as error:
        reason = str(error).strip().splitlines()[0]
        raise InputError(
            f"{name_or_path}: cannot be loaded ({reason}). Without a network: give a downloaded folder as "
            f"--model_name_or_path, set HF_ENDPOINT to a mirror, or train with --from_scratch mini"
        ) from error
    return processor, model
