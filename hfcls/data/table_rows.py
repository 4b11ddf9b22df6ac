"""The rows of a table's splits: texts and labels, and which of them are left out.

This file needs `files.py`, `labels.py`, `stored_rows.py` and `table_files.py` beside it.
"""

import difflib
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import BinaryIO

from .files import offenders
from .labels import LabelCells, find_column, label_cells
from .stored_rows import StoredRows, store
from .table_files import cell_text, open_records, read_records, text_cell

__all__ = ["UNLABELLED", "Piece", "TableColumns", "has_label_column", "open_pieces", "read_splits"]

UNLABELLED = "unlabelled"
_NO_CLASS = "-1"  # what data sets write where labels are kept secret
_IDS = ("id", "idx")
_SMALL = 32 * 2**20  # bytes of the files of a split whose rows are in memory while they are read

_Note = Callable[[str], None]


@dataclass(frozen=True)
class TableColumns:
    """The columns that are read, and how.

    Attributes:
        text, label: their names; of labels also several, with commas between.
        text_pair, group: names, or None.
        separator: between the labels in a cell; None: a row has one label.
        encoding: of text files; None: UTF-8, or GB18030.
    """

    text: str
    label: str
    text_pair: str | None = None
    group: str | None = None
    separator: str | None = None
    encoding: str | None = None


@dataclass(frozen=True)
class Piece:
    """A file of a split: its columns, and the line and the cells of every row, as often as they are gone through."""

    path: str
    columns: list[str]
    records: Iterable[tuple[int, dict]]


@dataclass(frozen=True)
class _ReadAnew:
    """The records of a large file, of which few are in memory at a time."""

    path: str
    encoding: str | None
    errors: str

    def __iter__(self) -> Iterator[tuple[int, dict]]:
        with open(self.path, "rb") as file:
            yield from self._open(file, lambda line: None)[1]

    def columns(self, note: _Note) -> list[str]:
        with open(self.path, "rb") as file:
            columns, records = self._open(file, note)
            return columns or list(dict.fromkeys(name for _, record in records for name in record))

    def _open(self, file: BinaryIO, note: _Note):
        return open_records(file, self.path, note, encoding=self.encoding, errors=self.errors)


def open_pieces(paths: list[str], note: _Note, *, encoding: str | None, errors: str = "strict") -> list[Piece]:
    """The files of a split; where they are large together, each is read as its rows are taken.

    Raises:
        ValueError: one line with file and line, where one cannot be read.
    """
    pieces = []
    sizes = {path: os.path.getsize(path) for path in paths if os.path.isfile(path)}
    large = sum(sizes.values()) > _SMALL
    for path in paths:
        if large and path in sizes:
            anew = _ReadAnew(path, encoding, errors)
            pieces.append(Piece(path, anew.columns(note), anew))
        else:
            pieces.append(Piece(path, *read_records(path, note, encoding=encoding, errors=errors)))
    return pieces


def read_splits(files: dict[str, list[str]], columns: TableColumns, note: _Note) -> dict[str, StoredRows]:
    """Of each split its rows with `line`, `text`, `labels` (a list) and, where wanted, `text_pair` and `group`.

    A test split without any label comes as `UNLABELLED`, then all rows have an `id`.

    Raises:
        ValueError: one line with file and line: a column is missing, a cell cannot be read, a label is unknown.
    """
    splits = {split: open_pieces(paths, note, encoding=columns.encoding) for split, paths in files.items()}
    train = splits["train"]
    cells = label_cells(columns.label, train[0].columns, columns.separator, train[0].path)
    cells = cells.with_places((record for piece in train for record in piece.records), train[0].path, note)
    rows = {"train": _labelled(train, cells, columns, None, note)}
    known = {label for names in rows["train"].labels for label in names}
    for split, pieces in splits.items():
        if split == "test" and not _has_labels(pieces, cells, known):
            rows[UNLABELLED] = store(_unlabelled(pieces, columns))
            how = "by numbers of classes" if columns.separator is None else "by lists of names"
            note(f"{pieces[0].path}: no labels: predicted in submission.csv, {how}; test is drawn")
        elif split != "train":
            rows[split] = _labelled(pieces, cells, columns, known, note)
    return rows


def has_label_column(piece: Piece, name: str) -> bool:
    """Whether there is the column `name`, or one so near to it that it must be meant."""
    return bool(difflib.get_close_matches(name, piece.columns, n=1, cutoff=0.8)) or "," in name


def _has_labels(pieces: list[Piece], cells: LabelCells, known: set[str]) -> bool:
    none = {"", "[]", _NO_CLASS} - known
    return any(
        has_label_column(piece, column)
        and (column not in piece.columns or any(cell_text(row.get(column)) not in none for _, row in piece.records))
        for piece in pieces
        for column in cells.columns
    )


def _labelled(
    pieces: list[Piece], cells: LabelCells, columns: TableColumns, known: set[str] | None, note: _Note
) -> StoredRows:
    """The rows that have a text and a label; `known` are the labels of the training rows, None for those themselves."""
    rows = store(row for piece in pieces for row in _labelled_rows(piece, cells, columns, known, note))
    if not len(rows):
        path = pieces[0].path
        raise ValueError(f"{path}:1: no rows with a text and a label; check {columns.text!r} and {columns.label!r}")
    return rows


def _labelled_rows(
    piece: Piece, cells: LabelCells, columns: TableColumns, known: set[str] | None, note: _Note
) -> Iterator[dict]:
    for column in cells.columns:
        find_column(column, piece.columns, "label", piece.path)
    without_text, without_label = [], []
    for row, record in _texts(piece, columns):
        where = f"{piece.path}:{row['line']}"
        row["labels"] = cells.read(record, where)
        if known is not None and _NO_CLASS not in known:
            row["labels"] = [label for label in row["labels"] if label != _NO_CLASS]
        for label in row["labels"]:
            if known is not None and label not in known:
                raise ValueError(
                    f"{where}: label {label[:40]!r} is not in the training file; correct it, or add some there"
                )
        if not row["text"]:
            without_text.append(row["line"])
        elif not row["labels"] and columns.separator is None:
            without_label.append(row["line"])
        else:
            yield row
    for lines, what in ((without_text, "text"), (without_label, "label")):
        if lines:
            note(f"{piece.path}: {len(lines)} rows without a {what} (lines {offenders(lines)}): left out")


def _unlabelled(pieces: list[Piece], columns: TableColumns) -> Iterator[dict]:
    number = 0
    for piece in pieces:
        named = next((name for name in _IDS if name in piece.columns), None)
        for row, record in _texts(piece, columns):
            yield row | {"labels": [], "id": str(number) if named is None else cell_text(record.get(named))}
            number += 1


def _texts(piece: Piece, columns: TableColumns) -> Iterable[tuple[dict, dict]]:
    """Each row without its labels, and its record."""
    names = {"text": columns.text, "text_pair": columns.text_pair, "group": columns.group}
    names = {key: name for key, name in names.items() if name is not None}
    for key, name in names.items():
        find_column(name, piece.columns, key, piece.path)
    for line, record in piece.records:
        where = f"{piece.path}:{line}"
        row = {key: text_cell(record.get(name), where).strip() for key, name in names.items()}
        yield row | {"line": line, "id": str(line)}, record
