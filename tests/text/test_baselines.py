"""Every baseline through its recipe: trained, saved, reloaded, measured."""

import json
import runpy
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer, pipeline

from hfcls.models import TEXT
from hfcls.text import baselines
from hfcls.text.vectors import Vectors

ROOT = Path(__file__).parents[2]
ARCHITECTURES = {
    "text_rnn": "--architecture text_rnn --hidden_size 32 --embedding_dim 32 --learning_rate 1e-2",
    "attention": "--cell gru --pooling attention --hidden_size 32 --embedding_dim 32 --learning_rate 1e-2",
    "text_cnn": "--architecture text_cnn --embedding_dim 16",
    "dpcnn": "--architecture dpcnn --embedding_dim 16",
    "ngram_linear": "--architecture ngram_linear",
}


def run(recipe: str, flags: str, output_dir: Path, monkeypatch) -> dict:
    """Runs a recipe as `python recipes/X.py` would, in this process: imports are paid once."""
    argv = [recipe, *flags.split(), "--use_cpu", "--disable_tqdm", "True", "--output_dir", str(output_dir)]
    monkeypatch.setattr(sys, "argv", argv)
    runpy.run_path(str(ROOT / "recipes" / recipe), run_name="__main__")
    return json.loads((output_dir / "all_results.json").read_text())


def test_every_architecture_of_the_table_is_trained_here():
    assert set(TEXT) <= set(ARCHITECTURES)


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_headlines(name, tmp_path, monkeypatch, capsys):
    flags = f"{ARCHITECTURES[name]} --per_device_train_batch_size 32 --num_train_epochs 4"
    results = run("thucnews_rnn.py", flags, tmp_path / "out", monkeypatch)
    assert results["test_accuracy"] > 0.2  # chance is 0.1
    assert "report: " in capsys.readouterr().out

    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "out")
    model = AutoModelForSequenceClassification.from_pretrained(tmp_path / "out").eval()
    rows = (tmp_path / "out" / "predictions.csv").read_text(encoding="utf-8").splitlines()[1:4]
    for row in rows:
        text, _, prediction, *probabilities = row.split(",")
        with torch.no_grad():
            logits = model(**tokenizer(text, return_tensors="pt", truncation=True)).logits[0]
        np.testing.assert_allclose(logits.softmax(-1), [float(p) for p in probabilities], atol=1e-6)
        assert model.config.id2label[int(logits.argmax())] == prediction
    assert pipeline("text-classification", model=str(tmp_path / "out"))("股市")[0]["label"] in model.config.label2id

    flags = f"--evaluate_only {tmp_path / 'out'} --max_length 32"
    assert (
        run("thucnews_rnn.py", flags, tmp_path / "measured", monkeypatch)["test_accuracy"] == results["test_accuracy"]
    )


@pytest.mark.parametrize("recipe", ["imdb_lstm.py", "imdb_bert.py"])
def test_reviews(recipe, tmp_path, monkeypatch):
    flags = {
        "imdb_lstm.py": "--architecture ngram_linear",
        "imdb_bert.py": "--from_scratch tiny --max_train_samples 64 --num_train_epochs 1 --max_length 32",
    }
    results = run(recipe, flags[recipe], tmp_path / "out", monkeypatch)
    assert results["test_accuracy"] > (0.7 if recipe == "imdb_lstm.py" else 0.3)
    assert json.loads((tmp_path / "out" / "run.json").read_text())["labels"] == ["neg", "pos"]


def test_chinese_words(tmp_path, monkeypatch, capsys):
    """The tokenizer is Python code of this project: recipes, though not AutoTokenizer, load it without remote code."""
    run("thucnews_rnn.py", "--architecture ngram_linear --tokens jieba", tmp_path / "out", monkeypatch)
    assert f"reloaded from {tmp_path / 'out'}" in capsys.readouterr().out
    with pytest.raises(ValueError, match="trust_remote_code=True"):
        AutoTokenizer.from_pretrained(tmp_path / "out")


def test_given_vocabulary_and_vectors(tmp_path, monkeypatch):
    vocabulary = [*"股市基金房价球队游戏电影考试科学家政府", "<UNK>", "<PAD>"]
    (tmp_path / "vocab.txt").write_text("\n".join(dict.fromkeys(vocabulary)), encoding="utf-8")
    size = len(dict.fromkeys(vocabulary))
    vectors = np.random.default_rng(0).normal(size=(size, 8)).astype(np.float32)
    np.savez(tmp_path / "vectors.npz", embeddings=vectors)
    flags = f"--vocab {tmp_path / 'vocab.txt'} --embeddings {tmp_path / 'vectors.npz'} --freeze_embeddings True"
    run("thucnews_rnn.py", f"{flags} --hidden_size 8 --num_train_epochs 1", tmp_path / "out", monkeypatch)
    model = AutoModelForSequenceClassification.from_pretrained(tmp_path / "out")
    kept = model.get_input_embeddings().weight.detach().numpy()
    np.testing.assert_allclose(kept[: size - 1], vectors[: size - 1], atol=1e-6)
    record = json.loads((tmp_path / "out" / "run.json").read_text())
    assert (record["settings"]["vocab"], record["settings"]["embeddings"]) == ("vocab.txt", "vectors.npz")
    said = f"vectors of vectors.npz for {size - 1} of {size} tokens of the vocabulary (100.0 %), which make 100.0 % of"
    assert record["data"]["notes"][-1].startswith(said)


def test_how_many_tokens_have_vectors_is_told_of_the_vocabulary_and_of_the_texts():
    vectors = Vectors(np.zeros((4, 2)), found=np.array([False, True, True, False]))
    arguments = SimpleNamespace(embeddings="folder/glove.txt")
    rows = SimpleNamespace(count_tokens=lambda size: np.bincount([1, 1, 2, 3], minlength=size))
    assert baselines.coverage(arguments, vectors, rows) == (
        "vectors of glove.txt for 2 of 4 tokens of the vocabulary (66.7 %), which make 75.0 % of the training texts"
    )
