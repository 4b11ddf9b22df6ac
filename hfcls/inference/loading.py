"""Loading a classifier with its tokenizer or image processor, this project's own included, from a folder or a hub.

No code of a model's folder is run but where the caller says so: without a word from us, transformers would ask on
standard input.
"""

import copy
import importlib
import logging
import pickle
import pkgutil
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from safetensors import SafetensorError
from transformers import (
    AutoConfig,
    AutoImageProcessor,
    AutoModelForImageClassification,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    BaseImageProcessor,
    ChineseCLIPModel,
    ChineseCLIPProcessor,
    PreTrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)
from transformers.models.auto.tokenization_auto import get_tokenizer_config

import hfcls.models
from hfcls.errors import InputError
from hfcls.inference.download import FROM_SCRATCH, log_source, model_folder, one_line
from hfcls.inference.load_report import log_differences, not_noted, quiet_loading
from hfcls.inference.special_tokens import check_end, with_padding
from hfcls.models.attention import dropout_field
from hfcls.models.jieba_tokenizer import JiebaTokenizer

logger = logging.getLogger(__name__)

PLACEHOLDERS = ["0", "1"]  # labels of a classifier that is only made to see whether it can be

# What a config says of the training that the model has had: nothing of it is true of a new classifier made from it.
OF_TRAINING = ("decision_thresholds", "calibrated_temperature", "class_offsets", "long_texts", "custom_pipelines")


def register_models() -> None:
    """Makes the models of this project known to the Auto classes, so that none of them needs remote code."""
    for module in pkgutil.iter_modules(hfcls.models.__path__):  # each registers its own
        importlib.import_module(f"hfcls.models.{module.name}")


def tokenizer_class(folder: str) -> type:
    """`AutoTokenizer`, or the one class of this project that it cannot know.

    transformers registers a tokenizer for one kind of model, and `JiebaTokenizer` serves several.
    """
    ours = get_tokenizer_config(folder).get("tokenizer_class") == JiebaTokenizer.__name__
    return JiebaTokenizer if ours else AutoTokenizer


def load_text_classifier(
    name_or_path: str,
    labels: list[str] | None = None,
    note: Callable[[str], None] = not_noted,
    attention_dropout: float | None = None,
) -> tuple[PreTrainedTokenizerBase, PreTrainedModel]:
    """Tokenizer and classifier of texts, of a hub or a folder.

    Args:
        name_or_path: as `model_folder` takes it.
        labels: a new classifier of them is made, with a head from random weights unless the saved one is of the very
            same classes; None for the classifier that was saved.
        note: takes what there is to be said of the weights that a new classifier took, a line each.
        attention_dropout: the share of attention weights that training a new classifier drops; None for the saved one.

    Raises:
        InputError: as `loading_errors`; its config knows no `attention_dropout`; or it has no trained head where
            `labels` is None.
    """
    with loading_errors(name_or_path):
        tokenizer = _tokenizer(name_or_path, instead="" if labels is None else FROM_SCRATCH)
        model = load_model(AutoModelForSequenceClassification, name_or_path, labels, note, attention_dropout)
        check_end(tokenizer, model, name_or_path)
        if model.config.get_text_config().pad_token_id is None:
            # A decoder classifies by the last token of a text, which it knows by this.
            model.config.get_text_config().pad_token_id = tokenizer.pad_token_id
        return tokenizer, model


def check_text_classifier(name_or_path: str, *, trained: bool, attention_dropout: float | None = None) -> None:
    """Makes sure, before anything takes time, that `load_text_classifier` can load a model.

    Raises:
        InputError: it cannot, with labels of its own (`trained`) or with new ones.
    """
    with loading_errors(name_or_path), torch.random.fork_rng(devices=[]):  # the heads of a run are those of its seed
        tokenizer = _tokenizer(name_or_path, instead="" if trained else FROM_SCRATCH)
        log_source(name_or_path)
        labels = None if trained else PLACEHOLDERS
        model, *_ = _read(AutoModelForSequenceClassification, name_or_path, labels, attention_dropout)
        check_end(tokenizer, model, name_or_path)


