"""Reading pictures that may be torn, as what a pipeline of transformers makes of them: upright, 8-bit RGB."""

import struct
import zlib
from pathlib import Path
from typing import BinaryIO

from PIL import Image, UnidentifiedImageError
from transformers.image_utils import load_image

from hfcls.data.files import regular
from hfcls.errors import InputError

# What Pillow raises for files that are torn or worse.
UNREADABLE = (OSError, SyntaxError, ValueError, EOFError, struct.error, zlib.error, Image.DecompressionBombError)


def decode(file: Path | BinaryIO, where: str) -> Image.Image:
    """The picture in `file` as a pipeline sees it; `where` begins the message if there is none.

    Raises:
        InputError: it cannot be read to its end.
    """
    try:
        with Image.open(regular(file) if isinstance(file, Path) else file) as image:
            return load_image(image)
    except UNREADABLE as error:
        raise unreadable(where, error) from error


def check(file: BinaryIO, where: str) -> Image.Image:
    """Reads a picture to its end, and its checksums where there are some; a JPEG at an eighth of its size.

    Raises:
        InputError: it is none, or torn.
    """
    try:
        Image.open(file).verify()
        file.seek(0)
        image = Image.open(file)
        image.draft(None, (1, 1))
        image.load()
    except UNREADABLE as error:
        raise unreadable(where, error) from error
    return image


def unreadable(where: str, error: Exception) -> InputError:
    """`where`, and in one line what is wrong and what to do."""
    reason = (
        "no format that Pillow knows" if isinstance(error, UnidentifiedImageError) else " ".join(str(error).split())
    )
    return InputError(f"{where} cannot be read ({reason or type(error).__name__:.120}); replace or remove it")
