"""Temperature and class offsets: against scipy and a loop, in the weights of every architecture, through a recipe."""

import csv
import json
import subprocess
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from transformers import BertConfig, BertForSequenceClassification, RobertaConfig, RobertaForSequenceClassification

from hfcls.errors import InputError
from hfcls.metrics import one_label as metrics
from hfcls.metrics.calibration import fit_temperature
from hfcls.metrics.reliability import at_temperature, reliability
from hfcls.models.dpcnn import DPCNNConfig, DPCNNForSequenceClassification
from hfcls.models.ngram_linear import NgramLinearConfig, NgramLinearForSequenceClassification
from hfcls.models.text_cnn import TextCNNConfig, TextCNNForSequenceClassification
from hfcls.models.text_rnn import TextRNNConfig, TextRNNForSequenceClassification
from hfcls.training.arguments import RecipeArguments
from hfcls.training.calibration import check_scalable, check_shiftable, scale_logits, shift_logits
from tests.text.test_baselines import run as run_recipe
from tests.warm import run_apart

ROOT = Path(__file__).parents[2]


def overconfident(rows, seed=0, factor=3.0):
    """Labels drawn from the probabilities of logits, and these logits times `factor`."""
    generator = np.random.default_rng(seed)
    logits = generator.normal(size=(rows, 4)) * 1.5
    labels = np.array([generator.choice(4, p=p / p.sum()) for p in metrics.probabilities(logits).astype(np.float64)])
    return logits * factor, labels


def test_the_temperature_undoes_the_factor():
    logits, labels = overconfident(20000)
    temperature = fit_temperature(logits, labels)
    assert temperature == pytest.approx(3.0, rel=0.05)
    grid = np.linspace(temperature * 0.9, temperature * 1.1, 41)
    best = grid[np.argmin([metrics.cross_entropy(labels, logits / t) for t in grid])]
    assert temperature == pytest.approx(best, abs=grid[1] - grid[0])
    logits[5] = np.nan
    assert fit_temperature(logits, labels) == pytest.approx(temperature, rel=1e-2)
    assert fit_temperature(np.full((2, 4), np.nan), labels[:2]) == 1.0


def test_calibration_error_by_hand():
    logits, labels = overconfident(500)
    probabilities = metrics.probabilities(logits)
    error = 0.0
    for low in range(15):
        rows = [r for r in range(500) if low / 15 < probabilities[r].max() <= (low + 1) / 15]
        if rows:
            confidence = sum(probabilities[r].max() for r in rows) / len(rows)
            accuracy = sum(probabilities[r].argmax() == labels[r] for r in rows) / len(rows)
            error += len(rows) / 500 * abs(confidence - accuracy)
    found = reliability(probabilities, labels)
    assert found.error == pytest.approx(error, abs=1e-6)
    assert found.rows.sum() == 500
    calibrated = metrics.probabilities(logits / 3)
    assert reliability(calibrated, labels).error < found.error / 2
    np.testing.assert_allclose(at_temperature(calibrated, 1 / 3), probabilities, atol=1e-5)


