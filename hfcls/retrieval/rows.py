"""From a split to batches: pairs for training, pictures or texts alone for measuring.

Pictures are decoded as rows are read, and become pixels in the collator: both in the workers of a DataLoader. Those of
a small corpus are decoded before.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from PIL import Image
from transformers import BaseImageProcessor

from hfcls.images.augmentation import AugmentedRows
from hfcls.images.rows import augmented_pixel_values
from hfcls.retrieval.corpus import RetrievalSplit
from hfcls.text.collator import PaddingCollator
from hfcls.text.rows import TokenRows

KEPT_BYTES = 2**29  # of resized pictures: more are decoded anew whenever they are needed


class PoolImages(torch.utils.data.Dataset):
    """The pictures of a split, decoded when they are read; a small corpus once and for all, if `pixels` can resize."""

    def __init__(self, split: RetrievalSplit, pixels: "Pixels | None" = None):
        self.split = split
        self.resized = None
        if pixels is not None and len(self) * pixels.num_bytes <= KEPT_BYTES:
            starts = range(0, len(self), 64)
            decoded = (split.decode(range(start, min(start + 64, len(self)))) for start in starts)
            self.resized = np.concatenate([pixels.resize(pictures) for pictures in decoded])

    def __len__(self) -> int:
        return len(self.split.images)

    def __getitem__(self, row: int) -> dict:
        return self.__getitems__([row])[0]

    def __getitems__(self, rows: Sequence[int]) -> list[dict]:
        pictures = self.split.decode(rows) if self.resized is None else [self.resized[row] for row in rows]
        return [{"picture": picture} for picture in pictures]


class PoolTexts(torch.utils.data.Dataset):
    """The texts of a split, as tokens."""

    def __init__(self, tokens: TokenRows):
        self.tokens = tokens

    def __len__(self) -> int:
        return len(self.tokens)

    def __getitem__(self, row: int) -> dict:
        return self.__getitems__([row])[0]

    def __getitems__(self, rows: Sequence[int]) -> list[dict]:
        return [{"text": text} for text in self.tokens.__getitems__(rows)]


class PairRows(AugmentedRows):
    """The pairs of a split: a picture with a text that describes it, once for each such text.

    With a `seed`, every pair carries the numbers that the augmentation of its picture follows from. `pixels` is that of
    `PoolImages`.
    """

    def __init__(
        self, split: RetrievalSplit, tokens: TokenRows, seed: int | None = None, pixels: "Pixels | None" = None
    ):
        self.pairs = split.pairs
        self.wordings = split.wordings
        self.images = PoolImages(split, pixels)
        self.texts = PoolTexts(tokens)
        super().__init__(seed)

    def __len__(self) -> int:
        return len(self.pairs)

    def read(self, rows: list[int]) -> list[dict]:
        image_rows, text_rows = self.pairs[rows].T
        contents = zip(self.images.__getitems__(image_rows), self.texts.__getitems__(text_rows), strict=True)
        described = zip(contents, image_rows, self.wordings[text_rows], strict=True)
        return [
            picture | text | {"image_row": image_row, "wording": wording}
            for (picture, text), image_row, wording in described
        ]


@dataclass
class RetrievalCollator:
    """Makes a list of the rows above the model's batch: `pixel_values` (B, 3, S, S), `input_ids` and, where a text
    is padded, `attention_mask` (B, L), and for pairs `image_rows` and `wordings` (B,), which say what describes what.

    Texts are padded to the longest of the batch.
    """

    to_pixel_values: Callable[[list[Image.Image] | list[np.ndarray]], torch.Tensor]
    pad: PaddingCollator

    def __call__(self, rows: list[dict]) -> dict[str, torch.Tensor]:
        inputs = {}
        if "image_row" in rows[0]:
            inputs["image_rows"] = torch.tensor([row["image_row"] for row in rows])
            inputs["wordings"] = torch.tensor([row["wording"] for row in rows])
        if "picture" in rows[0]:
            inputs["pixel_values"] = augmented_pixel_values(rows, self.to_pixel_values)
        if "text" in rows[0]:
            inputs |= self.pad([row["text"] for row in rows])
        return inputs


def pixel_values(processor: BaseImageProcessor) -> Callable[[list[Image.Image]], torch.Tensor]:
    """From RGB pictures of any size to (B, 3, S, S) floats, as `processor` makes them; `Pixels` if it does not crop."""
    if processor.do_resize and processor.do_rescale and processor.do_normalize and not processor.do_center_crop:
        return Pixels(processor)
    return partial(_process, processor)


class Pixels:
    """What `ChineseCLIPImageProcessor` does to pictures that it does not crop, for a whole batch at once.

    The processor takes them one by one, with five copies of each: three times as long for small pictures.

    Attributes:
        num_bytes: of a resized picture.
    """

    def __init__(self, processor: BaseImageProcessor):
        self.size = (processor.size["width"], processor.size["height"])
        self.num_bytes = 3 * self.size[0] * self.size[1]
        self.resample = processor.resample
        std = torch.tensor(processor.image_std).view(3, 1, 1)
        self.scale = processor.rescale_factor / std
        self.shift = torch.tensor(processor.image_mean).view(3, 1, 1) / std

    def resize(self, pictures: list[Image.Image]) -> np.ndarray:
        """(B, S, S, 3) uint8."""
        return np.stack([np.asarray(picture.resize(self.size, self.resample)) for picture in pictures])

    def __call__(self, pictures: list[Image.Image] | list[np.ndarray]) -> torch.Tensor:
        """(B, 3, S, S) float32 of pictures, or of what `resize` made of them."""
        resized = np.stack(pictures) if isinstance(pictures[0], np.ndarray) else self.resize(pictures)
        pixels = torch.from_numpy(resized).permute(0, 3, 1, 2)
        return pixels.to(torch.float32, memory_format=torch.contiguous_format).mul_(self.scale).sub_(self.shift)


def _process(processor: BaseImageProcessor, pictures: list[Image.Image]) -> torch.Tensor:
    return processor(pictures, return_tensors="pt")["pixel_values"]
