"""One picture of every kind that people have: modes of PNG, CMYK, and every way that a camera was held."""

from pathlib import Path

import numpy as np
from PIL import Image

MODES = ["1", "L", "LA", "P", "P transparent", "RGB", "RGBA", "I;16", "CMYK"]
ORIENTATIONS = range(1, 9)
KINDS = [*MODES, *(f"orientation {number}" for number in ORIENTATIONS)]


def save_kinds(folder: Path, seed: int) -> dict[str, Path]:
    """Kind → the file that was written; pictures of patches, 24 pixels wide and 32 high."""
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(seed)
    colours = Image.fromarray(random.integers(0, 256, (32 // 4, 24 // 4, 3), dtype=np.uint8))
    colours = colours.resize((24, 32), Image.Resampling.NEAREST)
    alpha = Image.fromarray(random.integers(0, 2, (32, 24), dtype=np.uint8) * 255)
    pictures = {mode: colours.convert(mode) for mode in ("1", "L", "P", "RGB", "CMYK")}
    pictures["LA"], pictures["RGBA"], pictures["P transparent"] = colours.convert("LA"), colours.copy(), pictures["P"]
    for mode in ("LA", "RGBA"):
        pictures[mode].putalpha(alpha)
    # Half of it within 8 bits, which a pipeline keeps; the other half becomes white.
    pictures["I;16"] = Image.fromarray(np.asarray(colours.convert("L")).astype(np.uint16) * 2)
    files = {}
    for number, kind in enumerate(MODES):
        files[kind] = folder / f"{number}.{'jpg' if kind == 'CMYK' else 'png'}"
        options = {"transparency": int(np.asarray(pictures["P"])[0, 0])} if kind == "P transparent" else {}
        pictures[kind].save(files[kind], **options)
    for number in ORIENTATIONS:
        exif = Image.Exif()
        exif[0x0112] = number
        files[f"orientation {number}"] = folder / f"orientation{number}.{'png' if number == 8 else 'jpg'}"
        colours.save(files[f"orientation {number}"], exif=exif)
    return files
