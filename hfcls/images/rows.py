"""From pictures to batches."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from PIL import Image
from transformers import BaseImageProcessor
from transformers.image_utils import load_image

from hfcls.images.augmentation import AugmentedRows, transform_affine
from hfcls.models.image_cnn import ImageCNNImageProcessor


class ImageRows(AugmentedRows):
    """The rows of one split: a picture, its label and, with a `seed`, the numbers that its augmentation follows from.

    Args:
        pictures: (rows, C, H, W) uint8, or a sequence that a list of row numbers picks Pillow images from.
        labels: (rows,).
        seed: of the augmentation; None for none.
    """

    def __init__(self, pictures: np.ndarray | Sequence, labels: np.ndarray, seed: int | None = None):
        self.pictures = pictures
        self.labels = np.asarray(labels, dtype=np.int64)
        super().__init__(seed)

    def __len__(self) -> int:
        return len(self.labels)

    def read(self, rows: list[int]) -> list[dict]:
        return [
            {"picture": picture, "labels": label}
            for picture, label in zip(self.pictures[rows], self.labels[rows].tolist(), strict=True)
        ]


@dataclass
class ImageCollator:
    """Makes a list of `ImageRows` the model's batch: `{"pixel_values": (B, C, H, W) floats, "labels": (B,)}`.

    Args:
        to_pixel_values: from the pictures of a batch to floats.
    """

    to_pixel_values: Callable[[list[np.ndarray] | list[Image.Image]], torch.Tensor]

    def __call__(self, rows: list[dict]) -> dict[str, torch.Tensor]:
        return {
            "pixel_values": augmented_pixel_values(rows, self.to_pixel_values),
            "labels": torch.tensor([row["labels"] for row in rows]),
        }


def augmented_pixel_values(rows: list[dict], to_pixel_values: Callable[[list], torch.Tensor]) -> torch.Tensor:
    """(B, C, H, W) of the pictures of `rows`, transformed as their `draws` say, if they have some."""
    pixel_values = to_pixel_values([row["picture"] for row in rows])
    if "draws" not in rows[0]:
        return pixel_values
    return transform_affine(pixel_values, torch.from_numpy(np.stack([row["draws"] for row in rows])))


def pixel_values_by(processor: BaseImageProcessor) -> Callable[[list[np.ndarray] | list[Image.Image]], torch.Tensor]:
    """From the pictures of a batch to (B, C, H, W) floats, as `processor` makes them.

    `ImageCNNImageProcessor` gets the arrays that its `pixels` made, any other Pillow images.
    """
    return partial(_normalize if isinstance(processor, ImageCNNImageProcessor) else _process, processor)


def _normalize(processor: ImageCNNImageProcessor, pictures: list[np.ndarray]) -> torch.Tensor:
    return processor.normalize_pixels(np.stack(pictures))


def _process(processor: BaseImageProcessor, pictures: list[Image.Image]) -> torch.Tensor:
    images = [load_image(picture) for picture in pictures]  # as a pipeline does
    return processor(images, return_tensors="pt")["pixel_values"]
