"""Which parts of a picture spoke for its label, or for a caption, by integrated gradients.

The path leads from a picture of one colour, the median of its own, to the picture as the model reads it.
"""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image, UnidentifiedImageError
from torch.nn.functional import normalize
from transformers import BaseImageProcessor, ChineseCLIPModel, ChineseCLIPProcessor, PreTrainedModel

from hfcls.errors import InputError
from hfcls.inference.explain.gradients import integrated_gradients

PATCHES = 14  # along the longer side of a picture, as many as a ViT of 224 pixels has
BATCH_PIXELS = 2**18


@dataclass(frozen=True)
class PictureExplanation:
    """Why a model gave a picture a label, or a caption a cosine.

    Attributes:
        name: of the file.
        answer: the label, or the caption.
        score: its probability, or the cosine.
        pixels: (C, H, W) float32, the picture as the model reads it.
        weights: (rows, columns) float64: what each patch adds to the logit of the label, or to the cosine.
        rest: logit or cosine of a picture of one colour.
        gap: the share of the change that the weights do not sum up to.
    """

    name: str
    answer: str
    score: float
    pixels: np.ndarray
    weights: np.ndarray
    rest: float
    gap: float


def explain_label(
    processor: BaseImageProcessor, model: PreTrainedModel, path: str, label: str | None = None
) -> PictureExplanation:
    """Why a classifier gives the picture at `path` a label, the most probable one if none is named.

    Raises:
        InputError: the file is no picture, the model has no such label, or captum is not installed.
    """
    with _opened(path) as picture:
        return explain_picture(processor, model, picture, Path(path).name, label)


def explain_picture(
    processor: BaseImageProcessor, model: PreTrainedModel, picture: Image.Image, name: str, label: str | None = None
) -> PictureExplanation:
    """As `explain_label`, of a picture that is open, and called `name`."""
    pixels = _pixels(processor, picture)
    names = [str(model.config.id2label[number]) for number in range(model.config.num_labels)]
    if label is not None and label not in names:
        raise InputError(f"--label {label}: the model has {', '.join(names)}")
    with torch.no_grad():
        shares = model(pixel_values=pixels[None]).logits[0].softmax(0)
    chosen = int(shares.argmax()) if label is None else names.index(label)
    patches = patch_weights(lambda batch: model(pixel_values=batch).logits[:, chosen], pixels)
    return PictureExplanation(name, names[chosen], float(shares[chosen]), pixels.numpy(), *patches)


def explain_caption(
    processor: ChineseCLIPProcessor, model: ChineseCLIPModel, path: str, caption: str
) -> PictureExplanation:
    """Why the picture at `path` is as near to `caption` as it is.

    Raises:
        InputError: the file is no picture, or captum is not installed.
    """
    with _opened(path) as picture:
        pixels = _pixels(processor.image_processor, picture)
    tokens = processor.tokenizer([caption], truncation=True, return_tensors="pt")
    with torch.no_grad():
        text = normalize(model.get_text_features(**tokens).pooler_output, dim=-1)[0]

    def cosines(batch: torch.Tensor) -> torch.Tensor:
        return normalize(model.get_image_features(pixel_values=batch).pooler_output, dim=-1) @ text

    with torch.no_grad():
        cosine = float(cosines(pixels[None])[0])
    return PictureExplanation(Path(path).name, caption, cosine, pixels.numpy(), *patch_weights(cosines, pixels))


def patch_weights(
    score: Callable[[torch.Tensor], torch.Tensor], pixels: torch.Tensor
) -> tuple[np.ndarray, float, float]:
    """What each patch of `pixels` (C, H, W) adds to `score`, (B, C, H, W) → (B,).

    Returns:
        Weights (rows, columns), the score of a picture of one colour, and the gap, see `integrated_gradients`.
    """
    rows = max(1, BATCH_PIXELS // pixels[0].numel())
    weights, rest, gap = integrated_gradients(score, pixels, one_colour(pixels), rows)
    return to_patches(weights.sum(0).double().numpy()), rest, gap


def one_colour(pixels: torch.Tensor) -> torch.Tensor:
    """A picture (C, H, W) of the median of each channel, the background of a drawing."""
    return pixels.flatten(1).median(1).values[:, None, None].expand_as(pixels)


def patch_side(height: int, width: int) -> int:
    """Of square patches, in pixels."""
    return math.ceil(max(height, width) / PATCHES)


def to_patches(weights: np.ndarray) -> np.ndarray:
    """Sums of (H, W) over square patches; those at the right and at the bottom may be smaller."""
    side = patch_side(*weights.shape)
    places = [np.arange(0, size, side) for size in weights.shape]
    return np.add.reduceat(np.add.reduceat(weights, places[0], axis=0), places[1], axis=1)


def _pixels(processor: BaseImageProcessor, picture: Image.Image) -> torch.Tensor:
    return processor([picture], return_tensors="pt")["pixel_values"][0]


@contextmanager
def _opened(path: str) -> Iterator[Image.Image]:
    try:
        with Image.open(path) as picture:
            picture.load()
            yield picture
    except (OSError, UnidentifiedImageError) as error:
        raise InputError(f"{path}: is no picture that can be read: give a PNG or JPEG") from error
