"""Checkpoints of cn-clip (https://github.com/OFA-Sys/Chinese-CLIP) to ChineseCLIPModel folders, and back."""

import math
import re
from importlib.util import find_spec
from pathlib import Path

import torch
from transformers import (
    BertTokenizer,
    ChineseCLIPConfig,
    ChineseCLIPImageProcessorPil,
    ChineseCLIPModel,
    ChineseCLIPProcessor,
)

from hfcls.errors import InputError
from hfcls.inference.loading import load_chinese_clip
from hfcls.text.vocabulary import load_vocabulary

CONTEXT_LENGTH = 52  # tokens of a text, which cn-clip's own `tokenize` keeps
HEAD_WIDTH, HEAD_WIDTHS = 64, {1280: 80}  # of the picture tower, by its width: ViT-H/14 has wider heads

# Names there and here, of what only has another name; parts of names that stand nowhere else.
RENAMED = [
    ("bert.", "text_model."),
    ("visual.class_embedding", "vision_model.embeddings.class_embedding"),
    ("visual.positional_embedding", "vision_model.embeddings.position_embedding.weight"),
    ("visual.conv1.", "vision_model.embeddings.patch_embedding."),
    ("visual.ln_pre.", "vision_model.pre_layrnorm."),
    ("visual.ln_post.", "vision_model.post_layernorm."),
    ("visual.transformer.resblocks.", "vision_model.encoder.layers."),
    (".attn.out_proj.", ".self_attn.out_proj."),
    (".ln_1.", ".layer_norm1."),
    (".ln_2.", ".layer_norm2."),
    (".mlp.c_fc.", ".mlp.fc1."),
    (".mlp.c_proj.", ".mlp.fc2."),
]
TRANSPOSED = {"visual.proj": "visual_projection.weight", "text_projection": "text_projection.weight"}


def convert(source: str | Path, target: str | Path, vocab: str | Path | None = None) -> Path:
    """Converts a checkpoint to a folder, or a folder with a ChineseCLIPModel to a checkpoint.

    Args:
        source: a file that cn-clip's training or its authors saved, or a folder (or Hub name) of a ChineseCLIPModel.
        target: the folder or the file to write, which must not exist.
        vocab: the vocab.txt of a checkpoint's text tower; that of the installed cn-clip by default.

    Returns:
        `target`.

    Raises:
        InputError: `source` cannot be read or is no such model, or `target` exists.
    """
    target = Path(target)
    if target.exists():
        raise InputError(f"{target}: exists; name something new")
    if Path(source).is_file():
        state, vocabulary = read_checkpoint(source), _vocabulary(vocab)
        try:
            config = config_of(state)
            model = ChineseCLIPModel(config)
            model.load_state_dict(to_transformers(state))
        except (KeyError, RuntimeError) as error:  # a name is missing, or load_state_dict lists what does not fit
            raise InputError(
                f"{source}: no checkpoint of a Chinese-CLIP, give one ({' '.join(str(error).split())[:300]})"
            ) from error
        if len(vocabulary) != config.text_config.vocab_size:
            raise InputError(
                f"{source}: its text tower knows {config.text_config.vocab_size} tokens, the vocabulary has "
                f"{len(vocabulary)}; give the one it was trained with as --vocab"
            )
        processor = _processor(config, vocabulary)
        model.save_pretrained(target)
        processor.save_pretrained(target)
        return target
    if vocab is not None:
        raise InputError("--vocab goes with a checkpoint, a folder has its vocabulary: leave it out")
    _, model = load_chinese_clip(str(source))
    state = {f"module.{name}": tensor for name, tensor in from_transformers(model.state_dict()).items()}
    torch.save({"state_dict": state}, target)
    return target


def read_checkpoint(path: str | Path) -> dict[str, torch.Tensor]:
    """The weights of a checkpoint as float32, by name without the `module.` of DistributedDataParallel.

    Raises:
        InputError: it cannot be read without running code, or holds no weights of a ViT and a BERT.
    """
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # zip, pickle and torch each raise errors of their own for what is torn or no checkpoint
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise InputError(f"{path}: cannot be read as weights alone ({reason:.200}); download it again") from error
    state = content.get("state_dict", content) if isinstance(content, dict) else None
    if not isinstance(state, dict) or not all(isinstance(value, torch.Tensor) for value in state.values()):
        raise InputError(f"{path}: holds no state_dict; give a checkpoint of cn-clip")
    state = {name.removeprefix("module."): value.float() for name, value in state.items()}
    state = {
        name: value for name, value in state.items() if "bert.pooler." not in name and not name.endswith("position_ids")
    }
    if "visual.layer1.0.conv1.weight" in state:
        raise InputError(f"{path}: its picture tower is a ResNet, which ChineseCLIPModel has not; give one with a ViT")
    if any(".Wqkv." in name for name in state):
        raise InputError(
            f"{path}: was saved with flash attention; let cn_clip.clip.convert_state_dict convert it first"
        )
    return state


