"""What clients send and get: the requests and answers of Hugging Face's text-embeddings-inference, checked."""

import json
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

import annotated_types
import numpy as np
from pydantic import BaseModel, ConfigDict, Field, RootModel, ValidationError

from hfcls.inference.serve.errors import Refused
from hfcls.terminal import shortened


class _Request(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)
    expected: ClassVar[str] = "give a text, a pair [text, text], or a batch [[text], …]"

    @classmethod
    def parse(cls, body: bytes):
        """The request in a body.

        Raises:
            Refused: 422, with what is wrong in one line; nothing of the texts is repeated in it.
        """
        try:
            return cls.model_validate_json(body)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False, include_context=False)[0]
            field = shortened(str(first["loc"][0]), 60) if first["loc"] else "the body"
            of_inputs = field == "inputs" and first["type"] != "missing"
            what = cls.expected if of_inputs else first["msg"]
            raise Refused(422, f"{field}: {what}") from None


class PredictRequest(_Request):
    inputs: str | list[str] | list[Annotated[list[str], annotated_types.Len(1, 2)]] = Field(
        description="A text; a pair of texts [text, text]; or a batch of both [[text], [text, text], …]. Where the "
        "model takes no pairs, a list of texts is a batch, too.",
        examples=["What is Deep Learning?", [["a text"], ["another one"]]],
    )
    raw_scores: bool = Field(False, description="Logits in place of probabilities.")
    truncate: bool | None = Field(
        None,
        description="null and true: of a long text the model reads what it was trained on. false: such a text is "
        "refused (413).",
    )


class PictureRequest(_Request):
    expected = "give a picture in base64, or a list of them"
    inputs: str | list[str] = Field(description="A picture in base64, or a list of them.")
    raw_scores: bool = Field(False, description="Logits in place of probabilities.")


class EmbedRequest(_Request):
    expected = "give a text, or a list of them"
    inputs: str | list[str] = Field(description="A text, or a list of them.")

    def texts(self) -> list[str]:
        if not self.inputs:
            raise Refused(422, "inputs: empty; give a text, or a list of them", "Empty")
        return [self.inputs] if isinstance(self.inputs, str) else self.inputs


class SearchRequest(_Request):
    query: str

    def texts(self) -> list[str]:
        return [self.query]


class Found(BaseModel):
    index: int = Field(description="For /pictures/{index}.")
    picture: str = Field(description="Its path in the folder.")
    score: float = Field(description="The cosine of both vectors.")


class ReadRequest(_Request):
    text: str
    pair: str = Field("", description="The second text, for a model that takes pairs.")


class ExplainRequest(ReadRequest):
    label: str | None = Field(None, description="The label to explain: the most probable one if none is given.")


class NeighboursRequest(_Request):
    text: str
    count: int = Field(5, ge=1, le=100, description="How many of them.")


class Neighbour(BaseModel):
    row: int = Field(description="Its number in the file, from 0.")
    text: str = Field(description="Its first 500 characters.")
    label: str = Field(description="As the file has it.")
    similarity: float = Field(description="The cosine of what the model makes of both texts before it decides.")


class Prediction(BaseModel):
    score: float = Field(examples=[0.97])
    label: str = Field(examples=["体育"])
    predicted: bool | None = Field(
        None, description="Whether the label applies: in answers of models of several labels a text."
    )


class PredictResponse(RootModel):
    root: list[Prediction] | list[list[Prediction]]


Span = tuple[int, int]
OF_BOTH = "in characters of the text, with a second text in those of both with a line end between them"


class ReadResponse(BaseModel):
    predictions: list[Prediction]
    unread: Span = Field(description=f"Start and end of the part that was cut away, {OF_BOTH}; [0, 0] for none.")


class Mark(BaseModel):
    begin: int
    end: int
    weight: float = Field(description="What these characters add to the logit of the label.")


class ExplainResponse(BaseModel):
    label: str
    probability: float
    logit: float
    rest: float = Field(description="What the logit would be without the text.")
    gap: float = Field(description="The share of the change of the logit that the marks do not account for.")
    method: str
    marks: list[Mark] = Field(description=f"In their order, {OF_BOTH}.")
    unread: Span


class ErrorResponse(BaseModel):
    error: str
    error_type: str = Field(examples=["Validation", "Empty", "Overloaded", "Backend", "Unauthorized"])


@dataclass(frozen=True)
class TextItem:
    """A text to classify, with the second one of a pair.

    Attributes:
        whole: refuses it if the model would read only a part.
        located: says which part the model does not read.
    """

    text: str
    pair: str = ""
    whole: bool = False
    located: bool = False


@dataclass(frozen=True)
class ExplainItem:
    """A text, maybe with a second one, of which a label is to be explained: the most probable one if None."""

    text: str
    pair: str
    label: str | None


@dataclass(frozen=True)
class NeighboursItem:
    """A text of which the nearest rows are wanted."""

    text: str
    count: int


def text_items(request: PredictRequest, takes_pairs: bool | None) -> tuple[list[TextItem], bool]:
    """What is to be classified, and whether the answer is that of one input and not a list of answers.

    Args:
        takes_pairs: whether the model was trained on pairs; None where it does not say.

    Raises:
        Refused: 422, there is nothing, or a pair for a model that takes none.
    """
    inputs, whole = request.inputs, request.truncate is False
    if isinstance(inputs, str):
        return [TextItem(inputs, whole=whole)], True
    if not inputs:
        raise Refused(422, "inputs: an empty list; give a text, or a list of them", "Empty")
    if isinstance(inputs[0], str):
        if takes_pairs is False:
            return [TextItem(text, whole=whole) for text in inputs], False
        if len(inputs) > 2:
            raise Refused(
                422, f"inputs: {len(inputs)} texts are no pair; write a batch as [[text], [text], …]", "Validation"
            )
        return [TextItem(*inputs, whole=whole)], True
    if takes_pairs is False and any(len(texts) == 2 for texts in inputs):
        raise no_pairs()
    return [TextItem(*texts, whole=whole) for texts in inputs], False


def no_pairs() -> Refused:
    return Refused(422, "a pair of texts, and the model was trained on single ones")


def predictions(scores: np.ndarray, applies: np.ndarray | None, labels: list[str]) -> list[dict[str, Any]]:
    """All labels of one input with their scores (classes,), the highest first; none where scores are not finite.

    Args:
        applies: (classes,) whether each label does; None where one class is chosen.
    """
    if not np.isfinite(scores).all():
        return []
    order = np.argsort(-scores, kind="stable").tolist()
    found = [{"score": float(f"{scores[place]:.9g}"), "label": labels[place]} for place in order]
    if applies is not None:
        for one, place in zip(found, order, strict=True):
            one["predicted"] = bool(applies[place])
    return found


def json_bytes(value: Any) -> bytes:
    """`value` as JSON in UTF-8. A label may hold half a surrogate pair, which only an escape can write."""
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode("utf-8")
    except UnicodeEncodeError:
        return json.dumps(value, allow_nan=False, separators=(",", ":")).encode("utf-8")
