"""What the flags say to every Trainer."""

import copy
from dataclasses import replace

import transformers
from transformers import TrainingArguments

from hfcls.training import optimization
from hfcls.training.arguments import SharedArguments
from hfcls.training.non_finite import StopWhereNotFinite

# On a GPU, rows are measured in larger batches than they are trained on: without a backward pass nothing of a layer is
# kept for it, so that a few times as many take no more memory than was needed already, and a small batch leaves most of
# the GPU idle.
MEASURED_PER_TRAINED = 4
MOST_MEASURED = 512


def trainer_options(arguments: SharedArguments, training_args: TrainingArguments) -> dict:
    """What the flags say to any `ClassifierTrainer`: arguments, schedule, optimizer, callbacks and the last batch."""
    # Trainer's own push uploads training_args.bin, which holds the token and local paths: `run` pushes instead.
    trainer_args = copy.copy(training_args)
    trainer_args.push_to_hub, trainer_args.hub_token = False, None
    trainer_args.dataloader_drop_last = False  # Trainer would drop rows of validation and test as well
    if trainer_args.train_sampling_strategy != "sequential":
        trainer_args.train_sampling_strategy = "random"  # group_by_length would give the rows to be measured an order
    if training_args.dataloader_pin_memory:
        # Else each tensor of a batch is waited for, and with it all that the GPU was given to do before.
        trainer_args.accelerator_config = replace(training_args.accelerator_config, non_blocking=True)
    callbacks = [StopWhereNotFinite()]
    if arguments.early_stopping_patience is not None:
        callbacks.append(transformers.EarlyStoppingCallback(arguments.early_stopping_patience))
    optimizer = None
    if arguments.optimizer is not None:
        optimizer = optimization.optimizer_class(arguments.optimizer, training_args)
    return {
        "args": trainer_args,
        "schedule": arguments.schedule,
        "drop_last": training_args.dataloader_drop_last,
        "record_steps": arguments.cuda_graphs,
        "optimizer_cls_and_kwargs": optimizer,
        "callbacks": callbacks,
    }


def measured_at_once(training_args: TrainingArguments) -> int:
    """Rows of a batch that is measured by one process: those of `--per_device_eval_batch_size`; on a GPU, where it
    certainly has the memory, more.
    """
    rows = training_args.per_device_eval_batch_size
    if training_args.device.type != "cuda" or training_args.gradient_checkpointing:
        return rows
    return max(rows, min(MEASURED_PER_TRAINED * training_args.per_device_train_batch_size, MOST_MEASURED))
