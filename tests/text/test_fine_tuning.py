"""The defaults that follow from the size of a pretrained encoder, from the command line to the record of the run."""

import json

import pytest
import torch
from transformers import BertConfig, BertModel, DistilBertConfig, ModernBertConfig, ModernBertModel, T5Config

from hfcls.errors import InputError
from hfcls.inference.loading import check_text_classifier, load_text_classifier
from hfcls.text.fine_tuning import fine_tuning
from hfcls.text.presets import DEVLIN, SMALL_ENCODER
from hfcls.text.tokenization import train_wordpiece_tokenizer
from tests.warm import run_warm

SIZES = {"vocab_size": 64, "hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
SPECIAL = {"pad_token_id": 0, "bos_token_id": 2, "eos_token_id": 3, "cls_token_id": 2, "sep_token_id": 3}


@pytest.mark.parametrize(
    ("config", "rate"),
    [
        (BertConfig(), 2e-5),
        (BertConfig(hidden_size=1024), 2e-5),
        (BertConfig(hidden_size=384), 1e-4),
        (DistilBertConfig(), 2e-5),  # calls its width `dim`
        (DistilBertConfig(dim=384), 1e-4),
    ],
)
def test_the_learning_rate_follows_from_the_width(config, rate, tmp_path):
    config.save_pretrained(tmp_path)
    settings = fine_tuning(str(tmp_path), {**DEVLIN, "max_length": "512"})
    assert settings["learning_rate"] == rate
    assert settings["max_length"] == "512"


def test_the_recipes_own_model_keeps_what_was_published():
    assert fine_tuning(None, DEVLIN) == DEVLIN


def test_a_model_that_is_not_there_is_one_line(tmp_path):
    with pytest.raises(InputError, match="nowhere: "):
        fine_tuning(str(tmp_path / "nowhere"), DEVLIN)


def test_a_run_takes_and_says_them_and_flags_win(tmp_path):
    tokenizer = train_wordpiece_tokenizer(["今天股市上涨", "球队赢得冠军"], max_length=32)
    config = BertConfig(
        vocab_size=len(tokenizer), hidden_size=32, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32
    )
    for part in (tokenizer, BertModel(config)):
        part.save_pretrained(tmp_path / "encoder")
    flags = "--max_train_samples 40 --max_eval_samples 20 --max_test_samples 20 --num_train_epochs 1 --use_cpu"
    flags += " --attention_dropout 0"
    folders = ("--model_name_or_path", tmp_path / "encoder", "--output_dir", tmp_path / "run")
    result = run_warm("recipes/thucnews_bert.py", *flags.split(), *folders)
    assert result.returncode == 0, result.stderr[-3000:]
    said = "hidden size 32: learning rate 0.0001, warm-up over 10 % of the steps, batches of 32, 1 epochs"
    assert said in result.stderr
    assert json.loads((tmp_path / "run" / "config.json").read_text())["attention_probs_dropout_prob"] == 0
    taken = json.loads((tmp_path / "run" / "run.json").read_text())["settings"]
    expected = SMALL_ENCODER | {"num_train_epochs": 1}
    assert {name: taken[name] for name in expected} == expected


@pytest.mark.parametrize(
    ("kind", "config"),
    [
        (BertModel, BertConfig(hidden_dropout_prob=0, **SIZES)),
        (ModernBertModel, ModernBertConfig(attention_dropout=0.1, **SIZES, **SPECIAL)),
    ],
)
def test_attention_drops_what_is_asked_for(kind, config, tmp_path):
    tokenizer = train_wordpiece_tokenizer(["今天股市上涨", "球队赢得冠军"], max_length=32)
    for part in (tokenizer, kind(config)):
        part.save_pretrained(tmp_path)
    ids = torch.arange(4, 20).reshape(2, 8)
    for dropout, same in ((None, False), (0.0, True), (0.9, False)):
        _, model = load_text_classifier(str(tmp_path), ["a", "b"], attention_dropout=dropout)
        model.train()
        first, second = (model(input_ids=ids, attention_mask=torch.ones_like(ids)).logits for _ in range(2))
        assert torch.equal(first, second) == same, dropout


def test_attention_without_a_dropout_is_one_line(tmp_path):
    tokenizer = train_wordpiece_tokenizer(["今天股市上涨"], max_length=32)
    for part in (tokenizer, T5Config()):
        part.save_pretrained(tmp_path)
    with pytest.raises(InputError, match="--attention_dropout: .* has no such dropout: drop the flag"):
        check_text_classifier(str(tmp_path), trained=False, attention_dropout=0.0)
