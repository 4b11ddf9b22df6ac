"""examples.json: queries of a retrieval run and the pictures that were found for them."""

from dataclasses import asdict, dataclass
from pathlib import Path

from hfcls.runs.json_files import from_json, read_json, write_json
from hfcls.runs.thumbnails import check_pngs

NAME = "examples.json"


@dataclass(frozen=True)
class Picture:
    """A picture that was found: whether it is `right` (None where the answer is not known), and a small PNG file of it
    in base64.
    """

    id: int
    right: bool | None
    png: str


@dataclass(frozen=True)
class Query:
    """A text and its best `pictures`, the best first; `kind` is "random", or "failed" where the first is wrong."""

    kind: str
    text_id: int
    text: str
    pictures: list[Picture]


@dataclass(frozen=True)
class _Examples:
    queries: list[Query]


def write_examples(folder: Path, queries: list[Query]) -> None:
    """Writes `queries` as `examples.json` into `folder`."""
    write_json(folder / NAME, asdict(_Examples(queries)))


def read_examples(folder: Path) -> list[Query]:
    """Reads the examples.json in `folder`.

    Raises:
        InputError: the file is missing, torn, or holds pictures that are no PNG files.
    """
    path = folder / NAME
    queries = from_json(_Examples, read_json(path), f"{path}: ").queries
    check_pngs(path, [picture.png for query in queries for picture in query.pictures])
    return queries
