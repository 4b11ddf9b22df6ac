"""A made-up finished run, as a recipe leaves it, for the tests of the model card and of the push."""

import copy
import json
from pathlib import Path

LABELS = ["finance", "sports", "games"]


def _split(counts: list[int]) -> dict:
    length = {
        "unit": "tokens",
        "mean": 19.1,
        "std": 4.0,
        "min": 3,
        "median": 19,
        "max": 60,
        "edges": [3, 60],
        "counts": [9],
    }
    return {"rows": sum(counts), "labels": dict(zip(LABELS, counts, strict=True)), "length": length}


RUN = {
    "version": 2,
    "task": "thucnews_bert",
    "target": "one_label",
    "chosen_by": "accuracy",
    "command": "accelerate launch recipes/thucnews_bert.py --data_dir /home/someone/corpora/titles --from_scratch mini",
    "started": "2026-01-31T12:00:00+00:00",
    "seconds": 512.3,
    "model": {
        "name": "BERT mini, from scratch",
        "architecture": "BertForSequenceClassification",
        "base_model": None,
        "parameters": 4900000,
    },
    "language": "zh",
    "labels": LABELS,
    "data": {
        "name": "THUCNews",
        "source": "titles",
        "splits": {"train": _split([700, 800, 1500]), "validation": _split([10, 20, 30]), "test": _split([100] * 3)},
        "max_length": 16,
        "covered": 0.998,
        "notes": ["GB18030 was read"],
    },
    "settings": {"learning_rate": 5e-05, "per_device_train_batch_size": 8, "lr_scheduler_type": "linear"},
    "versions": {"hfcls": "0.1.0", "python": "3.11.9", "torch": "2.13.0"},
    "hardware": {"cpu": "Intel Xeon", "cores": 2, "memory_gb": 24, "gpus": []},
    "precision": "float32",
    "processes": 1,
}
RESULTS = {
    "train_loss": 0.3,
    "eval_accuracy": 0.91,
    "test_accuracy": 0.9033333333333333,
    "test_f1": 0.9021111,
    "test_roc_auc": 0.98765,
    "test_loss": 0.31,
}
CONFIG = {"model_type": "bert", "id2label": dict(enumerate(LABELS))}


def write_run(folder: Path, *, run: dict = {}, results: dict = {}, config: dict = CONFIG) -> Path:  # noqa: B006
    """Writes run.json, all_results.json and config.json. A dotted key of `run` ("data.name") changes one value."""
    about = copy.deepcopy(RUN)
    for key, value in run.items():
        *parents, last = key.split(".")
        place = about
        for parent in parents:
            place = place[parent]
        place[last] = value
    folder.mkdir(parents=True, exist_ok=True)
    contents = {"run.json": about, "all_results.json": {**RESULTS, **results}, "config.json": config}
    for name, content in contents.items():
        (folder / name).write_text(json.dumps(content, ensure_ascii=False, indent=2), encoding="utf-8")
    return folder
