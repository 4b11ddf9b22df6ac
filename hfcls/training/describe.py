"""The record of a run, from what was trained on what."""

from dataclasses import fields
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
from transformers import TrainingArguments

from hfcls import environment, own_code
from hfcls.runs.floor import Floor
from hfcls.runs.model_names import hub_model
from hfcls.runs.record import Data, Fold, Hardware, Length, Model, Record, Repeated
from hfcls.runs.rounding import Rounding
from hfcls.training.arguments import SharedArguments
from hfcls.training.losses import Loss
from hfcls.training.setup import Setup

SETTINGS = (
    "learning_rate num_train_epochs max_steps per_device_train_batch_size per_device_eval_batch_size "
    "gradient_accumulation_steps lr_scheduler_type warmup_steps weight_decay label_smoothing_factor max_grad_norm "
    "optim load_best_model_at_end metric_for_best_model eval_strategy eval_steps seed"
).split()

# Flags of a recipe that choose what is measured, not how it is trained; and those that name a file.
NOT_SETTINGS = {"data_dir", "evaluate_only", "max_train_samples", "max_eval_samples", "max_test_samples", "floor"}
FILES = {"vocab", "embeddings"}
MODELS = {"embedding_model", "model_name_or_path"}  # folders, or names of a hub, which are kept whole


def describe_run(
    setup: Setup,
    arguments: SharedArguments,
    training_args: TrainingArguments,
    *,
    task: str,
    seconds: float,
    loss: Loss | None = None,
    folds: list[Fold] | None = None,
    floor: Floor | None = None,
    command: list[str] | None = None,
    rounding: Rounding | None = None,
) -> Record:
    """The record of a run of `setup` that took `seconds` and ends now.

    `loss` is what was trained with where it was not the model's own, `folds` the scores of each fold where the run is
    their mean, `floor` what `Setup.measure_floor` gave, `rounding` what `--save_dtype` did, `command` its command line
    if that is not this process's.
    """
    started = datetime.now(UTC) - timedelta(seconds=seconds)
    weights = None if loss is None or loss.class_weights is None else loss.class_weights.tolist()
    target = setup.target
    thresholds = getattr(target, "thresholds", None)
    decided = settings(arguments, training_args)
    return Record(
        task=task,
        target=target.kind,
        pipeline_tag=setup.pipeline_task,
        command=environment.command(command),
        started=started.isoformat(timespec="seconds"),
        seconds=round(seconds, 1),
        model=Model(
            name=setup.model_name,
            architecture=type(setup.model).__name__,
            base_model=setup.base_model,
            parameters=setup.model.num_parameters(),
            loading=setup.loading,
        ),
        language=setup.corpus.language,
        labels=target.names,
        data=describe_data(setup),
        class_weights=None if weights is None else dict(zip(target.names, weights, strict=True)),
        # Each fold has a temperature and offsets of its own.
        temperature=None if folds else getattr(setup.model.config, "calibrated_temperature", None),
        thresholds=None if thresholds is None else thresholds.tolist(),
        class_offsets=None if folds else getattr(setup.model.config, "class_offsets", None),
        chosen_by=_chosen_by(arguments, decided),
        greater_is_better=training_args.greater_is_better is not False,
        folds=folds,
        floor=floor,
        rounding=rounding,
        settings=decided,
        versions=environment.versions(),
        hardware=Hardware(**environment.hardware()),
        precision=precision(training_args),
        processes=training_args.world_size,
    )


def _chosen_by(arguments: SharedArguments, decided: dict[str, object]) -> str | None:
    """The metric that chose the checkpoint; None where no rows of validation could: nothing was trained, or on them."""
    if arguments.evaluate_only is not None or decided.get("train_on_validation"):
        return None
    metric = decided.get("metric_for_best_model")
    return None if metric is None else metric.removeprefix("eval_")


def describe_data(setup: Setup) -> Data:
    """What a record says of the corpus of `setup`."""
    corpus, rows = setup.corpus, setup.rows
    return Data(
        name=corpus.name,
        source=corpus.source,
        splits=setup.describe_splits(),
        max_length=rows.max_length,
        covered=rows.covered,
        notes=corpus.notes,
        repeated=None if corpus.repeated is None else Repeated(**corpus.repeated),
    )


def length_summary(lengths: np.ndarray, bars: int = 40) -> Length:
    """Mean, spread and histogram of `lengths` (rows,): bars a whole number of tokens wide, the longest 0.5 % in the
    last.
    """
    low, high = int(lengths.min()), int(np.percentile(lengths, 99.5))
    width = -(-(high - low + 1) // bars)
    edges = np.arange(low, high + width + 1, width)
    counts, _ = np.histogram(np.minimum(lengths, high), bins=edges)
    return Length(
        unit="tokens",
        mean=float(lengths.mean()),
        std=float(lengths.std()),
        min=int(lengths.min()),
        median=float(np.median(lengths)),
        max=int(lengths.max()),
        edges=edges.tolist(),
        counts=counts.tolist(),
    )


def precision(training_args: TrainingArguments) -> str:
    """The type that matrix products are computed in."""
    return "bf16" if training_args.bf16 else "fp16" if training_args.fp16 else "float32"


def settings(arguments: SharedArguments, training_args: TrainingArguments) -> dict[str, object]:
    """What decides the result: the recipe's own flags that were set, and the training arguments, as JSON scalars."""
    own = {f.name: getattr(arguments, f.name) for f in fields(arguments) if f.name not in NOT_SETTINGS}
    for name in own.keys() & (FILES | MODELS):
        if own[name] and (name in FILES or hub_model(own[name]) is None):
            own[name] = Path(own[name]).name
    own |= {name: own_code.without_folder(own[name]) for name in own_code.FLAGS if own.get(name)}
    values = {name: getattr(training_args, name) for name in SETTINGS} | own
    for ours, theirs in (("optimizer", "optim"), ("schedule", "lr_scheduler_type")):
        if values[ours] is not None:
            values[theirs] = None  # not what was used
    return {name: getattr(value, "value", value) for name, value in values.items() if value is not None}
