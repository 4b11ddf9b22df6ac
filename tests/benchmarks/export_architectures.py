"""`hfcls export` of every architecture, tiny and with random weights: does it agree with its model?

    python tests/benchmarks/export_architectures.py [--format openvino] [NAME …]

The suite exports a few of them; each export takes seconds, whatever the size of the model.
"""

import argparse
import sys
import tempfile
from collections.abc import Callable
from itertools import product
from pathlib import Path

import torch
import transformers
from transformers import AutoTokenizer, ConvNextImageProcessorPil, PreTrainedModel, ViTImageProcessorPil

sys.path.insert(0, str(Path(__file__).parents[2]))
from hfcls.errors import InputError  # noqa: E402
from hfcls.inference.export.export import Wanted, export  # noqa: E402
from hfcls.models.text_rnn import TextRNNConfig, TextRNNForSequenceClassification  # noqa: E402

SAVED = Path(__file__).parents[1] / "saved_models"
ENCODER = {"hidden_size": 16, "num_attention_heads": 4, "intermediate_size": 24, "num_hidden_layers": 2}
ENCODERS = {  # of transformers: what its config needs besides
    "Roberta": {**ENCODER, "type_vocab_size": 1},
    "XLMRoberta": {**ENCODER, "type_vocab_size": 1},
    "ModernBert": {**ENCODER, "global_attn_every_n_layers": 2, "local_attention": 8},
    "DistilBert": {"dim": 16, "n_heads": 4, "hidden_dim": 24, "n_layers": 2},
    "Electra": {**ENCODER, "embedding_size": 8},
    "Albert": {**ENCODER, "embedding_size": 8},
    "DebertaV2": {**ENCODER, "relative_attention": True, "pos_att_type": ["p2c", "c2p"]},
}
PICTURES = {
    "ViT": {**ENCODER, "image_size": 32, "patch_size": 8},
    "ResNet": {"embedding_size": 8, "hidden_sizes": [8, 12], "depths": [1, 1], "layer_type": "basic"},
}


def main() -> None:
    makers = {name: _encoder for name in ENCODERS} | {name: _pictures for name in PICTURES}
    for cell, pooling in product(("rnn", "gru", "lstm", "lstm_by_hand"), ("last", "max_mean", "attention", "rcnn")):
        makers[f"text_rnn_{cell}_{pooling}"] = _text_rnn
    makers |= {folder.name: _saved for folder in sorted(SAVED.iterdir()) if (folder / "config.json").is_file()}
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--format", default="onnx")
    parser.add_argument("names", nargs="*", metavar="NAME")
    options = parser.parse_args()
    for name in options.names or makers:
        torch.manual_seed(0)
        print(f"{name}: {_exported(name, makers[name], Wanted(rows=100, format=options.format))}", flush=True)


def _exported(name: str, make: Callable[[str, Path], Path], wanted: Wanted) -> str:
    with tempfile.TemporaryDirectory() as folder:
        try:
            return "; ".join(export(str(make(name, Path(folder, "model"))), str(Path(folder, "out")), wanted))
        except InputError as error:
            return f"refused: {error}"


def _encoder(name: str, folder: Path) -> Path:
    tokenizer = AutoTokenizer.from_pretrained(SAVED / "bert")
    special = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2, "cls_token_id": 1, "sep_token_id": 2}
    sizes = {"vocab_size": len(tokenizer), "num_labels": 3} | special | ENCODERS[name]
    config = getattr(transformers, f"{name}Config")(**sizes)
    tokenizer.model_max_length = 64
    tokenizer.save_pretrained(folder)
    return _random(f"{name}ForSequenceClassification", config, folder)


def _pictures(name: str, folder: Path) -> Path:
    size = {"height": 32, "width": 32}
    processor = (
        ViTImageProcessorPil(size=size) if name == "ViT" else ConvNextImageProcessorPil(size={"shortest_edge": 48})
    )
    processor.save_pretrained(folder)
    config = getattr(transformers, f"{name}Config")(num_labels=3, **PICTURES[name])
    return _random(f"{name}ForImageClassification", config, folder)


def _text_rnn(name: str, folder: Path) -> Path:
    cell, _, pooling = name.removeprefix("text_rnn_").rpartition("_")
    if pooling == "mean":
        cell, pooling = cell.removesuffix("_max"), "max_mean"
    tokenizer = AutoTokenizer.from_pretrained(SAVED / "text_rnn")
    tokenizer.save_pretrained(folder)
    sizes = {"vocab_size": len(tokenizer), "embedding_dim": 6, "hidden_size": 5, "num_layers": 2, "num_labels": 3}
    return _save(TextRNNForSequenceClassification(TextRNNConfig(cell=cell, pooling=pooling, **sizes)), folder)


def _saved(name: str, folder: Path) -> Path:
    return SAVED / name


def _random(name: str, config: transformers.PreTrainedConfig, folder: Path) -> Path:
    return _save(getattr(transformers, name)(config), folder)


def _save(model: PreTrainedModel, folder: Path) -> Path:
    with torch.no_grad():
        for weight in model.parameters():  # so that the answers differ from text to text
            weight.add_(0.1 * torch.randn_like(weight))
    model.save_pretrained(folder)
    return folder


if __name__ == "__main__":
    main()
