"""A new classifier starts clean, a saved one is whole, and no code of a folder is run."""

import builtins
import json

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    ChineseCLIPImageProcessorPil,
    ChineseCLIPProcessor,
    RobertaConfig,
    RobertaForSequenceClassification,
)

from hfcls.cards.processor import load_card_model
from hfcls.errors import InputError
from hfcls.inference.loading import (
    check_text_classifier,
    load_chinese_clip,
    load_image_classifier,
    load_text_classifier,
)
from hfcls.models.chinese_clip import chinese_clip_from_scratch
from hfcls.text.tokenization import train_wordpiece_tokenizer

TAGS = ["cheap", "clean", "near"]
SIZE = {"hidden_size": 16, "num_attention_heads": 2, "num_hidden_layers": 1, "intermediate_size": 16}


@pytest.fixture(scope="module", params=["bert", "roberta"])
def finished(request, tmp_path_factory):
    """A classifier of label sets with all that a run may note in its config."""
    folder = tmp_path_factory.mktemp(request.param)
    torch.manual_seed(1)
    tokenizer = train_wordpiece_tokenizer(["red green blue"] * 3, max_length=32)
    kinds = {
        "bert": (BertForSequenceClassification, BertConfig),
        "roberta": (RobertaForSequenceClassification, RobertaConfig),
    }
    model_class, config_class = kinds[request.param]
    model = model_class(
        config_class(
            vocab_size=len(tokenizer),
            id2label=dict(enumerate(TAGS)),
            label2id={tag: number for number, tag in enumerate(TAGS)},
            problem_type="multi_label_classification",
            **SIZE,
        )
    )
    model.config.update(
        {
            "decision_thresholds": [0.1, 0.2, 0.3],
            "calibrated_temperature": 2.5,
            "class_offsets": [0.5, 0.0, -0.5],
            "long_texts": {"keep": "head_tail", "max_length": 32, "pairs": False},
            "custom_pipelines": {"text-classification": {"impl": "truncation.TruncatingPipeline", "pt": []}},
        }
    )
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def head(model) -> torch.Tensor:
    return (model.classifier.out_proj if hasattr(model.classifier, "out_proj") else model.classifier).weight


@pytest.mark.parametrize("labels", [["neg", "pos"], ["bad", "so so", "good"], ["near", "clean", "cheap"], TAGS])
def test_nothing_of_the_old_training_lives_on(finished, labels, tmp_path):
    _, model = load_text_classifier(str(finished), labels)
    assert model.config.problem_type is None
    assert list(model.config.id2label.values()) == labels and list(model.config.label2id) == labels
    model.save_pretrained(tmp_path)
    saved = json.loads((tmp_path / "config.json").read_text(encoding="utf-8"))
    noted = {"problem_type", "decision_thresholds", "calibrated_temperature", "class_offsets"}
    noted |= {"long_texts", "custom_pipelines"}
    assert not noted & {name for name, value in saved.items() if value is not None}


@pytest.mark.parametrize("labels", [["neg", "pos"], ["bad", "so so", "good"], ["near", "clean", "cheap"]])
def test_a_head_of_other_classes_is_made_anew_and_the_rest_kept(finished, labels, caplog):
    caplog.set_level("INFO", logger="hfcls")
    before = load_file(finished / "model.safetensors")
    torch.manual_seed(7)
    _, model = load_text_classifier(str(finished), labels)
    assert "its head is of other classes" in caplog.text
    output = head(model)
    assert output.shape == (len(labels), 16)
    old = before["classifier.out_proj.weight" if "classifier.out_proj.weight" in before else "classifier.weight"]
    if len(labels) == len(old):
        assert (output != old).all()
    changed = {
        name
        for name, weight in model.state_dict().items()
        if weight.shape != before[name].shape or not torch.equal(weight, before[name])
    }
    assert {name.rpartition(".")[0] for name in changed} <= {"classifier", "classifier.out_proj"}


def test_the_same_classes_keep_their_head_and_a_saved_one_all(finished):
    before = load_file(finished / "model.safetensors")
    for labels in (TAGS, None):
        _, model = load_text_classifier(str(finished), labels)
        assert all(torch.equal(weight, before[name]) for name, weight in model.state_dict().items())
    assert model.config.decision_thresholds == [0.1, 0.2, 0.3]
    assert model.config.problem_type == "multi_label_classification"


