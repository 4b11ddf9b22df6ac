"""Records of a table in any of `split_files.FORMATS`: the one reader of training, predict and check.

This file needs `arrow_files.py`, `encodings.py`, `excel_files.py`, `files.py` and `split_files.py` beside it.
"""

import json
import math
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import BinaryIO

import pyarrow.parquet

from .arrow_files import open_arrow, open_parquet
from .encodings import NoEncoding, find_encoding
from .excel_files import excel_records
from .files import (
    GB18030,
    UTF_8,
    csv_rows,
    csv_write,
    decoded_lines,
    json_object,
    raw_lines,
    regular,
    unpacked,
)
from .split_files import file_format

__all__ = ["Records", "cell_text", "open_records", "read_records", "text_cell", "write_records", "written"]

# The columns (None: each record names its own), and an iterator of the line (of Parquet, Excel and lists in .json: the
# row) and the cells of every row
Records = tuple[list[str] | None, Iterator[tuple[int, dict]]]
_Note = Callable[[str], None]


def read_records(
    path: str, note: _Note, *, encoding: str | None = None, errors: str = "strict"
) -> tuple[list[str], list[tuple[int, dict]]]:
    """The columns of the table at `path`, and all rows as `open_records` gives them.

    Raises:
        ValueError: as `open_records`.
    """
    try:
        with open(regular(path), "rb") as file:
            columns, records = open_records(file, path, note, encoding=encoding, errors=errors)
            records = list(records)
    except OSError as error:
        raise ValueError(f"{path}: {error.strerror or error}; give a file that can be read") from None
    if columns is None:
        columns = list(dict.fromkeys(name for _, record in records for name in record))
    return columns, records


def open_records(
    file: BinaryIO, path: str, note: _Note, *, encoding: str | None = None, errors: str = "strict"
) -> Records:
    """The table at `path`, of which a row is in memory at a time; of Parquet a thousand, of lists in .json all.

    Args:
        file: open, and read from while rows are taken.
        note: takes a line about what was guessed.
        encoding: of a text file; None: UTF-8, or GB18030.
        errors: "replace" puts U+FFFD for bytes of another encoding than the rest.

    Raises:
        ValueError: one line with file, line and what to do, now or while rows are taken: the file cannot be read, is
            torn, or has a ragged row.
    """
    kind = file_format(path)
    if kind in (".parquet", ".arrow"):
        columns, records = open_parquet(file, path) if kind == ".parquet" else open_arrow(file, path)
        return _columns(columns, path), records
    if kind == ".xlsx":
        return _open_excel(path)
    encoding = encoding or _encoding(path, note, errors)
    lines = decoded_lines(unpacked(file, path), path, encoding, errors)
    if kind == ".txt":
        return ["text"], ((line, {"text": text.rstrip("\r\n")}) for line, text in lines)
    if kind == ".json":
        return None, _json_records(lines, path)
    if kind == ".jsonl":
        return None, _json_lines(lines, path)
    quoted = kind == ".csv" or _is_quoted(path, encoding, errors, note)
    return _open_csv((text for _, text in lines), path, "," if kind == ".csv" else "\t", quoted)


def cell_text(value) -> str:
    """A cell as text: nothing for what is missing, 1 for 1.0, as a table with gaps writes whole numbers.

    Raises:
        ValueError: bytes that are no UTF-8.
    """
    return written(value).strip()


def text_cell(value, where: str, what: str = "text") -> str:
    """A cell as it was written; empty where it is missing.

    Raises:
        ValueError: it is a list or a dict, or no characters; `where` is file and line, `what` is in the cell.
    """
    if isinstance(value, (list, dict)):
        raise ValueError(f"{where}: the {what} is {str(value)[:40]}; give each row one {what}")
    try:
        text = written(value)
        text.encode("utf-8")
    except UnicodeDecodeError:
        raise ValueError(f"{where}: the {what} is bytes that are no UTF-8; write characters") from None
    except UnicodeEncodeError:
        raise ValueError(f"{where}: the {what} holds half a surrogate pair; write the whole character") from None
    return text


