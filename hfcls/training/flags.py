"""Flags of `TrainingArguments` that cannot work, found before anything is prepared or trained."""

import torch
from transformers import PreTrainedModel, Trainer, TrainingArguments, get_scheduler
from transformers.integrations import INTEGRATION_TO_CALLBACK, get_available_reporting_integrations

from hfcls.errors import InputError
from hfcls.training.sampling import normalises_rows
from hfcls.training.setup import Setup
from hfcls.training.trainer import ClassifierTrainer


def check_training_arguments(args: TrainingArguments) -> None:
    """Makes sure that whom `--report_to` names is installed, and that optimizer and schedule can be made.

    Raises:
        InputError: something is missing; the message says what.
    """
    for name in args.report_to:
        if name not in INTEGRATION_TO_CALLBACK:
            raise InputError(f"--report_to {name}: give one of {', '.join(sorted(INTEGRATION_TO_CALLBACK))}, or none")
        if name not in get_available_reporting_integrations():
            raise InputError(
                f"--report_to {name}: its package is not installed: pip install {name.replace('_', '-')}, or leave it "
                f"out; --report_to tensorboard writes files"
            )
    anything = torch.nn.Linear(1, 1)
    try:
        Trainer.get_optimizer_cls_and_kwargs(args, anything)
    except (ImportError, ValueError) as error:
        raise InputError(f"--optim {args.optim.value}: {' '.join(str(error).split())}") from error
    kind = args.lr_scheduler_type.value
    optimizer = torch.optim.SGD(anything.parameters(), lr=args.learning_rate)
    try:
        get_scheduler(kind, optimizer, 0, 10, scheduler_specific_kwargs=args.lr_scheduler_kwargs)
    except (TypeError, ValueError) as error:
        raise InputError(
            f"--lr_scheduler_type {kind}: {' '.join(str(error).split())}: give what it needs as "
            f"""--lr_scheduler_kwargs '{{"NAME": VALUE}}'"""
        ) from error
    if args.bf16_full_eval or args.fp16_full_eval:
        flag = "bf16_full_eval" if args.bf16_full_eval else "fp16_full_eval"
        raise InputError(f"--{flag}: what is measured is what is saved, float32 weights: leave it out")


def check_fit(trainer: ClassifierTrainer, setup: Setup) -> None:
    """Makes sure that model and rows can be trained as the flags say.

    Raises:
        InputError: they cannot.
    """
    args, model = trainer.args, trainer.model
    known = setup.target.printed
    metric = (args.metric_for_best_model or known[0]).removeprefix("eval_")
    if metric not in known:
        raise InputError(f"--metric_for_best_model {metric}: what is measured are {', '.join(known)}: give one of them")
    if args.neftune_noise_alpha is not None and not _has_input_embeddings(model):
        raise InputError(
            f"--neftune_noise_alpha: {type(model).__name__} has no vectors of tokens to add noise to: leave it out"
        )
    if args.activation_checkpointing and not model.supports_gradient_checkpointing:
        raise InputError(
            f"--activation_checkpointing: {type(model).__name__} cannot compute anew what it forgets: leave it out, or "
            f"give a smaller --per_device_train_batch_size with --gradient_accumulation_steps"
        )
    batch = trainer.get_total_train_batch_size(args) // args.gradient_accumulation_steps
    rows = len(trainer.train_dataset)
    if trainer.drop_last and rows < batch:
        raise InputError(
            f"--dataloader_drop_last leaves nothing of {rows} training rows in batches of {batch}: leave it out, or "
            f"give a smaller --per_device_train_batch_size"
        )
    if normalises_rows(model) and (args.per_device_train_batch_size == 1 or rows == 1):
        raise InputError(
            f"--per_device_train_batch_size {args.per_device_train_batch_size}: {type(model).__name__} normalises over "
            f"the rows of a batch: give at least 2, and as many training rows"
        )


def _has_input_embeddings(model: PreTrainedModel) -> bool:
    try:
        return model.get_input_embeddings() is not None
    except NotImplementedError:
        return False
