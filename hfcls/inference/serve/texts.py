"""A classifier of texts, served: /predict, /predict_file and /read."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response

from hfcls.errors import InputError
from hfcls.inference.serve import schema
from hfcls.inference.serve.answers import Answers
from hfcls.inference.serve.batching import Row
from hfcls.inference.serve.documentation import body_of
from hfcls.inference.serve.files import add_file_route
from hfcls.inference.serve.reading import Span, read_spans
from hfcls.inference.serve.service import Service
from hfcls.inference.text_classifier import TextClassifier

JSON = "application/json"


@dataclass(frozen=True)
class Answered:
    """Logits (classes,) float32 of one text, and the spans of it that were read if they were asked for."""

    logits: np.ndarray
    spans: list[list[Span]] | None


class TextEngine:
    """A classifier of texts, whatever computes it, as the batcher needs it."""

    def __init__(self, classifier: TextClassifier):
        self.classifier = classifier

    def encode(self, items: Sequence[schema.TextItem]) -> list[Row]:
        texts, pairs = [item.text for item in items], [item.pair for item in items]
        columns = self.classifier.encode(texts, pairs if any(pairs) else None)
        errors = self._cut(items)
        rows = []
        for number, item in enumerate(items):
            inputs = {name: column[number] for name, column in columns.items()}
            spans = read_spans(self.classifier, item.text, item.pair) if item.spans else None
            rows.append(Row((inputs, spans), len(inputs["input_ids"]), errors[number]))
        return rows

    def compute(self, inputs: list[tuple[dict[str, list[int]], list[list[Span]] | None]]) -> list[Answered]:
        columns = {name: [row[name] for row, _ in inputs] for name in inputs[0][0]}
        logits = self.classifier.encoded_logits(columns)
        return [Answered(row, spans) for row, (_, spans) in zip(logits, inputs, strict=True)]

    def _cut(self, items: Sequence[schema.TextItem]) -> list[InputError | None]:
        """An error for each item that is to be read whole, and is not."""
        if not any(item.whole for item in items):
            return [None] * len(items)
        cut = self.classifier.truncated([item.text for item in items], [item.pair for item in items])
        error = InputError("inputs: a text is longer than what the model reads: shorten it, or leave truncate out")
        return [error if item.whole and longer else None for item, longer in zip(items, cut, strict=True)]


def takes_pairs(classifier: TextClassifier) -> bool | None:
    """Whether the model was trained on pairs of texts; None where it does not say."""
    noted = getattr(classifier.config, "long_texts", None)
    return None if noted is None else bool(noted["pairs"])


def add_routes(app: FastAPI, service: Service, classifier: TextClassifier) -> None:
    """Adds the routes of a classifier of texts to `app`."""
    answers, pairs = Answers(classifier), takes_pairs(classifier)

    add_file_route(app, service, answers, pairs)

    @app.post("/predict", openapi_extra=body_of(schema.PredictRequest), response_model=schema.PredictResponse)
    async def predict(request: Request) -> Response:
        """Classifies texts: all labels of each with their scores, the highest first."""
        asked = schema.PredictRequest.parse(await service.body(request, JSON))
        items, single = schema.text_items(asked, pairs)
        answered = await service.answers(request, items)
        found = answers.predictions([one.logits for one in answered], raw=asked.raw_scores)
        return Response(schema.json_bytes(found[0] if single else found), media_type=JSON)

    @app.post("/read", openapi_extra=body_of(schema.ReadRequest), response_model=schema.ReadResponse)
    async def read(request: Request) -> Response:
        """Classifies one text, and says which part of it the model has read."""
        asked = schema.ReadRequest.parse(await service.body(request, JSON))
        if asked.pair and pairs is False:
            raise schema.no_pairs()
        (answered,) = await service.answers(request, [schema.TextItem(asked.text, asked.pair, spans=True)])
        (found,) = answers.predictions([answered.logits])
        spans = answered.spans or [None, None]
        read = {"text": spans[0], "pair": spans[1] if asked.pair else None}
        return Response(schema.json_bytes({"predictions": found, "read": read}), media_type=JSON)