def copy_of(finished, tmp_path, *, weights=None, **config):
    """The same folder with other weights and other values in its config."""
    for file in finished.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    changed = json.loads((finished / "config.json").read_text(encoding="utf-8")) | config
    (tmp_path / "config.json").write_text(json.dumps(changed), encoding="utf-8")
    if weights is not None:
        save_file(weights, tmp_path / "model.safetensors", metadata={"format": "pt"})
    return str(tmp_path)


def test_a_saved_model_whose_weights_are_missing_or_renamed(finished, tmp_path):
    weights = load_file(finished / "model.safetensors")
    renamed = {name.replace("classifier.", "classify."): weight for name, weight in weights.items()}
    name = copy_of(finished, tmp_path, weights=renamed)
    with pytest.raises(InputError, match=r"is no trained classifier, classifier\..* are missing"):
        load_text_classifier(name)
    assert load_text_classifier(name, ["neg", "pos"])[1].config.num_labels == 2  # as a base it will do


def test_weights_that_are_not_those_of_the_config(finished, tmp_path):
    name = copy_of(finished, tmp_path, hidden_size=32)
    for labels in (["neg", "pos"], None):
        with pytest.raises(InputError, match="config.json and weights disagree on the shape of"):
            load_text_classifier(name, labels)
    whole = (finished / "model.safetensors").read_bytes()
    for torn in (b"torn", whole[:-9]):
        (tmp_path / "model.safetensors").write_bytes(torn)
        for labels in (["neg", "pos"], None):
            with pytest.raises(InputError, match="cannot be loaded .*: fetch it again, or give another model$"):
                load_text_classifier(name, labels)
            with pytest.raises(InputError, match="cannot be loaded"):  # before any data is prepared
                check_text_classifier(name, trained=labels is None)


@pytest.mark.parametrize("load", [load_text_classifier, load_image_classifier, load_chinese_clip, load_card_model])
def test_code_of_a_folder_is_not_run_whatever_is_answered(finished, tmp_path, load, monkeypatch):
    """transformers would ask on standard input."""
    name = copy_of(
        finished,
        tmp_path,
        model_type="stranger",
        auto_map={"AutoConfig": "stranger.Config", "AutoModelForSequenceClassification": "stranger.Model"},
    )
    (tmp_path / "stranger.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')", encoding="utf-8")
    (tmp_path / "preprocessor_config.json").write_text(
        json.dumps({"auto_map": {"AutoImageProcessor": "stranger.Processor"}}), encoding="utf-8"
    )
    tokenizer = json.loads((tmp_path / "tokenizer_config.json").read_text(encoding="utf-8"))
    tokenizer |= {"tokenizer_class": "Stranger", "auto_map": {"AutoTokenizer": ["stranger.Tokenizer", None]}}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(tokenizer), encoding="utf-8")
    monkeypatch.setattr(builtins, "input", lambda prompt: "y")
    for labels in ((), (["neg", "pos"],))[: 1 + (load in (load_text_classifier, load_image_classifier))]:
        with pytest.raises(InputError, match="brings code of its own"):
            load(name, *labels)
    assert not (tmp_path / "ran").exists()


def test_a_chinese_clip_without_some_of_its_weights(tmp_path):
    tokenizer = train_wordpiece_tokenizer(["红 绿 蓝"] * 3, max_length=16)
    model = chinese_clip_from_scratch("tiny", tokenizer, 32, 16)
    image_processor = ChineseCLIPImageProcessorPil(size={"height": 32, "width": 32}, do_center_crop=False)
    ChineseCLIPProcessor(image_processor, tokenizer).save_pretrained(tmp_path)
    model.save_pretrained(tmp_path)
    load_chinese_clip(str(tmp_path))
    weights = load_file(tmp_path / "model.safetensors")
    kept = {name: weight for name, weight in weights.items() if name != "text_projection.weight"}
    save_file(kept, tmp_path / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(InputError, match="is no Chinese-CLIP, text_projection.weight are missing"):
        load_chinese_clip(str(tmp_path))
