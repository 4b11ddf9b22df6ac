"""Rows of Excel files, of which openpyxl believes whatever they say.

This file needs the standard library, `files.py` beside it and openpyxl, which is an extra.
"""

import contextlib
import re
import struct
import zipfile
import zlib
from collections.abc import Iterator
from typing import BinaryIO
from xml.etree import ElementTree
from xml.parsers import expat

from .files import regular

__all__ = ["excel_records"]

# Of all that is packed in a file: more than a million rows of reviews hold. And how many times more than the file
# itself, from SMALL on: texts are packed to a third, tables of numbers to a twentieth, made-up zeros to a thousandth.
MOST_BYTES, MOST_TIMES, SMALL = 1 << 30, 100, 20 << 20

# Of XML, in a row or string, and of those: Excel has 16,384 columns and a million rows.
MOST_ELEMENTS, MOST_PIECES = 500_000, 10_000_000

# What openpyxl 3.1.5 was seen to raise on files with bytes or tags changed, removed or swapped. OSError: "no valid
# workbook part"; RuntimeError: a password; AttributeError: the first sheet is a chart.
_ODD = (
    *(zipfile.BadZipFile, zlib.error, ElementTree.ParseError, struct.error, EOFError, OSError, LookupError),
    *(ValueError, TypeError, AttributeError, ArithmeticError, RuntimeError),
)
# How Excel writes what XML cannot hold, _x000D_, and _ itself where it would begin such a thing, _x005F_.
_ESCAPE = re.compile("_x(?![Dd][89A-Fa-f])([0-9A-Fa-f]{4})_")  # no halves of surrogate pairs


def excel_records(path: str) -> Iterator[tuple[int, tuple]]:
    """The header and then the rows of the first sheet, as (number of the row, values of its cells).

    Rows that are empty are skipped. Every row is as wide as the header.

    Raises:
        ValueError: one line with file and row: no whole Excel file, one that unpacks to gigabytes or whose rows hold
            millions of elements, a row that is wider than the header; or openpyxl is missing.
    """
    try:
        import openpyxl
    except ImportError:
        raise ValueError(f"{path}: reading Excel needs an extra: pip install 'hfcls[excel]', or save as CSV") from None
    width = None
    for number, cells in _filled_rows(path, openpyxl.load_workbook):
        if width is None:
            width = len(cells)
        if len(cells) > width:
            raise ValueError(f"{path}:{number}: {len(cells)} cells, the header has {width}; name every column")
        yield number, (*cells, *[None] * (width - len(cells)))


def _filled_rows(path: str, load_workbook) -> Iterator[tuple[int, tuple]]:
    """The rows with anything in them, each up to its last cell."""
    try:
        _check_size(path)
        _check_elements(path)
        sheet = load_workbook(path, read_only=True, data_only=True).worksheets[0]
        # Private, read in openpyxl 3.1: its strings are those of the file without x005F_, which protects an _x000D_
        # that is meant.
        sheet._shared_strings[:] = _shared_strings(path, sheet._shared_strings)
        sheet.reset_dimensions()  # programs other than Excel write less than the sheet holds, or nothing
        for number, row in enumerate(sheet.iter_rows(values_only=True), start=1):
            cells = [_unescaped(cell) for cell in row]
            while cells and cells[-1] is None:
                cells.pop()
            if cells:
                yield number, tuple(cells)
    except _ODD as error:
        if isinstance(error, _Large) or (isinstance(error, OSError) and error.errno is not None):
            raise
        raise ValueError(f"{path}: no whole Excel file; save it anew as .xlsx, or as .csv") from None


class _Large(ValueError):
    pass


def _check_size(path: str) -> None:
    with zipfile.ZipFile(regular(path)) as archive:
        packed = sum(member.compress_size for member in archive.infolist())
        unpacked = sum(member.file_size for member in archive.infolist())  # no more than this is unpacked
    if unpacked > MOST_BYTES or unpacked > max(SMALL, MOST_TIMES * packed):
        raise _Large(f"{path}: unpacks to {unpacked / 1e6:,.0f} MB, which is not read; save it as .csv")


def _check_elements(path: str) -> None:
    """Makes sure that no row, string or other part has millions of elements: openpyxl has each of them in memory."""
    with zipfile.ZipFile(path) as archive:
        for member in archive.namelist():
            with archive.open(member) as part, contextlib.suppress(expat.ExpatError):  # a picture, or torn
                _count_elements(part, path)


def _count_elements(part: BinaryIO, path: str) -> None:
    pieces = elements = 0

    def count(name: str, attributes: dict) -> None:
        nonlocal pieces, elements
        if name.rpartition(":")[2] in ("row", "si"):  # a row, a string that cells share
            pieces, elements = pieces + 1, 0
        else:
            elements += 1
        if elements > MOST_ELEMENTS or pieces > MOST_PIECES:
            raise _Large(f"{path}: a row, or all rows, of millions of elements, which is not read; save it as .csv")

    parser = expat.ParserCreate()
    parser.StartElementHandler = count
    parser.ParseFile(part)


def _shared_strings(path: str, known: list[str]) -> list[str]:
    """The strings of an Excel file as it holds them; those that are `known`, if it holds them elsewhere."""
    from openpyxl.cell.text import Text
    from openpyxl.xml.constants import ARC_SHARED_STRINGS, SHEET_MAIN_NS
    from openpyxl.xml.functions import iterparse

    found = []
    with zipfile.ZipFile(path) as archive:
        if ARC_SHARED_STRINGS in archive.namelist():
            with archive.open(ARC_SHARED_STRINGS) as part:
                for _, node in iterparse(part):
                    if node.tag == f"{{{SHEET_MAIN_NS}}}si":
                        found.append(Text.from_tree(node).content)
                        node.clear()
    return found if len(found) == len(known) else known


def _unescaped(cell):
    """A value of Excel with the characters that stand for _xHHHH_ (ECMA-376, 22.4.2.4, ST_Xstring)."""
    return _ESCAPE.sub(lambda code: chr(int(code[1], 16)), cell) if isinstance(cell, str) else cell
