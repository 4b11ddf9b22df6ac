"""Length buckets and rows without padding, from the command line to the losses."""

import json
from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest
import transformers

from hfcls.errors import InputError
from hfcls.inference.buckets import length_buckets
from hfcls.text import batches
from hfcls.text.arguments import PretrainedTextArguments
from hfcls.training.arguments import parse
from tests import worker
from tests.text.test_baselines import run

FLAGS = "--from_scratch tiny --max_train_samples 96 --max_eval_samples 32 --max_test_samples 32 --bf16 False "
FLAGS += "--max_length 24 --num_train_epochs 1 --logging_steps 1 --per_device_train_batch_size 16"


def test_the_same_rows_give_the_same_losses(tmp_path, monkeypatch, capsys):
    """An epoch without dropout: in buckets, without padding, and as ever."""
    no_dropout = partial(transformers.BertConfig, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)
    monkeypatch.setattr("hfcls.models.bert.BertConfig", no_dropout)
    losses, said = {}, {}
    for name, flags in {"usual": "", "buckets": "--length_buckets True", "free": "--padding_free"}.items():
        run("thucnews_bert.py", f"{FLAGS} {flags}", tmp_path / name, monkeypatch)
        history = json.loads((tmp_path / name / "trainer_state.json").read_text())["log_history"]
        losses[name] = [entry["loss"] for entry in history if "loss" in entry]
        said[name] = capsys.readouterr().err
    assert len(losses["usual"]) == 6
    np.testing.assert_allclose(losses["buckets"], losses["usual"], atol=1e-4)
    np.testing.assert_allclose(losses["free"], losses["usual"], atol=1e-4)
    assert "batches are padded to" in said["buckets"] and "batches are padded to" not in said["usual"]
    assert "rows without padding (--padding_free): logits agree to" in said["free"]


def build_collator(model, flags: str, tmp_path, **changed):
    _, rows = worker.build(tmp_path / "rows", [], dropout=0.0)
    argv = f"--from_scratch tiny --use_cpu --bf16 False --output_dir {tmp_path / 'out'} {flags}".split()
    arguments, training_args = parse(
        PretrainedTextArguments, task="t", description="", defaults=lambda given: {}, argv=argv
    )
    for name, value in changed.items():
        setattr(training_args, name, value)
    tokenizer = SimpleNamespace(pad_token_id=0, padding_side="right")
    return batches.build_collator(arguments, training_args, tokenizer, rows, model)


def test_a_model_that_needs_its_padding_is_refused(tmp_path):
    config = {"vocab_size": 200, "hidden_size": 32, "num_attention_heads": 2, "intermediate_size": 32}
    model = transformers.AlbertForSequenceClassification(transformers.AlbertConfig(**config, embedding_size=32))
    with pytest.raises(InputError, match="^--padding_free: AlbertForSequenceClassification needs its padding"):
        build_collator(model, "--padding_free", tmp_path)


def test_widths_are_few_where_shapes_cost(tmp_path):
    """On a CPU, batches are as wide as their longest row, unless each shape is compiled."""
    model = transformers.BertForSequenceClassification(transformers.BertConfig(num_hidden_layers=1))

    def buckets(flags="", **changed):
        return build_collator(model, flags, tmp_path, **changed).buckets

    assert buckets() == ()
    assert buckets("--length_buckets True") == buckets(torch_compile=True) == length_buckets(24)
    assert buckets("--length_buckets False", torch_compile=True) == ()
