"""Classifying pictures by the names of their folders, with a model that was never trained for those classes."""

import logging
from pathlib import Path

import torch
from torch.nn.functional import normalize
from transformers import ChineseCLIPModel, ChineseCLIPProcessor, TrainingArguments

from hfcls.data.folders import class_folders
from hfcls.data.picture_folders import PICTURES
from hfcls.data.picture_modes import RGBLoss
from hfcls.errors import InputError
from hfcls.images.decoding import check, decode

logger = logging.getLogger(__name__)


def find_classes(folder: str | Path) -> dict[str, list[Path]]:
    """Class → its pictures, of `<folder>/<class>/<picture>`, both in the order of their names; each is decoded once.

    Raises:
        InputError: there are not at least two classes with pictures, or one picture cannot be read.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError(f"--zero_shot_dir {folder}: no such folder; give one that holds <class>/<picture>")
    found = class_folders(str(folder), PICTURES, "picture", lambda line: logger.warning("%s", line))
    if len(found) < 2:
        raise InputError(
            f"--zero_shot_dir {folder}: {len(found)} folders hold pictures ({' '.join(PICTURES)}); it needs "
            f"<class>/<picture>, two classes or more"
        )
    classes, loss = {name: [Path(path) for path in paths] for name, paths in found.items()}, RGBLoss()
    for path in (path for paths in classes.values() for path in paths):
        with path.open("rb") as file:
            loss.add(check(file, f"{path}:"))
    for line in loss.notes(str(folder)):
        logger.warning("%s", line)
    return classes


def measure_zero_shot(
    model: ChineseCLIPModel,
    processor: ChineseCLIPProcessor,
    classes: dict[str, list[Path]],
    prompt: str,
    training_args: TrainingArguments,
) -> dict[str, float]:
    """`zero_shot_accuracy` and how many pictures and classes it was measured on.

    The class of a picture is the one whose `prompt`, with its name in place of `{}`, is nearest. It is what
    `pipeline("zero-shot-image-classification", hypothesis_template=prompt)` answers.

    Args:
        classes: as `find_classes` returns them.
    """
    model.eval()
    device = training_args.device
    texts = processor.tokenizer(
        [prompt.format(name) for name in classes], padding=True, truncation=True, return_tensors="pt"
    )
    paths = [(path, number) for number, found in enumerate(classes.values()) for path in found]
    right = 0
    with torch.no_grad():
        prompts = normalize(model.get_text_features(**texts.to(device)).pooler_output, dim=-1)
        for start in range(0, len(paths), training_args.per_device_eval_batch_size):
            batch = paths[start : start + training_args.per_device_eval_batch_size]
            pictures = [decode(path, f"{path}:") for path, _ in batch]
            inputs = processor.image_processor(pictures, return_tensors="pt").to(device)
            features = model.get_image_features(**inputs).pooler_output
            answers = (features @ prompts.T).argmax(dim=1).tolist()
            right += sum(answer == number for answer, (_, number) in zip(answers, batch, strict=True))
    return {
        "zero_shot_accuracy": right / len(paths),
        "zero_shot_pictures": len(paths),
        "zero_shot_classes": len(classes),
    }
