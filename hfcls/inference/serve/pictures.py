"""A classifier of pictures, served: /predict takes the file itself, or JSON with base64."""

import asyncio
import base64
import binascii
import io
import struct
import zlib
from collections.abc import Sequence

import numpy as np
import torch
from fastapi import FastAPI
from PIL import Image, UnidentifiedImageError
from starlette.requests import Request
from starlette.responses import Response
from transformers import BaseImageProcessor, PreTrainedModel
from transformers.image_utils import load_image

from hfcls.inference.serve import schema
from hfcls.inference.serve.answers import Answers
from hfcls.inference.serve.batching import Row
from hfcls.inference.serve.documentation import body_of
from hfcls.inference.serve.errors import Refused
from hfcls.inference.serve.service import Service

JSON = "application/json"
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF")
MEDIA_TYPES = tuple(f"image/{name.lower()}" for name in FORMATS)
PIXELS = 50_000_000  # a file of kilobytes may unfold to gigabytes
BYTES = 20_000_000
TOKENS = 64  # of the budget of a batch, for each picture
UNREADABLE = (OSError, SyntaxError, ValueError, EOFError, struct.error, zlib.error, Image.DecompressionBombError)


class PictureEngine:
    """A classifier of pictures as the batcher needs it; its items are pixels (C, H, W)."""

    def __init__(self, model: PreTrainedModel):
        self.model = model

    def encode(self, items: Sequence[torch.Tensor]) -> list[Row]:
        return [Row(pixels, TOKENS) for pixels in items]

    def compute(self, inputs: Sequence[torch.Tensor]) -> np.ndarray:
        """Logits (pictures, classes) float32. Pictures of one size are computed together."""
        logits = np.empty((len(inputs), self.model.config.num_labels), dtype=np.float32)
        sizes = [tuple(pixels.shape) for pixels in inputs]
        with torch.inference_mode():
            for size in dict.fromkeys(sizes):
                rows = [row for row, own in enumerate(sizes) if own == size]
                batch = torch.stack([inputs[row] for row in rows]).to(self.model.device)
                logits[rows] = self.model(pixel_values=batch).logits.float().cpu().numpy()
        return logits


def add_routes(app: FastAPI, service: Service, model: PreTrainedModel, processor: BaseImageProcessor) -> None:
    """Adds the route of a classifier of pictures to `app`."""
    answers = Answers(model.config, labels_of(model))
    content = {media_type: {"schema": {"type": "string", "format": "binary"}} for media_type in MEDIA_TYPES}

    @app.post(
        "/predict", openapi_extra=body_of(schema.PictureRequest, **content), response_model=schema.PredictResponse
    )
    async def predict(request: Request) -> Response:
        """Classifies pictures: all labels of each with their scores, the highest first."""
        files, single, raw = await pictures_of(service, request)
        pixels = [await asyncio.to_thread(pixels_of, file, processor) for file in files]
        found = answers.predictions(await service.answers(request, pixels), raw=raw)
        return Response(schema.json_bytes(found[0] if single else found), media_type=JSON)


def labels_of(model: PreTrainedModel) -> list[str]:
    """Names of the classes, by their number."""
    return [str(model.config.id2label[number]) for number in range(model.config.num_labels)]


async def pictures_of(service: Service, request: Request) -> tuple[list[bytes], bool, bool]:
    """The files in a request, whether it is one alone, and whether logits are asked for.

    Raises:
        Refused: as `Service.body`; 422, it is no base64, or there is none.
    """
    body = await service.body(request, JSON, *MEDIA_TYPES, limit=BYTES)
    if request.headers["content-type"].partition(";")[0].strip().lower() != JSON:
        return [body], True, False
    asked = schema.PictureRequest.parse(body)
    single = isinstance(asked.inputs, str)
    inputs = [asked.inputs] if single else asked.inputs
    if not inputs:
        raise Refused(422, "inputs: an empty list; give a picture in base64, or a list of them", "Empty")
    if len(inputs) > service.limits.inputs:
        raise Refused(413, f"inputs: {len(inputs)} of them, at most {service.limits.inputs} in one request")
    try:
        return [base64.b64decode(text.rpartition(",")[2], validate=True) for text in inputs], single, asked.raw_scores
    except (binascii.Error, ValueError):
        raise Refused(422, "inputs: no base64") from None


def pixels_of(file: bytes, processor: BaseImageProcessor) -> torch.Tensor:
    """The picture in a file as the model reads it, (C, H, W): upright and in RGB, as a pipeline of transformers has it.

    Raises:
        Refused: 422, it is no picture; 413, it has too many pixels.
    """
    try:
        with Image.open(io.BytesIO(file), formats=FORMATS) as image:
            if image.width * image.height > PIXELS:
                raise Refused(413, f"a picture of {image.width} × {image.height} pixels; at most {PIXELS:,}")
            picture = load_image(image)
    except UnidentifiedImageError:
        raise Refused(422, f"no picture; send {', '.join(FORMATS)}") from None
    except UNREADABLE as error:
        raise Refused(422, f"the picture cannot be read: {type(error).__name__}") from None
    return processor(images=[picture], return_tensors="pt")["pixel_values"][0]
