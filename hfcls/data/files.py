"""What files are read with: lines and records with their numbers, digests; and the draw of splits.

This file needs the standard library only; .zst needs pyarrow.
"""

import csv
import errno
import gzip
import hashlib
import io
import json
import os
import random
import zlib
from collections.abc import Hashable, Iterable, Iterator
from contextlib import contextmanager
from typing import BinaryIO, TextIO

__all__ = [
    "GB18030",
    "NAMES",
    "UTF_8",
    "csv_reader",
    "csv_records",
    "csv_rows",
    "csv_write",
    "decoded_lines",
    "digest",
    "json_object",
    "numbered_lines",
    "offenders",
    "open_bytes",
    "raw_lines",
    "regular",
    "shuffled_by_class",
    "unpacked",
    "whole",
]

UTF_8, GB18030 = "utf-8-sig", "gb18030"
NAMES = {UTF_8: "UTF-8", GB18030: "GB18030"}
# Characters of a CSV cell: longer than any document, and a quote that is never closed does not read gigabytes into one.
CELL_LIMIT = 2**24
LINE_LIMIT = 2**26  # characters; a line of JSON Lines may hold several texts
_EXAMPLES = 3  # offenders named in a message


def regular(path: str | os.PathLike) -> str | os.PathLike:
    """`path`, which may be opened: a pipe or a device would be waited for, or read without end.

    Raises:
        OSError: it is neither file nor folder; that it does not exist is left to `open`.
    """
    if os.path.exists(path) and not os.path.isfile(path) and not os.path.isdir(path):
        raise OSError(errno.EINVAL, "a pipe, socket or device, not a file", str(path))
    return path


def open_bytes(path: str) -> BinaryIO:
    """The bytes of a file, unpacked where its name ends in .gz or .zst.

    Raises:
        OSError: there is no such file, or it is none.
        ValueError: .zst without pyarrow.
    """
    return unpacked(open(regular(path), "rb"), path)  # noqa: SIM115


def unpacked(file: BinaryIO, path: str) -> BinaryIO:
    """The content of `file`, which is open; `path` says how it is packed."""
    suffix = os.path.splitext(path)[1].lower()
    if suffix == ".gz":
        return gzip.GzipFile(fileobj=file)
    if suffix == ".zst":
        try:
            import pyarrow
        except ImportError:
            raise ValueError(f"{path}: reading .zst needs pyarrow; unpack it first") from None
        return pyarrow.CompressedInputStream(file, "zstd")
    return file


@contextmanager
def whole(path: str) -> Iterator[None]:
    """Says in one line that a packed file is torn."""
    try:
        yield
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise ValueError(f"{path}: not whole ({error}); fetch or pack it again") from None
    except OSError as error:
        if error.errno is not None or not path.lower().endswith(".zst"):
            raise
        raise ValueError(f"{path}: not whole ({error}); fetch or pack it again") from None


def raw_lines(path: str) -> Iterator[bytes]:
    """The lines of a file with their ends: \\n, \\r\\n, or a lone \\r as in files of old Macs."""
    with open_bytes(path) as file:
        for _, line in decoded_lines(file, path, "latin-1"):  # a byte is a character, so nothing is lost
            yield line.encode("latin-1")


def decoded_lines(file: BinaryIO, where: str, encoding: str, errors: str = "strict") -> Iterator[tuple[int, str]]:
    """The lines of an open file with their ends, each with its number, from 1.

    Args:
        where: what errors call the file.
        errors: what `open` knows by that name: "replace" puts U+FFFD for bytes of another encoding.

    Raises:
        ValueError: a line is in another encoding, or longer than `LINE_LIMIT`, or the file is packed and torn.
    """
    strict = errors == "strict"
    lines = io.TextIOWrapper(file, encoding, "surrogateescape" if strict else errors, newline="")
    number = 0
    try:
        with whole(where):
            while line := lines.readline(LINE_LIMIT):
                number += 1
                if len(line) == LINE_LIMIT:
                    raise ValueError(f"{where}:{number}: longer than {LINE_LIMIT:,} characters; break the line")
                if strict and not line.isascii():
                    line.encode("utf-8")
                yield number, line
    except UnicodeError:
        name = NAMES.get(encoding, encoding)
        raise ValueError(f"{where}:{number}: not {name}; save the file as UTF-8") from None
    finally:
        if not file.closed:
            lines.detach()  # or it would close what the caller opened


def numbered_lines(path: str, encoding: str = UTF_8, *, errors: str = "strict") -> Iterator[tuple[int, str]]:
    """The lines of a file without their ends, each with its number, from 1; `errors` as in `decoded_lines`.

    Raises:
        ValueError: a line is in another encoding.
    """
    with open_bytes(path) as file:
        for number, line in decoded_lines(file, path, encoding, errors):
            yield number, line.rstrip("\r\n")


def csv_reader(lines: Iterable[str], delimiter: str = ",", quoted: bool = True):
    """The one `csv.reader` of the house: strict, and with room for documents in a cell."""
    csv.field_size_limit(CELL_LIMIT)
    quoting = csv.QUOTE_MINIMAL if quoted else csv.QUOTE_NONE
    return csv.reader(lines, delimiter=delimiter, quoting=quoting, strict=True)


def csv_records(
    path: str, encoding: str, delimiter: str = ",", *, errors: str = "strict"
) -> Iterator[tuple[int, list[str]]]:
    """The header of a CSV file, then its rows, as (line that it starts in, cells). Empty lines are skipped.

    Raises:
        ValueError: as `csv_rows`, or a line is in another encoding; `errors` as in `decoded_lines`.
    """
    with open_bytes(path) as file:
        yield from csv_rows((line for _, line in decoded_lines(file, path, encoding, errors)), path, delimiter)


def csv_rows(
    lines: Iterable[str], where: str, delimiter: str = ",", *, quoted: bool = True
) -> Iterator[tuple[int, list[str]]]:
    """The rows of `lines`, which are those of the file `where`, as `csv_records` gives them.

    Args:
        quoted: whether a quote around a cell belongs to the format; otherwise it is a character.

    Raises:
        ValueError: one line with file and line: a row has not as many cells as the header, or a quote is not closed.
    """
    start, width, row = 1, None, []

    def remember() -> Iterator[str]:
        for line in lines:
            row.append(line)
            yield line.replace("\0", "\ufffd")

    reader = csv_reader(remember(), delimiter, quoted)
    try:
        for cells in reader:
            width = width or len(cells)
            if cells and len(cells) != width:
                remedy = f"quote cells that hold {delimiter!r}" if quoted else f"take {delimiter!r} out of the cells"
                remedy = _doubled_quotes(row, quoted) or remedy
                raise ValueError(f"{where}:{start}: {len(cells)} cells, the header has {width}; {remedy}")
            if cells:
                yield start, cells
            start = reader.line_num + 1
            row.clear()
    except csv.Error as error:
        remedy = _doubled_quotes(row, quoted) or "check that every quote is closed"
        raise ValueError(f"{where}:{start}: {error}; {remedy}") from None


def _doubled_quotes(lines: list[str], quoted: bool) -> str | None:
    """What to do about quotes that are escaped as other formats escape them, if there are any."""
    escaped = quoted and any('\\"' in line for line in lines)
    return 'write a quote inside a cell as "", not as \\"' if escaped else None


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
    with open(regular(path), "rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).digest()
