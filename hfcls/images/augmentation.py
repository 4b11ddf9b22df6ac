"""Augmentation of pictures: small affine transformations, each of which follows from six numbers."""

import numpy as np
import torch
import torch.nn.functional as F

# How far a picture is transformed at most, either way: degrees, share of the side, share, degrees.
ROTATION, SHIFT, SCALE, SHEAR = 12.0, 0.08, 0.12, 8.0
DRAWS = 6  # numbers that a transformation takes: rotation, two shifts, two scales, shear


class AugmentedRows(torch.utils.data.Dataset):
    """Rows with pictures, each of which carries, with a `seed`, the numbers that its transformation follows from.

    They are drawn anew for each epoch from seed and epoch alone, so that a resumed run sees the pictures that it would
    have seen. A subclass has `__len__` and `read`, and calls this constructor last.
    """

    def __init__(self, seed: int | None):
        self.seed = seed
        self.set_epoch(0)

    def set_epoch(self, epoch: int) -> None:
        """Called by the sampler of `ClassifierTrainer` at the start of every epoch, a resumed one included."""
        if self.seed is not None:
            draws = np.random.default_rng([self.seed, epoch]).uniform(-1, 1, (len(self), DRAWS))
            self.draws = draws.astype(np.float32)

    def read(self, rows: list[int]) -> list[dict]:
        """The rows of these numbers, without their draws."""
        raise NotImplementedError

    def __getitem__(self, row: int) -> dict:
        return self.__getitems__([row])[0]

    def __getitems__(self, rows: list[int]) -> list[dict]:
        batch = self.read(rows)
        if self.seed is None:
            return batch
        return [row | {"draws": draws} for row, draws in zip(batch, self.draws[rows], strict=True)]


def transform_affine(pixel_values: torch.Tensor, draws: torch.Tensor) -> torch.Tensor:
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
