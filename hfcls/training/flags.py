"""Flags of `TrainingArguments` that cannot work, found before anything is prepared or trained."""

import math
from importlib.util import find_spec

import torch
from accelerate.utils import DynamoBackend
from transformers import PreTrainedModel, Trainer, TrainingArguments, get_scheduler
from transformers.integrations import INTEGRATION_TO_CALLBACK, get_available_reporting_integrations
from transformers.training_args import ParallelMode

from hfcls.errors import InputError
from hfcls.training.sampling import normalises_rows
from hfcls.training.setup import Setup
from hfcls.training.trainer import ClassifierTrainer

# Least value of a number, which must be finite too; most of them 0 or 1.
LEAST = {
    "per_device_train_batch_size": 1,
    "per_device_eval_batch_size": 1,
    "gradient_accumulation_steps": 1,
    "learning_rate": 0,
    "weight_decay": 0,
    "max_grad_norm": 0,
    "label_smoothing_factor": 0,
    "neftune_noise_alpha": 0,
    "seed": 0,
}

# What evaluation must be left to: all rows are measured at once, in float32, with their labels.
EVALUATION = {
    "batch_eval_metrics": False,
    "bf16_full_eval": False,
    "eval_do_concat_batches": True,
    "fp16_full_eval": False,
    "label_names": None,
    "prediction_loss_only": False,
}


def check_training_arguments(args: TrainingArguments) -> None:
    """Makes sure that numbers can be such numbers, that whom `--report_to` names is installed, and that optimizer,
    schedule and batches can be made.

    Raises:
        InputError: they cannot; the message says why.
    """
    _check_numbers(args)
    for name, value in EVALUATION.items():
        if getattr(args, name) != value:
            raise InputError(f"--{name}: all rows are measured at once, in float32, with their labels: leave it out")
    workers = {"dataloader_persistent_workers": False, "dataloader_multiprocessing_context": None}
    for name, value in workers.items():
        if args.dataloader_num_workers == 0 and getattr(args, name) != value:
            raise InputError(f"--{name} is of worker processes: give --dataloader_num_workers, or leave it out")
    if args.use_liger_kernel and find_spec("liger_kernel") is None:
        raise InputError("--use_liger_kernel: its package is not installed: pip install liger-kernel, or leave it out")
    if args.fsdp and args.parallel_mode != ParallelMode.DISTRIBUTED:
        raise InputError("--fsdp is of several processes: start with accelerate launch --num_processes N, or torchrun")
    backends = [backend.value.lower() for backend in DynamoBackend]
    if args.torch_compile_backend not in (None, *backends):
        raise InputError(f"--torch_compile_backend {args.torch_compile_backend}: give one of {', '.join(backends)}")
    _check_report_to(args)
    _check_optimizer(args)


def _check_numbers(args: TrainingArguments) -> None:
    for name, least in LEAST.items():
        value = getattr(args, name)
        if value is not None and not least <= value < math.inf:
            raise InputError(f"--{name} {value}: give a number of at least {least}")
    if args.seed >= 2**32:
        raise InputError(f"--seed {args.seed}: give a number below 2**32")
    if args.label_smoothing_factor >= 1:
        raise InputError(f"--label_smoothing_factor {args.label_smoothing_factor:g}: give a share below 1")
    if args.max_steps != -1 and args.max_steps < 1:
        raise InputError(f"--max_steps {args.max_steps}: give at least 1, or leave it out")
    if args.max_steps == -1 and not 0 < args.num_train_epochs < math.inf:
        raise InputError(f"--num_train_epochs {args.num_train_epochs:g}: nothing would be trained: give more than 0")


def _check_report_to(args: TrainingArguments) -> None:
    for name in args.report_to:
        if name not in INTEGRATION_TO_CALLBACK:
            raise InputError(f"--report_to {name}: give one of {', '.join(sorted(INTEGRATION_TO_CALLBACK))}, or none")
        if name not in get_available_reporting_integrations():
            raise InputError(
                f"--report_to {name}: its package is not installed: pip install {name.replace('_', '-')}, or leave it "
                f"out; --report_to tensorboard writes files"
            )


def _check_optimizer(args: TrainingArguments) -> None:
    """Makes optimizer and schedule for a model of one weight."""
    anything = torch.nn.Linear(1, 1, bias=False)
    try:
        optimizer_class, options = Trainer.get_optimizer_cls_and_kwargs(args, anything)
        if not {"params", "model", "optimizer_dict"} & options.keys():  # which only the real model can give
            optimizer_class([anything.weight], **options)
    except (ImportError, TypeError, ValueError) as error:
        raise InputError(
            f"--optim {args.optim.value}: {' '.join(str(error).split())}: mend that, or leave it out"
        ) from error
    kind = args.lr_scheduler_type.value
    optimizer = torch.optim.SGD([anything.weight], lr=args.learning_rate)
    try:
        get_scheduler(kind, optimizer, 0, 10, scheduler_specific_kwargs=args.lr_scheduler_kwargs)
    except (TypeError, ValueError) as error:
        raise InputError(
            f"--lr_scheduler_type {kind}: {' '.join(str(error).split())}: give what it takes as "
            f"""--lr_scheduler_kwargs '{{"NAME": VALUE}}'"""
        ) from error


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
