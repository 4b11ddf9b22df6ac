"""From a picture to what an exported model sees; needs Pillow and numpy."""

import numpy as np
from PIL import Image, ImageOps


def pixel_values(picture, prepared):
    """(C, H, W) float32 of a file or a Pillow image, as `prepared`, of labels.json, says."""
    image = picture if isinstance(picture, Image.Image) else Image.open(picture)
    image = ImageOps.exif_transpose(image).convert("RGB")
    if prepared["grey"]:
        image = image.convert("L")
    width, height = image.size
    if prepared["shortest_edge"]:
        shortest = min(width, height)
        width, height = (
            prepared["shortest_edge"] if side == shortest else int(prepared["shortest_edge"] * side / shortest)
            for side in (width, height)
        )
    elif prepared["size"]:
        height, width = prepared["size"]
    if image.size != (width, height):
        image = image.resize((width, height), prepared["resample"])
    if prepared["crop"]:
        tall, wide = prepared["crop"]
        top, left = (height - tall) // 2, (width - wide) // 2
        image = image.crop((left, top, left + wide, top + tall))
    array = np.asarray(image, dtype=np.float32)
    array = array[..., np.newaxis] if array.ndim == 2 else array
    array = array * np.float32(prepared["scale"]) - np.float32(prepared["shift"])
    return np.ascontiguousarray(array.transpose(2, 0, 1))
