"""explanations.json: which parts of the texts of a run made its model answer as it did."""

from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path

from hfcls.errors import InputError
from hfcls.runs.json_files import from_json, read_json, write_json

NAME = "explanations.json"


@dataclass(frozen=True)
class Mark:
    """Characters `begin` to `end` of a text, and what they added to the logit of a class; less than 0 is against it."""

    begin: int
    end: int
    weight: float


@dataclass(frozen=True)
class Explanation:
    """Why a model gave a text one of its labels.

    Attributes:
        row: of predictions.csv, counted from 1; None for a text from elsewhere.
        text: with a second text, both with a line end between them.
        label: the one that is explained.
        probability: that the model gives it.
        logit: of `label`: the sum of the weights of all `marks`, of `rest`, and of what the method leaves unexplained.
        rest: what the logit would be without the text.
        marks: in the order of the text, without overlap.
        unread: where the characters begin and end that the model does not read because the text is too long.
    """

    row: int | None
    text: str
    label: str
    probability: float
    logit: float
    rest: float
    marks: list[Mark]
    unread: list[int]

    def __post_init__(self):
        ends = [0]
        for mark in self.marks:
            if not ends[-1] <= mark.begin <= mark.end <= len(self.text):
                raise ValueError(f"marks {mark.begin} to {mark.end} in a text of {len(self.text)} characters")
            ends.append(mark.end)
        if len(self.unread) != 2 or not 0 <= self.unread[0] <= self.unread[1] <= len(self.text):
            raise ValueError("an unread part that is not in the text")

    def pieces(self) -> list[tuple[str, float | None, bool]]:
        """The text in pieces: what each says, its weight (None where it has none), and whether the model reads it."""
        marked = {mark.begin: mark for mark in self.marks if mark.begin < mark.end}
        edges = {0, len(self.text), *self.unread} | {
            edge for mark in marked.values() for edge in (mark.begin, mark.end)
        }
        pieces = []
        for begin, end in pairwise(sorted(edges)):
            weight = marked[begin].weight if begin in marked else None
            read = not self.unread[0] <= begin < self.unread[1]
            pieces.append((self.text[begin:end], weight, read))
        return pieces

    @property
    def largest(self) -> float:
        """The largest weight of a mark, in either direction."""
        return max((abs(mark.weight) for mark in self.marks), default=0.0)


@dataclass(frozen=True)
class Strong:
    """N-grams, as text, with what each adds to the logit of `label` in a text of one n-gram, the strongest first."""

    label: str
    ngrams: list[str]
    weights: list[float]


@dataclass(frozen=True)
class Explanations:
    """What explanations.json holds.

    Attributes:
        method: how weights were found, in words.
        gap: the largest share of a logit's change that the marks do not account for; 0 where weights are exact.
        mistakes: the rows that the model was surest of and wrong.
        random: rows drawn at random.
        strong: of each class, for a linear model.
    """

    method: str
    gap: float
    mistakes: list[Explanation]
    random: list[Explanation]
    strong: list[Strong]


def write_explanations(folder: Path, explanations: Explanations) -> None:
    """Writes `explanations.json` into the folder of a run."""
    write_json(folder / NAME, asdict(explanations))


def read_explanations(folder: Path) -> Explanations | None:
    """What `write_explanations` wrote, None where there is nothing.

    Raises:
        InputError: the file is torn or does not fit.
    """
    path = folder / NAME
    if not path.exists():
        return None
    try:
        return from_json(Explanations, read_json(path), f"{path}: ")
    except InputError as error:
        raise InputError(f"{error}, or remove the file") from error