SMALL = {"vocab_size": 40, "num_labels": 3, "embedding_dim": 8}
BERT = {"vocab_size": 40, "hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 8}


def ngram_linear():
    model = NgramLinearForSequenceClassification(NgramLinearConfig(num_labels=3, min_count=1))
    rows = {"input_ids": batch()["input_ids"], "attention_mask": batch()["attention_mask"]}
    model.fit_log_count_ratios([{**rows, "labels": torch.arange(6) % 3}])
    nn.init.normal_(model.weight)
    return model


def batch():
    ids = torch.randint(5, 40, (6, 12), generator=torch.Generator().manual_seed(0))
    return {"input_ids": ids, "attention_mask": torch.ones_like(ids)}


MODELS = {
    "bert": lambda: BertForSequenceClassification(BertConfig(num_labels=3, **BERT)),
    "roberta": lambda: RobertaForSequenceClassification(RobertaConfig(num_labels=3, pad_token_id=1, **BERT)),
    "text_cnn": lambda: TextCNNForSequenceClassification(TextCNNConfig(**SMALL)),
    "text_rnn": lambda: TextRNNForSequenceClassification(TextRNNConfig(hidden_size=8, **SMALL)),
    "attention": lambda: TextRNNForSequenceClassification(TextRNNConfig(hidden_size=8, pooling="attention", **SMALL)),
    "dpcnn": lambda: DPCNNForSequenceClassification(DPCNNConfig(**SMALL)),
    "ngram_linear": ngram_linear,
}


@pytest.mark.parametrize("name", MODELS)
def test_logits_are_divided_in_the_saved_model(name, tmp_path):
    model = MODELS[name]().eval()
    weights = {key: value.clone() for key, value in model.state_dict().items()}
    with torch.no_grad():
        before = model(**batch()).logits
        check_scalable(model, batch())
        assert all(torch.equal(value, weights[key]) for key, value in model.state_dict().items())
        scale_logits(model, 1.7)
        model.config.calibrated_temperature = 1.7
        model.save_pretrained(tmp_path)
        reloaded = type(model).from_pretrained(tmp_path).eval()
        torch.testing.assert_close(reloaded(**batch()).logits, before / 1.7, rtol=1e-5, atol=1e-6)
    assert reloaded.config.calibrated_temperature == 1.7


@pytest.mark.parametrize("name", MODELS)
def test_logits_are_shifted_in_the_saved_model(name, tmp_path):
    model = MODELS[name]().eval()
    scale_logits(model, 0.7)  # an n-gram model keeps it beside its bias
    weights = {key: value.clone() for key, value in model.state_dict().items()}
    offsets = torch.tensor([0.5, -1.25, 0.75])
    with torch.no_grad():
        before = model(**batch()).logits
        check_shiftable(model, batch())
        assert all(torch.equal(value, weights[key]) for key, value in model.state_dict().items())
        shift_logits(model, offsets)
        model.save_pretrained(tmp_path)
        reloaded = type(model).from_pretrained(tmp_path).eval()
        torch.testing.assert_close(reloaded(**batch()).logits, before + offsets, rtol=1e-5, atol=1e-5)


def test_a_head_that_is_not_linear_is_refused():
    class Squashed(BertForSequenceClassification):
        def forward(self, **inputs):
            output = super().forward(**inputs)
            output.logits = output.logits.tanh()
            return output

    model = Squashed(BertConfig(num_labels=3, **BERT))
    nn.init.normal_(model.classifier.weight, std=5)
    with pytest.raises(InputError, match="of Squashed do not come from a linear layer: leave the flag out, or"):
        check_scalable(model, batch())
    with pytest.raises(InputError, match="of Squashed do not come from a linear layer: leave the flag out, or"):
        check_shiftable(model, batch())
    model.classifier = nn.Linear(8, 3, bias=False)
    with pytest.raises(InputError, match="Squashed has no bias in front of its logits: leave the flag out"):
        check_shiftable(model, batch())
    for flag in ("calibrate", "class_offsets"):
        with pytest.raises(InputError, match=f"--{flag} .* trains none: drop one"):
            RecipeArguments(evaluate_only="m", **{flag: True})


RELOAD = """
import json, sys
from transformers import pipeline
classify = pipeline("text-classification", model=sys.argv[1], top_k=None, trust_remote_code=True)
answers = classify(json.loads(sys.argv[2]))
assert "hfcls" not in sys.modules
print(json.dumps(answers))
"""


def reload(folder: Path, texts: list[str]) -> subprocess.CompletedProcess[str]:
    return run_apart("-I", "-c", RELOAD, folder, json.dumps(texts), folder=folder.parent, check=True)


def test_through_a_recipe_and_a_pipeline_without_hfcls(tmp_path, monkeypatch):
    # In bfloat16, weights divided by a temperature are rounded anew, and logits differ in their third digit.
    flags = "--architecture text_cnn --embedding_dim 32 --num_train_epochs 12 --label_smoothing_factor 0 --seed 5"
    flags += " --bf16 False"
    flags += " --learning_rate 5e-3 --load_best_model_at_end False --per_device_train_batch_size 32"
    runs = {}
    for name, more in (("plain", ""), ("calibrated", " --calibrate")):
        results = run_recipe("thucnews_rnn.py", flags + more, tmp_path / name, monkeypatch)
        about = json.loads((tmp_path / name / "run.json").read_text())
        runs[name] = results, about, (tmp_path / name / "report.html").read_text(encoding="utf-8")
    temperature = runs["calibrated"][1]["temperature"]
    assert runs["plain"][1]["temperature"] is None and temperature > 1.05
    assert runs["plain"][0]["test_accuracy"] == runs["calibrated"][0]["test_accuracy"]
    plain, calibrated = (
        np.array([row[3:] for row in csv.reader((tmp_path / name / "predictions.csv").open(encoding="utf-8"))][1:])
        for name in ("plain", "calibrated")
    )
    np.testing.assert_allclose(at_temperature(plain.astype(float), temperature), calibrated.astype(float), atol=1e-5)
    assert 'id="calibration"' in runs["calibrated"][2] and 'id="calibration"' not in runs["plain"][2]
    assert json.loads((tmp_path / "calibrated" / "config.json").read_text())["calibrated_temperature"] == temperature

    header, *rows = (tmp_path / "calibrated" / "predictions.csv").read_text(encoding="utf-8").splitlines()[:4]
    names = header.split(",")[3:]
    rows = [row.split(",") for row in rows]
    result = reload(tmp_path / "calibrated", [row[0] for row in rows])
    for answers, row in zip(json.loads(result.stdout), rows, strict=True):
        scores = {answer["label"]: answer["score"] for answer in answers}
        np.testing.assert_allclose([scores[name] for name in names], [float(p) for p in row[3:]], atol=1e-6)


def test_class_offsets_are_served_as_they_were_measured(tmp_path, monkeypatch):
    """Measured, told, and answered alike by a fresh process without hfcls, beside a temperature."""
    flags = "--architecture text_cnn --embedding_dim 16 --num_train_epochs 2 --per_device_train_batch_size 32"
    run_recipe("thucnews_rnn.py", f"{flags} --bf16 False --class_offsets --calibrate", tmp_path / "run", monkeypatch)
    offsets = json.loads((tmp_path / "run" / "config.json").read_text())["class_offsets"]
    about = json.loads((tmp_path / "run" / "run.json").read_text())
    assert about["class_offsets"] == offsets and len(offsets) == 10 and max(offsets) > 0.05
    said = f"{about['labels'][0]} {offsets[0]:+.2f}, "
    for page in ("report.html", "README.md"):
        assert said in (tmp_path / "run" / page).read_text(encoding="utf-8").replace("&#43;", "+")
    rows = list(csv.reader((tmp_path / "run" / "predictions.csv").open(encoding="utf-8")))[1:31]
    result = reload(tmp_path / "run", [row[0] for row in rows])
    assert [answers[0]["label"] for answers in json.loads(result.stdout)] == [row[2] for row in rows]
