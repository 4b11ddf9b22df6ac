"""Weights saved in fewer digits: how many test scores that costs is measured on the very weights that are saved."""

import math
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from transformers import PreTrainedModel, Trainer

from hfcls.errors import InputError
from hfcls.runs.rounding import Rounding
from hfcls.training.arguments import SharedArguments
from hfcls.training.setup import Setup, Tested


def check_rounding(arguments: SharedArguments, trainer: Trainer) -> None:
    """Makes sure, before any training, that every process has all weights, as `round_weights` needs them.

    Raises:
        InputError: they are spread over the processes.
    """
    if arguments.save_dtype is not None and (trainer.is_fsdp_enabled or trainer.is_deepspeed_enabled):
        raise InputError("--save_dtype is of weights that each process has whole: leave it out with FSDP and DeepSpeed")


@torch.no_grad()
def round_weights(model: PreTrainedModel, dtype: str) -> None:
    """Rounds the weights of `model`, in place, to what `dtype` can hold; they stay float32.

    Raises:
        InputError: one of them is beyond what `dtype` can hold.
    """
    for name, weight in model.state_dict().items():
        if not weight.is_floating_point():
            continue
        rounded = weight.to(getattr(torch, dtype))
        if rounded.isinf().any() and not weight.isinf().any():
            raise InputError(
                f"--save_dtype {dtype}: {name} holds {weight.abs().max().item():g}, which is beyond it; the model was "
                "saved in float32: go on with --save_dtype bfloat16 --resume_from_checkpoint auto"
            )
        weight.copy_(rounded)


def save_rounded(folder: Path, dtype: str) -> None:
    """Saves the weights in `folder` anew, in `dtype`. What is no number with a point stays as it is.

    config.json goes on saying float32, which is what a model is computed in: `from_pretrained` and `pipeline` then
    compute what was measured, and not in a half, which takes minutes on a CPU.
    """
    for path in folder.glob("*.safetensors"):
        with safe_open(path, "pt") as file:
            metadata = file.metadata()
        weights = {
            name: weight.to(getattr(torch, dtype)) if weight.is_floating_point() else weight
            for name, weight in load_file(path).items()
        }
        part = path.with_suffix(".part")
        save_file(weights, part, metadata)
        part.replace(path)


def measure_rounded(
    setup: Setup, trainer: Trainer, arguments: SharedArguments, tested: Tested
) -> tuple[Tested, Rounding]:
    """Saves the model in `--save_dtype` and measures it anew; `tested` is what it gave in float32.

    Raises:
        InputError: as `round_weights`; the model stays as it was saved in float32.
    """
    dtype = arguments.save_dtype
    round_weights(trainer.model, dtype)
    if trainer.args.should_save:
        save_rounded(Path(trainer.args.output_dir), dtype)
    names = (*setup.target.printed, *setup.further_metrics)
    before = {name: tested.metrics.get(f"test_{name}", math.nan) for name in names}
    measured = {name: score for name, score in before.items() if math.isfinite(score)}
    return setup.test(trainer, arguments), Rounding(dtype, measured)
