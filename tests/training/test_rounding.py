"""A model saved in halves is measured as it is saved, and answers so however it is loaded."""

import json
import re
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file
from transformers import BertConfig, BertForSequenceClassification, pipeline

from hfcls.errors import InputError
from hfcls.inference.classifier import Classifier
from hfcls.runs.predictions import read_predictions
from hfcls.runs.record import read_record
from hfcls.runs.results import read_results
from hfcls.training.rounding import round_weights, save_rounded
from tests.training.recipe import TINY, recipe


def dtypes(path: Path) -> set[torch.dtype]:
    return {weight.dtype for weight in load_file(path).values() if weight.is_floating_point()}


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_what_is_rounded_is_what_is_saved(dtype, tmp_path):
    torch.manual_seed(0)
    model = BertForSequenceClassification(BertConfig(vocab_size=50, **TINY)).eval()
    model.save_pretrained(tmp_path)
    with safe_open(tmp_path / "model.safetensors", "pt") as file:
        metadata = file.metadata()
    size = (tmp_path / "model.safetensors").stat().st_size
    round_weights(model, dtype)
    save_rounded(tmp_path, dtype)
    assert dtypes(tmp_path / "model.safetensors") == {getattr(torch, dtype)}
    assert (tmp_path / "model.safetensors").stat().st_size < 0.6 * size
    with safe_open(tmp_path / "model.safetensors", "pt") as file:
        assert file.metadata() == metadata
    assert not list(tmp_path.glob("*.part"))
    reloaded = BertForSequenceClassification.from_pretrained(tmp_path).eval()  # as the config says, in float32
    rows = torch.randint(0, 50, (3, 7))
    assert {weight.dtype for weight in reloaded.parameters()} == {torch.float32}
    assert torch.equal(reloaded(rows).logits, model(rows).logits)


def test_numbers_beyond_a_half(tmp_path):
    model = BertForSequenceClassification(BertConfig(vocab_size=50, **TINY))
    torch.nn.init.constant_(model.classifier.bias, 1e5)
    with pytest.raises(InputError, match="--save_dtype float16: classifier.bias holds 100000, .*--save_dtype bfloat16"):
        round_weights(model, "float16")
    round_weights(model, "bfloat16")


def test_a_run_in_bfloat16_is_measured_as_served(tmp_path):
    out = tmp_path / "out"
    flags = "--from_scratch tiny --num_train_epochs 2 --save_dtype bfloat16 --calibrate True --bf16 False"
    done = recipe("thucnews_bert", out, *flags.split())
    assert done.returncode == 0, done.stderr
    assert dtypes(out / "model.safetensors") == {torch.bfloat16}
    checkpoints = [*out.glob("checkpoint-*/model.safetensors")]
    assert checkpoints and all(dtypes(path) == {torch.float32} for path in checkpoints)

    record = read_record(out)
    results = read_results(out, record.target)
    rounding = record.rounding
    assert rounding.dtype == "bfloat16" and rounding.before["loss"] != results["test_loss"]
    loss = f"loss {results['test_loss']:.4f} \\({rounding.before['loss']:.4f} before\\)"
    said = f"saved in bfloat16, and measured so, .*{loss}"
    pages = [(out / name).read_text(encoding="utf-8") for name in ("report.html", "README.md")]
    for text in (done.stderr, *(" ".join(page.split()) for page in pages)):
        assert re.search(said, text, re.IGNORECASE), text[-2000:]

    rows = read_predictions(out / "predictions.csv", record_target(record))
    served = Classifier(str(out)).probabilities(rows.texts)
    assert rows.probabilities == pytest.approx(served, abs=1e-6)
    ask = pipeline("text-classification", model=str(out), device="cpu", trust_remote_code=True)
    for answer, shares in zip(ask(rows.texts, top_k=1), rows.probabilities, strict=True):
        (answer,) = answer if isinstance(answer, list) else (answer,)
        assert answer["score"] == pytest.approx(shares.max(), abs=1e-5)
    again = recipe("thucnews_bert", tmp_path / "again", "--evaluate_only", str(out))
    assert again.returncode == 0, again.stderr
    measured = json.loads((tmp_path / "again" / "all_results.json").read_text())
    for name in ("test_loss", "test_accuracy", "test_f1"):
        assert measured[name] == pytest.approx(results[name], abs=1e-6)


def record_target(record):
    from hfcls.metrics.target import target_of

    return target_of(record.target, record.labels, record.thresholds)