def written(value) -> str:
    """A cell as it was written, as `cell_text` with the spaces around it."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return value.decode("utf-8") if isinstance(value, bytes) else str(value)


def write_records(path: str, kept: Iterable[int], folder: str, encoding: str | None = None) -> None:
    """Writes the rows `kept` (their places among the rows, from 0) of a table to a file of its name in `folder`.

    All columns stay; of JSON Lines, every line as it was. What was packed is written unpacked, in UTF-8.

    Raises:
        ValueError: it cannot be read, or is of a format that holds more than its rows.
    """
    kind, name, kept = file_format(path), os.path.basename(path), list(kept)
    packed = os.path.splitext(name)[1].lower() in (".gz", ".zst")
    target, wanted = os.path.join(folder, os.path.splitext(name)[0] if packed else name), set(kept)
    if kind == ".parquet":
        pyarrow.parquet.write_table(pyarrow.parquet.read_table(path).take(kept), target)
    elif kind == ".jsonl":
        lines = (line for line in raw_lines(path) if line.strip())
        with open(target, "wb") as file:
            file.writelines(line.rstrip(b"\r\n") + b"\n" for row, line in enumerate(lines) if row in wanted)
    elif kind in (".csv", ".tsv"):
        with open(path, "rb") as source, open(target, "w", encoding="utf-8", newline="") as file:
            columns, records = open_records(source, path, lambda line: None, encoding=encoding, errors="replace")
            delimiter = "," if kind == ".csv" else "\t"
            csv_write(file, [columns], delimiter)
            csv_write(file, (row.values() for place, (_, row) in enumerate(records) if place in wanted), delimiter)
    else:
        raise ValueError(f"{path}: a {kind} file is not written back; save it as .csv")


def _encoding(path: str, note: _Note, errors: str) -> str:
    try:
        encoding = find_encoding(path)
    except NoEncoding:
        if errors == "strict":
            raise
        return UTF_8
    if encoding == GB18030:
        note(f"{path}: read as GB18030; if it is another encoding, name it: --encoding NAME")
    return encoding


def _is_quoted(path: str, encoding: str, errors: str, note: _Note) -> bool:
    """Whether quotes in a TSV file belong to the format: not where a cell begins with one that does not end it.

    A quoted cell may hold tabs and line ends. Then lines do not all have as many cells as the header, and one that has
    opens a quote in its last cell only.
    """
    width, odd, ragged, inside = None, None, False, False
    with open(path, "rb") as file:
        for line, text in decoded_lines(unpacked(file, path), path, encoding, errors):
            cells = text.rstrip("\r\n").split("\t")
            width = width or len(cells)
            ragged = ragged or (len(cells) != width and cells != [""])
            opened = [place for place, cell in enumerate(cells, 1) if cell.startswith('"') and not _ends_quoted(cell)]
            odd = odd or (line if opened else None)
            inside = bool(opened) and opened[0] < len(cells) == width
            if inside:
                break
    if odd is None or (ragged and not inside):
        return True
    note(f"{path}:{odd}: a cell begins with a quote that does not end it: all quotes are read as characters")
    return False


def _ends_quoted(cell: str) -> bool:
    return len(cell) > 1 and cell.endswith('"') and '"' not in cell[1:-1].replace('""', "")


def _columns(names: list[str], path: str) -> list[str]:
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise ValueError(f"{path}:1: column {twice[0]!r} is there twice; rename one")
    return names


def _open_csv(lines: Iterator[str], path: str, delimiter: str, quoted: bool) -> Records:
    rows = csv_rows(lines, path, delimiter, quoted=quoted)
    _, header = next(rows, (1, []))
    columns = [cell.strip() for cell in header]
    if len(columns) == 1 and (";" in columns[0] or "\t" in columns[0]):
        raise ValueError(f"{path}:1: no {delimiter!r} in the header; save it with commas, or tabs as .tsv")
    _columns(columns, path)
    return columns, ((line, dict(zip(columns, cells, strict=True))) for line, cells in rows)


def _json_lines(lines: Iterable[tuple[int, str]], path: str) -> Iterator[tuple[int, dict]]:
    for line, text in lines:
        if text.strip():
            yield line, json_object(text.rstrip("\r\n"), f"{path}:{line}")


def _json_records(lines: Iterator[tuple[int, str]], path: str) -> Iterator[tuple[int, dict]]:
    """Of a list of objects, or of JSON Lines, which have this ending on the Hub."""
    before = []
    for line, text in lines:
        before.append((line, text))
        if text.strip():
            break
    if not before or not before[-1][1].lstrip().startswith("["):
        yield from _json_lines(before, path)
        yield from _json_lines(lines, path)
        return
    try:
        rows = json.loads("".join(text for _, text in [*before, *lines]))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path}: no JSON ({error}); write a list of objects") from None
    for number, row in enumerate(rows, 1):
        if not isinstance(row, dict):
            raise ValueError(f"{path}:{number}: no object; write {{…}} for each row")
        yield number, row


def _open_excel(path: str) -> Records:
    rows = excel_records(path)
    _, header = next(rows, (1, ()))
    columns = [cell_text(cell) for cell in header]
    _columns([name for name in columns if name], path)
    return [name for name in columns if name], (
        (line, {name: cell for name, cell in zip(columns, cells, strict=True) if name}) for line, cells in rows
    )
