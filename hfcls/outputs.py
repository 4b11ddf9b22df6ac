"""The files of a finished run, besides what Trainer saves: all_results.json, predictions.csv, run.json."""

import csv
import json
import math
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from transformers import TrainingArguments

from hfcls import environment, metrics

SETTINGS = (
    "learning_rate num_train_epochs max_steps per_device_train_batch_size per_device_eval_batch_size "
    "gradient_accumulation_steps lr_scheduler_type warmup_steps weight_decay label_smoothing_factor max_grad_norm "
    "optim metric_for_best_model eval_strategy eval_steps seed"
).split()


def write_json(path: Path, content: dict) -> None:
    """Strict JSON: what is NaN or infinite becomes null."""

    def strict(value):
        if isinstance(value, float) and not math.isfinite(value):
            return None
        if isinstance(value, dict):
            return {key: strict(item) for key, item in value.items()}
        if isinstance(value, (list, tuple)):
            return [strict(item) for item in value]
        return value

    path.write_text(json.dumps(strict(content), ensure_ascii=False, indent=2, allow_nan=False) + "\n", encoding="utf-8")


def write_predictions(path: Path, texts: list[str], labels: np.ndarray, logits: np.ndarray, names: list[str]) -> None:
    """One line a test row: text, label, prediction (empty where the logits are not finite), probabilities.

    `labels` is (rows,), `logits` (rows, classes).
    """
    predicted = metrics.predictions(logits)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["text", "label", "prediction", *names])
        for text, label, prediction, row in zip(texts, labels, predicted, metrics.probabilities(logits), strict=True):
            answer = names[prediction] if prediction >= 0 else ""
            writer.writerow([text, names[label], answer, *(f"{p:.9g}" for p in row)])


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


def describe_data(corpus, rows) -> dict:
    """What `run.json` says of the corpus (`training.Corpus`) and its token rows (`training.Rows`)."""
    splits = {}
    for name, split in corpus.splits.items():
        counts = np.bincount(np.asarray(split["label"]), minlength=len(corpus.labels)).tolist()
        splits[name] = {
            "rows": len(split),
            "labels": dict(zip(corpus.labels, counts, strict=True)),
            "length": length_summary(rows.lengths[name]),
        }
    return {
        "name": corpus.name,
        "source": corpus.source,
        "splits": splits,
        "max_length": rows.max_length,
        "covered": rows.covered,
        "notes": corpus.notes,
    }


def precision(training_args: TrainingArguments) -> str:
    """The type that matrix products are computed in."""
    return "bf16" if training_args.bf16 else "fp16" if training_args.fp16 else "float32"


def settings(training_args: TrainingArguments, **own) -> dict:
    """The training arguments that decide the result, as JSON scalars, and the recipe's own flags that were set."""
    values = {name: getattr(training_args, name) for name in SETTINGS}
    values |= {name: value for name, value in own.items() if value is not None}
    return {name: getattr(value, "value", value) for name, value in values.items()}


def describe_run(*, task, seconds, model, model_name, base_model, corpus, rows, training_args, own_settings) -> dict:
    """The content of `run.json`."""
    return {
        "task": task,
        "command": environment.command(),
        "started": datetime.fromtimestamp(datetime.now(UTC).timestamp() - seconds, UTC).isoformat(timespec="seconds"),
        "seconds": round(seconds, 1),
        "model": {
            "name": model_name,
            "architecture": type(model).__name__,
            "base_model": base_model,
            "parameters": model.num_parameters(),
        },
        "language": corpus.language,
        "labels": corpus.labels,
        "data": describe_data(corpus, rows),
        "settings": settings(training_args, **own_settings),
        "versions": environment.versions(),
        "hardware": environment.hardware(),
        "precision": precision(training_args),
        "processes": training_args.world_size,
    }
