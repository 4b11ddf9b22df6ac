"""What files are read with: encodings, lines and records with their numbers, digests; and the draw of splits.

This file needs the standard library only; Excel needs openpyxl.
"""

import csv
import hashlib
import json
import random
import zipfile
from collections.abc import Hashable, Iterable, Iterator
from typing import TextIO

__all__ = [
    "GB18030",
    "UTF_8",
    "csv_reader",
    "csv_records",
    "csv_write",
    "digest",
    "excel_records",
    "find_encoding",
    "json_object",
    "numbered_lines",
    "offenders",
    "scan",
    "shuffled_by_class",
]

UTF_8, GB18030 = "utf-8-sig", "gb18030"
_NAMES = {UTF_8: "UTF-8", GB18030: "GB18030"}
# Characters of a CSV cell: longer than any document, and a quote that is never closed does not read gigabytes into one.
CELL_LIMIT = 2**24
_EXAMPLES = 3  # offenders named in a message


def scan(path: str, encodings: tuple[str, ...] = (UTF_8, GB18030)) -> tuple[str, bytes]:
    """The first of `encodings` that all of a file is in, and the digest of its bytes; the file is read once.

    Raises:
        ValueError: it is in none of them; the message names the line.
    """
    found, possible = hashlib.blake2b(digest_size=16), list(encodings)
    with open(path, "rb") as file:
        for number, line in enumerate(file, 1):  # neither encoding uses the byte of a line end inside a character
            found.update(line)
            for encoding in tuple(possible):
                try:
                    line.decode(encoding)
                except UnicodeDecodeError:
                    possible.remove(encoding)
            if not possible:
                names = [_NAMES[encoding] for encoding in encodings]
                what = f"not {names[0]}" if len(names) == 1 else f"neither {' nor '.join(names)}"
                raise ValueError(f"{path}:{number}: {what}; repair the line and save as UTF-8")
    return possible[0], found.digest()


def find_encoding(path: str, encodings: tuple[str, ...] = (UTF_8, GB18030)) -> str:
    """The first of `encodings` that all of a file is in.

    Raises:
        ValueError: as `scan`.
    """
    return scan(path, encodings)[0]


def numbered_lines(path: str, encoding: str = UTF_8, *, errors: str = "strict") -> Iterator[tuple[int, str]]:
    """The lines of a file without their ends, each with its number, from 1; `errors` as in `csv_records`.

    Raises:
        ValueError: a line is in another encoding.
    """
    with open(path, "rb") as file:
        for number, line in enumerate(file, 1):
            try:
                text = line.decode(encoding if number == 1 else encoding.removesuffix("-sig"), errors)
            except UnicodeDecodeError:
                raise ValueError(f"{path}:{number}: not {_NAMES[encoding]}; save the file as UTF-8") from None
            yield number, text.rstrip("\r\n")


def csv_reader(lines: Iterable[str], delimiter: str = ","):
    """The one `csv.reader` of the house: strict, and with room for documents in a cell."""
    csv.field_size_limit(CELL_LIMIT)
    return csv.reader(lines, delimiter=delimiter, strict=True)


def csv_records(
    path: str, encoding: str, delimiter: str = ",", *, errors: str = "strict"
) -> Iterator[tuple[int, list[str]]]:
    """The header of a CSV file, then its rows, as (line that it starts in, cells). Empty lines are skipped.

    `errors` is what `open` knows by that name: "replace" puts U+FFFD for bytes of another encoding.

    Raises:
        ValueError: one line with file and line: a row has not as many cells as the header, or a quote is not closed.
    """
    start, width = 1, None
    with open(path, encoding=encoding, errors=errors, newline="") as file:
        reader = csv_reader((line.replace("\0", "\ufffd") for line in file), delimiter)
        try:
            for cells in reader:
                width = width or len(cells)
                if cells and len(cells) != width:
                    raise ValueError(
                        f"{path}:{start}: {len(cells)} cells, the header has {width}; quote cells that hold "
                        f"{delimiter!r}"
                    )
                if cells:
                    yield start, cells
                start = reader.line_num + 1
        except csv.Error as error:
            raise ValueError(f"{path}:{start}: {error}; check that every quote is closed") from None


def csv_write(file: TextIO, rows: Iterable[Iterable], delimiter: str = ",") -> None:
    """Adds rows to a CSV file, which was opened with `newline=""`."""
    csv.writer(file, delimiter=delimiter).writerows(rows)


def json_object(text: str, where: str) -> dict:
    """A line of JSON Lines; `where` is file and line.

    Raises:
        ValueError: it is no JSON, or no object.
    """
    try:
        record = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{where}: no JSON ({error}); write one object a line") from None
    if not isinstance(record, dict):
        raise ValueError(f"{where}: no object; write {{…}} on each line")
    return record


def excel_records(path: str) -> Iterator[tuple[int, tuple]]:
    """The rows of the first sheet that are not empty, as (number of the row, values of its cells).

    Raises:
        ValueError: it is no whole Excel file, or openpyxl is missing.
    """
    try:
        import openpyxl
    except ImportError:
        raise ValueError(f"{path}: reading Excel needs an extra: pip install 'hfcls[excel]', or save as CSV") from None
    try:
        sheet = openpyxl.load_workbook(path, read_only=True, data_only=True).worksheets[0]
    except (openpyxl.utils.exceptions.InvalidFileException, zipfile.BadZipFile, KeyError, ValueError):
        raise ValueError(f"{path}: no whole Excel file; save it anew as .xlsx, or as .csv") from None
    for number, row in enumerate(sheet.iter_rows(values_only=True), start=1):
        if any(cell is not None for cell in row):
            yield number, row


def offenders(names: Iterable) -> str:
    """The first few of `names`, for a message."""
    names = [str(name) for name in names]
    return ", ".join(names[:_EXAMPLES]) + (", …" if len(names) > _EXAMPLES else "")


def shuffled_by_class(labels: Iterable[Hashable], seed: int) -> Iterator[tuple[Hashable, list[int]]]:
    """Each class, in the order of their first rows, with the numbers of its rows, shuffled.

    The order follows from seed and class alone: a new row leaves the draw of other classes as it was.
    """
    classes: dict[Hashable, list[int]] = {}
    for row, label in enumerate(labels):
        classes.setdefault(label, []).append(row)
    for label, rows in classes.items():
        random.Random(f"{seed} {label}").shuffle(rows)
        yield label, rows


def digest(path: str) -> bytes:
    """Of the bytes of a file."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).digest()
