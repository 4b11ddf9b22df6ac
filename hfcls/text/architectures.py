"""The class that `--architecture` names: one of this project's, or one in a file of the user's own."""

import functools
import importlib
import inspect
import logging
import pkgutil
import sys
from contextlib import AbstractContextManager, nullcontext

import torch
from transformers import AutoConfig, AutoModelForSequenceClassification, PreTrainedConfig, PreTrainedModel
from transformers.dynamic_module_utils import get_imports
from transformers.models.auto.configuration_auto import CONFIG_MAPPING

from hfcls import models, own_code
from hfcls.errors import InputError
from hfcls.inference.loading import register_models

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
    if own_code.is_file(name):
        return _own(name)
    return getattr(importlib.import_module(f"hfcls.models.{name}"), models.TEXT[name])


@functools.cache  # a file is run and registered once
def _own(name: str) -> type[PreTrainedModel]:
    path = own_code.path_of(name)
    if path.stem in {module.name for module in pkgutil.iter_modules(models.__path__)}:
        raise InputError(
            f"--architecture {path}: a file of that name of hfcls may lie beside the weights: rename yours"
        )
    register_models()
    known = set(CONFIG_MAPPING)
    model_class = own_code.load_class(name, PreTrainedModel, flag="--architecture")
    where = f"{path}: {model_class.__name__}"
    config_class = model_class.config_class
    if not (isinstance(config_class, type) and issubclass(config_class, PreTrainedConfig)):
        raise InputError(f"{where} has no config: write `config_class = …` in it, a PreTrainedConfig")
    inputs = inspect.signature(model_class.forward).parameters
    for argument in INPUTS:
        if argument not in inputs:
            raise InputError(f"{where}.forward takes no {argument}: it gets {', '.join(INPUTS)}")
    if config_class.__module__ == model_class.__module__:
        if not config_class.model_type or config_class.model_type in known:
            raise InputError(
                f"{where}: the model_type of {config_class.__name__} is {config_class.model_type!r}, which is "
                f"{'taken' if config_class.model_type else 'no name'}: give it one of its own"
            )
        AutoConfig.register(config_class.model_type, config_class, exist_ok=True)
        config_class.register_for_auto_class()
    AutoModelForSequenceClassification.register(config_class, model_class, exist_ok=True)
    model_class.register_for_auto_class("AutoModelForSequenceClassification")
    foreign = sorted(set(get_imports(path)) - INSTALLED - sys.stdlib_module_names)
    if foreign:
        logger.warning("%s imports %s: so has to whoever loads what is saved", where, ", ".join(foreign))
    return model_class


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
    found = {key: getattr(outputs, key, None) for key in ("loss", "logits")}
    for key, value in found.items():
        if not isinstance(value, torch.Tensor):
            raise InputError(f"{path}: forward returns no {key}: return SequenceClassifierOutput(loss=…, logits=…)")
    expected = (len(batch["input_ids"]), model.config.num_labels)
    if found["logits"].shape != expected:
        shape = tuple(found["logits"].shape)
        raise InputError(f"{path}: forward returns logits {shape}, not {expected}: one number for each row and label")
