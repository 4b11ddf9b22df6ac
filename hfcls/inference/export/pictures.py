"""What an exported model of pictures says of their preparation, and the pictures that it is checked on."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image
from transformers import BaseImageProcessor

from hfcls.data.picture_folders import PICTURES
from hfcls.errors import InputError
from hfcls.models.image_cnn import ImageCNNImageProcessor

RANDOM_PICTURES = 64


@dataclass(frozen=True, kw_only=True)
class Preparation:
    """From a picture to pixels: RGB or grey, resized, cropped, then `value * scale - shift` of each channel.

    Attributes:
        size: height and width; None where `shortest_edge` is given, or nothing is resized.
        shortest_edge: the other one keeps the proportion.
        resample: Pillow's number of a filter.
        crop: height and width of what is kept of the middle.
    """

    grey: bool
    size: list[int] | None
    shortest_edge: int | None
    resample: int
    crop: list[int] | None
    scale: list[float]
    shift: list[float]

    @classmethod
    def of(cls, processor: BaseImageProcessor) -> "Preparation":
        """What `processor` does."""
        if isinstance(processor, ImageCNNImageProcessor):
            channels, side = processor.num_channels, processor.image_size
            return cls(
                grey=channels == 1,
                size=[side, side],
                shortest_edge=None,
                resample=int(Image.Resampling.BILINEAR),
                crop=None,
                scale=[1 / (255 * processor.image_std)] * channels,
                shift=[processor.image_mean / processor.image_std] * channels,
            )
        factor = processor.rescale_factor if processor.do_rescale else 1.0
        mean, std = (np.broadcast_to(values, 3) for values in (processor.image_mean, processor.image_std))
        if not processor.do_normalize:
            mean, std = np.zeros(3), np.ones(3)
        size, shortest, crop = _geometry(processor)
        return cls(
            grey=False,
            size=size,
            shortest_edge=shortest,
            resample=int(processor.resample),
            crop=crop,
            scale=[float(number) for number in factor / std],
            shift=[float(number) for number in mean / std],
        )


def _geometry(processor: BaseImageProcessor) -> tuple[list[int] | None, int | None, list[int] | None]:
    """`size`, `shortest_edge` and `crop` of a processor of transformers."""
    given = dict(processor.size or {})
    size = [given["height"], given["width"]] if given.get("height") else None
    shortest = given.get("shortest_edge")
    kept = dict(getattr(processor, "crop_size", None) or {})
    crop = [kept["height"], kept["width"]] if processor.do_center_crop else None
    if hasattr(processor, "crop_pct") and shortest:  # of ConvNeXT, which ResNet has, too
        if shortest >= 384:
            return [shortest, shortest], None, crop
        return None, int(shortest / processor.crop_pct), [shortest, shortest]
    return (size, shortest, crop) if processor.do_resize else (None, None, crop)


def random_pictures() -> list[Image.Image]:
    """Pictures of several sizes: waves with noise on them, always the same."""
    draw = np.random.default_rng(0)
    pictures = []
    for height, width in draw.integers(20, 300, (RANDOM_PICTURES, 2)):
        y, x = np.mgrid[:height, :width]
        waves = [np.sin(x * draw.uniform(0, 0.3) + y * draw.uniform(0, 0.3)) for _ in range(3)]
        values = 128 + 90 * np.stack(waves, axis=2) + draw.normal(0, 12, (height, width, 3))
        pictures.append(Image.fromarray(values.clip(0, 255).astype(np.uint8)))
    return pictures


def pictures_of(folder: str, most: int) -> list[Path]:
    """At most `most` pictures in `folder` and below, evenly drawn from those in the order of their names.

    Raises:
        InputError: there is none.
    """
    found = sorted(path for path in Path(folder).rglob("*") if path.suffix.lower() in PICTURES)
    if not found:
        raise InputError(f"--check_on {folder}: holds no pictures ({' '.join(PICTURES)}); name a folder of them")
    return [found[place] for place in np.unique(np.linspace(0, len(found) - 1, most).round().astype(int))]