def check_image_classifier(name_or_path: str, *, trained: bool) -> None:
    """As `check_text_classifier`, for `load_image_classifier`."""
    with loading_errors(name_or_path), torch.random.fork_rng(devices=[]):
        _image_processor(name_or_path)
        log_source(name_or_path)
        _read(AutoModelForImageClassification, name_or_path, None if trained else PLACEHOLDERS)


def _tokenizer(name_or_path: str, instead: str) -> PreTrainedTokenizerBase:
    folder = model_folder(name_or_path, instead=instead)
    tokenizer = tokenizer_class(folder).from_pretrained(folder, trust_remote_code=False)
    return with_padding(tokenizer, name_or_path)


def _image_processor(name_or_path: str) -> BaseImageProcessor:
    # Pillow's: torchvision is no dependency.
    return AutoImageProcessor.from_pretrained(model_folder(name_or_path), backend="pil", trust_remote_code=False)


def load_image_classifier(
    name_or_path: str, labels: list[str] | None = None, note: Callable[[str], None] = not_noted
) -> tuple[BaseImageProcessor, PreTrainedModel]:
    """Image processor and classifier of pictures; arguments and errors are those of `load_text_classifier`."""
    with loading_errors(name_or_path):
        processor = _image_processor(name_or_path)
        return processor, load_model(AutoModelForImageClassification, name_or_path, labels, note)


def load_chinese_clip(name_or_path: str) -> tuple[ChineseCLIPProcessor, ChineseCLIPModel]:
    """A Chinese-CLIP and its processor.

    Raises:
        InputError: as `loading_errors`; or it is another kind of model, or some of its weights are missing.
    """
    with loading_errors(name_or_path):
        folder = model_folder(name_or_path, instead=FROM_SCRATCH)
        kind = AutoConfig.from_pretrained(folder, trust_remote_code=False).model_type
        if kind != ChineseCLIPModel.config_class.model_type:
            raise InputError(f"{name_or_path}: is a {kind}, not a Chinese-CLIP; give one, or a folder that holds one")
        image_processor = AutoImageProcessor.from_pretrained(folder, backend="pil", trust_remote_code=False)
        tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
        model, loading = ChineseCLIPModel.from_pretrained(folder, dtype=torch.float32, output_loading_info=True)
        check_whole(name_or_path, loading["missing_keys"], "Chinese-CLIP")
        return ChineseCLIPProcessor(image_processor, tokenizer), model


@contextmanager
def loading_errors(name_or_path: str) -> Iterator[None]:
    """Makes the models of this project known, and turns what loading prints and raises in the block into one line.

    Raises:
        InputError: the model is not there, cannot be read, brings code of its own, or needs a package that is not
            installed.
    """
    register_models()
    try:
        with quiet_loading():
            yield
    except InputError:
        raise
    except pickle.UnpicklingError as error:
        raise InputError(
            f"{name_or_path}: its weights (.bin) are torn, or hold code, which is not run: give a folder with "
            "model.safetensors"
        ) from error
    except ImportError as error:
        raise InputError(f"{name_or_path}: needs a package that is missing: install it ({one_line(error)})") from error
    except (OSError, ValueError, RuntimeError, EOFError, SafetensorError) as error:
        if "trust_remote_code" in str(error):
            raise InputError(
                f"{name_or_path}: brings code of its own, which hfcls does not run: read it, then give its file as "
                "--architecture FILE.py"
            ) from error
        if "Unrecognized configuration class" in str(error):  # followed by the names of all that would do
            kind = re.search(r"(\w+)Config'", str(error))
            raise InputError(
                f"{name_or_path}: is a {kind[1] if kind else 'model'}, which transformers makes no such classifier of: "
                "give another model"
            ) from error
        raise InputError(
            f"{name_or_path}: cannot be loaded ({one_line(error)}): fetch it again, or give another model"
        ) from error


def num_positions(model: PreTrainedModel) -> int | None:
    """The tokens that `model` has positions for; None where it does not count them.

    RoBERTa and its kin count from behind the position of the padding token: 514 positions hold 512 tokens.
    """
    positions = getattr(model.config, "max_position_embeddings", None)
    if positions is None or positions <= 0:
        return None
    embeddings = (module for name, module in model.named_modules() if name.endswith("position_embeddings"))
    unused = [module.padding_idx + 1 for module in embeddings if getattr(module, "padding_idx", None) is not None]
    return positions - max(unused, default=0)


