"""The main job from the command line: corpus files in, a model on the Hub out."""

import csv
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from hfcls.metrics.one_label import score
from tests.hub_server import serve_hub
from tests.launching import CONFIGS
from tests.warm import run_apart

ROOT = Path(__file__).parents[2]
RECIPE = "recipes/thucnews_bert.py"
REPO = "tester/headlines"

RELOAD = """
import json, sys
import numpy as np, torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer, pipeline

name, out = sys.argv[1:]
texts = ["股市今天上涨", "球队赢得冠军 3:1"]
tokenizer = AutoTokenizer.from_pretrained(name)
model = AutoModelForSequenceClassification.from_pretrained(name).eval()
with torch.no_grad():
    logits = model(**tokenizer(texts, padding=True, return_tensors="pt")).logits.numpy()
answers = pipeline("text-classification", model=name, top_k=None)(texts)
assert "hfcls" not in sys.modules
json.dump({"logits": logits.tolist(), "answers": answers}, open(out, "w"))
"""


@pytest.fixture(scope="module")
def hub():
    with serve_hub() as running:
        yield running


@pytest.fixture(scope="module")
def directory(tmp_path_factory):
    return tmp_path_factory.mktemp("thucnews")


@pytest.fixture(scope="module")
def trained(hub, directory):
    flags = "--from_scratch tiny --num_train_epochs 3 --max_train_samples 400 --use_cpu --early_stopping_patience 2"
    flags += f" --push_to_hub --hub_model_id {REPO} --report_to tensorboard --learning_rate 2e-3"
    command = [str(Path(sys.executable).parent / "accelerate"), "launch"]
    command += [
        "--config_file",
        str(CONFIGS / "one_gpu.yaml"),
        RECIPE,
        *flags.split(),
        "--output_dir",
        str(directory / "out"),
    ]
    environment = hub.environment(directory / "home", OMP_NUM_THREADS="1")
    environment["TENSORBOARD_LOGGING_DIR"] = str(directory / "tensorboard")
    result = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=240)
    assert result.returncode == 0, result.stderr[-3000:]
    return result


def read_predictions(folder):
    with (folder / "predictions.csv").open(encoding="utf-8", newline="") as file:
        header, *rows = csv.reader(file)
    return header, rows


def test_last_lines_are_what_a_user_wants_to_know(trained, directory):
    lines = trained.stdout.strip().splitlines()
    assert any(line.split()[:1] == ["accuracy"] for line in lines)
    assert f"reloaded from {directory / 'out'}" in lines
    assert lines[-1] == f"report: {directory / 'out' / 'report.html'}"
    assert any(line.startswith("pushed to ") and line.endswith(REPO) for line in lines)


def test_files_of_a_finished_run(trained, directory):
    out = directory / "out"
    names = {path.name for path in out.iterdir()}
    assert names >= {
        *("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json", "all_results.json"),
        *("trainer_state.json", "predictions.csv", "report.html", "README.md", "run.json"),
    }
    results = json.loads((out / "all_results.json").read_text())
    assert {
        "test_accuracy",
        "test_f1",
        "test_roc_auc",
        "test_loss",
        "train_samples_per_second",
        "eval_accuracy",
    } <= set(results)
    assert list((directory / "tensorboard").rglob("events.out.tfevents.*"))


def test_the_best_checkpoint_by_eval_accuracy_was_kept(trained, directory):
    out = directory / "out"
    state = json.loads((out / "trainer_state.json").read_text())
    accuracy = {entry["step"]: entry["eval_accuracy"] for entry in state["log_history"] if "eval_accuracy" in entry}
    assert len(accuracy) == 3
    assert state["best_metric"] == max(accuracy.values()) == accuracy[state["best_global_step"]]
    assert json.loads((out / "all_results.json").read_text())["eval_accuracy"] == state["best_metric"]
    best = load_file(out / f"checkpoint-{state['best_global_step']}" / "model.safetensors")
    final = load_file(out / "model.safetensors")
    assert all(np.array_equal(best[name], final[name]) for name in best)


def test_predictions_give_the_reported_metrics(trained, directory):
    header, rows = read_predictions(directory / "out")
    names = header[3:]
    assert header[:3] == ["text", "label", "prediction"] and len(names) == 10
    labels = np.array([names.index(row[1]) for row in rows])
    probabilities = np.array([[float(cell) for cell in row[3:]] for row in rows])
    assert [names[i] for i in probabilities.argmax(axis=1)] == [row[2] for row in rows]
    values = score(np.log(probabilities), labels)
    results = json.loads((directory / "out" / "all_results.json").read_text())
    for name in ("accuracy", "f1", "roc_auc", "loss"):
        assert values[name] == pytest.approx(results[f"test_{name}"], abs=1e-6)


def test_reloaded_from_the_hub_it_answers_the_same(trained, hub, directory):
    answers = []
    for name, source, home in (("hub", REPO, "empty_home"), ("folder", str(directory / "out"), "home")):
        script = ["-I", "-c", RELOAD, source, directory / f"{name}.json"]
        run_apart(*script, environment=hub.environment(directory / home), folder=directory, check=True)
        answers.append(json.loads((directory / f"{name}.json").read_text()))
    np.testing.assert_allclose(answers[0]["logits"], answers[1]["logits"], atol=1e-6)
    for from_hub, from_folder in zip(answers[0]["answers"], answers[1]["answers"], strict=True):
        assert {a["label"] for a in from_hub} == {a["label"] for a in from_folder} and len(from_hub) == 10
        assert from_hub[0]["score"] == pytest.approx(from_folder[0]["score"], abs=1e-6)


def test_what_was_pushed_holds_no_token_and_no_local_path(trained, hub, directory):
    files = hub.repos[REPO].files
    assert set(files) - {".gitattributes"} == {
        *("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json", "all_results.json"),
        "README.md",
    }
    token = hub.environment(directory)["HF_TOKEN"].encode()
    for name, content in files.items():
        assert token not in content, name
        assert str(directory).encode() not in content, name
        assert str(ROOT).encode() not in content, name


def test_a_saved_model_is_measured_without_training(trained, hub, directory):
    command = [RECIPE, "--evaluate_only", REPO, "--use_cpu", "--output_dir", directory / "measured"]
    result = run_apart(*command, environment=hub.environment(directory / "home"))
    assert result.returncode == 0, result.stderr[-3000:]
    measured = json.loads((directory / "measured" / "all_results.json").read_text())
    results = json.loads((directory / "out" / "all_results.json").read_text())
    assert measured["test_accuracy"] == results["test_accuracy"]
    assert measured["test_roc_auc"] == pytest.approx(results["test_roc_auc"], abs=1e-6)
    assert "train_loss" not in measured
    names = {path.name for path in (directory / "measured").iterdir()}
    assert {"all_results.json", "predictions.csv", "run.json", "report.html"} <= names
    assert not any(name.startswith("checkpoint") for name in names)


def test_without_a_network_the_offline_way_is_named(hub, directory):
    environment = hub.environment(directory / "home", HF_ENDPOINT="http://127.0.0.1:9", HF_HUB_OFFLINE="1")
    result = run_apart(RECIPE, "--use_cpu", "--output_dir", directory / "offline", environment=environment)
    assert result.returncode == 2
    last = result.stderr.strip().splitlines()[-1]
    assert last.startswith("error: google-bert/bert-base-chinese: HF_HUB_OFFLINE is set") and "--from_scratch" in last
    assert "THUCNews" not in result.stderr  # before any data is prepared
    assert "Traceback" not in result.stderr
