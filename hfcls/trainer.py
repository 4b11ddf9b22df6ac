"""The Trainer with the one behaviour that no argument of it gives: an order of rows that survives a restart."""

import logging

import transformers

from hfcls.sampling import LengthGroupedSampler

logger = logging.getLogger(__name__)


class ClassifierTrainer(transformers.Trainer):
    """`Trainer` that groups training rows of similar length; evaluation and prediction keep the order of the rows.

    `train_dataset` has an attribute `lengths` (rows,). `--train_sampling_strategy sequential` switches grouping off.
    """

    def _get_train_sampler(self, train_dataset=None):
        train_dataset = self.train_dataset if train_dataset is None else train_dataset
        if self.args.train_sampling_strategy == "sequential":
            return super()._get_train_sampler(train_dataset)
        seed = self.args.seed if self.args.data_seed is None else self.args.data_seed
        return LengthGroupedSampler(train_dataset.lengths, self._train_batch_size * self.args.world_size, seed)
