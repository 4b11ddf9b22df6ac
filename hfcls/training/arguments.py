"""What a recipe can be told on the command line.

Parsing imports neither torch nor the Trainer until the recipe is known to run, so that `--help` is answered at once.
"""

import argparse
import copy
import difflib
import math
import sys
from collections.abc import Callable
from dataclasses import MISSING, dataclass, field, fields
from importlib.util import find_spec
from pathlib import Path
from typing import Literal, Self

from hfcls.errors import InputError
from hfcls.terminal import print_lines

# Defaults that every recipe shares, where they differ from TrainingArguments' own; each with its reason.
SHARED_DEFAULTS = {
    "eval_strategy": "epoch",
    "load_best_model_at_end": True,  # what is tested and saved is the checkpoint with the best eval accuracy
    "metric_for_best_model": "accuracy",
    "save_total_limit": 2,  # the best and the last one: enough to choose and to resume
    "logging_steps": 50,
    "logging_nan_inf_filter": False,  # a NaN loss is shown as NaN, not as the mean of the steps before
    "restore_callback_states_from_checkpoint": True,  # early stopping goes on counting where it was
    "remove_unused_columns": False,  # the collator gives the model exactly what it takes
    "ddp_find_unused_parameters": False,  # every parameter of every model here takes part in every step
}

# The flags of TrainingArguments that `--help` lists; the rest is documented by transformers.
COMMON_FLAGS = (
    "learning_rate num_train_epochs max_steps per_device_train_batch_size per_device_eval_batch_size "
    "gradient_accumulation_steps lr_scheduler_type warmup_steps weight_decay label_smoothing_factor optim "
    "eval_strategy eval_steps save_strategy save_steps metric_for_best_model bf16 fp16 seed logging_steps report_to "
    "push_to_hub hub_model_id hub_private_repo hub_token"
).split()

TRAINING_ARGUMENTS_URL = "https://huggingface.co/docs/transformers/main_classes/trainer#transformers.TrainingArguments"


