"""The end of a run whose numbers are none: the first loss, gradient or weight that is NaN or infinite."""

import math
from pathlib import Path

import torch
from transformers import TrainerCallback, TrainerState, TrainingArguments

from hfcls.errors import InputError
from hfcls.training.arguments import SharedArguments


class StopWhereNotFinite(TrainerCallback):
    """Stops training within one logging interval, before a checkpoint of such weights is written.

    What is logged or measured is looked at when it is, and the weights before they are saved: no step waits for its
    device more than Trainer lets it.

    Raises:
        InputError: in any of its events: step, learning rate, precision, what to try, and the checkpoint that is left.
    """

    def on_log(self, args, state, control, logs=None, optimizer=None, lr_scheduler=None, **kwargs):
        # In fp16, steps whose scaled gradients overflow are skipped, and the scale is halved: that is no failure.
        skipped = getattr(optimizer, "step_was_skipped", False)
        for name in ("loss", "train_loss", *(() if skipped else ("grad_norm",))):
            if not math.isfinite(logs.get(name, 0.0)):
                rate = logs.get("learning_rate", args.learning_rate)
                raise _stopped(f"the {NAMES[name]} is {logs[name]}", args, state, rate)

    def on_evaluate(self, args, state, control, metrics=None, **kwargs):
        loss = metrics.get("eval_loss", 0.0)
        if not math.isfinite(loss):
            raise _stopped(f"the loss on validation is {loss}", args, state, args.learning_rate)

    def on_step_end(self, args, state, control, model=None, **kwargs):
        if control.should_save:
            _check_weights(model, args, state)

    on_epoch_end = on_step_end

    def on_train_end(self, args, state, control, model=None, **kwargs):
        _check_weights(model, args, state)


NAMES = {"loss": "loss", "train_loss": "loss", "grad_norm": "norm of the gradient"}


def check_test_loss(metrics: dict[str, float], arguments: SharedArguments) -> None:
    """Makes sure that a model answered the test rows with numbers, before anything is written of them.

    Raises:
        InputError: its loss is not finite.
    """
    loss = metrics.get("test_loss", 0.0)
    if not math.isfinite(loss):
        remedy = "fetch it again, or train it anew" if arguments.evaluate_only else "try a smaller --learning_rate"
        raise InputError(f"the loss on the test rows is {loss}, so the model is of no use: {remedy}")


def _check_weights(model: torch.nn.Module, args: TrainingArguments, state: TrainerState) -> None:
    for name, weight in model.named_parameters():
        if not weight.isfinite().all():
            raise _stopped(f"{name} holds numbers that are not finite", args, state, args.learning_rate)


def _stopped(what: str, args: TrainingArguments, state: TrainerState, learning_rate: float) -> InputError:
    half = "bf16" if args.bf16 else "fp16" if args.fp16 else None
    remedies = ["a tenth of --learning_rate", "more --warmup_steps", *([f"--{half} False"] if half else [])]
    checkpoints = [path for path in Path(args.output_dir).glob("checkpoint-*") if path.name[11:].isdecimal()]
    last = max(checkpoints, key=lambda path: int(path.name[11:]), default=None)
    return InputError(
        f"step {state.global_step}: {what} (learning rate {learning_rate:g}, {half or 'float32'}): training stopped; "
        f"try {' or '.join([', '.join(remedies[:-1]), remedies[-1]])} in another --output_dir"
        + ("" if last is None else f"; the last good weights are in {last}")
    )
