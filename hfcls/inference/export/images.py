"""A classifier of pictures as a folder that needs onnxruntime, numpy and Pillow only."""

import shutil
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from transformers import BaseImageProcessor, PreTrainedModel
from transformers.image_utils import load_image

from hfcls.inference.export.check import Agreement, compare, load_script, script_outputs
from hfcls.inference.export.graph import Answers, write_graph
from hfcls.inference.export.manifest import GRAPH, NAME
from hfcls.inference.export.pictures import Preparation
from hfcls.runs.json_files import write_json

STANDALONE = Path(__file__).parent / "standalone"


def write_images(processor: BaseImageProcessor, model: PreTrainedModel, folder: Path) -> None:
    """Writes graph, labels.json and predict.py into `folder`.

    Raises:
        InputError: the model cannot be exported.
    """
    pixels = torch.from_numpy(processed(processor, [Image.new("RGB", (32, 32))] * 2))
    answers = Answers(model, ["pixel_values"], thresholds_of(model))
    write_graph(answers, {"pixel_values": pixels}, answers.outputs, folder / GRAPH, {"pixel_values": {0: "batch"}})
    content = {
        "kind": "images",
        "graph": GRAPH,
        "labels": [str(model.config.id2label[number]) for number in range(model.config.num_labels)],
        "problem_type": model.config.problem_type,
        "thresholds": thresholds_of(model),
        "temperature": getattr(model.config, "calibrated_temperature", None),
        "pictures": asdict(Preparation.of(processor)),
    }
    write_json(folder / NAME, content)
    processor.save_pretrained(folder)
    for code in folder.glob("*.py"):  # that it was saved with
        code.unlink()
    shutil.copyfile(STANDALONE / "predict_images.py", folder / "predict.py")
    shutil.copyfile(STANDALONE / "pictures.py", folder / "pictures.py")


def thresholds_of(model: PreTrainedModel) -> list[float] | None:
    """From which probability on each label applies; None where one is chosen."""
    if model.config.problem_type != "multi_label_classification":
        return None
    return list(getattr(model.config, "decision_thresholds", None) or [0.5] * model.config.num_labels)


def check_images(
    processor: BaseImageProcessor, model: PreTrainedModel, folder: Path, pictures: list, what: str
) -> Agreement:
    """The agreement of `folder` with the model on files or Pillow images.

    Raises:
        InputError: they disagree.
    """
    expected = np.concatenate(
        [_logits(processor, model, pictures[start : start + 32]) for start in range(0, len(pictures), 32)]
    )
    thresholds = thresholds_of(model)
    if thresholds is None:
        chosen = expected.argmax(axis=1)[:, None] == np.arange(expected.shape[1])
    else:
        chosen = torch.from_numpy(expected).sigmoid().numpy() >= np.float32(thresholds)
    script = load_script(folder / "predict.py")
    return compare(expected, chosen, script_outputs(script.answer, pictures, [0] * len(pictures)), what)


def _logits(processor: BaseImageProcessor, model: PreTrainedModel, pictures: list) -> np.ndarray:
    with torch.inference_mode():
        return model(pixel_values=torch.from_numpy(processed(processor, pictures))).logits.float().numpy()


def processed(processor: BaseImageProcessor, pictures: list) -> np.ndarray:
    images = [load_image(str(picture) if isinstance(picture, Path) else picture) for picture in pictures]
    return np.asarray(processor(images, return_tensors="pt")["pixel_values"], dtype=np.float32)
