"""What a finished run left in its output folder, read and checked."""

import json
import math
from dataclasses import dataclass
from pathlib import Path

from hfcls.errors import InputError
from hfcls.report.label_sets import LabelSets, read_label_sets
from hfcls.report.predictions import Predictions, read_predictions
from hfcls.report.thumbnails import read_thumbnails

NUMBER = (int, float)
OPTIONAL_NUMBER = (int, float, type(None))

# The shape of run.json: a type, a dict of shapes, or a tuple of types; one with NoneType in it may be null or absent.
RUN = {
    "task": str,
    "command": str,
    "started": str,
    "seconds": NUMBER,
    "model": {"name": str, "architecture": str, "base_model": (str, type(None)), "parameters": int},
    "language": (str, type(None)),
    "labels": list,
    "data": {
        "name": str,
        "source": str,
        "splits": dict,
        "max_length": OPTIONAL_NUMBER,
        "covered": OPTIONAL_NUMBER,
        "notes": list,
        "repeated": (dict, type(None)),
    },
    "class_weights": (dict, type(None)),
    "temperature": OPTIONAL_NUMBER,
    "multi_label": (bool, type(None)),
    "thresholds": (list, type(None)),
    "folds": (list, type(None)),
    "settings": dict,
    "versions": dict,
    "hardware": {"cpu": str, "cores": OPTIONAL_NUMBER, "memory_gb": OPTIONAL_NUMBER, "gpus": list},
    "precision": str,
    "processes": int,
}
_SPLIT = {"rows": int, "labels": dict, "length": (dict, type(None))}
_LENGTH = {
    "unit": str,
    "mean": NUMBER,
    "std": NUMBER,
    "min": NUMBER,
    "median": NUMBER,
    "max": NUMBER,
    "edges": list,
    "counts": list,
}
# Further shares of the test rows that a task may measure, and what a report calls them.
FURTHER = {
    "top_3_accuracy": "Among the top three",
    "any_true_label_accuracy": "Any true class",
    "coarse_accuracy": "Coarse accuracy",
}
_RESULTS = {
    "test_accuracy": NUMBER,
    "test_f1": NUMBER,
    "test_roc_auc": OPTIONAL_NUMBER,
    "test_samples_per_second": OPTIONAL_NUMBER,
    "train_samples_per_second": OPTIONAL_NUMBER,
    "train_runtime": OPTIONAL_NUMBER,
    **{f"test_{name}": OPTIONAL_NUMBER for name in FURTHER},
}


@dataclass(frozen=True)
class Run:
    """One finished run.

    `about` is run.json, `results` all_results.json. `history` is the Trainer's `log_history`, None where nothing was
    trained, and `best_step` the step of the checkpoint that was kept, None where the Trainer chose none. `thumbnails`
    are PNG files in base64 of wrong test rows, by row counted from 1; empty where rows are no pictures.
    """

    folder: Path
    about: dict
    results: dict
    history: list[dict] | None
    best_step: int | None
    predictions: Predictions | LabelSets
    thumbnails: dict[int, str]

    @property
    def classes(self) -> list[str]:
        return self.about["labels"]


def load_run(folder: str | Path) -> Run:
    """Reads run.json, all_results.json, predictions.csv and, where they are, trainer_state.json and mistakes.json.

    Raises:
        InputError: a file is missing or torn, or lacks something; the message names the file and the key or line.
    """
    folder = Path(folder)
    about = read_checked(folder / "run.json", RUN)
    _check_data(folder / "run.json", about)
    results = read_checked(folder / "all_results.json", _RESULTS)
    history, best_step = read_history(folder)
    return Run(
        folder=folder,
        about=about,
        results=results,
        history=history,
        best_step=best_step,
        predictions=(read_label_sets if about["multi_label"] else read_predictions)(
            folder / "predictions.csv", about["labels"]
        ),
        thumbnails=read_thumbnails(folder),
    )


def read_history(folder: Path) -> tuple[list[dict] | None, int | None]:
    """The Trainer's `log_history` and the step of the checkpoint that it kept, of trainer_state.json if there is one.

    Raises:
        InputError: the file is torn.
    """
    path = folder / "trainer_state.json"
    if not path.exists():
        return None, None
    state = read_checked(path, {"log_history": list, "best_global_step": (int, type(None))})
    for entry in state["log_history"]:
        check(entry, {"step": int}, f"{path}: log_history: ")
    return state["log_history"], state["best_global_step"]


def read_checked(path: Path, shape: dict) -> dict:
    """The JSON object in `path`, checked against `shape`; NaN and absent optional keys become None."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"), parse_constant=lambda name: None)
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}; a finished run leaves this file") from error
    except ValueError as error:  # no JSON, or no UTF-8
        raise InputError(f"{path}: no JSON file in UTF-8 ({error}): run again") from error
    check(value, shape, f"{path}: ")
    return value


def check(value, shape, where: str) -> None:
    """Raises InputError, which begins with `where`, unless `value` has the shape that the tables above describe."""
    if isinstance(shape, dict):
        check(value, dict, where)
        for key, inner in shape.items():
            if isinstance(inner, tuple) and type(None) in inner:
                value.setdefault(key, None)
            elif key not in value:
                raise InputError(f"{where}{key!r} is missing: run again with this version")
            check(value[key], inner, f"{where}{key}: ")
    elif not isinstance(value, shape) or (isinstance(value, float) and not math.isfinite(value)):
        raise InputError(f"{where}{value!r:.60} does not belong here: run again with this version")


def _check_data(path: Path, about: dict) -> None:
    """What `check` cannot say: names that are unique, splits of any name, histograms whose edges fit their counts."""
    classes, splits = about["labels"], about["data"]["splits"]
    if about["data"]["repeated"] is not None:
        shape = {"surplus": dict, "leaks": dict, "conflicts": int}
        check(about["data"]["repeated"], shape, f"{path}: data: repeated: ")
    if not classes or not all(isinstance(name, str) and name for name in classes) or len({*classes}) < len(classes):
        raise InputError(f"{path}: labels: must be names, at least one, each once")
    if about["temperature"] is not None and about["temperature"] <= 0:
        raise InputError(f"{path}: temperature: must be above 0: run again with this version")
    for weight in (about["class_weights"] or {}).values():
        check(weight, NUMBER, f"{path}: class_weights: ")
    if about["thresholds"] is not None and len(about["thresholds"]) != len(classes):
        raise InputError(f"{path}: thresholds: need one for each label: run again with this version")
    for threshold in about["thresholds"] or []:
        check(threshold, NUMBER, f"{path}: thresholds: ")
    for fold in about["folds"] or []:
        shape = {"accuracy": NUMBER, "f1": NUMBER, "roc_auc": OPTIONAL_NUMBER}
        check(fold, shape, f"{path}: folds: ")
    if "test" not in splits:
        raise InputError(f"{path}: data: splits: 'test' is missing: run again with this version")
    for name, split in splits.items():
        where = f"{path}: data: splits: {name}: "
        check(split, _SPLIT, where)
        for count in split["labels"].values():
            check(count, int, f"{where}labels: ")
        length = split["length"]
        if length is not None:
            check(length, _LENGTH, f"{where}length: ")
            for number in length["edges"] + length["counts"]:
                check(number, NUMBER, f"{where}length: ")
            if not length["counts"] or len(length["edges"]) != len(length["counts"]) + 1:
                raise InputError(f"{where}length: edges must be one more than counts")
