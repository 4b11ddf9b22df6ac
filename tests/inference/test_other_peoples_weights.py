"""Checkpoints as others save them: in halves, as `.bin`, with code in it, with tokenizers that need a package."""

import json
import os
import pickle
from importlib.util import find_spec

import pytest
import torch
from safetensors.torch import load_file
from transformers import (
    BertConfig,
    BertForMaskedLM,
    BertForSequenceClassification,
    BertModel,
    ChineseCLIPImageProcessorPil,
    ChineseCLIPProcessor,
    DistilBertConfig,
    DistilBertModel,
)

from hfcls.cards.build import _pretrained_encoder
from hfcls.cards.sentence_embedder import SentenceEmbedder
from hfcls.errors import InputError
from hfcls.inference.classifier import Classifier
from hfcls.inference.load_report import modules
from hfcls.inference.loading import load_chinese_clip, load_text_classifier
from hfcls.models.chinese_clip import chinese_clip_from_scratch
from hfcls.text.tokenization import train_wordpiece_tokenizer
from tests.text.test_baselines import run

TINY = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}


@pytest.fixture(scope="module")
def tokenizer():
    return train_wordpiece_tokenizer(["red green blue"] * 3, max_length=32)


def saved(folder, tokenizer, model_class=BertForSequenceClassification, dtype=torch.float32):
    torch.manual_seed(0)
    model_class(BertConfig(vocab_size=len(tokenizer), **TINY)).to(dtype).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return str(folder)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_halves_become_float32_on_every_path(tmp_path, tokenizer, dtype):
    name = saved(tmp_path, tokenizer, dtype=dtype)
    before = load_file(tmp_path / "model.safetensors")
    loaded = {
        "a new classifier": load_text_classifier(name, ["a", "b", "c"])[1],
        "a saved one": load_text_classifier(name)[1],
        "predict": Classifier(name).model,
        "the encoder of cards": _pretrained_encoder(name, 32)[1],
    }
    for what, model in loaded.items():
        assert {weight.dtype for weight in model.parameters()} == {torch.float32}, what
    for key, weight in loaded["a saved one"].state_dict().items():
        assert torch.equal(weight, before[key].float())


def test_a_sentence_embedder_in_halves(tmp_path, tokenizer):
    from sentence_transformers import SentenceTransformer

    models = pytest.importorskip("sentence_transformers.models")
    name = saved(tmp_path / "bert", tokenizer, BertModel, torch.float16)
    SentenceTransformer(modules=[models.Transformer(name), models.Pooling(16)]).save(str(tmp_path / "embedder"))
    embedder = SentenceEmbedder(str(tmp_path / "embedder"), device=torch.device("cpu"))
    assert {weight.dtype for weight in embedder.model.parameters()} == {torch.float32}
    assert embedder(["red"]).dtype == "float32"


def test_a_chinese_clip_in_halves(tmp_path, tokenizer):
    model = chinese_clip_from_scratch("tiny", tokenizer, 32, 16)
    image_processor = ChineseCLIPImageProcessorPil(size={"height": 32, "width": 32}, do_center_crop=False)
    ChineseCLIPProcessor(image_processor, tokenizer).save_pretrained(tmp_path)
    model.half().save_pretrained(tmp_path)
    _, loaded = load_chinese_clip(str(tmp_path))
    assert {weight.dtype for weight in loaded.parameters()} == {torch.float32}


def test_what_a_checkpoint_lacked_and_had_is_said_in_one_line(tmp_path, tokenizer, caplog, capsys):
    caplog.set_level("INFO")
    name = saved(tmp_path, tokenizer, BertForMaskedLM)
    noted = []
    load_text_classifier(name, ["a", "b", "c"], noted.append)
    assert noted == ["new: bert.pooler, classifier; unused: cls"]
    assert [record.message for record in caplog.records] == [f"{name}: new: bert.pooler, classifier; unused: cls"]
    printed = capsys.readouterr()
    assert "LOAD REPORT" not in printed.err + printed.out and "Loading weights" not in printed.err


def test_modules_that_hold_all_of_the_weights():
    kept = {"bert.embeddings.weight", "bert.layer.0.weight"}
    assert modules({"bert.layer.1.a.weight", "bert.layer.1.b.weight", "scale"}, kept) == ["bert.layer.1", "scale"]


class Harm:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (self.path,)


@pytest.mark.parametrize("load", [lambda name: load_text_classifier(name, ["a", "b"]), Classifier])
def test_weights_in_bin(tmp_path, tokenizer, load):
    name = saved(tmp_path, tokenizer)
    weights = load_file(tmp_path / "model.safetensors")
    (tmp_path / "model.safetensors").unlink()
    torch.save(weights, tmp_path / "pytorch_model.bin")
    load(name)  # without a word
    contents = {
        "code": pickle.dumps({"x": Harm(str(tmp_path / "ran"))}),
        "torn": (tmp_path / "pytorch_model.bin").read_bytes()[:-2000],
        "text": b"version https://git-lfs.github.com/spec/v1\n",
        "nothing": b"",
    }
    for what, content in contents.items():
        (tmp_path / "pytorch_model.bin").write_bytes(content)
        with pytest.raises(InputError) as error:
            load(name)
        assert "\n" not in str(error.value) and len(str(error.value)) < 600, what
        assert (tmp_path / "ran").exists() is False
        if what == "code":
            assert "hold code, which is not run" in str(error.value)


@pytest.mark.parametrize("kind", ["MarianTokenizer", "XLMProphetNetTokenizer"])
def test_a_tokenizer_whose_package_is_missing(tmp_path, tokenizer, kind):
    if find_spec("sentencepiece") is not None:
        pytest.skip("sentencepiece is installed")
    name = saved(tmp_path, tokenizer)
    (tmp_path / "tokenizer.json").unlink()
    config = json.loads((tmp_path / "tokenizer_config.json").read_text(encoding="utf-8"))
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(config | {"tokenizer_class": kind}), encoding="utf-8")
    for file in ("source.spm", "target.spm", "vocab.json"):
        (tmp_path / file).write_bytes(b"{}")
    for load in (lambda name: load_text_classifier(name, ["a", "b"]), lambda name: _pretrained_encoder(name, 32)):
        with pytest.raises(InputError, match="(?i)sentencepiece") as error:
            load(name)
        assert "\n" not in str(error.value)


def test_a_model_that_knows_no_token_types(tmp_path, tokenizer, monkeypatch):
    """DistilBERT, with a tokenizer of BERT that numbers the two texts of a pair: trained, measured and asked."""
    torch.manual_seed(0)
    config = DistilBertConfig(vocab_size=len(tokenizer), dim=16, n_layers=1, n_heads=2, hidden_dim=16)
    DistilBertModel(config).save_pretrained(tmp_path / "base")
    tokenizer.save_pretrained(tmp_path / "base")
    flags = f"--model_name_or_path {tmp_path / 'base'} --max_steps 2 --eval_strategy no --max_train_samples 16"
    flags += " --max_eval_samples 8 --max_test_samples 8 --floor no"
    run("ccf_sentiment_bert.py", flags, tmp_path / "out", monkeypatch)
    answer = Classifier(str(tmp_path / "out"))("red", "green")
    assert set(answer.labels) <= set(Classifier(str(tmp_path / "out")).labels)
