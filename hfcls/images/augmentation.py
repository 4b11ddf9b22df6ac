"""Augmentation of pictures: small affine transformations, each of which follows from six numbers."""

import numpy as np
import torch
import torch.nn.functional as F

# How far a picture is transformed at most, either way: degrees, share of the side, share, degrees.
ROTATION, SHIFT, SCALE, SHEAR = 12.0, 0.08, 0.12, 8.0
DRAWS = 6  # numbers that a transformation takes: rotation, two shifts, two scales, shear


def draw_transformations(seed: int, epoch: int, rows: int) -> np.ndarray:
    """The numbers of every row's transformation in an epoch, (rows, DRAWS) float32 between -1 and 1.

    They follow from seed and epoch alone, so that a resumed run sees the pictures that it would have seen.
    """
    return np.random.default_rng([seed, epoch]).uniform(-1, 1, (rows, DRAWS)).astype(np.float32)


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
