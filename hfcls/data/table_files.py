"""Records of a table in CSV, TSV, JSON Lines, Parquet or Excel, and the files of its splits.

This file needs pyarrow, the standard library and `files.py` beside it; Excel needs openpyxl.
"""

import math
import os
from collections import Counter
from collections.abc import Callable

import pyarrow.parquet

from .files import GB18030, UTF_8, csv_records, csv_write, excel_records, find_encoding, json_object, numbered_lines

__all__ = ["FORMATS", "SPLITS", "SPLIT_OF", "cell_text", "find_files", "read_records", "write_records"]

SPLITS = {"train": ("train",), "validation": ("validation", "valid", "val", "dev"), "test": ("test",)}
SPLIT_OF = {name: split for split, names in SPLITS.items() for name in names}

_Records = tuple[list[str], list[tuple[int, dict]]]  # columns; line and cells of every row
_Note = Callable[[str], None]


def find_files(path: str) -> dict[str, str]:
    """The file of each split; a lone file is "train".

    Raises:
        ValueError: there is none, or two for one split.
    """
    if os.path.isfile(path):
        if not path.lower().endswith(FORMATS):
            raise ValueError(f"{path}: what is in it must show in its name: {', '.join(FORMATS)}")
        return {"train": path}
    try:
        names = sorted(os.listdir(path))
    except OSError as error:
        raise ValueError(f"{path}: {error.strerror}; give a file or a folder with a file a split") from None
    files = {}
    for split, stems in SPLITS.items():
        found = [name for name in names if name.lower().endswith(FORMATS) and os.path.splitext(name)[0] in stems]
        if len(found) > 1:
            raise ValueError(f"{path}: {found[0]} and {found[1]} are both there; keep one of them")
        if found:
            files[split] = os.path.join(path, found[0])
    if "train" not in files:
        raise ValueError(f"{path}: no train{'|'.join(FORMATS)}; name the file, or call the splits train, dev and test")
    return files


def read_records(path: str, note: _Note, *, errors: str = "strict") -> _Records:
    """The columns of the table at `path`, and every row as its line (of Parquet and Excel: its row) and its cells.

    Args:
        note: takes a line about what was guessed.
        errors: "replace" puts U+FFFD for bytes of another encoding than the rest.

    Raises:
        ValueError: one line with file, line and what to do: the file cannot be read, is torn, or has a ragged row.
    """
    try:
        return _READERS[_suffix(path)](path, note, errors)
    except OSError as error:
        raise ValueError(f"{path}: {error.strerror or error}; the file cannot be read") from None


def cell_text(value) -> str:
    """A cell as text: nothing for what is missing, 1 for 1.0, as a table with gaps writes whole numbers."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return str(value).strip()


def write_records(path: str, kept: list[int], folder: str) -> None:
    """Writes the rows `kept` (their places among the rows, from 0) of a table to a file of its name in `folder`.

    All columns stay; of JSON Lines, every line as it was.

    Raises:
        ValueError: it cannot be read, or is an Excel file, which holds more than its rows.
    """
    suffix, target, wanted = _suffix(path), os.path.join(folder, os.path.basename(path)), set(kept)
    if suffix == ".parquet":
        pyarrow.parquet.write_table(pyarrow.parquet.read_table(path).take(kept), target)
    elif suffix == ".jsonl":
        with open(path, "rb") as file:
            lines = [line for line in file.read().split(b"\n") if line.strip()]
        with open(target, "wb") as file:
            file.writelines(line + b"\n" for number, line in enumerate(lines) if number in wanted)
    elif suffix in (".csv", ".tsv"):
        encoding, delimiter = _encoding(path, None, "replace"), _delimiter(path)
        records = csv_records(path, encoding, delimiter, errors="replace")
        with open(target, "w", encoding="utf-8", newline="") as file:
            rows = (cells for number, (_, cells) in enumerate(records, -1) if number == -1 or number in wanted)
            csv_write(file, rows, delimiter)
    else:
        raise ValueError(f"{path}: a {suffix} file is not written back; save it as .csv")


def _suffix(path: str) -> str:
    return os.path.splitext(path)[1].lower()


def _delimiter(path: str) -> str:
    return "\t" if _suffix(path) == ".tsv" else ","


def _encoding(path: str, note: _Note | None, errors: str) -> str:
    try:
        encoding = find_encoding(path)
    except ValueError:
        if errors == "strict":
            raise
        return UTF_8
    if encoding == GB18030 and note is not None:
        note(f"{path}: read as GB18030")
    return encoding


def _read_csv(path: str, note: _Note, errors: str) -> _Records:
    delimiter = _delimiter(path)
    records = csv_records(path, _encoding(path, note, errors), delimiter, errors=errors)
    _, header = next(records, (1, []))
    columns = [cell.strip() for cell in header]
    if len(columns) == 1 and (";" in columns[0] or "\t" in columns[0]):
        raise ValueError(f"{path}:1: no {delimiter!r} in the header; save it with commas, or tabs as .tsv")
    twice = [name for name, count in Counter(columns).items() if count > 1]
    if twice:
        raise ValueError(f"{path}:1: column {twice[0]!r} is there twice; rename one")
    return columns, [(line, dict(zip(columns, cells, strict=True))) for line, cells in records]


def _read_jsonl(path: str, note: _Note, errors: str) -> _Records:
    records, columns = [], {}
    for line, text in numbered_lines(path, _encoding(path, note, errors), errors=errors):
        if text.strip():
            record = json_object(text, f"{path}:{line}")
            columns |= dict.fromkeys(record)
            records.append((line, record))
    return list(columns), records


def _read_parquet(path: str, note: _Note, errors: str) -> _Records:
    try:
        table = pyarrow.parquet.read_table(path)
    except pyarrow.ArrowException as error:
        raise ValueError(f"{path}: no whole Parquet file ({str(error).splitlines()[0]}); write it again") from None
    return table.column_names, list(enumerate(table.to_pylist(), 1))


def _read_excel(path: str, note: _Note, errors: str) -> _Records:
    records = excel_records(path)
    _, header = next(records, (1, ()))
    columns = [cell_text(cell) for cell in header]
    return columns, [(line, dict(zip(columns, cells, strict=True))) for line, cells in records]


_READERS = {
    ".csv": _read_csv,
    ".tsv": _read_csv,
    ".jsonl": _read_jsonl,
    ".parquet": _read_parquet,
    ".xlsx": _read_excel,
}
FORMATS = tuple(_READERS)
