"""A Chinese-CLIP, served: /embed texts and pictures, /search a folder of pictures."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from torch.nn.functional import normalize
from tqdm import tqdm
from transformers import ChineseCLIPModel, ChineseCLIPProcessor

from hfcls.data.picture_folders import PICTURES
from hfcls.errors import InputError
from hfcls.inference.serve import schema
from hfcls.inference.serve.batching import Row
from hfcls.inference.serve.documentation import body_of
from hfcls.inference.serve.errors import Refused
from hfcls.inference.serve.pictures import BYTES, JSON, MEDIA_TYPES, TOKENS, pixels_of
from hfcls.inference.serve.service import Service

BATCH = 64  # pictures of the folder that are embedded together


class RetrievalEngine:
    """Both towers as the batcher needs them: items are texts, and pixels (C, H, W); answers are vectors of length 1."""

    def __init__(self, model: ChineseCLIPModel, processor: ChineseCLIPProcessor):
        self.model, self.processor = model, processor

    def encode(self, items: Sequence[str | torch.Tensor]) -> list[Row]:
        texts = [item for item in items if isinstance(item, str)]
        ids = iter(self.processor.tokenizer(texts, truncation=True, verbose=False)["input_ids"] if texts else [])
        rows = []
        for item in items:
            own = next(ids) if isinstance(item, str) else item
            rows.append(Row(own, len(own) if isinstance(item, str) else TOKENS))
        return rows

    def compute(self, inputs: Sequence[list[int] | torch.Tensor]) -> np.ndarray:
        """(items, dimensions) float32."""
        vectors = np.empty((len(inputs), self.model.config.projection_dim), dtype=np.float32)
        are_texts = np.array([isinstance(one, list) for one in inputs])
        for kind, embed in ((True, self._texts), (False, self._pictures)):
            rows = np.flatnonzero(are_texts == kind)
            if len(rows):
                with torch.inference_mode():
                    found = normalize(embed([inputs[row] for row in rows]), dim=-1)
                vectors[rows] = found.float().cpu().numpy()
        return vectors

    def _texts(self, ids: list[list[int]]) -> torch.Tensor:
        batch = self.processor.tokenizer.pad({"input_ids": ids}, return_tensors="pt").to(self.model.device)
        return self.model.get_text_features(**batch).pooler_output

    def _pictures(self, pixels: list[torch.Tensor]) -> torch.Tensor:
        return self.model.get_image_features(pixel_values=torch.stack(pixels).to(self.model.device)).pooler_output


class Gallery:
    """The pictures of a folder and of those in it, by their embeddings.

    Args:
        folder: holds pictures.
        engine: embeds them, now.

    Raises:
        InputError: there is no such folder, no picture in it, or one that cannot be read.
    """

    def __init__(self, folder: str, engine: RetrievalEngine):
        root = Path(folder)
        self.paths = sorted(path for path in root.rglob("*") if path.suffix.lower() in PICTURES and path.is_file())
        if not self.paths:
            raise InputError(f"--pictures {folder}: no pictures ({', '.join(PICTURES)}) in it; name a folder of them")
        self.names = [path.relative_to(root).as_posix() for path in self.paths]
        parts = []
        for start in tqdm(range(0, len(self.paths), BATCH), desc="embedding pictures", unit="batch", disable=None):
            pixels = [self._pixels(path, engine) for path in self.paths[start : start + BATCH]]
            parts.append(engine.compute(pixels))
        self._vectors = np.concatenate(parts)

    def search(self, query: np.ndarray, top_k: int) -> list[tuple[int, float]]:
        """Numbers and similarities of the `top_k` pictures nearest to a vector, the nearest first."""
        similarities = self._vectors @ query
        order = np.argsort(-similarities, kind="stable")[:top_k].tolist()
        return [(number, float(f"{similarities[number]:.9g}")) for number in order]

    @staticmethod
    def _pixels(path: Path, engine: RetrievalEngine) -> torch.Tensor:
        try:
            return pixels_of(path.read_bytes(), engine.processor.image_processor)
        except (OSError, Refused) as error:
            raise InputError(f"--pictures: {path}: {error}; replace or remove it") from error


def add_routes(app: FastAPI, service: Service, engine: RetrievalEngine, gallery: Gallery | None) -> None:
    """Adds /embed, and with a `gallery` /search and its pictures, to `app`."""
    files = {media_type: {"schema": {"type": "string", "format": "binary"}} for media_type in MEDIA_TYPES}

    @app.post("/embed", openapi_extra=body_of(schema.EmbedRequest, **files), response_model=list[list[float]])
    async def embed(request: Request) -> Response:
        """Vectors of length 1 of texts, or of the picture in the body."""
        vectors = np.stack(await service.answers(request, await _items(service, request, schema.EmbedRequest, engine)))
        return Response(schema.json_bytes([[float(f"{x:.9g}") for x in vector] for vector in vectors]), media_type=JSON)

    if gallery is not None:
        _add_search(app, service, engine, gallery, files)


def _add_search(app: FastAPI, service: Service, engine: RetrievalEngine, gallery: Gallery, files: dict) -> None:
    @app.post("/search", openapi_extra=body_of(schema.SearchRequest, **files), response_model=list[schema.Found])
    async def search(request: Request, top_k: int = 12) -> Response:
        """The pictures nearest to a text, or to the picture in the body, the nearest first."""
        if not 1 <= top_k <= 1000:
            raise Refused(422, "top_k: give a number from 1 to 1000", unread=True)
        (vector,) = await service.answers(request, await _items(service, request, schema.SearchRequest, engine))
        found = [
            {"index": number, "picture": gallery.names[number], "score": similarity}
            for number, similarity in gallery.search(vector, top_k)
        ]
        return Response(schema.json_bytes(found), media_type=JSON)

    @app.get("/pictures/{index}", response_class=FileResponse)
    async def picture(index: int) -> Response:
        """A picture of the folder, by the `index` that /search gives."""
        if not 0 <= index < len(gallery.paths):
            raise Refused(404, f"index: the folder has the pictures 0 to {len(gallery.paths) - 1}")
        return FileResponse(gallery.paths[index])


async def _items(
    service: Service, request: Request, model: type[schema.EmbedRequest | schema.SearchRequest], engine: RetrievalEngine
) -> list[str | torch.Tensor]:
    """The texts of a JSON body, or the pixels of the picture that the body is."""
    body = await service.body(request, JSON, *MEDIA_TYPES, limit=BYTES)
    if request.headers["content-type"].partition(";")[0].strip().lower() != JSON:
        return [await asyncio.to_thread(pixels_of, body, engine.processor.image_processor)]
    return model.parse(body).texts()