def longest_input(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> int | None:
    """The tokens that both can take; None where neither says."""
    limits = [limit for limit in (tokenizer.model_max_length, num_positions(model)) if limit is not None]
    return None if min(limits) > 10**9 else min(limits)  # a tokenizer without a limit says 10**30


def check_whole(name_or_path: str, missing: set[str], kind: str = "trained classifier") -> None:
    """Refuses a model of which a part would be random: `missing` are names of its weights that are in no file.

    Raises:
        InputError: there are such weights.
    """
    if missing:
        names = ", ".join(sorted(missing)[:3])
        remedy = "fine-tune it first, or fetch it again"
        raise InputError(f"{name_or_path}: is no {kind}, {names} are missing: {remedy}")


def load_model(
    auto_class: type,
    name_or_path: str,
    labels: list[str] | None = None,
    note: Callable[[str], None] = not_noted,
    attention_dropout: float | None = None,
) -> PreTrainedModel:
    """The classifier that was saved, or one of `labels` on top of the saved weights, of which `note` takes what to say.

    Its weights are float32 in whatever they were saved: Adam's steps are too small for a half, and end in NaN.

    Raises:
        InputError: weights are missing, or do not fit the config.
    """
    model, saved_labels, loading = _read(auto_class, name_or_path, labels, attention_dropout)
    if labels is None:
        return model
    log_differences(name_or_path, model, loading, note)
    head, mismatched = head_weights(model), {entry[0] for entry in loading["mismatched_keys"]}
    if saved_labels != labels and not head & (loading["missing_keys"] | mismatched):
        # As many classes, but others: transformers keeps the head and puts the new names on it.
        fresh = type(model)(model.config).state_dict()
        model.load_state_dict({name: fresh[name] for name in head}, strict=False)
        mismatched = head
    if mismatched:
        line = "its head is of other classes, the new one starts from random weights"
        logger.info("%s: %s", name_or_path, line)
        note(line)
    return model


def _read(
    auto_class: type, name_or_path: str, labels: list[str] | None, attention_dropout: float | None = None
) -> tuple[PreTrainedModel, list[str], dict]:
    """The model, the labels that it was saved with, and what transformers says of the weights that it found."""
    folder = model_folder(name_or_path)
    config = AutoConfig.from_pretrained(folder, trust_remote_code=False)
    saved_labels = [str(config.id2label[number]) for number in range(config.num_labels)]
    dropout = dropout_field(config.get_text_config())
    if attention_dropout is not None and dropout is None:
        raise InputError(f"--attention_dropout: {name_or_path} has no such dropout: drop the flag")
    model, loading = auto_class.from_pretrained(
        folder,
        config=config if labels is None else _untrained(config, labels, attention_dropout),
        dtype=torch.float32,
        trust_remote_code=False,
        ignore_mismatched_sizes=True,  # a head for other classes; what else does not fit is refused here
        output_loading_info=True,
    )
    mismatched = {entry[0] for entry in loading["mismatched_keys"]} - (set() if labels is None else head_weights(model))
    if mismatched:
        raise InputError(
            f"{name_or_path}: config.json and weights disagree on the shape of {min(mismatched)}: fetch it again"
        )
    if labels is None:
        check_whole(name_or_path, loading["missing_keys"])
    return model, saved_labels, loading


def _untrained(config: PreTrainedConfig, labels: list[str], attention_dropout: float | None) -> PreTrainedConfig:
    """A copy of `config` for a classifier of `labels` that has had no training yet."""
    config = copy.deepcopy(config)
    for name in OF_TRAINING:
        if hasattr(config, name):
            delattr(config, name)
    if attention_dropout is not None:
        setattr(config.get_text_config(), dropout_field(config.get_text_config()), attention_dropout)
    config.problem_type = None
    config.id2label = dict(enumerate(labels))
    config.label2id = {label: number for number, label in enumerate(labels)}
    return config


def head_weights(model: PreTrainedModel) -> set[str]:
    """Names of the weights whose shape follows from the number of classes."""
    config = copy.deepcopy(model.config)
    config.num_labels = model.config.num_labels + 1
    with torch.device("meta"):  # shapes only
        wider = type(model)(config).state_dict()
    return {name for name, weight in model.state_dict().items() if weight.shape != wider[name].shape}
