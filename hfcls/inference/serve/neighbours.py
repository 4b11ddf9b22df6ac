"""The rows of a file that are nearest to a text, by the vectors that the served model itself makes of them."""

from collections.abc import Iterator
from itertools import islice

import numpy as np
from fastapi import FastAPI
from scipy.sparse import vstack
from starlette.requests import Request
from starlette.responses import Response
from tqdm import tqdm

from hfcls.data.split_files import find_files
from hfcls.data.table_files import cell_text, text_cell
from hfcls.data.table_rows import open_pieces
from hfcls.errors import InputError
from hfcls.inference.classifier import Classifier
from hfcls.inference.pooled_states import PooledStates, Vectors, similarities, size_in_memory
from hfcls.inference.serve import schema
from hfcls.inference.serve.documentation import body_of
from hfcls.inference.serve.service import Service
from hfcls.terminal import print_lines

JSON = "application/json"
MOST_ROWS = 100_000
PIECE = 4096  # rows that are sorted by length together
SHOWN = 500  # characters of a row that are kept, to be shown


class Neighbours:
    """The rows of a table with texts and labels, embedded now; of a folder of splits those of train.

    Args:
        path: a file in any format that training reads, or a folder.
        text_column, label_column: of it; a label is what its cell says.
        classifier: embeds them. One of single texts.

    Attributes:
        labels: a row each.
        texts: their beginnings.

    Raises:
        InputError: the file cannot be read, has no such column or more than `MOST_ROWS` rows, or the model has no
            vectors of texts.
    """

    def __init__(self, path: str, text_column: str, label_column: str, classifier: Classifier):
        self._states, self._classifier = PooledStates(classifier), classifier
        rows = list(islice(_rows(path, text_column, label_column), MOST_ROWS + 1))
        if not rows:
            raise InputError(f"--neighbours {path}: no rows in it; name a table of texts and labels")
        if len(rows) > MOST_ROWS:
            raise InputError(f"--neighbours {path}: more than {MOST_ROWS:,} rows; name a table of some of them")
        texts = [text for text, _ in rows]
        self._vectors = self._embedded(texts)
        self.texts, self.labels = [text[:SHOWN] for text in texts], [label for _, label in rows]
        size = size_in_memory(self._vectors) / 1e6
        print_lines(f"neighbours: {len(rows):,} texts of {path}, each {self._states.what}, {size:,.1f} MB in memory")

    def __len__(self) -> int:
        return len(self.texts)

    def nearest(self, text: str, count: int) -> list[dict]:
        """The `count` rows nearest to a text, as `schema.Neighbour`, the nearest first."""
        found = similarities(self._vectors, self._states.of(self._classifier.encode([text])))
        order = np.argsort(-found, kind="stable")[:count].tolist()
        return [
            {"row": row, "text": self.texts[row], "label": self.labels[row], "similarity": float(f"{found[row]:.6g}")}
            for row in order
        ]

    def _embedded(self, texts: list[str]) -> Vectors:
        parts = []
        with tqdm(total=len(texts), desc="embedding neighbours", unit="row", disable=None) as bar:
            for start in range(0, len(texts), PIECE):
                encoded = self._classifier.encode(texts[start : start + PIECE])
                parts.append(self._states.of(encoded, bar.update))
        return np.concatenate(parts) if isinstance(parts[0], np.ndarray) else vstack(parts, format="csr")


def _rows(path: str, text_column: str, label_column: str) -> Iterator[tuple[str, str]]:
    """Texts and labels of a table, as training reads the cells."""
    try:
        for piece in open_pieces(find_files(path)["train"], print_lines, encoding=None):
            for flag, column in (("text_column", text_column), ("label_column", label_column)):
                if column not in piece.columns:
                    found = ", ".join(piece.columns[:20])
                    raise InputError(
                        f"--neighbours {piece.path}: no column {column}, only {found}: name one by --{flag}"
                    )
            for line, record in piece.records:
                where = f"{piece.path}:{line}"
                yield text_cell(record.get(text_column), where), cell_text(record.get(label_column))
    except OSError as error:
        raise InputError(f"--neighbours {path}: {error.strerror or error}; give a file that can be read") from error
    except ValueError as error:
        raise InputError(f"--neighbours: {error}") from error


def add_neighbours(app: FastAPI, service: Service) -> None:
    """Adds /neighbours to `app`."""

    @app.post("/neighbours", openapi_extra=body_of(schema.NeighboursRequest), response_model=list[schema.Neighbour])
    async def neighbours(request: Request) -> Response:
        """The rows of the file of --neighbours that are nearest to a text, the nearest first."""
        asked = schema.NeighboursRequest.parse(await service.body(request, JSON))
        (found,) = await service.answers(request, [schema.NeighboursItem(asked.text, asked.count)])
        return Response(schema.json_bytes(found), media_type=JSON)
