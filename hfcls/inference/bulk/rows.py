"""The rows of a fragment, a window of them at a time, with every column that they have."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from typing import Any, Protocol

import pyarrow
import pyarrow.parquet

from hfcls.data.files import regular
from hfcls.data.split_files import file_format
from hfcls.data.table_files import open_records, written
from hfcls.inference.bulk.job import Job


class Reader(Protocol):
    """What reads a window of rows: how many of them, and a cell."""

    window_rows: int

    def read_cell(self, cell: Any, where: str) -> Any:
        """What the model takes of a cell; raises ValueError, with `where`, if that cannot be read."""


@dataclass(frozen=True)
class Window:
    """Rows that follow each other.

    Attributes:
        table: all columns of those that can be read.
        items: of the same rows, for each column of texts or pictures that the job names.
        bad: line (of Parquet: row) and reason of those that cannot be read.
    """

    table: pyarrow.Table
    items: list[list]
    bad: list[tuple[int, str]]


@dataclass(frozen=True)
class _Chunk:
    """Rows as they are in the file: all columns, the cells of the wanted ones in their order, and the lines."""

    table: pyarrow.Table
    cells: list[list]
    lines: Sequence[int]


def read_windows(path: str, job: Job, reader: Reader, note: Callable[[str], None]) -> Iterator[Window]:
    """The rows of a file in any format that training reads. Cells of text formats are text, of Parquet what they are.

    At least one window comes of each file, for its columns. `note` takes a line about what was guessed.

    Raises:
        ValueError: one line: a column is missing, or the file is torn.
        OSError: the file cannot be read.
    """
    parquet = file_format(path) == ".parquet"
    chunks = (
        _parquet_chunks(path, job.columns, reader.window_rows) if parquet else _record_chunks(path, job, reader, note)
    )
    for chunk in chunks:
        rows, kept, bad = [], [], []
        for place, (line, cells) in enumerate(zip(chunk.lines, zip(*chunk.cells, strict=True), strict=True)):
            try:
                rows.append([reader.read_cell(cell, f"{path}:{line}") for cell in cells])
                kept.append(place)
            except ValueError as error:
                bad.append((line, str(error)))
        items = [list(column) for column in zip(*rows, strict=True)] or [[] for _ in job.columns]
        yield Window(chunk.table.take(kept) if bad else chunk.table, items, bad)


def _parquet_chunks(path: str, wanted: list[str], window_rows: int) -> Iterator[_Chunk]:
    read = 0
    try:
        with pyarrow.parquet.ParquetFile(path) as file:
            empty = file.schema_arrow.empty_table()
            _check_columns(path, wanted, empty.column_names)
            batches = file.iter_batches(window_rows)
            for table in chain(map(_as_table, batches), [empty]):
                if len(table) or not read:
                    lines = range(read + 1, read + 1 + len(table))
                    yield _Chunk(table, [table.column(name).to_pylist() for name in wanted], lines)
                read += len(table)
    except pyarrow.ArrowException as error:
        reason = str(error).partition("\n")[0][:120]
        raise ValueError(f"{path}: no whole Parquet file ({reason}); write it again") from None


def _as_table(batch: pyarrow.RecordBatch) -> pyarrow.Table:
    return pyarrow.Table.from_batches([batch])


def _record_chunks(path: str, job: Job, reader: Reader, note: Callable[[str], None]) -> Iterator[_Chunk]:
    with open(regular(path), "rb") as file:
        columns, records = open_records(file, path, note, encoding=job.encoding)
        first = list(islice(records, 1))
        if columns is None:
            columns = list(dict.fromkeys(name for _, record in first for name in record)) or job.columns
        _check_columns(path, job.columns, columns)
        records = chain(first, records)
        rows = list(islice(records, reader.window_rows))
        while True:
            cells = {name: [record.get(name) for _, record in rows] for name in columns}
            texts = {name: pyarrow.array(map(written, column), pyarrow.string()) for name, column in cells.items()}
            yield _Chunk(pyarrow.table(texts), [cells[name] for name in job.columns], [line for line, _ in rows])
            rows = list(islice(records, reader.window_rows))
            if not rows:
                return


def _check_columns(path: str, wanted: list[str], columns: list[str]) -> None:
    for name in wanted:
        if name not in columns:
            near = f"no column {name}, only {', '.join(columns[:20])}"
            raise ValueError(f"{path}: {near}: name one with --text_column or --image_column")