@dataclass
class SharedArguments:
    """What all recipes take, besides the flags of `transformers.TrainingArguments`."""

    data_dir: str | None = field(
        default=None, metadata={"help": "The corpus in its owners' own files. Absent: the embedded sample."}
    )
    max_train_samples: int | None = field(default=None, metadata={"help": "Cut the training split, for a quick look."})
    max_eval_samples: int | None = field(default=None, metadata={"help": "Cut the validation split."})
    max_test_samples: int | None = field(default=None, metadata={"help": "Cut the test split."})
    evaluate_only: str | None = field(
        default=None,
        metadata={"help": "Measure this saved model (a folder, a Hub name, modelscope:OWNER/NAME) on the corpus."},
    )
    save_dtype: Literal["float16", "bfloat16"] | None = field(
        default=None,
        metadata={"help": "Save the finished model in halves of float32; what that costs is measured and told."},
    )
    early_stopping_patience: int | None = field(
        default=None, metadata={"help": "Stop after this many evaluations without a better one."}
    )
    optimizer: Literal["adam", "adamw", "nadam", "radam", "sgd", "sgdm", "rmsprop", "adagrad"] | None = field(
        default=None, metadata={"help": "The optimizer; absent: what --optim says. sgdm has a momentum of 0.9."}
    )
    schedule: (
        Literal["constant", "step", "warmup_constant", "warmup_linear", "warmup_cosine", "warmup_exponential"] | None
    ) = field(
        default=None,
        metadata={
            "help": "The learning rate's course; absent: what --lr_scheduler_type says. step: × 0.9 every two epochs. "
            "Warm-up takes --warmup_steps, by default a tenth of all."
        },
    )
    cuda_graphs: bool | None = field(
        default=None, metadata={"help": "Record a step of each shape, and replay it. Absent: on a GPU."}
    )

    def __post_init__(self):
        for name in ("max_train_samples", "max_eval_samples", "max_test_samples", "early_stopping_patience"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise InputError(f"--{name} {value}: give a number of at least 1, or leave the flag out")
        if self.save_dtype is not None and self.evaluate_only is not None:
            raise InputError("--save_dtype is of a model that is trained, --evaluate_only trains none: drop one")

    def to_evaluate(self, saved: str) -> Self:
        """The same, for measuring the model in the folder `saved` instead of training one."""
        arguments = copy.copy(self)  # not made anew: a flag that chose the model to train stays beside --evaluate_only
        arguments.evaluate_only = saved
        return arguments


@dataclass
class RecipeArguments(SharedArguments):
    """What the recipes of classifiers take."""

    loss: Literal["cross_entropy", "focal", "class_balanced"] | None = field(
        default=None, metadata={"help": "What is trained on; absent: what the model itself computes."}
    )
    class_weight: str = field(
        default="none",
        metadata={"help": "none, balanced (each class weighs the same in all), or a number for each class: w0,w1,…"},
    )
    calibrate: bool = field(
        default=False,
        metadata={"help": "Fit a temperature on validation, so that probabilities mean what they say; saved with it."},
    )
    class_offsets: bool = field(
        default=False,
        metadata={"help": "Shift the logits of each class, for the greatest macro F1 on validation; saved with it."},
    )
    num_folds: int | None = field(
        default=None,
        metadata={"help": "Cross-validate: this many runs, each on other rows; resumable. Their mean predicts test."},
    )

    def __post_init__(self):
        super().__post_init__()
        self._check_class_weight()
        if self.num_folds is not None and (self.num_folds < 2 or self.evaluate_only is not None):
            raise InputError("--num_folds: give at least 2, and no --evaluate_only")
        for flag in ("calibrate", "class_offsets"):
            if getattr(self, flag) and self.evaluate_only is not None:
                raise InputError(f"--{flag} changes the model that is trained, --evaluate_only trains none: drop one")

    def _check_class_weight(self):
        if self.class_weight == "none":
            return
        if self.loss == "class_balanced":
            raise InputError("--loss class_balanced brings weights of its own: leave --class_weight out")
        if self.class_weight != "balanced":
            try:
                weights = [float(weight) for weight in self.class_weight.split(",")]
            except ValueError:
                weights = []
            if not weights or not all(0 <= weight < math.inf for weight in weights):
                raise InputError(
                    f"--class_weight {self.class_weight}: give none, balanced, or a number of at least 0 for each class"
                )


def parse(
    arguments_class: type[SharedArguments],
    *,
    task: str,
    description: str,
    defaults: Callable[[argparse.Namespace], dict],
    argv: list[str] | None = None,
):
    """Reads the command line of a recipe; ends the program where there is nothing to do: `--help`, a finished run.

    Args:
        arguments_class: the recipe's own flags, a dataclass.
        task: the recipe's name; `outputs/<task>` is the default `--output_dir`.
        description: the first line of `--help`.
        defaults: from the given flags (a namespace that holds only those, as `arguments_class` names them, absent ones
            None) to the recipe's defaults for `TrainingArguments` and for its own flags.
        argv: the command line without the program's name; `sys.argv` if absent.

    Returns:
        An `arguments_class`, and `TrainingArguments` of which what is to follow from the rows (`BY_ROWS`) is "auto".

    Raises:
        InputError: a flag that does not exist or does not fit; an `--output_dir` that holds something already, that
            another run writes to, or that nothing can be written to.
    """
    argv = sys.argv[1:] if argv is None else argv
    if "--help" in argv or "-h" in argv:
        _print_help(arguments_class, task, description, defaults)
        sys.exit(0)

    from hfcls.training import output_folder
    from hfcls.training.checkpoints import checkpoint_to_resume, end_if_finished

    arguments, training_args = read(arguments_class, argv, task=task, defaults=defaults)
    output_folder.lock(training_args)
    end_if_finished(arguments, training_args)
    training_args.resume_from_checkpoint = checkpoint_to_resume(arguments, training_args)
    return arguments, training_args


def read(
    arguments_class: type[SharedArguments],
    argv: list[str],
    *,
    task: str,
    defaults: Callable[[argparse.Namespace], dict],
):
    """The flags of `argv` over the recipe's defaults, as `parse` takes and returns them; nothing is touched yet.

    Raises:
        InputError: a flag that does not exist or does not fit.
    """
    from transformers import TrainingArguments

    from hfcls.training.flags import check_training_arguments
    from hfcls.training.processes import meeting
    from hfcls.training.resume import BY_ROWS

    given = _given(arguments_class, argv)
    own_names = {f.name for f in fields(arguments_class)}
    recipe_defaults = defaults(argparse.Namespace(**{name: given.get(name) for name in own_names}))
    if given.get("evaluate_only"):  # the recipe's way to make a model is not that of a model that was saved
        recipe_defaults = {name: value for name, value in recipe_defaults.items() if name not in own_names}
    values = _completed(given, recipe_defaults, task)
    arguments = arguments_class(**{name: value for name, value in values.items() if name in own_names})
    training_values = {name: value for name, value in values.items() if name not in own_names}
    _check_together(arguments, training_values)
    by_rows = {name: training_values.pop(name) for name in BY_ROWS if training_values.get(name) == "auto"}
    try:
        with meeting(training_values):
            training_args = TrainingArguments(**training_values)
    except (ValueError, ImportError) as error:
        raise InputError(" ".join(str(error).split())) from error
    check_training_arguments(training_args)
    vars(training_args).update(by_rows)
    return arguments, training_args


def _given(arguments_class: type[SharedArguments], argv: list[str]) -> dict:
    """The flags of `argv` and their values, without those that were not given."""
    from transformers import HfArgumentParser, TrainingArguments

    class Parser(HfArgumentParser):
        """Leaves absent flags out, and reports a mistake as one line instead of two screens of usage."""

        def __init__(self, classes):
            self.names = []
            super().__init__(classes, add_help=False)

        def add_argument(self, *names, **options):
            self.names += names
            return super().add_argument(*names, **{**options, "default": argparse.SUPPRESS})

        def error(self, message):
            raise InputError(f"{message} (see --help)")

    parser = Parser((arguments_class, TrainingArguments))
    given, unknown = parser.parse_known_args(argv)
    if unknown:
        name = unknown[0].split("=")[0]
        near = difflib.get_close_matches(name, parser.names, n=1)
        hint = f": did you mean {near[0]}?" if near else " (see --help)"
        raise InputError(f"{name} is not a flag of this recipe{hint}")
    return vars(given)


def _completed(given: dict, recipe_defaults: dict, task: str) -> dict:
    """The given flags over the recipe's defaults over those of all recipes, and what follows from them.

    Raises:
        InputError: flags that contradict each other.
    """
    from hfcls.training import optimization
    from hfcls.training.precision import hardware_defaults

    name = f"{task}_evaluation" if given.get("evaluate_only") else task
    values = {"output_dir": str(Path("outputs", name)), **SHARED_DEFAULTS, **hardware_defaults(given)}
    values |= recipe_defaults | given
    values |= optimization.warmup(values, given)
    if "save_steps" not in given and "eval_steps" in values:
        values["save_steps"] = values["eval_steps"]  # the best checkpoint can only be one that was evaluated
    if values["eval_strategy"] == "no":
        values["load_best_model_at_end"] = given.get("load_best_model_at_end", False)
    elif "save_strategy" not in given:
        values["save_strategy"] = values["eval_strategy"]
    return values


def _check_together(arguments: SharedArguments, values: dict) -> None:
    """Refuses flags of TrainingArguments (`values`) that do not go with the recipe's own, or need what is not there."""
    if "tensorboard" in (values.get("report_to") or []) and find_spec("tensorboard") is None:
        raise InputError("--report_to tensorboard needs an extra: pip install 'hfcls[tensorboard]'")
    if values.get("dataloader_persistent_workers") and getattr(arguments, "augment", False):
        raise InputError(
            "--augment draws anew for each epoch, which persistent workers never hear of: "
            "leave --dataloader_persistent_workers out"
        )
    if arguments.early_stopping_patience is not None and values["eval_strategy"] == "no":
        raise InputError("--early_stopping_patience counts evaluations, and --eval_strategy no makes none: drop one")
    if values.get("enable_jit_checkpoint"):
        raise InputError(
            "--enable_jit_checkpoint ends training as if it were over: leave it out, a run that is killed at any point "
            "goes on with --resume_from_checkpoint auto"
        )
    if values.get("push_to_hub"):
        _check_push(arguments, values)


def _check_push(arguments: SharedArguments, values: dict) -> None:
    if arguments.evaluate_only:
        raise InputError("--evaluate_only trains no model that --push_to_hub could push: leave one of them out")
    if getattr(arguments, "num_folds", None):
        raise InputError("--num_folds makes several models: push the one you choose with `hfcls push FOLDER/fold_1`")
    if not values.get("hub_model_id"):
        raise InputError("--push_to_hub needs --hub_model_id USER/NAME")


def _print_help(arguments_class, task: str, description: str, defaults: Callable) -> None:
    print_lines(f"usage: accelerate launch {sys.argv[0]} [flags]\n\n{description}\n\nflags of this recipe:")
    recipe_defaults = defaults(argparse.Namespace(**{f.name: None for f in fields(arguments_class)}))
    for f in fields(arguments_class):
        default = recipe_defaults.get(f.name, None if f.default is MISSING else f.default)
        choices = getattr(f.type, "__args__", ()) if "Literal" in str(f.type) else ()
        names = [str(c) for choice in choices for c in getattr(choice, "__args__", (choice,)) if c is not type(None)]
        text = f.metadata["help"] + (f" One of {', '.join(names)}." if names else "")
        print_lines(f"  --{f.name:<28} {text}" + (f" [{default}]" if default is not None else ""))
    shown = {"output_dir": f"outputs/{task}", **SHARED_DEFAULTS, **recipe_defaults}
    print_lines("\nflags of TrainingArguments, with this recipe's defaults:")
    for name in ["output_dir", "resume_from_checkpoint", *COMMON_FLAGS]:
        note = " (auto: the last complete checkpoint)" if name == "resume_from_checkpoint" else ""
        print_lines(f"  --{name}{note}" + (f" [{shown[name]}]" if name in shown else ""))
    print_lines(f"\nand all the others: {TRAINING_ARGUMENTS_URL}")
