"""Both towers of a Chinese-CLIP as a folder that needs onnxruntime, tokenizers, numpy and Pillow only."""

import shutil
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch.nn.functional import normalize
from transformers import ChineseCLIPModel, ChineseCLIPProcessor

from hfcls.errors import InputError
from hfcls.inference.export.check import BATCH_SIZE, TOLERANCE, Agreement, load_script
from hfcls.inference.export.graph import write_graph
from hfcls.inference.export.images import STANDALONE, processed
from hfcls.inference.export.manifest import INPUTS, NAME
from hfcls.inference.export.pictures import Preparation
from hfcls.runs.json_files import write_json

TEXT_GRAPH, PICTURE_GRAPH = "text_model.onnx", "vision_model.onnx"  # as transformers.js calls those of CLIP


class TextTower(torch.nn.Module):
    """Tokens → embeddings of unit length, (B, D)."""

    def __init__(self, model: ChineseCLIPModel, inputs: list[str]):
        super().__init__()
        self.model, self.inputs = model, inputs

    def forward(self, *tensors: torch.Tensor) -> torch.Tensor:
        inputs = dict(zip(self.inputs, tensors, strict=True))
        return normalize(self.model.get_text_features(**inputs).pooler_output, dim=-1)


class PictureTower(torch.nn.Module):
    """(B, C, H, W) → embeddings of unit length, (B, D)."""

    def __init__(self, model: ChineseCLIPModel):
        super().__init__()
        self.model = model

    def forward(self, *tensors: torch.Tensor) -> torch.Tensor:
        return normalize(self.model.get_image_features(pixel_values=tensors[0]).pooler_output, dim=-1)


def write_retrieval(processor: ChineseCLIPProcessor, model: ChineseCLIPModel, folder: Path) -> None:
    """Writes both graphs, labels.json, tokenizer and predict.py into `folder`.

    Raises:
        InputError: the model cannot be exported.
    """
    tokenizer = processor.tokenizer
    inputs = [name for name in INPUTS if name in tokenizer.model_input_names]
    ids = torch.ones(2, 8, dtype=torch.int64)
    mask = torch.tensor([[1] * 8, [1] * 5 + [0] * 3])
    texts = dict(zip(INPUTS, (ids, mask, torch.zeros_like(ids)), strict=True))
    texts = {name: texts[name] for name in inputs}
    axes = {name: {0: "batch", 1: "sequence"} for name in inputs}
    write_graph(TextTower(model, inputs), texts, ["text_embeds"], folder / TEXT_GRAPH, axes)
    pixels = torch.from_numpy(processed(processor.image_processor, [Image.new("RGB", (32, 32))] * 2))
    pictures = {"pixel_values": pixels}
    write_graph(PictureTower(model), pictures, ["image_embeds"], folder / PICTURE_GRAPH, {"pixel_values": {0: "batch"}})
    content = {
        "kind": "pairs",
        "text_graph": TEXT_GRAPH,
        "picture_graph": PICTURE_GRAPH,
        "logit_scale": model.logit_scale.exp().item(),
        "inputs": inputs,
        "pad_token_id": tokenizer.pad_token_id,
        "max_length": min(tokenizer.model_max_length, model.config.text_config.max_position_embeddings),
        "encode_special_tokens": bool(tokenizer.backend_tokenizer.encode_special_tokens),
        "pictures": asdict(Preparation.of(processor.image_processor)),
    }
    write_json(folder / NAME, content)
    processor.save_pretrained(folder)
    shutil.copyfile(STANDALONE / "predict_pairs.py", folder / "predict.py")
    shutil.copyfile(STANDALONE / "pictures.py", folder / "pictures.py")


def check_retrieval(
    processor: ChineseCLIPProcessor, model: ChineseCLIPModel, folder: Path, texts: list[str], pictures: list, what: str
) -> Agreement:
    """The agreement of `folder` with the model on texts, and on files or Pillow images.

    Raises:
        InputError: an embedding differs by more than `TOLERANCE`, or the nearest picture of a text is another.
    """
    script = load_script(folder / "predict.py")
    expected = _batches(lambda batch: _text_embeddings(processor, model, batch), texts)
    found = _batches(script.embed_texts, texts)
    expected_pictures = _batches(lambda batch: _picture_embeddings(processor, model, batch), pictures)
    found_pictures = _batches(script.embed_pictures, pictures)
    distance = max(np.abs(found - expected).max(), np.abs(found_pictures - expected_pictures).max())
    if not distance <= TOLERANCE:
        raise InputError(
            f"the exported model disagrees: embeddings of {what} differ by {distance:.2g}, which is more than "
            f"{TOLERANCE:g}; nothing was written, ask the model itself"
        )
    nearest = (expected @ expected_pictures.T).argmax(axis=1)
    cosines = found @ found_pictures.T
    behind = cosines.max(axis=1) - cosines[np.arange(len(texts)), nearest]
    if (behind > TOLERANCE).any():  # pictures that are the same are as near
        raise InputError(
            f"the exported model disagrees: {(behind > TOLERANCE).sum()} {what} find another picture; nothing was "
            "written, ask the model itself"
        )
    return Agreement(len(texts) + len(pictures), what, float(distance), "embeddings")


def _batches(embed, rows: list) -> np.ndarray:
    return np.concatenate([embed(rows[start : start + BATCH_SIZE]) for start in range(0, len(rows), BATCH_SIZE)])


def _text_embeddings(processor: ChineseCLIPProcessor, model: ChineseCLIPModel, texts: list[str]) -> np.ndarray:
    inputs = processor.tokenizer(texts, padding=True, truncation=True, return_tensors="pt")
    with torch.inference_mode():
        return normalize(model.get_text_features(**inputs).pooler_output, dim=-1).numpy()


def _picture_embeddings(processor: ChineseCLIPProcessor, model: ChineseCLIPModel, pictures: list) -> np.ndarray:
    pixels = torch.from_numpy(processed(processor.image_processor, pictures))
    with torch.inference_mode():
        return normalize(model.get_image_features(pixel_values=pixels).pooler_output, dim=-1).numpy()
