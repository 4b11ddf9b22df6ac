"""Time and losses of a whole run, also of one that was interrupted and resumed."""

import time

import torch
from transformers import TrainerCallback
from transformers.trainer_callback import ExportableState


class RunTotals(TrainerCallback, ExportableState):
    """Adds up what Trainer counts anew after a resume; saved with every checkpoint and restored from it.

    What was computed between the last checkpoint and an interruption is not part of the run: it is computed again.

    Attributes:
        seconds: of training up to the checkpoint that this process went on from.
        steps: optimizer steps up to there.
        loss: the sum of their losses, the mean over all processes; of steps after the last log, the main one's.
    """

    def __init__(self):
        self.seconds = 0.0
        self.steps = 0
        self.loss = 0.0
        self._begin()

    def _begin(self) -> None:
        self._begun = time.monotonic()
        self._steps = 0
        self._logged_steps = 0
        self._logged_loss = 0.0
        self._loss = 0.0  # since the last log, still on its device

    def add(self, loss: torch.Tensor) -> None:
        """Counts the loss of one batch, divided by the batches of a step."""
        self._loss = self._loss + loss.detach()

    def on_train_begin(self, args, state, control, **kwargs):
        self._begin()
        # A checkpoint of an older version knows no totals, and Trainer's next save would miss them.
        state.stateful_callbacks.setdefault(type(self).__name__, self.state())

    def on_step_end(self, args, state, control, **kwargs):
        self._steps += 1

    def on_log(self, args, state, control, logs=None, **kwargs):
        if "loss" in logs:
            self._logged_loss += logs["loss"] * (self._steps - self._logged_steps)
            self._logged_steps, self._loss = self._steps, 0.0

    def state(self) -> dict:
        totals = {
            "seconds": self.seconds + time.monotonic() - self._begun,
            "steps": self.steps + self._steps,
            "loss": self.loss + self._logged_loss + float(self._loss),
        }
        return {"args": {}, "attributes": totals}

    def of_whole_run(self, metrics: dict[str, float], rows_per_step: float) -> dict[str, float]:
        """The metrics of `Trainer.train`, which are those of the steps since the resume, for all steps of the run.

        `rows_per_step` is the mean number of training rows of a step.
        """
        if self.steps == 0:
            return metrics
        steps = self.steps + self._steps
        seconds = self.seconds + metrics["train_runtime"]
        return metrics | {
            "train_runtime": round(seconds, 4),
            "train_samples_per_second": round(steps * rows_per_step / seconds, 3),
            "train_steps_per_second": round(steps / seconds, 3),
            "train_loss": (self.loss + metrics["train_loss"] * self._steps) / steps,
        }
