"""What hfcls uses of other libraries that they do not document, so that the release that moves it is known at once.

Each entry: where it is, the name, the file of hfcls that uses it, and the version it was read in.
"""

import inspect

import accelerate
import pytest
import torch
import tqdm
import transformers

PRIVATE = [
    (tqdm.tqdm, "_instances", "hfcls/errors.py", "tqdm 4.70"),
    (transformers.Trainer, "_get_train_sampler", "hfcls/training/trainer.py", "transformers 5.23"),
    (transformers.PreTrainedModel, "_can_set_attn_implementation", "hfcls/models/attention.py", "transformers 5.23"),
    (torch.ops.aten, "_flash_attention_forward", "hfcls/models/attention.py", "torch 2.13"),
]

# Attributes that only live on instances, and code that one of ours stands in for: names that the source must hold.
NAMED_IN = [
    (transformers.Trainer.get_train_dataloader, "_get_train_sampler", "hfcls/training/trainer.py", "transformers 5.23"),
    (
        transformers.Trainer.training_step,
        "loss_is_scaled_for_ga current_gradient_accumulation_steps accelerator.backward",
        "hfcls/retrieval/trainer.py",
        "transformers 5.23",
    ),
    (accelerate.Accelerator.prepare_model, "_original_forward", "hfcls/training/trainer.py", "accelerate 1.15"),
    (transformers.Trainer.evaluate, "callback_handler.on_evaluate", "hfcls/retrieval/trainer.py", "transformers 5.23"),
]


def plain_id(value) -> str:
    """The name of a class or function: an address would differ between processes."""
    return getattr(value, "__qualname__", value)


@pytest.mark.parametrize(("owner", "name", "used_in", "read_in"), PRIVATE, ids=plain_id)
def test_private_names_are_there(owner, name, used_in, read_in):
    assert hasattr(owner, name), f"{owner.__name__}.{name} is gone; {used_in} uses it as {read_in} had it"


@pytest.mark.parametrize(("function", "names", "used_in", "read_in"), NAMED_IN, ids=plain_id)
def test_functions_still_use_what_is_relied_on(function, names, used_in, read_in):
    source = inspect.getsource(function)
    missing = [name for name in names.split() if name not in source]
    assert not missing, f"{function.__qualname__} has no {', '.join(missing)}; {used_in} relies on it as of {read_in}"
