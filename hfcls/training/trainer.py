"""The Trainer with what no argument of it gives: an order of rows that survives a restart, and schedules of its own."""

import copy
import logging
import math
import os
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
import transformers
from transformers.utils.import_utils import enable_tf32

from hfcls.models.truncation import save_pipeline
from hfcls.training import checkpoints, optimization
from hfcls.training.padding import describe_padding
from hfcls.training.progress import Progress
from hfcls.training.recorded_steps import RecordedSteps, why_not
from hfcls.training.sampling import LengthGroupedSampler, last_batch, longest_first, normalises_rows
from hfcls.training.totals import RunTotals

logger = logging.getLogger(__name__)


class ClassifierTrainer(transformers.Trainer):
    """`Trainer` that groups rows of similar length, those that it measures as well; predictions are in the rows' order.

    Lengths are the attribute `lengths` (rows,) of a dataset. Without it, the order of training is merely random, that
    of measuring the rows' own.
    `--train_sampling_strategy sequential` reads the rows in their own order.

    Resumed, it ends in the step and the weights of a run that was never interrupted, and its metrics are those of all
    steps. A checkpoint that training had ended with is loaded and not trained on.

    Args:
        schedule: one of `optimization.learning_rate_schedule`; None for what the arguments say.
        drop_last: train on whole batches only. `dataloader_drop_last` drops rows that are measured, too.
        record_steps: replay steps from recordings, see `recorded_steps`; None: where there is a GPU that can.
        options: as `Trainer` takes them.
    """

    def __init__(
        self, *, schedule: str | None = None, drop_last: bool = False, record_steps: bool | None = False, **options
    ):
        # Of --torch_compile, accelerate reads this: one layer is compiled for all, and for all lengths, not each anew.
        for name in ("USE_REGIONAL_COMPILATION", "USE_DYNAMIC"):
            os.environ.setdefault(f"ACCELERATE_DYNAMO_{name}", "true")
        super().__init__(**options)
        if find_spec("lomo_optim") is None:
            # accelerate looks for it all over the disk, twice in every step. So it finds at once that it is not there.
            sys.modules["lomo_optim"] = None  # type: ignore[assignment]
        self.schedule = schedule
        self.drop_last = drop_last
        self.training_is_over = False
        self.operations: dict[int, int] = {}  # of a batch, by the numbers in its main input
        self.recorded_steps = None if record_steps is False else self._recorded_steps(asked=record_steps is True)
        self.add_callback(RunTotals())
        self.add_callback(FindBestCheckpoint())
        for theirs in (transformers.ProgressCallback, transformers.PrinterCallback):  # a notebook has another
            if self.pop_callback(theirs) is not None:
                self.add_callback(Progress())

    @property
    def totals(self) -> RunTotals:
        """The totals of the run; Trainer puts a new object in the place of the old one when it resumes."""
        return next(callback for callback in self.callback_handler.callbacks if isinstance(callback, RunTotals))

    def train(self, resume_from_checkpoint: str | None = None, **options):
        if resume_from_checkpoint is not None:
            self.training_is_over = checkpoints.training_is_over(resume_from_checkpoint)
            self.args = copy.copy(self.args)
            self.args.eval_on_start = False  # was done at the start, and would count towards early stopping again
        buckets = getattr(self.data_collator, "buckets", ())
        if buckets:
            order, batch_size = np.fromiter(self._get_train_sampler(), np.int64), self.args.train_batch_size
            logger.info(describe_padding(self.train_dataset.lengths, order, batch_size, buckets))
        with checkpoints.unreadable_said(resume_from_checkpoint):
            output = super().train(resume_from_checkpoint=resume_from_checkpoint, **options)
        if self.training_is_over:
            self.state.num_train_epochs = checkpoints.trainer_state(Path(resume_from_checkpoint))["num_train_epochs"]
        return output._replace(training_loss=output.metrics["train_loss"])

    def set_initial_training_values(self, args, dataloader):
        epochs, *others = super().set_initial_training_values(args, dataloader)
        return (0 if self.training_is_over else epochs, *others)  # Trainer would train one step more before it stops

    def training_step(self, model, inputs, num_items_in_batch=None):
        if self.recorded_steps is None:
            loss = super().training_step(model, inputs, num_items_in_batch)
        else:
            loss = self._recorded_training_step(model, inputs, num_items_in_batch)
        self.totals.add(loss)
        return loss

    def _recorded_steps(self, asked: bool) -> RecordedSteps | None:
        reason = why_not(self.args)
        if getattr(self.data_collator, "padding_free", False):
            reason = reason or "without padding (--padding_free), hardly two batches have the same shape"
        if reason is None:
            return RecordedSteps(self.model)
        if asked:
            logger.warning("steps are not recorded (--cuda_graphs), but computed as without: %s", reason)
        return None

    def _recorded_training_step(self, model, inputs, num_items_in_batch) -> torch.Tensor:
        # Rows of the whole step, by which a loss of ours divides: a number on the device that changes.
        counted = {"num_items_in_batch": num_items_in_batch} if isinstance(num_items_in_batch, torch.Tensor) else {}

        def compute(batch: dict) -> torch.Tensor:
            given = {name: value for name, value in batch.items() if name not in counted}
            count = batch.get("num_items_in_batch", num_items_in_batch)
            return super(ClassifierTrainer, self).training_step(model, given, count)

        constants = self.current_gradient_accumulation_steps, None if counted else num_items_in_batch
        return self.recorded_steps(compute, {**inputs, **counted}, *constants)

    def floating_point_ops(self, inputs):
        # Trainer walks through all weights to count them, at every step, while a GPU waits for the next one.
        numbers = inputs[self.model.main_input_name].numel() if self.model.main_input_name in inputs else 0
        if numbers not in self.operations:
            self.operations[numbers] = super().floating_point_ops(inputs)
        return self.operations[numbers]

    def log(self, logs, start_time=None):
        if "train_runtime" in logs:
            rows_per_step = self.state.epoch * len(self.train_dataset) / max(1, self.state.global_step)
            # In place, as Trainer's own `log` adds to it: it is what `train` returns.
            logs.update(self.totals.of_whole_run(logs, rows_per_step))
        super().log(logs, start_time)

    def save_model(self, output_dir: str | None = None, _internal_call: bool = False) -> None:
        super().save_model(output_dir, _internal_call)
        if self.args.should_save:
            save_pipeline(self.model.config, output_dir or self.args.output_dir)

    def create_scheduler(self, num_training_steps, optimizer=None):
        prepared = self.is_deepspeed_enabled and self.lr_scheduler is not None  # made by the optimizer's preparation
        if self.schedule is None or prepared:
            return super().create_scheduler(num_training_steps, optimizer)
        rows_per_step = self.get_total_train_batch_size(self.args)
        self.lr_scheduler = optimization.learning_rate_schedule(
            self.schedule,
            self.optimizer if optimizer is None else optimizer,
            warmup_steps=self.args.get_warmup_steps(num_training_steps),
            num_steps=num_training_steps,
            steps_per_epoch=math.ceil(len(self.train_dataset) / rows_per_step),
        )
        return self.lr_scheduler

    def get_decay_parameter_names(self, model):
        return optimization.decayed(model, super().get_decay_parameter_names(model))

    # Private in transformers, read in 5.23: `get_train_dataloader` asks it for the order of the rows; the public way
    # would be to build the whole DataLoader anew. tests/training/test_trainer.py fails when it moves.
    def _get_train_sampler(self, train_dataset=None):
        train_dataset = self.train_dataset if train_dataset is None else train_dataset
        rows_at_once = self.get_total_train_batch_size(self.args) // self.args.gradient_accumulation_steps
        # Several processes fill up what is left over among themselves.
        fill_last = self.args.world_size == 1 and normalises_rows(self.model)
        last = {"drop_last": self.drop_last, "fill_last": fill_last}
        if self.args.train_sampling_strategy == "sequential":
            return last_batch(range(len(train_dataset)), rows_at_once, **last)
        seed = self.args.seed if self.args.data_seed is None else self.args.data_seed
        lengths = getattr(train_dataset, "lengths", np.zeros(len(train_dataset)))
        # accelerate itself does not tell the dataset with several processes, nor after a resume inside an epoch.
        on_epoch = getattr(train_dataset, "set_epoch", None)
        blocks = getattr(train_dataset, "block_rows", None)
        return LengthGroupedSampler(lengths, rows_at_once, seed, on_epoch, block_rows=blocks, **last)

    # Private as the one above, and asked for what is the best checkpoint. Trainer takes the first of equally good ones,
    # but few validation rows hardly tell epochs apart, and a later one is nearer to an optimum if there is but one: of
    # 737 dataset cards n-grams get 0.491 right by the last of equals, 0.487 by the first (ten folds of training rows).
    def _determine_best_metric(self, metrics, trial):
        name = (self.args.metric_for_best_model or "").removeprefix("eval_")
        if getattr(self.model, "has_one_optimum", False) and metrics.get(f"eval_{name}") == self.state.best_metric:
            self.state.best_metric = None  # so that this one is better
        return super()._determine_best_metric(metrics=metrics, trial=trial)

    # Private as those above, and asked for what `evaluate` and `predict` read.
    def _get_eval_sampler(self, eval_dataset):
        order = longest_first(eval_dataset)
        return super()._get_eval_sampler(eval_dataset) if order is None else order.tolist()

    def evaluation_loop(self, dataloader, *args, **options):
        output = super().evaluation_loop(dataloader, *args, **options)
        order = longest_first(dataloader.dataset)
        if order is None:
            return output
        place = np.argsort(order)  # of each row in the order in which it was measured
        predictions, labels = (
            None if array is None else array[place] for array in (output.predictions, output.label_ids)
        )
        return output._replace(predictions=predictions, label_ids=labels)

    def use_full_precision(self) -> None:
        """Evaluates and predicts in the precision of the weights from here on, without autocast: as the saved model
        will be used.
        """
        # accelerate puts autocast around `forward` when it prepares a model. One that was never prepared is prepared
        # first, or the next prediction would do so.
        if not hasattr(self.model, "_original_forward"):
            self.accelerator.prepare_model(self.model, evaluation_mode=True)
        self.accelerator.unwrap_model(self.model, keep_fp32_wrapper=False)
        if self.args.device.type == "cuda" and (self.args.tf32 or self.args.torch_compile):  # which switch it on
            enable_tf32(False)


class FindBestCheckpoint(transformers.TrainerCallback):
    """Finds the best checkpoint so far beside the one that is resumed, if the folder has been moved since."""

    def on_train_begin(self, args, state, control, **kwargs):
        if state.best_global_step and state.best_model_checkpoint is None and args.resume_from_checkpoint:
            best = Path(args.resume_from_checkpoint).parent / f"checkpoint-{state.best_global_step}"
            state.best_model_checkpoint = str(best) if best.is_dir() else None
