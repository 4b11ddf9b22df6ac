"""Records of a table in CSV, TSV, JSON Lines, Parquet or Excel.

This file needs pyarrow and the standard library only; Excel needs openpyxl.
"""

import csv
import io
import json
import logging
import math
import os
import zipfile
from collections import Counter

import pyarrow.parquet

__all__ = ["FORMATS", "cell_text", "read_records"]

logger = logging.getLogger(f"{__package__}.table")  # its builder's: what is said here is noted with that

_FIELD_LIMIT = 2**24  # characters of a CSV cell: a quote that is never closed would read the whole file into one

_Records = tuple[list[str], list[tuple[int, dict]]]  # columns; line and cells of every row


def read_records(path: str) -> _Records:
    """The columns of the table at `path`, and every row as its line (of Parquet and Excel: its row) and its cells.

    Raises:
        ValueError: one line with file, line and what to do: the file cannot be read, is torn, or has a ragged row.
    """
    try:
        return _READERS[os.path.splitext(path)[1].lower()](path)
    except OSError as error:
        raise ValueError(f"{path}: {error.strerror or error}; the file cannot be read") from None


def cell_text(value) -> str:
    """A cell as text: nothing for what is missing, 1 for 1.0, as a table with gaps writes whole numbers."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return str(value).strip()


def _decode(path: str) -> str:
    with open(path, "rb") as file:
        content = file.read()
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        try:
            text = content.decode("gb18030")
        except UnicodeDecodeError:
            line = content.count(b"\n", 0, error.start) + 1
            raise ValueError(f"{path}:{line}: neither UTF-8 nor GB18030; repair it and save as UTF-8") from None
        logger.warning("%s: read as GB18030", path)
        return text


def _read_csv(path: str) -> _Records:
    delimiter = "\t" if path.lower().endswith(".tsv") else ","
    csv.field_size_limit(_FIELD_LIMIT)
    reader = csv.reader(io.StringIO(_decode(path), newline=""), delimiter=delimiter, strict=True)
    records, columns, start = [], None, 1
    try:
        for cells in reader:
            if columns is None:
                columns = [cell.strip() for cell in cells]
                if len(columns) == 1 and (";" in columns[0] or "\t" in columns[0]):
                    raise ValueError(f"{path}:1: no {delimiter!r} in the header; save it with commas, or tabs as .tsv")
                twice = [name for name, count in Counter(columns).items() if count > 1]
                if twice:
                    raise ValueError(f"{path}:1: column {twice[0]!r} is there twice; rename one")
            elif cells:
                if len(cells) != len(columns):
                    raise ValueError(
                        f"{path}:{start}: {len(cells)} cells, the header has {len(columns)}; quote cells that hold "
                        f"{delimiter!r}"
                    )
                records.append((start, dict(zip(columns, cells, strict=True))))
            start = reader.line_num + 1
    except csv.Error as error:
        raise ValueError(f"{path}:{start}: {error}; check that every quote is closed") from None
    return columns or [], records


def _read_jsonl(path: str) -> _Records:
    records, columns = [], {}
    for line, text in enumerate(_decode(path).split("\n"), 1):
        if not text.strip():
            continue
        try:
            record = json.loads(text)
        except ValueError as error:
            raise ValueError(f"{path}:{line}: no JSON ({error}); write one object a line") from None
        if not isinstance(record, dict):
            raise ValueError(f"{path}:{line}: no object; write {{…}} on each line")
        columns |= dict.fromkeys(record)
        records.append((line, record))
    return list(columns), records


def _read_parquet(path: str) -> _Records:
    try:
        table = pyarrow.parquet.read_table(path)
    except pyarrow.ArrowException as error:
        raise ValueError(f"{path}: no whole Parquet file ({str(error).splitlines()[0]}); write it again") from None
    return table.column_names, list(enumerate(table.to_pylist(), 1))


def _read_excel(path: str) -> _Records:
    try:
        import openpyxl
    except ImportError:
        raise ValueError(f"{path}: reading Excel needs an extra: pip install 'hfcls[excel]', or save as CSV") from None
    try:
        sheet = openpyxl.load_workbook(path, read_only=True, data_only=True).worksheets[0]
        first, *others = sheet.iter_rows(values_only=True)
    except (openpyxl.utils.exceptions.InvalidFileException, zipfile.BadZipFile, KeyError, ValueError):
        raise ValueError(f"{path}: no whole Excel file, or an empty one; save it again") from None
    columns = [cell_text(cell) for cell in first]
    rows = [(line, dict(zip(columns, cells, strict=True))) for line, cells in enumerate(others, 2)]
    return columns, [(line, row) for line, row in rows if any(cell is not None for cell in row.values())]


_READERS = {
    ".csv": _read_csv,
    ".tsv": _read_csv,
    ".jsonl": _read_jsonl,
    ".parquet": _read_parquet,
    ".xlsx": _read_excel,
}
FORMATS = tuple(_READERS)
