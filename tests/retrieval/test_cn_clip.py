"""Checkpoints of cn-clip, converted both ways, against cn-clip's own model where it can be imported."""

import importlib.util
import pickle
import sys
import types
from pathlib import Path

import pytest
import torch
from transformers import AutoProcessor, ChineseCLIPModel

from hfcls.errors import InputError
from hfcls.models.chinese_clip import chinese_clip_from_scratch
from hfcls.retrieval.cn_clip import convert, from_transformers, read_checkpoint, to_transformers
from hfcls.text.tokenization import train_wordpiece_tokenizer
from tests.test_cli import _main as run_verb

TEXTS = ["图片里写着三和七", "九"]


def vocabulary_file(folder, size=60):
    tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *dict.fromkeys("".join(TEXTS))]
    tokens += [f"[unused{number}]" for number in range(size - len(tokens))]
    (folder / "vocab.txt").write_text("\n".join(tokens) + "\n", encoding="utf-8")
    return folder / "vocab.txt"


def state(layers=(2, 3), embed_dim=24, size=60):
    """Random weights by the names and shapes of cn-clip: a ViT of width 64 and a BERT of 128."""
    random = torch.Generator().manual_seed(0)
    shapes = {
        "visual.class_embedding": (64,),
        "visual.positional_embedding": (10, 64),
        "visual.conv1.weight": (64, 3, 8, 8),
        "visual.proj": (64, embed_dim),
        "text_projection": (128, embed_dim),
        "logit_scale": (),
        "bert.embeddings.word_embeddings.weight": (size, 128),
        "bert.embeddings.position_embeddings.weight": (64, 128),
        "bert.embeddings.token_type_embeddings.weight": (2, 128),
    }
    for name, width in (("visual.ln_pre", 64), ("visual.ln_post", 64), ("bert.embeddings.LayerNorm", 128)):
        shapes |= {f"{name}.weight": (width,), f"{name}.bias": (width,)}
    for number in range(layers[0]):
        block = f"visual.transformer.resblocks.{number}"
        shapes |= {f"{block}.attn.in_proj_weight": (192, 64), f"{block}.attn.in_proj_bias": (192,)}
        for name, rows, columns in (("attn.out_proj", 64, 64), ("mlp.c_fc", 256, 64), ("mlp.c_proj", 64, 256)):
            shapes |= {f"{block}.{name}.weight": (rows, columns), f"{block}.{name}.bias": (rows,)}
        for name in ("ln_1", "ln_2"):
            shapes |= {f"{block}.{name}.weight": (64,), f"{block}.{name}.bias": (64,)}
    for number in range(layers[1]):
        layer = f"bert.encoder.layer.{number}"
        linear = [(f"attention.self.{part}", 128, 128) for part in ("query", "key", "value")]
        linear += [("attention.output.dense", 128, 128), ("intermediate.dense", 512, 128), ("output.dense", 128, 512)]
        for name, rows, columns in linear:
            shapes |= {f"{layer}.{name}.weight": (rows, columns), f"{layer}.{name}.bias": (rows,)}
        for name in ("attention.output.LayerNorm", "output.LayerNorm"):
            shapes |= {f"{layer}.{name}.weight": (128,), f"{layer}.{name}.bias": (128,)}
    weights = {name: torch.randn(shape, generator=random) * 0.08 for name, shape in shapes.items()}
    for name, value in weights.items():
        if name.endswith(".weight") and value.ndim == 1:
            value += 1  # of norms: otherwise all texts end at the same point
    weights["bert.embeddings.word_embeddings.weight"][0] = 0  # transformers makes [PAD], which nothing sees, zero
    return weights


@pytest.mark.parametrize("prefix", ["", "module."])
@pytest.mark.parametrize("layers", [(2, 3), (1, 12)], ids=["RBT3", "RoBERTa"])
def test_there_and_back(prefix, layers, tmp_path):
    weights = state(layers)
    extra = {"bert.pooler.dense.weight": torch.zeros(128, 128)}
    content = {
        "epoch": 3,
        "name": "run",
        "state_dict": {prefix + name: value for name, value in (weights | extra).items()},
    }
    torch.save(content, tmp_path / "there.pt")
    convert(tmp_path / "there.pt", tmp_path / "model", vocabulary_file(tmp_path))
    model = ChineseCLIPModel.from_pretrained(tmp_path / "model")
    config = model.config
    assert (config.vision_config.num_hidden_layers, config.text_config.num_hidden_layers) == layers
    assert (config.vision_config.image_size, config.vision_config.patch_size, config.projection_dim) == (24, 8, 24)
    processor = AutoProcessor.from_pretrained(tmp_path / "model")
    assert processor.tokenizer.tokenize("三和七") == ["三", "和", "七"] and processor.tokenizer.model_max_length == 52

    convert(tmp_path / "model", tmp_path / "back.pt")
    back = torch.load(tmp_path / "back.pt", weights_only=True)["state_dict"]
    assert all(name.startswith("module.") for name in back)
    back = read_checkpoint(tmp_path / "back.pt")
    assert back.keys() == weights.keys()
    for name, value in weights.items():
        torch.testing.assert_close(back[name], value, rtol=0, atol=0)


def test_every_weight_of_transformers_has_a_name_in_cn_clip():
    tokenizer = train_wordpiece_tokenizer(TEXTS * 2, max_length=16)
    weights = chinese_clip_from_scratch("tiny", tokenizer, 16, 16).state_dict()
    again = to_transformers(from_transformers(weights))
    assert again.keys() == weights.keys()
    assert all(torch.equal(again[name], value) for name, value in weights.items())


