"""From pictures to pixels, against the processor of transformers."""

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import ChineseCLIPImageProcessorPil

from hfcls.retrieval.rows import Pixels, pixel_values

GEOMETRIES = {
    "squares": {"size": {"height": 48, "width": 48}, "do_center_crop": False},
    "oblongs": {"size": {"height": 32, "width": 56}, "do_center_crop": False, "resample": 2, "image_std": [1, 0.5, 2]},
    "cropped": {"size": {"shortest_edge": 40}, "crop_size": {"height": 32, "width": 32}},
}


@pytest.mark.parametrize("name", GEOMETRIES)
def test_pixels_are_the_processors(name):
    processor = ChineseCLIPImageProcessorPil(**GEOMETRIES[name])
    random = np.random.default_rng(0)
    pictures = [
        Image.fromarray(random.integers(0, 256, (height, width, 3), dtype=np.uint8))
        for height, width in ((28, 56), (100, 90), (48, 48))
    ]
    make = pixel_values(processor)
    assert isinstance(make, Pixels) == (name != "cropped")
    expected = torch.stack([processor(picture, return_tensors="pt")["pixel_values"][0] for picture in pictures])
    torch.testing.assert_close(make(pictures), expected, rtol=0, atol=1e-5)
