"""Models that commit 3ebe4c0 trained and saved (tests/saved_models): they load, answer as they did, and are reported,
compared and pushed.
"""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.datasets import load_digits
from transformers import ChineseCLIPModel, ChineseCLIPProcessor, pipeline

from hfcls import DatasetCardClassifier
from hfcls.inference.classifier import Classifier
from hfcls.inference.loading import register_models
from hfcls.report import write_comparison, write_report
from hfcls.runs.card import write_model_card
from tests.hub_server import serve_hub
from tests.text.test_baselines import run
from tests.warm import run_apart

SAVED = Path(__file__).parent / "saved_models"
EXPECTED = {
    path.parent.relative_to(SAVED).as_posix(): json.loads(path.read_text()) for path in SAVED.rglob("expected.json")
}
TEXTS = sorted(name for name, expected in EXPECTED.items() if "texts" in expected and "probabilities" in expected)
CARDS = sorted(name for name, expected in EXPECTED.items() if "cards" in expected)
RUNS = sorted(path.parent.relative_to(SAVED).as_posix() for path in SAVED.rglob("run.json"))


def test_there_is_one_of_each_architecture():
    kinds = {json.loads((SAVED / name / "config.json").read_text())["model_type"] for name in EXPECTED}
    assert kinds == {
        *("bert", "text_rnn", "text_cnn", "dpcnn", "ngram_linear", "image_cnn", "chinese_clip"),
        *("card_fusion", "label_similarity"),
    }


@pytest.mark.parametrize("name", TEXTS)
def test_texts_are_answered_as_before(name):
    expected = EXPECTED[name]
    classifier = Classifier(str(SAVED / name))
    assert classifier.labels == expected["labels"]
    found = classifier.probabilities(expected["texts"], pairs=expected["pairs"])
    np.testing.assert_allclose(found, expected["probabilities"], atol=1e-5)


@pytest.mark.parametrize("name", CARDS)
def test_cards_are_answered_as_before(name):
    classifier = DatasetCardClassifier.from_pretrained(str(SAVED / name))
    for card, answers in zip(EXPECTED[name]["cards"], EXPECTED[name]["answers"], strict=True):
        found = classifier(card.pop("card"), **card, top_k=EXPECTED[name]["top_k"])
        assert [answer["label"] for answer in found] == [answer["label"] for answer in answers]
        np.testing.assert_allclose([a["score"] for a in found], [a["score"] for a in answers], atol=1e-5)


def test_pictures_are_answered_as_before():
    register_models()
    expected = EXPECTED["image_cnn"]
    images = load_digits().images[expected["rows"]]
    pictures = [Image.fromarray(np.round(image * (255 / 16)).astype(np.uint8)) for image in images]
    classify = pipeline("image-classification", model=str(SAVED / "image_cnn"), trust_remote_code=False)
    for answers, probabilities in zip(classify(pictures, top_k=10), expected["probabilities"], strict=True):
        found = {answer["label"]: answer["score"] for answer in answers}
        np.testing.assert_allclose([found[label] for label in expected["labels"]], probabilities, atol=1e-5)


def test_pictures_and_texts_lie_where_they_lay():
    expected, folder = EXPECTED["chinese_clip"], str(SAVED / "chinese_clip")
    model, processor = (
        ChineseCLIPModel.from_pretrained(folder),
        ChineseCLIPProcessor.from_pretrained(folder, backend="pil"),
    )
    y, x = np.mgrid[:8, :16]
    pictures = [
        np.stack([(x * (11 + 6 * n) + y * (23 - 4 * n) + 40 * c) % 256 for c in range(3)], axis=2) for n in range(2)
    ]
    images = [Image.fromarray(picture.astype(np.uint8)) for picture in pictures]
    inputs = processor(text=expected["texts"], images=images, padding=True, return_tensors="pt")
    with torch.inference_mode():
        found = model.eval()(**inputs)
    for name in ("logits_per_image", "image_embeds", "text_embeds"):
        np.testing.assert_allclose(found[name], expected[name], atol=1e-5)


@pytest.mark.parametrize("name", RUNS)
def test_runs_are_reported_and_their_cards_written(name, tmp_path):
    folder = shutil.copytree(SAVED / name, tmp_path / "run")
    written = (folder / "README.md").read_text(encoding="utf-8") if (folder / "README.md").is_file() else None
    assert write_report(folder).stat().st_size > 5000
    if written is not None:
        results = json.loads((folder / "all_results.json").read_text())
        found = write_model_card(folder).read_text(encoding="utf-8")
        assert all(f"{results[key]:.4f}" in found for key in ("test_accuracy", "test_recall_at_1") if results.get(key))
        assert found.split("---")[1].count("metrics:") == written.split("---")[1].count("metrics:")


def test_runs_are_compared(tmp_path):
    _, tables = write_comparison([SAVED / "ngram_linear", SAVED / "text_rnn", SAVED / "jieba"], tmp_path / "page.html")
    for name in ("ngram_linear", "text_rnn", "jieba"):
        assert name in tables


@pytest.mark.parametrize(("recipe", "name"), [("thucnews_rnn.py", "text_rnn"), ("mnist_cnn.py", "image_cnn")])
def test_they_are_measured_anew_to_the_same(recipe, name, tmp_path, monkeypatch):
    before = json.loads((SAVED / name / "all_results.json").read_text())
    results = run(recipe, f"--evaluate_only {SAVED / name} --max_test_samples 40", tmp_path / "out", monkeypatch)
    assert results["test_accuracy"] == pytest.approx(before["test_accuracy"], abs=0.026)  # was in bf16: one row of 40
    assert results["test_loss"] == pytest.approx(before["test_loss"], rel=0.02)


def test_they_are_pushed(tmp_path):
    push = """
import sys
from hfcls.runs import hub
for folder in sys.argv[1:]:
    repository = f"tester/{folder.rpartition('/')[2]}"
    hub.check_hub(repository)
    hub.push_folder(folder, repository)
"""
    names = [name for name in EXPECTED if "/" not in name]
    with serve_hub() as hub:
        environment = hub.environment(tmp_path / "hf")
        run_apart("-c", push, *(SAVED / name for name in names), environment=environment, check=True)
    for name in names:
        files = hub.repos[f"tester/{name}"].files
        assert files["model.safetensors"] == (SAVED / name / "model.safetensors").read_bytes()
        code = {path.name for path in (SAVED / name).glob("*.py")}
        assert {"config.json", "README.md", *code} <= set(files)
        assert not {"run.json", "predictions.csv", "predictions.jsonl", "expected.json"} & set(files)