@pytest.fixture
def cn_clip(monkeypatch):
    """cn-clip's own model.py. Of torchvision it only needs five names of transforms, for pictures."""
    if importlib.util.find_spec("cn_clip") is None:
        pytest.skip("needs cn-clip: pip install --no-deps cn-clip six")
    transforms = types.ModuleType("torchvision.transforms")
    for name in ("Compose", "ToTensor", "Normalize", "Resize", "InterpolationMode"):
        setattr(transforms, name, object)
    torchvision = types.ModuleType("torchvision")
    torchvision.transforms = transforms
    monkeypatch.setitem(sys.modules, "torchvision", torchvision)
    monkeypatch.setitem(sys.modules, "torchvision.transforms", transforms)
    return importlib.import_module("cn_clip.clip.model")


@pytest.mark.parametrize("layers", [(2, 3), (1, 12)], ids=["RBT3", "RoBERTa"])
def test_features_are_those_of_cn_clip(cn_clip, layers, tmp_path):
    theirs = cn_clip.CLIP(
        embed_dim=24,
        image_resolution=24,
        vision_layers=layers[0],
        vision_width=64,
        vision_patch_size=8,
        vocab_size=60,
        text_attention_probs_dropout_prob=0.1,
        text_hidden_act="gelu",
        text_hidden_dropout_prob=0.1,
        text_hidden_size=128,
        text_initializer_range=0.02,
        text_intermediate_size=512,
        text_max_position_embeddings=64,
        text_num_attention_heads=2,
        text_num_hidden_layers=layers[1],
        text_type_vocab_size=2,
    ).eval()
    theirs.load_state_dict(state(layers))
    torch.save({"state_dict": theirs.state_dict()}, tmp_path / "there.pt")
    convert(tmp_path / "there.pt", tmp_path / "model", vocabulary_file(tmp_path))
    ours = ChineseCLIPModel.from_pretrained(tmp_path / "model").eval()
    tokens = AutoProcessor.from_pretrained(tmp_path / "model").tokenizer(
        TEXTS, padding="max_length", max_length=16, return_tensors="pt"
    )
    pictures = torch.randn(2, 3, 24, 24)
    with torch.no_grad():
        outputs = ours(**tokens, pixel_values=pictures)
        images, texts, scale = theirs(pictures, tokens["input_ids"])
    torch.testing.assert_close(outputs.image_embeds, images, rtol=0, atol=1e-4)
    torch.testing.assert_close(outputs.text_embeds, texts, rtol=0, atol=1e-4)
    torch.testing.assert_close(ours.logit_scale.exp(), scale)
    assert texts.std(dim=0).max() > 1e-2  # different texts have different features

    convert(tmp_path / "model", tmp_path / "back.pt")
    back = torch.load(tmp_path / "back.pt", weights_only=True)["state_dict"]
    theirs.load_state_dict({name.removeprefix("module."): value for name, value in back.items()})  # strict


class Payload:
    def __reduce__(self):
        return Path.touch, (Path("ran"),)


def test_hostile_and_torn_checkpoints_are_one_line(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    vocab = vocabulary_file(tmp_path)
    (tmp_path / "pickle.pt").write_bytes(pickle.dumps({"state_dict": Payload()}))
    torch.save({"state_dict": {"visual.proj": torch.zeros(2, 2), "more": Payload()}}, tmp_path / "code.pt")
    torch.save({"state_dict": state()}, tmp_path / "whole.pt")
    (tmp_path / "torn.pt").write_bytes((tmp_path / "whole.pt").read_bytes()[:5000])
    torch.save({"state_dict": {"visual.layer1.0.conv1.weight": torch.zeros(1)}}, tmp_path / "resnet.pt")
    torch.save({"weights": 3}, tmp_path / "other.pt")
    torch.save({"state_dict": {k: v for k, v in state().items() if "ln_pre" not in k}}, tmp_path / "lacking.pt")
    messages = {
        "pickle": "cannot be read as weights alone",
        "code": "cannot be read as weights alone",
        "torn": "cannot be read as weights alone",
        "resnet": "is a ResNet",
        "other": "holds no state_dict",
        "lacking": "no checkpoint of a Chinese-CLIP",
    }
    for name, message in messages.items():
        with pytest.raises(InputError, match=message) as error:
            convert(tmp_path / f"{name}.pt", tmp_path / "out", vocab)
        assert "\n" not in str(error.value)
    assert not (tmp_path / "ran").exists() and not (tmp_path / "out").exists()
    with pytest.raises(InputError, match="60 tokens, the vocabulary has 70"):
        convert(tmp_path / "whole.pt", tmp_path / "out", vocabulary_file(tmp_path, 70))
    with pytest.raises(InputError, match="vocab.txt: exists"):
        convert(tmp_path / "whole.pt", vocab)


def test_command_line(tmp_path, capsys):
    torch.save(state(), tmp_path / "there.pt")
    words = ["convert-cn-clip", str(tmp_path / "there.pt"), str(tmp_path / "model")]
    assert run_verb(*words, "--vocab", str(vocabulary_file(tmp_path))) == 0
    assert (tmp_path / "model" / "model.safetensors").is_file()
    assert run_verb(*words) == 2
    assert capsys.readouterr().err.strip().splitlines()[-1].endswith("exists; name something new")
