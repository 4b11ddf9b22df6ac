"""Rows of Parquet files, and of those that `datasets` saves.

This file needs `datasets` only.
"""

from collections.abc import Iterable, Iterator
from typing import BinaryIO

import datasets
import pyarrow
import pyarrow.parquet

__all__ = ["open_arrow", "open_parquet"]

_TORN = (pyarrow.ArrowException, OSError)  # what pyarrow raises for what it cannot make out
_ROWS = 1000  # of a Parquet file, that are in memory at once


def open_parquet(file: BinaryIO, path: str) -> tuple[list[str], Iterator[tuple[int, dict]]]:
    """The columns of a Parquet file, and an iterator of number and cells of its rows, a thousand of them in memory.

    Raises:
        ValueError: one line, now or while rows are taken: the file is torn, or has a value that Python does not have.
    """
    try:
        parquet = pyarrow.parquet.ParquetFile(file)
    except _TORN as error:
        raise ValueError(f"{path}: no whole Parquet file ({_first_line(error)}); write it again") from None
    return _records(parquet.schema_arrow, parquet.iter_batches(_ROWS), path)


def open_arrow(file: BinaryIO, path: str) -> tuple[list[str], Iterator[tuple[int, dict]]]:
    """As `open_parquet`, of a file that `save_to_disk` of `datasets` wrote."""
    try:
        stream = pyarrow.ipc.open_stream(file)
    except _TORN as error:
        raise ValueError(f"{path}: no whole Arrow file ({_first_line(error)}); save it again") from None
    return _records(stream.schema, stream, path)


def _records(schema: pyarrow.Schema, batches: Iterable, path: str) -> tuple[list[str], Iterator[tuple[int, dict]]]:
    names = _class_names(schema)

    def records() -> Iterator[tuple[int, dict]]:
        number = 0
        try:
            for batch in batches:
                for row in _rows(batch, path):
                    number += 1
                    yield number, row | {name: _named(row[name], names[name]) for name in names}
        except _TORN as error:
            raise ValueError(f"{path}: not whole ({_first_line(error)}); write it again") from None

    return schema.names, records()


def _rows(batch: pyarrow.RecordBatch, path: str) -> Iterator[dict]:
    """The rows of a batch, as Python has them: it has no dates beyond the year 9999."""
    columns = []
    for name, column in zip(batch.schema.names, batch.columns, strict=True):
        try:
            columns.append(column.to_pylist())
        except (ValueError, OverflowError) as error:
            raise ValueError(
                f"{path}: column {name!r}: has a value that cannot be read ({_first_line(error)}); write it as text"
            ) from None
    return (dict(zip(batch.schema.names, cells, strict=True)) for cells in zip(*columns, strict=True))


def _first_line(error: Exception) -> str:
    return f"{str(error).partition(chr(10))[0]:.120}"


def _class_names(schema: pyarrow.Schema) -> dict[str, list[str]]:
    """The names of classes that `datasets` notes in the files that it writes, of each column that has such."""
    features = datasets.Features.from_arrow_schema(schema)
    labels = {
        name: feature.feature if isinstance(feature, datasets.List) else feature for name, feature in features.items()
    }
    return {name: label.names for name, label in labels.items() if isinstance(label, datasets.ClassLabel)}


def _named(cell, names: list[str]):
    """The name of a number of a class; -1 is no class."""
    if isinstance(cell, list):
        return [_named(one, names) for one in cell]
    if not isinstance(cell, int):
        return cell
    return names[cell] if 0 <= cell < len(names) else None
