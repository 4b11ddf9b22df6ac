"""Explained pictures as one HTML file that needs nothing beside it."""

import base64
import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from hfcls.inference.explain.pictures import PictureExplanation, patch_side
from hfcls.pages.templates import environment
from hfcls.pages.write import write

FOR, AGAINST = (31, 97, 204), (217, 106, 16)  # blue and orange
SIDE = 448  # pixels of a page for the longer side, as small pictures have few of their own


def write_picture_page(model: str, explained: Sequence[PictureExplanation], path: str | Path) -> Path:
    """Writes the page of explanations, and returns its path.

    Raises:
        InputError: the file cannot be written.
    """
    template = environment(Path(__file__).parent).get_template("pictures.html")
    page = template.render(
        model=Path(model).name,
        explanations=[(one, *map(_data, drawn(one))) for one in explained],
        gap=max(one.gap for one in explained),
    )
    return write(page, path)


def drawn(one: PictureExplanation) -> tuple[Image.Image, Image.Image]:
    """The picture as the model reads it, and the same, grey, with its patches in colour."""
    channels, height, width = one.pixels.shape
    low, high = one.pixels.min(), one.pixels.max()
    values = np.round((one.pixels - low) / max(high - low, 1e-6) * 255).astype(np.uint8)
    plain = Image.fromarray(values[0] if channels == 1 else values.transpose(1, 2, 0)).convert("RGB")
    side = patch_side(height, width)
    weights = np.kron(one.weights / max(np.abs(one.weights).max(), 1e-12), np.ones((side, side)))[:height, :width]
    colours = np.where(weights[..., None] > 0, FOR, AGAINST)
    share = 0.85 * np.abs(weights[..., None])
    marked = (1 - share) * np.asarray(plain.convert("L").convert("RGB")) + share * colours
    return plain, Image.fromarray(np.round(marked).astype(np.uint8))


def _data(picture: Image.Image) -> str:
    """A picture as an address that holds it."""
    scale = max(1, SIDE // max(picture.size))
    large = picture.resize([scale * size for size in picture.size], Image.Resampling.NEAREST)
    return f"data:image/png;base64,{encoded(large)}"


def encoded(picture: Image.Image) -> str:
    """A PNG file in base64."""
    file = io.BytesIO()
    picture.save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode("ascii")
