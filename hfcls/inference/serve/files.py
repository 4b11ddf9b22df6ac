"""A file of texts over HTTP: it comes in by pieces, is looked through, and goes back classified, piece by piece.

The answer begins when the file is there and every row of it can be read. To answer while it comes would let clients
wait for each other that send all before they take anything, as most do; and what is wrong with its last row would be
found when half of the answer is out.
"""

import asyncio
import csv
import io
import math
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from hfcls.errors import InputError
from hfcls.inference.prediction import added_columns, answer_cells
from hfcls.inference.serve.answers import Answers
from hfcls.inference.serve.errors import Refused
from hfcls.inference.serve.schema import TextItem, json_bytes, no_pairs
from hfcls.inference.serve.service import Service, check_media_type
from hfcls.inference.text_classifier import answer
from hfcls.inference.text_files import TextFile

# What a client may send, and how it is called on disk: by its name its format is known.
FORMATS = {
    "text/csv": "file.csv",
    "text/tab-separated-values": "file.tsv",
    "text/plain": "file.txt",
    "application/jsonl": "file.jsonl",
    "application/x-ndjson": "file.jsonl",
    "application/x-jsonlines": "file.jsonl",
}
FILES = 16  # at once, each with one window in the queue
UPLOAD_SECONDS = 120.0


def add_file_route(app: FastAPI, service: Service, answers: Answers, takes_pairs: bool | None) -> None:
    """Adds /predict_file to `app`."""
    slots = asyncio.Semaphore(FILES)
    content = {media_type: {"schema": {"type": "string", "format": "binary"}} for media_type in FORMATS}

    @app.post(
        "/predict_file", openapi_extra={"requestBody": {"required": True, "content": content}}, response_class=Response
    )
    async def predict_file(
        request: Request,
        text_column: str = "text",
        text_pair_column: str | None = None,
        all_probabilities: bool = False,
        encoding: str | None = None,
    ) -> Response:
        """Classifies every row of a file: CSV and TSV with their columns kept, JSON Lines, or a text a line.

        The answer is CSV, or JSON Lines if the file is: its rows in their order, with a prediction and its probability.
        """
        media_type = check_media_type(request, tuple(FORMATS))
        if text_pair_column is not None and takes_pairs is False:
            raise no_pairs()
        if slots.locked():
            later = {"retry-after": "5"}
            raise Refused(429, f"{FILES} files are at work: try again later", "Overloaded", headers=later, unread=True)
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(slots)
            folder = stack.enter_context(TemporaryDirectory(prefix="hfcls-"))
            path = Path(folder, FORMATS[media_type])
            await _save(service, request, path)
            try:
                columns = (text_column, text_pair_column, encoding)
                texts = await asyncio.to_thread(_checked_file, path, *columns)
                added = added_columns(texts, answers.labels, all_probabilities)
            except InputError as error:
                raise Refused(422, str(error).replace(f"{folder}/", "")) from None
            as_json = path.suffix == ".jsonl"
            rows = _json_lines if as_json else _csv_lines
            return _Classified(
                rows(service, answers, texts, added, all_probabilities),
                stack.pop_all(),
                "application/jsonl" if as_json else "text/csv; charset=utf-8",
            )


class _Classified(StreamingResponse):
    """A stream of rows, and what has to be put away after it."""

    def __init__(self, rows: AsyncIterator[bytes], stack: AsyncExitStack, media_type: str):
        super().__init__(rows, media_type=media_type)
        self._stack = stack

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with self._stack:
            await super().__call__(scope, receive, send)


async def _save(service: Service, request: Request, path: Path) -> None:
    with path.open("wb") as file:
        async for chunk in service.chunks(request, service.limits.file, UPLOAD_SECONDS):
            await asyncio.to_thread(file.write, chunk)


def _checked_file(path: Path, text_column: str, pair_column: str | None, encoding: str | None) -> TextFile:
    """The file, of which every row has been read once.

    Raises:
        InputError: a row cannot be read.
    """
    for _ in TextFile(str(path), text_column, pair_column, encoding):
        pass
    return TextFile(str(path), text_column, pair_column, encoding)


async def _windows(
    service: Service, answers: Answers, texts: TextFile
) -> AsyncIterator[tuple[list[list[str]], np.ndarray]]:
    """Rows of the file and their probabilities (rows, classes), as many at a time as one request may have."""
    rows = iter(texts)
    while window := await asyncio.to_thread(lambda: list(islice(rows, service.limits.inputs))):
        items = [TextItem(row[texts.text], "" if texts.pair is None else row[texts.pair]) for row in window]
        # A file waits for its turn, it is not refused in its middle.
        answered = await service.batcher.submit(items, bounded=False)
        yield window, answers.probabilities([one.logits for one in answered])


async def _csv_lines(
    service: Service, answers: Answers, texts: TextFile, added: list[str], every: bool
) -> AsyncIterator[bytes]:
    yield _csv([[*texts.columns, *added]])
    async for window, probabilities in _windows(service, answers, texts):
        cells = (answer_cells(row, answers.labels, answers.thresholds, every) for row in probabilities)
        yield _csv([*row, *added_cells] for row, added_cells in zip(window, cells, strict=True))


async def _json_lines(
    service: Service, answers: Answers, texts: TextFile, added: list[str], every: bool
) -> AsyncIterator[bytes]:
    async for window, probabilities in _windows(service, answers, texts):
        lines = []
        for row, scores in zip(window, probabilities, strict=True):
            line = dict(zip(texts.columns, row, strict=True)) | _prediction(scores, answers)
            if every:
                found = [None if math.isnan(score) else float(f"{score:.9g}") for score in scores.tolist()]
                line["probabilities"] = dict(zip(answers.labels, found, strict=True))
            lines.append(json_bytes(line))
        yield b"\n".join([*lines, b""])


def _prediction(scores: np.ndarray, answers: Answers) -> dict:
    """The prediction of one text and its probability; lists where a text has several labels."""
    found = answer(scores, answers.labels, answers.thresholds).labels
    labels, probabilities = list(found), [float(f"{probability:.9g}") for probability in found.values()]
    if answers.thresholds is None:
        labels, probabilities = next(iter(labels), None), next(iter(probabilities), None)
    return {"prediction": labels, "probability": probabilities}


def _csv(records) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text).writerows(records)
    return text.getvalue().encode("utf-8")
