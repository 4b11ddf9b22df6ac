"""What is seen of a run at work: a bar with the time left on a terminal, lines in a log; never both at once."""

import logging
import sys
import time
from typing import Any

from tqdm import tqdm
from transformers import TrainerCallback, TrainingArguments

logger = logging.getLogger(__name__)

QUIET_SECONDS = 30  # in a log, between two lines about the steps


class Progress(TrainerCallback):
    """Takes the place of the bars and dictionaries of `Trainer`.

    A terminal has one bar, with the loss and the time left, that is gone in the end. A file has a line about the steps
    every half a minute. Both have a line for each evaluation, "epoch 2 of 3: loss 0.5330, accuracy 0.9100".
    """

    def __init__(self):
        self._bar = None  # of training
        self._rows_bar = None  # of an evaluation
        self._begun = self._said = time.monotonic()
        self._first_step = 0

    def on_train_begin(self, args, state, control, **kwargs):
        self._begun = self._said = time.monotonic()
        self._first_step = state.global_step
        if state.is_world_process_zero:
            self._bar = _bar(args, total=state.max_steps, initial=state.global_step, desc="training", unit="step")

    def on_step_end(self, args, state, control, **kwargs):
        if self._bar is not None:
            self._bar.update(state.global_step - self._bar.n)
        now = time.monotonic()
        if sys.stderr.isatty() or now - self._said < QUIET_SECONDS:
            return
        self._said = now
        done = state.global_step - self._first_step
        left = (now - self._begun) / done * (state.max_steps - state.global_step)
        logger.info(
            "step %s of %s, %s left", f"{state.global_step:,}", f"{state.max_steps:,}", tqdm.format_interval(left)
        )

    def on_prediction_step(self, args, state, control, eval_dataloader=None, **kwargs):
        if not state.is_world_process_zero:
            return
        if self._rows_bar is None:
            self._rows_bar = _bar(args, total=len(eval_dataloader), desc="measuring", unit="batch")
        self._rows_bar.update()

    def on_evaluate(self, args, state, control, metrics=None, **kwargs):
        self._end_rows_bar()
        scores = {name.removeprefix("eval_"): value for name, value in metrics.items() if isinstance(value, float)}
        scores = {
            name: value for name, value in scores.items() if not name.endswith(("runtime", "_per_second", "epoch"))
        }
        when = f"epoch {state.epoch:.4g} of {state.num_train_epochs:g}" if state.epoch is not None else "validation"
        _say("%s: %s", when, ", ".join(f"{name} {value:.4f}" for name, value in scores.items()))

    def on_predict(self, args, state, control, **kwargs):
        self._end_rows_bar()

    def on_log(self, args, state, control, logs=None, **kwargs):
        if self._bar is not None and "loss" in logs:
            self._bar.set_postfix_str(f"loss {logs['loss']:.4f}", refresh=False)
        if "train_runtime" in logs:
            speed, seconds = logs["train_samples_per_second"], logs["train_runtime"]
            steps = f"{state.global_step:,}"
            _say("trained %s steps in %s, %s rows a second", steps, tqdm.format_interval(seconds), f"{speed:,.0f}")

    def on_train_end(self, args, state, control, **kwargs):
        if self._bar is not None:
            self._bar.close()
            self._bar = None

    def _end_rows_bar(self) -> None:
        if self._rows_bar is not None:
            self._rows_bar.close()
            self._rows_bar = None


def _bar(args: TrainingArguments, **options: Any) -> tqdm:
    """A bar that leaves nothing behind, and is not there in a file or with `--disable_tqdm`."""
    return tqdm(leave=False, dynamic_ncols=True, disable=args.disable_tqdm or not sys.stderr.isatty(), **options)


def _say(message: str, *values: object) -> None:
    with tqdm.external_write_mode(file=sys.stderr):  # else the line would stand behind a bar
        logger.info(message, *values)


class MtimeNotice(logging.Filter):
    """Leaves out what transformers says where two checkpoints are written within a second: it sorts them by number."""

    def filter(self, record: logging.LogRecord) -> bool:
        return not record.getMessage().startswith("mtime may not be reliable")
