"""The files of a finished run, besides what Trainer saves: all_results.json, predictions.csv, run.json."""

import csv
import json
import logging
import math
from dataclasses import fields
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
from transformers import TrainingArguments

from hfcls import environment
from hfcls.metrics import one_label as metrics
from hfcls.metrics.target import Target
from hfcls.training.arguments import SharedArguments
from hfcls.training.losses import Loss
from hfcls.training.setup import Corpus, Setup, joined_texts

logger = logging.getLogger(__name__)

SETTINGS = (
    "learning_rate num_train_epochs max_steps per_device_train_batch_size per_device_eval_batch_size "
    "gradient_accumulation_steps lr_scheduler_type warmup_steps weight_decay label_smoothing_factor max_grad_norm "
    "optim metric_for_best_model eval_strategy eval_steps seed"
).split()

# Flags of a recipe that choose what is measured, not how it is trained; and those that name a file.
NOT_SETTINGS = {"data_dir", "evaluate_only", "max_train_samples", "max_eval_samples", "max_test_samples"}
FILES = {"vocab", "embeddings", "embedding_model", "model_name_or_path"}


def write_json(path: Path, content: dict) -> None:
    """Strict JSON: what is NaN or infinite becomes null. A file of that name is complete or not there."""

    def strict(value):
        if isinstance(value, float) and not math.isfinite(value):
            return None
        if isinstance(value, dict):
            return {key: strict(item) for key, item in value.items()}
        if isinstance(value, (list, tuple)):
            return [strict(item) for item in value]
        return value

    text = json.dumps(strict(content), ensure_ascii=False, indent=2, allow_nan=False) + "\n"
    part = path.with_suffix(".part")
    part.write_text(text, encoding="utf-8")
    part.replace(path)


def write_predictions(path: Path, corpus: Corpus, target: Target, *, labels: np.ndarray, logits: np.ndarray) -> None:
    """One line a test row: text or id, label, prediction (empty where the logits are not finite), probabilities.

    `logits` is (rows, classes), `labels` as `target` has them.
    """
    split = corpus.splits["test"]
    column = corpus.display_column
    rows = zip(
        joined_texts(split) if column == "text" else split[column],
        target.label_cells(labels),
        target.prediction_cells(logits),
        target.probabilities(logits),
        strict=True,
    )
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([column, "label", "prediction", *target.names])
        writer.writerows([row, label, answer, *(f"{p:.9g}" for p in shares)] for row, label, answer, shares in rows)


def write_submission(path: Path, corpus: Corpus, *, logits: np.ndarray) -> None:
    """One line for each unlabelled row: its `id`, and as `label` the number of the predicted class.

    `logits` is (rows, classes). A row whose logits are not finite gets class 0, with a warning: every row has to have
    one.
    """
    predicted = metrics.predictions(logits)
    if (predicted < 0).any():
        logger.warning("%s: %d rows without a finite prediction get class 0", path, (predicted < 0).sum())
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "label"])
        writer.writerows(zip(corpus.unlabelled["id"], predicted.clip(min=0), strict=True))


def length_summary(lengths: np.ndarray, bars: int = 40) -> dict:
    """Mean, spread and histogram of `lengths` (rows,): bars a whole number of tokens wide, the
    longest 0.5 % in the last.
    """
    low, high = int(lengths.min()), int(np.percentile(lengths, 99.5))
    width = -(-(high - low + 1) // bars)
    edges = np.arange(low, high + width + 1, width)
    counts, _ = np.histogram(np.minimum(lengths, high), bins=edges)
    return {
        "unit": "tokens",
        "mean": float(lengths.mean()),
        "std": float(lengths.std()),
        "min": int(lengths.min()),
        "median": float(np.median(lengths)),
        "max": int(lengths.max()),
        "edges": edges.tolist(),
        "counts": counts.tolist(),
    }


def describe_data(setup: Setup) -> dict:
    """What `run.json` says of the corpus of `setup`."""
    corpus, rows = setup.corpus, setup.rows
    return {
        "name": corpus.name,
        "source": corpus.source,
        "splits": setup.describe_splits(),
        "max_length": rows.max_length,
        "covered": rows.covered,
        "notes": corpus.notes,
        "repeated": corpus.repeated,
    }


def precision(training_args: TrainingArguments) -> str:
    """The type that matrix products are computed in."""
    return "bf16" if training_args.bf16 else "fp16" if training_args.fp16 else "float32"


def settings(arguments: SharedArguments, training_args: TrainingArguments) -> dict:
    """What decides the result: the recipe's own flags that were set, and the training arguments, as JSON scalars."""
    own = {f.name: getattr(arguments, f.name) for f in fields(arguments) if f.name not in NOT_SETTINGS}
    own = {name: Path(value).name if name in FILES and value else value for name, value in own.items()}
    values = {name: getattr(training_args, name) for name in SETTINGS} | own
    for ours, theirs in (("optimizer", "optim"), ("schedule", "lr_scheduler_type")):
        if values[ours] is not None:
            values[theirs] = None  # not what was used
    return {name: getattr(value, "value", value) for name, value in values.items() if value is not None}


def describe_run(
    setup: Setup,
    arguments: SharedArguments,
    training_args: TrainingArguments,
    *,
    task: str,
    seconds: float,
    loss: Loss | None = None,
) -> dict:
    """The content of `run.json`; `loss` says what was trained with where it was not the model's own."""
    started = datetime.now(UTC) - timedelta(seconds=seconds)
    weights = None if loss is None or loss.class_weights is None else loss.class_weights.tolist()
    target, config = setup.target, setup.model.config
    thresholds = getattr(target, "thresholds", None)
    return {
        "task": task,
        "pipeline_tag": setup.pipeline_task,
        "command": environment.command(),
        "started": started.isoformat(timespec="seconds"),
        "seconds": round(seconds, 1),
        "model": {
            "name": setup.model_name,
            "architecture": type(setup.model).__name__,
            "base_model": setup.base_model,
            "parameters": setup.model.num_parameters(),
        },
        "language": setup.corpus.language,
        "labels": target.names,
        "data": describe_data(setup),
        "class_weights": None if weights is None else dict(zip(target.names, weights, strict=True)),
        "temperature": getattr(config, "calibrated_temperature", None),
        "multi_label": target.kind == "label_sets",
        "thresholds": None if thresholds is None else thresholds.tolist(),
        "settings": settings(arguments, training_args),
        "versions": environment.versions(),
        "hardware": environment.hardware(),
        "precision": precision(training_args),
        "processes": training_args.world_size,
    }
