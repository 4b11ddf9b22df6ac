"""Finished runs, made up: what a recipe leaves in its output folder, with scores by scikit-learn."""

import csv
import json
import warnings
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, f1_score, roc_auc_score


def _scores(labels, predicted, probabilities) -> dict:
    present = [c for c in range(probabilities.shape[1]) if 0 < (labels == c).sum() < len(labels)]
    areas = [roc_auc_score(labels == c, probabilities[:, c]) for c in present]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a single class makes scikit-learn wonder
        f1 = f1_score(labels, predicted, labels=np.unique(labels), average="macro", zero_division=0)
    return {
        "test_accuracy": accuracy_score(labels, predicted),
        "test_f1": f1,
        "test_roc_auc": float(np.mean(areas)) if areas else None,
        "test_loss": 0.3,
        "test_samples_per_second": 812.1,
    }


def _split(names, rows: int) -> dict:
    length = {"unit": "tokens", "mean": 19.1, "std": 4.0, "min": 3, "median": 19, "max": 60}
    length |= {"edges": [2.5, 12.5, 22.5, 32.5], "counts": [rows // 4, rows // 2, rows // 4]}
    return {"rows": rows, "labels": dict.fromkeys(names, rows // len(names)), "length": length}


STATE = {
    "best_global_step": 200,
    "log_history": [
        {"loss": 2.0, "learning_rate": 5e-5, "step": 50, "epoch": 0.5},
        {"loss": 1.0, "learning_rate": 4e-5, "step": 100, "epoch": 1.0},
        {"eval_accuracy": 0.61, "eval_f1": 0.6, "eval_roc_auc": 0.81, "eval_loss": 0.9, "step": 100, "epoch": 1.0},
        {"loss": 0.7, "learning_rate": 3e-5, "step": 200, "epoch": 2.0},
        {"eval_accuracy": 0.74, "eval_f1": 0.7, "eval_roc_auc": 0.86, "eval_loss": 0.8, "step": 200, "epoch": 2.0},
        {"eval_accuracy": 0.72, "eval_f1": 0.7, "eval_roc_auc": 0.85, "eval_loss": 0.85, "step": 300, "epoch": 3.0},
        {"train_runtime": 9.0, "train_loss": 1.2, "step": 300, "epoch": 3.0},
        # the chosen checkpoint, measured once more at the end
        {"eval_accuracy": 0.74, "eval_f1": 0.7, "eval_roc_auc": 0.86, "eval_loss": 0.8, "step": 300, "epoch": 3.0},
    ],
}


@pytest.fixture
def make_run(tmp_path):
    def make(
        names=("财经", "体育", "游戏"),
        rows: int = 300,
        *,
        labels=None,
        without_prediction=(),
        text=lambda row: f"第{row}条新闻",
        column: str = "text",
        state: dict | None = STATE,
        about: dict | None = None,
        data: dict | None = None,
    ) -> Path:
        """A run of `rows` test rows; `labels` (rows,) fixes the true classes, `without_prediction` are row numbers."""
        generator = np.random.default_rng(0)
        labels = generator.integers(len(names), size=rows) if labels is None else np.asarray(labels)
        logits = generator.normal(size=(rows, len(names)))
        logits[np.arange(rows), labels] += 1.5
        probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        predicted = probabilities.argmax(axis=1)
        without_prediction = list(without_prediction)
        predicted[without_prediction] = -1
        probabilities[without_prediction] = 1 / len(names)

        with open(tmp_path / "predictions.csv", "w", encoding="utf-8", errors="surrogatepass", newline="") as file:
            writer = csv.writer(file)
            writer.writerow([column, "label", "prediction", *names])
            for row, (label, prediction) in enumerate(zip(labels, predicted, strict=True)):
                answer = names[prediction] if prediction >= 0 else ""
                writer.writerow([text(row), names[label], answer, *map(repr, probabilities[row].tolist())])

        content = {
            "task": "thucnews_bert",
            "command": "accelerate launch recipes/thucnews_bert.py --from_scratch mini",
            "started": "2026-01-31T12:00:00+00:00",
            "seconds": 512.3,
            "model": {
                "name": "BERT mini, from scratch",
                "architecture": "BertForSequenceClassification",
                "base_model": None,
                "parameters": 4900000,
            },
            "language": "zh",
            "labels": list(names),
            "data": {
                "name": "THUCNews",
                "source": "thucnews_titles",
                "splits": {"train": _split(names, 33590), "test": _split(names, rows)},
                "max_length": 34,
                "covered": 0.998,
                "notes": ["GB18030 was read"],
            }
            | (data or {}),
            "settings": {"learning_rate": 5e-05, "max_grad_norm": None},
            "versions": {"hfcls": "0.1.0", "torch": "2.13.0"},
            "hardware": {"cpu": "Intel Xeon", "cores": 2, "memory_gb": 24, "gpus": []},
            "precision": "bf16",
            "processes": 1,
        } | (about or {})
        (tmp_path / "run.json").write_text(json.dumps(content), encoding="utf-8")
        results = _scores(labels, predicted, probabilities)
        (tmp_path / "all_results.json").write_text(json.dumps(results), encoding="utf-8")
        if state is not None:
            (tmp_path / "trainer_state.json").write_text(json.dumps(state), encoding="utf-8")
        return tmp_path

    return make
