"""The Trainer with the one behaviour that no argument of it gives: an order of rows that survives a restart."""

import logging

import numpy as np
import transformers

from hfcls.sampling import LengthGroupedSampler

logger = logging.getLogger(__name__)


class ClassifierTrainer(transformers.Trainer):
    """`Trainer` that groups training rows of similar length; evaluation and prediction keep the order of the rows.

    Lengths are the attribute `lengths` (rows,) of `train_dataset`; without it, the order is merely random.
    `--train_sampling_strategy sequential` reads the rows in their own order.
    """

    def _get_train_sampler(self, train_dataset=None):
        train_dataset = self.train_dataset if train_dataset is None else train_dataset
        if self.args.train_sampling_strategy == "sequential":
            return super()._get_train_sampler(train_dataset)
        seed = self.args.seed if self.args.data_seed is None else self.args.data_seed
        lengths = getattr(train_dataset, "lengths", np.zeros(len(train_dataset)))
        return LengthGroupedSampler(lengths, self._train_batch_size * self.args.world_size, seed)
