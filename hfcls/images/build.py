"""From a corpus of pictures to batches, and the models that are trained on them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from transformers import BaseImageProcessor, TrainingArguments

from hfcls.images.arguments import ImageArguments
from hfcls.inference.examples import classify_images
from hfcls.inference.loading import load
from hfcls.models.image_cnn import ImageCNNConfig, ImageCNNForImageClassification, ImageCNNImageProcessor
from hfcls.training.classifier import ClassifierSetup
from hfcls.training.setup import Corpus, Rows, align_labels

TASK = "image-classification"

# How far a picture may be moved, drawn evenly between minus and plus this: degrees, share of the side, share, degrees.
ROTATION, SHIFT, SCALE, SHEAR = 12.0, 0.08, 0.12, 8.0
DRAWS = 6  # numbers that a movement takes: rotation, two shifts, two scales, shear


class ImageRows(torch.utils.data.Dataset):
    """The rows of one split. A batch is read at once: from an array in memory it is one indexing operation.

    With a `seed`, each row carries the six numbers, (DRAWS,) between -1 and 1, that its augmentation follows from. They
    are drawn anew for each epoch from (seed, epoch) alone, so that a resumed run sees the pictures it would have seen.

    Args:
        pictures: (rows, C, H, W) uint8, or a sequence that a list of row numbers picks Pillow images from.
        labels: (rows,).
        seed: of the augmentation; None for none.
    """

    def __init__(self, pictures: np.ndarray | Sequence, labels: np.ndarray, seed: int | None = None):
        self.pictures = pictures
        self.labels = np.asarray(labels, dtype=np.int64)
        self.seed = seed
        self.set_epoch(0)

    def set_epoch(self, epoch: int) -> None:
        """Called by the sampler of `ClassifierTrainer` at the start of every epoch, a resumed one included."""
        if self.seed is not None:
            random = np.random.default_rng([self.seed, epoch])
            self.draws = random.uniform(-1, 1, (len(self.labels), DRAWS)).astype(np.float32)

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, row: int) -> dict:
        return self.__getitems__([row])

    def __getitems__(self, rows: list[int]) -> dict:
        batch = {"pictures": self.pictures[rows], "labels": self.labels[rows]}
        return batch if self.seed is None else batch | {"draws": self.draws[rows]}


@dataclass
class ImageCollator:
    """Makes a batch of `ImageRows` the model's: `{"pixel_values": (B, C, H, W) floats, "labels": (B,)}`.

    Args:
        to_pixel_values: from the pictures of a batch to floats.
    """

    to_pixel_values: Callable[[np.ndarray | list[Image.Image]], torch.Tensor]

    def __call__(self, batch: dict) -> dict[str, torch.Tensor]:
        pixel_values = self.to_pixel_values(batch["pictures"])
        if "draws" in batch:
            pixel_values = move(pixel_values, torch.from_numpy(batch["draws"]))
        return {"pixel_values": pixel_values, "labels": torch.from_numpy(batch["labels"])}


def move(pixel_values: torch.Tensor, draws: torch.Tensor) -> torch.Tensor:
    """Rotates, shifts, scales and shears each picture of (B, C, H, W) as its row of `draws` (B, DRAWS) says.

    All zeros leave a picture as it is; what comes in from outside repeats the picture's edge.
    """
    rotation, x, y, wide, high, shear = draws.unbind(1)
    angle, shear = rotation * np.radians(ROTATION), (shear * np.radians(SHEAR)).tan()
    # Where each pixel of the result is taken from: scaled, sheared, rotated, then shifted.
    wide, high = 1 + SCALE * wide, 1 + SCALE * high
    cos, sin = angle.cos(), angle.sin()
    height, width = pixel_values.shape[2:]
    # affine_grid measures both sides as 2: x and y of a picture that is no square have different units.
    theta = torch.stack(
        [
            torch.stack([cos * wide, (cos * shear - sin) * high * height / width, 2 * SHIFT * x], dim=1),
            torch.stack([sin * wide * width / height, (sin * shear + cos) * high, 2 * SHIFT * y], dim=1),
        ],
        dim=1,
    )
    grid = F.affine_grid(theta, list(pixel_values.shape), align_corners=False)
    return F.grid_sample(pixel_values, grid, padding_mode="border", align_corners=False)


def build(arguments: ImageArguments, training_args: TrainingArguments, corpus: Corpus) -> ClassifierSetup:
    """The published CNN, or the model of `--model_name_or_path`, or the saved one of `--evaluate_only`.

    Raises:
        InputError: the model cannot be loaded or does not fit the corpus.
    """
    name = arguments.evaluate_only or arguments.model_name_or_path
    if arguments.evaluate_only is not None:
        processor, model = load(name, task=TASK)
        corpus = align_labels(corpus, model)
    elif name is not None:
        processor, model = load(name, corpus.target.names, task=TASK)
    else:
        names = corpus.target.names
        config = ImageCNNConfig(id2label=dict(enumerate(names)), label2id={name: i for i, name in enumerate(names)})
        processor, model = ImageCNNImageProcessor(), ImageCNNForImageClassification(config)
    rows = {}
    for split, content in corpus.splits.items():
        pictures = content["image"]
        if isinstance(processor, ImageCNNImageProcessor):
            pictures = np.stack([processor.pixels(image) for image in pictures])
        seed = training_args.seed if arguments.augment and split == "train" else None
        rows[split] = ImageRows(pictures, content["label"], seed)
    return ClassifierSetup(
        corpus,
        processor,
        Rows(**rows),
        ImageCollator(_to_pixel_values(processor)),
        model,
        name or "MNIST CNN",
        base_model=arguments.model_name_or_path,
        pipeline_task=TASK,
        classify=classify_images,
    )


def _to_pixel_values(processor: BaseImageProcessor) -> Callable:
    if isinstance(processor, ImageCNNImageProcessor):
        return processor.normalize_pixels
    return partial(_process, processor)


def _process(processor: BaseImageProcessor, pictures: list[Image.Image]) -> torch.Tensor:
    images = [picture.convert("RGB") for picture in pictures]
    return processor(images, return_tensors="pt")["pixel_values"]
