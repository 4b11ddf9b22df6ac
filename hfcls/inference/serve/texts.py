"""A classifier of texts, served: /predict, /predict_file, /read and /explain."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response

from hfcls.inference.classifier import Classifier
from hfcls.inference.explain.explanation import explain
from hfcls.inference.explain.explanation import method as how
from hfcls.inference.explain.tokens import read_tokens
from hfcls.inference.serve import schema
from hfcls.inference.serve.answers import Answers
from hfcls.inference.serve.batching import Row, TooLong
from hfcls.inference.serve.documentation import body_of
from hfcls.inference.serve.errors import Refused
from hfcls.inference.serve.files import add_file_route
from hfcls.inference.serve.neighbours import Neighbours, add_neighbours
from hfcls.inference.serve.service import Service
from hfcls.inference.text_classifier import TextClassifier
from hfcls.runs.explanations import Explanation

JSON = "application/json"
TOKENS_OF_EXPLANATION = 4096  # what one costs: gradients of some fifty copies of the text
TOKENS_OF_NEIGHBOURS = 512  # the text itself, and a product with all rows
MOST_OF_EXPLANATION = 16_384  # tokens of all copies: all other requests wait for it


Other = schema.ExplainItem | schema.NeighboursItem  # which are computed one by one


@dataclass(frozen=True)
class Answered:
    """Logits (classes,) float32 of one text, and which part of it was not read if that was asked."""

    logits: np.ndarray
    unread: schema.Span | None


@dataclass(frozen=True)
class _Inputs:
    columns: dict[str, list[int]]
    unread: schema.Span | None


class TextEngine:
    """A classifier of texts, whatever computes it, as the batcher needs it."""

    def __init__(self, classifier: TextClassifier, neighbours: Neighbours | None = None):
        self.classifier, self.neighbours = classifier, neighbours

    def encode(self, items: Sequence[schema.TextItem | Other]) -> list[Row]:
        texts = iter(self._encode_texts([item for item in items if isinstance(item, schema.TextItem)]))
        return [next(texts) if isinstance(item, schema.TextItem) else Row(item, _cost(item)) for item in items]

    def compute(self, inputs: Sequence[_Inputs | Other]) -> list[Answered | tuple[Explanation, float] | list[dict]]:
        texts = iter(self._compute_texts([one for one in inputs if isinstance(one, _Inputs)]))
        return [next(texts) if isinstance(one, _Inputs) else self._compute_other(one) for one in inputs]

    def _compute_other(self, item: Other) -> tuple[Explanation, float] | list[dict]:
        if isinstance(item, schema.NeighboursItem):
            return self.neighbours.nearest(item.text, item.count)
        return self._explain(item)

    def _explain(self, item: schema.ExplainItem) -> tuple[Explanation, float]:
        pair = item.pair or None
        return explain(self.classifier, item.text, pair, item.label, most_tokens=MOST_OF_EXPLANATION)

    def _encode_texts(self, items: Sequence[schema.TextItem]) -> list[Row]:
        if not items:
            return []
        texts, pairs = [item.text for item in items], [item.pair for item in items]
        columns = self.classifier.encode(texts, pairs if any(pairs) else None)
        errors = self._cut(items)
        rows = []
        for number, item in enumerate(items):
            own = {name: column[number] for name, column in columns.items()}
            unread = read_tokens(self.classifier, item.text, item.pair or None).unread if item.located else None
            rows.append(Row(_Inputs(own, unread), len(own["input_ids"]), errors[number]))
        return rows

    def _compute_texts(self, inputs: Sequence[_Inputs]) -> list[Answered]:
        if not inputs:
            return []
        columns = {name: [one.columns[name] for one in inputs] for name in inputs[0].columns}
        logits = self.classifier.encoded_logits(columns)
        return [Answered(row, one.unread) for row, one in zip(logits, inputs, strict=True)]

    def _cut(self, items: Sequence[schema.TextItem]) -> list[TooLong | None]:
        """An error for each item that is to be read whole, and is not."""
        if not any(item.whole for item in items):
            return [None] * len(items)
        cut = self.classifier.truncated([item.text for item in items], [item.pair for item in items])
        error = TooLong("inputs: a text is longer than what the model reads: shorten it, or leave truncate out")
        return [error if item.whole and longer else None for item, longer in zip(items, cut, strict=True)]


def _cost(item: Other) -> int:
    """In tokens of a batch."""
    return TOKENS_OF_NEIGHBOURS if isinstance(item, schema.NeighboursItem) else TOKENS_OF_EXPLANATION


def takes_pairs(classifier: TextClassifier) -> bool | None:
    """Whether the model was trained on pairs of texts; None where it does not say."""
    noted = getattr(classifier.config, "long_texts", None)
    return None if noted is None else bool(noted["pairs"])


def add_routes(
    app: FastAPI, service: Service, classifier: TextClassifier, neighbours: Neighbours | None = None
) -> None:
    """Adds the routes of a classifier of texts to `app`; /neighbours where there are some."""
    answers = Answers(classifier.config, classifier.labels, classifier.thresholds)
    pairs = takes_pairs(classifier)

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
        (answered,) = await service.answers(request, [schema.TextItem(asked.text, asked.pair, located=True)])
        (found,) = answers.predictions([answered.logits])
        return Response(schema.json_bytes({"predictions": found, "unread": answered.unread}), media_type=JSON)

    if neighbours is not None:
        add_neighbours(app, service)
    if isinstance(classifier, Classifier):
        _add_explain(app, service, classifier, pairs)


def _add_explain(app: FastAPI, service: Service, classifier: Classifier, pairs: bool | None) -> None:
    labels, method = classifier.labels, how(classifier)

    @app.post("/explain", openapi_extra=body_of(schema.ExplainRequest), response_model=schema.ExplainResponse)
    async def explain_text(request: Request) -> Response:
        """Says which characters of a text speak for a label, and which against it."""
        asked = schema.ExplainRequest.parse(await service.body(request, JSON))
        if asked.pair and pairs is False:
            raise schema.no_pairs()
        if asked.label is not None and asked.label not in labels:
            raise Refused(422, "label: the model has no such label; /info lists them")
        ((found, gap),) = await service.answers(request, [schema.ExplainItem(asked.text, asked.pair, asked.label)])
        said = {name: value for name, value in asdict(found).items() if name not in ("row", "text")}
        return Response(schema.json_bytes(said | {"gap": gap, "method": method}), media_type=JSON)
