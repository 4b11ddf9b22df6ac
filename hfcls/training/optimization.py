"""The optimizers and schedules that `--optimizer` and `--schedule` name, of torch's and transformers' own classes."""

import math

import torch
from torch import nn
from torch.optim.lr_scheduler import LambdaLR, LRScheduler, StepLR
from transformers import TrainingArguments, get_scheduler

from hfcls.errors import InputError

WARMUP = 0.1  # share of all steps, where `--warmup_steps` says nothing
STEP_EPOCHS, STEP_FACTOR = 2, 0.9  # of `step`, as in the published MNIST work
FUSED = ("adam", "adamw", "sgd", "sgdm")  # that torch can compute for all weights in one launch
LAST_SHARE = 0.01  # of the learning rate, which `warmup_exponential` ends with

# What transformers calls them. `step` and `warmup_exponential` it does not have.
SCHEDULES = {
    "constant": "constant",
    "warmup_constant": "constant_with_warmup",
    "warmup_linear": "linear",
    "warmup_cosine": "cosine",
}


def warmup(values: dict, given: dict) -> dict:
    """What `--schedule` implies for the flags `values`, of which `given` were on the command line: its warm-up.

    Raises:
        InputError: a flag that contradicts `--optimizer` or `--schedule`.
    """
    for ours, theirs in (("optimizer", "optim"), ("schedule", "lr_scheduler_type")):
        if given.get(ours) and theirs in given:
            raise InputError(f"--{ours} and --{theirs} exclude each other: give one of them")
    schedule = values.get("schedule")
    if schedule is None:
        return {}
    if schedule.startswith("warmup"):
        return {"warmup_steps": values.get("warmup_steps") or WARMUP}
    if given.get("warmup_steps"):
        raise InputError(f"--schedule {schedule} has no warm-up: leave --warmup_steps out, or give warmup_constant")
    return {"warmup_steps": 0}


def optimizer_class(name: str, args: TrainingArguments) -> tuple[type[torch.optim.Optimizer], dict]:
    """The class of `--optimizer` and its arguments, as Trainer's `optimizer_cls_and_kwargs` takes them.

    Momentum is 0.9 where there is one; betas and epsilon of the Adam family are those of `args`. The decay of `adam`
    and `nadam` is added to the gradient, that of `adamw` to the weights (Loshchilov and Hutter 2019).
    """
    fused = {"fused": True} if args.device.type == "cuda" and name in FUSED else {}
    adam = {"betas": (args.adam_beta1, args.adam_beta2), "eps": args.adam_epsilon}
    cls, options = {
        "adam": (torch.optim.Adam, adam),
        "adamw": (torch.optim.AdamW, adam),
        "nadam": (torch.optim.NAdam, adam),
        "radam": (torch.optim.RAdam, adam),
        "sgd": (torch.optim.SGD, {}),
        "sgdm": (torch.optim.SGD, {"momentum": 0.9}),
        "rmsprop": (torch.optim.RMSprop, {}),
        "adagrad": (torch.optim.Adagrad, {}),
    }[name]
    return cls, {"lr": args.learning_rate, **options, **fused}


def learning_rate_schedule(
    name: str, optimizer: torch.optim.Optimizer, *, warmup_steps: int, num_steps: int, steps_per_epoch: int
) -> LRScheduler:
    """The schedule of `--schedule`, to be stepped once after each of `num_steps` optimizer steps.

    `step` multiplies the rate by 0.9 every two epochs; `warmup_exponential` falls by the same factor with each step, to
    a hundredth at the end.
    """
    if name == "step":
        return StepLR(optimizer, step_size=STEP_EPOCHS * steps_per_epoch, gamma=STEP_FACTOR)
    if name == "warmup_exponential":
        decay = math.log(LAST_SHARE) / max(1, num_steps - warmup_steps)

        def share(step: int) -> float:
            return step / warmup_steps if step < warmup_steps else math.exp(decay * (step - warmup_steps))

        return LambdaLR(optimizer, share)
    return get_scheduler(SCHEDULES[name], optimizer, num_warmup_steps=warmup_steps, num_training_steps=num_steps)


def decayed(model: nn.Module, names: list[str]) -> list[str]:
    """Those of the parameters `names` that weight decay is for: matrices and filters.

    Trainer knows biases and layer norms by their names; the scales of batch norms, which it misses, are vectors too.
    """
    vectors = {name for name, parameter in model.named_parameters() if parameter.ndim < 2}
    return [name for name in names if name not in vectors]
