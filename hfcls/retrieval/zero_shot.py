"""Classifying pictures by the names of their folders, with a model that was never trained for those classes."""

from pathlib import Path

import torch
from torch.nn.functional import normalize
from transformers import ChineseCLIPModel, ChineseCLIPProcessor, TrainingArguments

from hfcls.errors import InputError
from hfcls.images.decoding import decode

PICTURES = {".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff"}


def find_pictures(folder: str | Path) -> dict[str, list[Path]]:
    """Class → its pictures, of `<folder>/<class>/<picture>`, both in the order of their names.

    Raises:
        InputError: there are not at least two classes, or one is empty.
    """
    folder = Path(folder)
    classes = {
        path.name: sorted(file for file in path.iterdir() if file.suffix.lower() in PICTURES)
        for path in (sorted(folder.iterdir()) if folder.is_dir() else [])
        if path.is_dir() and not path.name.startswith(".")
    }
    if len(classes) < 2:
        raise InputError(
            f"{folder}: {len(classes)} folders; --zero_shot_dir needs <class>/<picture>, two classes or more"
        )
    for name, pictures in classes.items():
        if not pictures:
            raise InputError(f"{folder / name}: no pictures ({', '.join(sorted(PICTURES))}); add some or remove it")
    return classes


def measure_zero_shot(
    model: ChineseCLIPModel,
    processor: ChineseCLIPProcessor,
    folder: str | Path,
    prompt: str,
    training_args: TrainingArguments,
) -> dict[str, float]:
    """`zero_shot_accuracy` and how many pictures and classes it was measured on.

    The class of a picture is the one whose `prompt`, with its name in place of `{}`, is nearest. It is what
    `pipeline("zero-shot-image-classification", hypothesis_template=prompt)` answers.

    Raises:
        InputError: the folder does not hold classes of pictures.
    """
    classes = find_pictures(folder)
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
            inputs = processor.image_processor([decode(path, f"{path}:") for path, _ in batch], return_tensors="pt").to(
                device
            )
            features = model.get_image_features(**inputs).pooler_output
            answers = (features @ prompts.T).argmax(dim=1).tolist()
            right += sum(answer == number for answer, (_, number) in zip(answers, batch, strict=True))
    return {
        "zero_shot_accuracy": right / len(paths),
        "zero_shot_pictures": len(paths),
        "zero_shot_classes": len(classes),
    }
