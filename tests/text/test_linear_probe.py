"""A head that starts from a regression: against scikit-learn on the model's own states, and from the command line."""

import runpy
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from sklearn.linear_model import LogisticRegression
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    BertModel,
    GPT2Config,
    GPT2ForSequenceClassification,
    RobertaConfig,
    RobertaForSequenceClassification,
    TrainingArguments,
)

from hfcls.errors import InputError
from hfcls.text.arguments import PretrainedTextArguments, TextClassificationArguments
from hfcls.text.linear_probe import PENALTIES, can_fit, fit_head, is_classifier_of, last_layer
from hfcls.text.tokenization import train_wordpiece_tokenizer

ROOT = Path(__file__).parents[2]
SMALL = {"num_hidden_layers": 1, "num_attention_heads": 2, "hidden_size": 16, "intermediate_size": 16, "vocab_size": 50}


class Rows(torch.utils.data.Dataset):
    """Five tokens a row; the class is told by the tokens that stand in it."""

    def __init__(self, classes: int, several: bool = False):
        random = np.random.default_rng(0)
        self.labels = np.arange(60) % classes
        self.tokens = 3 + 10 * self.labels[:, None] + random.integers(0, 10, (60, 5))
        self.lengths = np.full(60, 5)
        if several:
            self.labels = np.eye(classes)[self.labels]

    def __len__(self):
        return 60

    def __getitem__(self, row):
        return {"input_ids": torch.tensor(self.tokens[row]), "labels": torch.tensor(self.labels[row])}


def collate(rows):
    return {name: torch.stack([row[name] for row in rows]) for name in ("input_ids", "labels")}


@pytest.fixture
def training_args(tmp_path):
    return TrainingArguments(output_dir=str(tmp_path), use_cpu=True, report_to="none", per_device_eval_batch_size=16)


@pytest.mark.parametrize("classes", [2, 3])
def test_the_model_answers_as_the_regression_on_its_pooled_states(classes, training_args):
    torch.manual_seed(0)
    model, rows = BertForSequenceClassification(BertConfig(**SMALL, num_labels=classes)), Rows(classes)
    assert fit_head(model, rows, collate, training_args, "none").startswith("its head starts from a regression on 60")
    assert model.training  # as it was
    model.eval()
    ids = torch.tensor(rows.tokens)
    with torch.no_grad():
        states = model.bert(ids).pooler_output.numpy()
        found = model(ids).logits.softmax(1).numpy()
    states = (states - states.mean(0)) / states.std()
    references = [LogisticRegression(C=c, max_iter=300).fit(states, rows.labels) for c in PENALTIES]
    nearest = min(np.abs(reference.predict_proba(states) - found).max() for reference in references)
    assert nearest < 1e-3
    assert (found.argmax(1) == rows.labels).mean() > 0.8


def test_weights_of_classes_and_classes_without_a_row(training_args):
    torch.manual_seed(0)
    rows = Rows(2)
    model = BertForSequenceClassification(BertConfig(**SMALL, num_labels=3))
    fit_head(model, rows, collate, training_args, "1,50,1")
    with torch.no_grad():
        found = model.eval()(torch.tensor(rows.tokens)).logits
    assert (found[:, 2] < found[:, :2].amax(1)).all()
    assert found.softmax(1)[:, 1].mean() > 0.55  # half of the rows, but heavy ones


def test_any_linear_layer_at_the_end_will_do(training_args):
    model = RobertaForSequenceClassification(RobertaConfig(**SMALL, pad_token_id=1, num_labels=3))
    assert last_layer(model) is model.classifier.out_proj
    fit_head(model, Rows(3), collate, training_args, "balanced")


def test_what_it_cannot_start_is_refused(training_args):
    model = BertForSequenceClassification(BertConfig(**SMALL, num_labels=3))
    with pytest.raises(InputError, match="rows have several"):
        fit_head(model, Rows(3, several=True), collate, training_args, "none")
    decoder = GPT2ForSequenceClassification(GPT2Config(vocab_size=50, n_embd=16, n_layer=1, n_head=2, pad_token_id=0))
    with pytest.raises(InputError, match="no linear layer with a bias"):
        fit_head(decoder, Rows(2), collate, training_args, "none")
    assert can_fit(model, Rows(3)) and not can_fit(model, Rows(3, several=True)) and not can_fit(decoder, Rows(2))


@pytest.mark.parametrize("flag", ["linear_probe", "freeze_encoder"])
def test_the_flags_are_of_pretrained_weights(flag):
    with pytest.raises(InputError, match=f"--{flag} is of pretrained weights"):
        PretrainedTextArguments(from_scratch="tiny", **{flag: True})
    with pytest.raises(InputError, match=f"--{flag} is of pretrained weights"):
        TextClassificationArguments(architecture="text_cnn", data_dir="table.csv", **{flag: True})


def test_a_frozen_encoder_stays_as_it_was(tmp_path, monkeypatch):
    tokenizer = train_wordpiece_tokenizer(["今天股市上涨", "球队赢得冠军"], max_length=32)
    encoder = BertModel(BertConfig(**SMALL | {"vocab_size": len(tokenizer)}))
    for part in (tokenizer, encoder):
        part.save_pretrained(tmp_path / "encoder")
    flags = "--linear_probe True --freeze_encoder True --num_train_epochs 1 --max_train_samples 64 --use_cpu"
    flags += " --max_eval_samples 20 --max_test_samples 20 --disable_tqdm True --floor no --learning_rate 0.1"
    argv = ["thucnews_bert.py", "--model_name_or_path", str(tmp_path / "encoder"), *flags.split()]
    monkeypatch.setattr(sys, "argv", [*argv, "--output_dir", str(tmp_path / "run")])
    runpy.run_path(str(ROOT / "recipes" / "thucnews_bert.py"), run_name="__main__")
    saved = load_file(tmp_path / "run" / "model.safetensors")
    for name, weight in encoder.state_dict().items():
        torch.testing.assert_close(saved[f"bert.{name}"], weight, rtol=0, atol=0)
    assert saved["classifier.weight"].abs().max() > 0.1  # it moved


def test_a_head_of_the_same_classes_is_kept(tmp_path):
    names = {"id2label": {0: "no", 1: "yes"}, "label2id": {"no": 0, "yes": 1}}
    BertForSequenceClassification(BertConfig(**SMALL, **names)).save_pretrained(tmp_path / "classifier")
    BertModel(BertConfig(**SMALL, **names)).save_pretrained(tmp_path / "encoder")
    assert is_classifier_of(str(tmp_path / "classifier"), ["no", "yes"])
    assert not is_classifier_of(str(tmp_path / "classifier"), ["yes", "no"])
    assert not is_classifier_of(str(tmp_path / "encoder"), ["no", "yes"])


def test_no_label_but_one_is_left_to_training(training_args):
    model, rows = BertForSequenceClassification(BertConfig(**SMALL, num_labels=2)), Rows(2)
    rows.labels = np.zeros(60, dtype=int)
    before = model.classifier.weight.detach().clone()
    assert fit_head(model, rows, collate, training_args, "none") is None
    assert torch.equal(model.classifier.weight, before)
