"""The defaults that follow from the size of a pretrained encoder, from the command line to the record of the run."""

import json

import pytest
from transformers import BertConfig, BertModel, DistilBertConfig

from hfcls.errors import InputError
from hfcls.text.fine_tuning import fine_tuning
from hfcls.text.presets import DEVLIN, SMALL_ENCODER
from hfcls.text.tokenization import train_wordpiece_tokenizer
from tests.warm import run_warm


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
    folders = ("--model_name_or_path", tmp_path / "encoder", "--output_dir", tmp_path / "run")
    result = run_warm("recipes/thucnews_bert.py", *flags.split(), *folders)
    assert result.returncode == 0, result.stderr[-3000:]
    said = "hidden size 32: learning rate 0.0001, warm-up over 10 % of the steps, batches of 32, 1 epochs"
    assert said in result.stderr
    taken = json.loads((tmp_path / "run" / "run.json").read_text())["settings"]
    expected = SMALL_ENCODER | {"num_train_epochs": 1}
    assert {name: taken[name] for name in expected} == expected
