"""The measured values of a run, all_results.json: which there are, and how they are read."""

from pathlib import Path

from hfcls.errors import InputError
from hfcls.metrics.pairs import RECALLS
from hfcls.runs.json_files import from_json, read_json, write_json
from hfcls.runs.record import Record

NAME = "all_results.json"

# Further shares of the test rows that a task may measure, and what a report calls them.
FURTHER = {
    "top_3_accuracy": "Among the top three",
    "any_true_label_accuracy": "Any true class",
    "coarse_accuracy": "Coarse accuracy",
}

# What people call a metric, where they do not call it as all_results.json does.
_TITLES = {"f1": "macro F1", "f1_micro": "micro F1", "roc_auc": "ROC-AUC"}

_SPEEDS = ("test_samples_per_second", "train_samples_per_second", "train_runtime")
_OF_CLASSIFIERS = ("test_roc_auc", *_SPEEDS, *(f"test_{name}" for name in FURTHER))
_OF_RETRIEVAL = (
    *(f"{start}{way}{name}" for start in ("test_", "eval_") for way in ("", "image_to_text_") for name in RECALLS),
    *("start_recall_at_1", "zero_shot_accuracy", "zero_shot_pictures", "zero_shot_classes"),
    *_SPEEDS,
)


def write_results(folder: Path, results: dict[str, float]) -> None:
    """Writes `results` as `all_results.json` into `folder`."""
    write_json(folder / NAME, results)


def read_results(folder: str | Path, target: str) -> dict[str, float | None]:
    """Reads the all_results.json in `folder`, of a run whose record has the `target`.

    Returns:
        What the file holds. What such a run may have measured and has not is None, and so is what was not finite.

    Raises:
        InputError: the file is missing or torn, lacks a score, or one is no number.
    """
    path = Path(folder) / NAME
    results = read_json(path)
    required = () if target == "pairs" else ("test_accuracy", "test_f1")
    optional = _OF_RETRIEVAL if target == "pairs" else _OF_CLASSIFIERS
    for name in required:
        if name not in results:
            raise InputError(f"{path}: {name!r} is missing: run again with this version")
    for name, value in results.items():
        from_json(float if name in required else float | None, value, f"{path}: {name}: ")
    return dict.fromkeys(optional) | results


def validation_score(record: Record, results: dict[str, float | None], metric: str) -> float | None:
    """What a run scored by `metric` on rows that were neither trained on nor tested on; None if there are none.

    That of the chosen checkpoint on validation; of a cross-validation the mean of the folds on what they held out.
    """
    if record.chosen_by is None:
        return None
    return results.get(f"eval_{metric}" if record.folds is None else f"fold_{metric}_mean")


def metric_title(metric: str) -> str:
    """What people call `metric`: "macro F1", "recall at 1"."""
    return _TITLES.get(metric, metric.replace("_", " "))