def config_of(state: dict[str, torch.Tensor]) -> ChineseCLIPConfig:
    """The architecture that has weights of these shapes.

    Raises:
        KeyError: there is no such weight.
    """
    width, _, patch, _ = state["visual.conv1.weight"].shape
    grid = math.isqrt(len(state["visual.positional_embedding"]) - 1)
    vocab_size, hidden = state["bert.embeddings.word_embeddings.weight"].shape
    common = state["text_projection"].shape[1]
    return ChineseCLIPConfig(
        projection_dim=common,
        vision_config={
            "hidden_size": width,
            "intermediate_size": len(state["visual.transformer.resblocks.0.mlp.c_fc.weight"]),
            "num_hidden_layers": _layers(state, r"visual\.transformer\.resblocks\.(\d+)\."),
            "num_attention_heads": width // HEAD_WIDTHS.get(width, HEAD_WIDTH),
            "image_size": grid * patch,
            "patch_size": patch,
            "projection_dim": common,
        },
        text_config={
            "vocab_size": vocab_size,
            "hidden_size": hidden,
            "intermediate_size": len(state["bert.encoder.layer.0.intermediate.dense.weight"]),
            "num_hidden_layers": _layers(state, r"bert\.encoder\.layer\.(\d+)\."),
            "num_attention_heads": hidden // 64,
            "max_position_embeddings": len(state["bert.embeddings.position_embeddings.weight"]),
            "type_vocab_size": len(state["bert.embeddings.token_type_embeddings.weight"]),
        },
    )


def to_transformers(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Weights by cn-clip's names to weights by transformers' names."""
    converted = {}
    for name, value in state.items():
        if name in TRANSPOSED:
            converted[TRANSPOSED[name]] = value.T.contiguous()
        elif ".attn.in_proj_" in name:  # queries, keys and values are one matrix there
            for part, rows in zip("qkv", value.chunk(3), strict=True):
                renamed = _rename(name.replace(".attn.in_proj_", f".self_attn.{part}_proj."), RENAMED)
                converted[renamed] = rows.clone()
        else:
            converted[_rename(name, RENAMED)] = value
    return converted


def from_transformers(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Weights by transformers' names to weights by cn-clip's names: `to_transformers` undone."""
    transposed = {here: there for there, here in TRANSPOSED.items()}
    back = [(here, there) for there, here in RENAMED]
    converted = {}
    for name, value in state.items():
        if name in transposed:
            converted[transposed[name]] = value.T.contiguous()
        elif ".self_attn.q_proj." in name:
            parts = [state[name.replace(".q_proj.", f".{part}_proj.")] for part in "qkv"]
            converted[_rename(name.replace(".self_attn.q_proj.", ".attn.in_proj_"), back)] = torch.cat(parts)
        elif ".self_attn.k_proj." not in name and ".self_attn.v_proj." not in name:
            converted[_rename(name, back)] = value
    return converted


def _rename(name: str, pairs: list[tuple[str, str]]) -> str:
    for old, new in pairs:
        name = name.replace(old, new)
    return name


def _layers(state: dict[str, torch.Tensor], pattern: str) -> int:
    return 1 + max(int(found[1]) for name in state if (found := re.match(pattern, name)))


def _processor(config: ChineseCLIPConfig, vocabulary: dict[str, int]) -> ChineseCLIPProcessor:
    """What cn-clip's own transforms and tokenizer do."""
    side = config.vision_config.image_size
    pictures = ChineseCLIPImageProcessorPil(size={"height": side, "width": side}, do_center_crop=False)
    return ChineseCLIPProcessor(pictures, BertTokenizer(vocab=vocabulary, model_max_length=CONTEXT_LENGTH))


def _vocabulary(path: str | Path | None) -> dict[str, int]:
    if path is None:
        package = find_spec("cn_clip")
        if package is None:
            raise InputError(
                "a checkpoint has no vocabulary: give --vocab vocab.txt (bert-base-chinese's), or install cn-clip, "
                "which carries it: pip install --no-deps cn-clip six"
            )
        path = Path(package.origin).parent / "clip" / "vocab.txt"
    return load_vocabulary(path)
