"""The Trainer with what no argument of it gives: an order of rows that survives a restart, and schedules of its own."""

import logging
import math

import numpy as np
import transformers

from hfcls.models.truncation import save_pipeline
from hfcls.training import optimization
from hfcls.training.sampling import LengthGroupedSampler

logger = logging.getLogger(__name__)


class ClassifierTrainer(transformers.Trainer):
    """`Trainer` that groups training rows of similar length; evaluation and prediction keep the order of the rows.

    Lengths are the attribute `lengths` (rows,) of `train_dataset`; without it, the order is merely random.
    `--train_sampling_strategy sequential` reads the rows in their own order.

    Args:
        schedule: one of `optimization.learning_rate_schedule`; None for what the arguments say.
        options: as `Trainer` takes them.
    """

    def __init__(self, *, schedule: str | None = None, **options):
        super().__init__(**options)
        self.schedule = schedule

    def save_model(self, output_dir: str | None = None, _internal_call: bool = False) -> None:
        super().save_model(output_dir, _internal_call)
        if self.args.should_save:
            save_pipeline(self.model.config, output_dir or self.args.output_dir)

    def create_scheduler(self, num_training_steps, optimizer=None):
        if self.schedule is None or self.lr_scheduler is not None:
            return super().create_scheduler(num_training_steps, optimizer)
        rows_per_step = self._train_batch_size * self.args.world_size * self.args.gradient_accumulation_steps
        self.lr_scheduler = optimization.learning_rate_schedule(
            self.schedule,
            self.optimizer if optimizer is None else optimizer,
            warmup_steps=self.args.get_warmup_steps(num_training_steps),
            num_steps=num_training_steps,
            steps_per_epoch=math.ceil(len(self.train_dataset) / rows_per_step),
        )
        self._created_lr_scheduler = True
        return self.lr_scheduler

    def get_decay_parameter_names(self, model):
        return optimization.decayed(model, super().get_decay_parameter_names(model))

    def _get_train_sampler(self, train_dataset=None):
        train_dataset = self.train_dataset if train_dataset is None else train_dataset
        if self.args.train_sampling_strategy == "sequential":
            return super()._get_train_sampler(train_dataset)
        seed = self.args.seed if self.args.data_seed is None else self.args.data_seed
        lengths = getattr(train_dataset, "lengths", np.zeros(len(train_dataset)))
        # accelerate itself does not tell the dataset with several processes, nor after a resume inside an epoch.
        on_epoch = getattr(train_dataset, "set_epoch", None)
        return LengthGroupedSampler(lengths, self._train_batch_size * self.args.world_size, seed, on_epoch)

    def use_full_precision(self) -> None:
        """Evaluates and predicts in the precision of the weights from here on, without autocast: as the saved model
        will be used.
        """
        # accelerate puts autocast around `forward` when it prepares a model. One that was never prepared is prepared
        # first, or the next prediction would do so.
        if not hasattr(self.model, "_original_forward"):
            self.accelerator.prepare_model(self.model, evaluation_mode=True)
        self.accelerator.unwrap_model(self.model, keep_fp32_wrapper=False)
