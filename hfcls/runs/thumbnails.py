"""Small pictures of the rows that a classifier of images gets wrong, kept beside predictions.csv."""

import base64
import io
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image

from hfcls.errors import InputError
from hfcls.runs import predictions

if TYPE_CHECKING:  # torch, transformers and datasets are not needed to read thumbnails
    from hfcls.metrics.one_label import OneLabel

NAME = "mistakes.json"
MARKED = "mistakes_explained.json"
MOST = 48
SIDE = 112  # pixels, at most

_PNG = b"\x89PNG\r\n\x1a\n"


def write_thumbnails(folder: str | Path, images: Sequence[Image.Image], target: "OneLabel") -> None:
    """Writes `mistakes.json`: of the most confident mistakes in predictions.csv, row (from 1) → PNG file in base64.

    `images` are the test rows' pictures in their order.

    Raises:
        InputError: predictions.csv cannot be read.
    """
    answered = predictions.read_predictions(Path(folder) / predictions.NAME, target)
    rows = predictions.surest_mistakes(answered, MOST).tolist()
    pictures = {str(row + 1): thumbnail(images[row]) for row in rows}
    _write(Path(folder) / NAME, pictures)
    (Path(folder) / MARKED).unlink(missing_ok=True)  # of the mistakes before


def write_marked(folder: Path, pictures: dict[int, str]) -> None:
    """Writes `mistakes_explained.json`: as `mistakes.json`, with what spoke for the wrong label in colour."""
    _write(folder / MARKED, {str(row): picture for row, picture in pictures.items()})


def _write(path: Path, pictures: dict[str, str]) -> None:
    path.write_text(json.dumps(pictures, indent=0) + "\n", encoding="ascii")


def read_thumbnails(folder: Path, name: str = NAME) -> dict[int, str]:
    """What `write_thumbnails` wrote, or `write_marked` if `name` is `MARKED`; empty where there is nothing.

    Raises:
        InputError: the file is torn, or holds something else than PNG files.
    """
    path = folder / name
    if not path.exists():
        return {}
    try:
        pictures = {int(row): picture for row, picture in json.loads(path.read_text(encoding="ascii")).items()}
    except (OSError, ValueError, AttributeError) as error:
        raise InputError(f"{path}: no rows with PNG pictures ({error}): evaluate again, or remove it") from error
    check_pngs(path, pictures.values())
    return pictures


def check_pngs(path: Path, pictures: Iterable[str]) -> None:
    """Makes sure that what `path` holds as pictures are PNG files in base64: they go into a page as they are.

    Raises:
        InputError: one is not.
    """
    try:
        if not all(base64.b64decode(picture, validate=True).startswith(_PNG) for picture in pictures):
            raise ValueError("a picture is no PNG")
    except (TypeError, ValueError) as error:  # binascii.Error is a ValueError
        raise InputError(f"{path}: no rows with PNG pictures ({error}): evaluate again, or remove it") from error


def thumbnail(image: Image.Image) -> str:
    """`image` as the model sees it, at most `SIDE` pixels wide and high, as a PNG file in base64."""
    from transformers.image_utils import load_image

    small = load_image(image)
    small.thumbnail((SIDE, SIDE))
    file = io.BytesIO()
    small.save(file, "PNG", optimize=True)
    return base64.b64encode(file.getvalue()).decode("ascii")
