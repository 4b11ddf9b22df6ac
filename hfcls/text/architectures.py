"""The class that `--architecture` names: one of this project's, or one in a file of the user's own."""

import functools
import importlib
import inspect
import logging
import pkgutil
import sys
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import torch
from transformers import AutoConfig, AutoModelForSequenceClassification, PreTrainedConfig, PreTrainedModel
from transformers.dynamic_module_utils import get_imports
from transformers.models.auto.configuration_auto import CONFIG_MAPPING_NAMES

from hfcls import models, own_code
from hfcls.errors import InputError

logger = logging.getLogger(__name__)

# What whoever reloads a model has installed: transformers, and what it and torch need themselves.
INSTALLED = {"torch", "transformers", "huggingface_hub", "safetensors", "tokenizers", "numpy"}
INPUTS = ("input_ids", "attention_mask", "labels")


def architecture(name: str) -> type[PreTrainedModel]:
    """The model class of `--architecture`: a name of `models.TEXT`, or `path/file.py`, `path/file.py:Class`.

    A class of a file is made known to the Auto classes, so that what it saves is loaded again in this process, and to
    `save_pretrained`, which puts the file beside the weights.

    Raises:
        InputError: the file cannot be read, or its class is no classifier of texts.
    """
    if not own_code.is_file(name):
        return getattr(importlib.import_module(f"hfcls.models.{name}"), models.TEXT[name])
    model_class = own_code.load_class(name, PreTrainedModel, flag="--architecture")
    _register(model_class, own_code.path_of(name))
    return model_class


@functools.cache  # so that what it warns of is said once
def _register(model_class: type[PreTrainedModel], path: Path) -> None:
    taken = {module.name for module in pkgutil.iter_modules(models.__path__)}
    if path.stem in taken:
        raise InputError(f"--architecture {path}: hfcls may put a file of that name beside the weights: rename yours")
    where = f"{path}: {model_class.__name__}"
    config_class = model_class.config_class
    own = isinstance(config_class, type) and issubclass(config_class, PreTrainedConfig)
    if not own or config_class.__module__ != model_class.__module__:
        # With a config of transformers, whoever reloads it without this file would get the model of transformers.
        raise InputError(f"{where} has no config of its own: write a PreTrainedConfig, and `config: ThatConfig` in it")
    kind = config_class.model_type
    if not kind or kind in taken or kind in CONFIG_MAPPING_NAMES:
        raise InputError(
            f"{path}: {config_class.__name__}.model_type is {kind!r}, which is {'taken' if kind else 'no name'}: "
            f"give it one of its own"
        )
    inputs = inspect.signature(model_class.forward).parameters
    for argument in INPUTS:
        if argument not in inputs:
            raise InputError(f"{where}.forward takes no {argument}: it gets {', '.join(INPUTS)}")
    AutoConfig.register(kind, config_class, exist_ok=True)
    config_class.register_for_auto_class()
    AutoModelForSequenceClassification.register(config_class, model_class, exist_ok=True)
    model_class.register_for_auto_class("AutoModelForSequenceClassification")
    foreign = sorted(set(get_imports(path)) - INSTALLED - sys.stdlib_module_names)
    if foreign:
        logger.warning("%s imports %s: so has to whoever loads what is saved", path, ", ".join(foreign))


def errors_of(name: str) -> AbstractContextManager:
    """Turns what the code of a file raises in the block into one line; leaves alone what is this project's own."""
    return own_code.errors_in(own_code.path_of(name)) if own_code.is_file(name) else nullcontext()


def check_outputs(model: PreTrainedModel, batch: dict[str, torch.Tensor], name: str) -> None:
    """Runs a model of a file on a batch of training rows, which leaves it and the random numbers as they were.

    Raises:
        InputError: its code raises something, or what it returns are no `loss` and `logits` (rows, labels).
    """
    path = own_code.path_of(name)
    with errors_of(name), torch.no_grad(), torch.random.fork_rng(devices=[]):
        outputs = model.eval()(**batch)
        model.train()
    found = {key: getattr(outputs, key, None) for key in ("loss", "logits")}
    for key, value in found.items():
        if not isinstance(value, torch.Tensor):
            raise InputError(f"{path}: forward returns no {key}: return SequenceClassifierOutput(loss=…, logits=…)")
    expected = (len(batch["input_ids"]), model.config.num_labels)
    if found["logits"].shape != expected:
        shape = tuple(found["logits"].shape)
        raise InputError(f"{path}: forward returns logits {shape}, not {expected}: one number for each row and label")
