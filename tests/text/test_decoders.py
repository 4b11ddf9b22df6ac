"""Decoders without a padding token: trained, calibrated, measured and asked alike, whatever shares a batch."""

import csv
import json

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from tokenizers.processors import TemplateProcessing
from transformers import (
    BartForConditionalGeneration,
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
    T5ForConditionalGeneration,
    pipeline,
)

from hfcls.errors import InputError
from hfcls.inference.classifier import Classifier
from hfcls.inference.loading import check_text_classifier, load_text_classifier
from hfcls.text.arguments import BaselineArguments
from tests.text.test_baselines import run
from tests.training.recipe import recipe

END = "<|endoftext|>"
TEXTS = ["红", "股市大涨 today", "a much longer text of many more bytes than the others", "天地"]


def byte_tokenizer(**special):
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    backend = Tokenizer(models.BPE({token: number for number, token in enumerate([*alphabet, END])}, []))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(tokenizer_object=backend, model_max_length=64, **special)


def saved(folder, kind="gpt2", **special):
    torch.manual_seed(0)
    tokenizer = byte_tokenizer(**special)
    ids = {"bos_token_id": 256, "eos_token_id": 256}
    if kind == "gpt2":
        size = {"n_embd": 16, "n_layer": 1, "n_head": 2, "n_positions": 64}
        model = GPT2LMHeadModel(GPT2Config(vocab_size=len(tokenizer), **size, **ids))
    else:
        size = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
        model = LlamaForCausalLM(LlamaConfig(vocab_size=len(tokenizer), max_position_embeddings=64, **size, **ids))
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return str(folder)


def rows_of(folder):
    with (folder / "predictions.csv").open(encoding="utf-8", newline="") as file:
        header, *rows = csv.reader(file)
    return [row[0] for row in rows], np.array([[float(p) for p in row[3:]] for row in rows])


def test_trained_calibrated_measured_and_asked_alike(tmp_path):
    base, trained, measured = saved(tmp_path / "base", eos_token=END), tmp_path / "trained", tmp_path / "measured"
    done = recipe("thucnews_bert", trained, "--model_name_or_path", base, "--max_steps", "2", "--calibrate")
    assert done.returncode == 0, done.stderr
    assert json.loads((trained / "config.json").read_text(encoding="utf-8"))["pad_token_id"] == 256
    done = recipe("thucnews_bert", measured, "--evaluate_only", str(trained), "--per_device_eval_batch_size", "3")
    assert done.returncode == 0, done.stderr
    texts, first = rows_of(trained)
    assert np.allclose(first, rows_of(measured)[1], atol=1e-6)
    assert np.allclose(first, Classifier(str(trained)).probabilities(texts), atol=1e-6)
    classify = pipeline("text-classification", model=str(trained), top_k=None, device="cpu")
    labels = list(classify.model.config.id2label.values())
    for batch_size in (1, 7):
        answers = classify(texts, batch_size=batch_size, truncation=True)
        scores = [[next(a["score"] for a in row if a["label"] == label) for label in labels] for row in answers]
        assert np.allclose(first, scores, atol=1e-5)


@pytest.mark.parametrize("kind", ["gpt2", "llama"])
@pytest.mark.parametrize("side", ["left", "right"])
def test_the_last_token_of_a_text_decides_whatever_stands_beside_it(tmp_path, kind, side):
    tokenizer, model = load_text_classifier(saved(tmp_path, kind, eos_token=END, padding_side=side), ["a", "b", "c"])
    model.eval()
    with torch.no_grad():
        together = model(**tokenizer(TEXTS, padding=True, return_tensors="pt")).logits
        for text, logits in zip(TEXTS, together, strict=True):
            hidden = model.base_model(**tokenizer([text], return_tensors="pt")).last_hidden_state
            assert torch.allclose(model.score(hidden[0, -1]), logits, atol=1e-5)
    tokenizer.save_pretrained(tmp_path / "again")
    again = type(tokenizer).from_pretrained(tmp_path / "again")
    assert (again.pad_token, again.padding_side) == (END, "right")


def test_nothing_to_pad_with_is_refused_before_anything_is_prepared(tmp_path):
    with pytest.raises(InputError, match="has no token to pad batches with, nor one for the end of a text"):
        load_text_classifier(saved(tmp_path), ["a", "b"])


def test_a_package_for_tokens_is_missed_when_flags_are_read(monkeypatch):
    monkeypatch.setattr("hfcls.text.arguments.find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"^--tokens rjieba needs an extra: pip install 'hfcls\[rjieba\]'"):
        BaselineArguments(tokens="rjieba")
    BaselineArguments(tokens="jieba")


T5_SIZES = {"d_kv": 8, "d_ff": 16, "num_layers": 1, "num_heads": 2}
BART_SIZES = {"encoder_layers": 1, "decoder_layers": 1, "encoder_attention_heads": 2, "decoder_attention_heads": 2}


@pytest.mark.parametrize(
    ("kind", "sizes"), [(T5ForConditionalGeneration, T5_SIZES), (BartForConditionalGeneration, BART_SIZES)]
)
def test_encoder_and_decoder_need_the_end_of_a_text(kind, sizes, tmp_path, monkeypatch):
    """T5 and BART classify by it: trained where the tokenizer adds it, else refused before anything is prepared."""
    torch.manual_seed(0)
    tokenizer = byte_tokenizer(eos_token=END, pad_token=END)
    ids = {"eos_token_id": 256, "pad_token_id": 0, "decoder_start_token_id": 0, "bos_token_id": 0}
    config = kind.config_class(vocab_size=len(tokenizer), d_model=16, **sizes, **ids)
    kind(config).save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    with pytest.raises(InputError, match="which its tokenizer does not add: fetch the tokenizer that the model was"):
        check_text_classifier(str(tmp_path), trained=False)
    with pytest.raises(InputError, match="which its tokenizer does not add"):
        load_text_classifier(str(tmp_path), ["a", "b"])

    tokenizer.backend_tokenizer.post_processor = TemplateProcessing(single=f"$A {END}", special_tokens=[(END, 256)])
    tokenizer.save_pretrained(tmp_path)
    check_text_classifier(str(tmp_path), trained=False)
    flags = f"--model_name_or_path {tmp_path} --max_steps 2 --eval_strategy no --max_train_samples 16 --max_length 16"
    flags += " --max_eval_samples 8 --max_test_samples 8 --floor no"
    run("thucnews_bert.py", flags, tmp_path / "out", monkeypatch)
    texts, measured = rows_of(tmp_path / "out")
    np.testing.assert_allclose(Classifier(str(tmp_path / "out")).probabilities(texts), measured, atol=1e-5)
