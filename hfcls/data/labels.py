"""The labels of a row of a table, as people write them: a name, names between separators, a list, 0 and 1 a label.

This file needs the standard library, and `files.py` and `table_files.py` beside it.
"""

import ast
import difflib
import json
import math
import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from .table_files import cell_text, text_cell

__all__ = ["LabelCells", "find_column", "label_cells", "label_names", "near_equal"]

_MAX_LABELS = 1000
_WHOLE = re.compile(r"^(-?\d+)\.0+$")  # a CSV column with gaps has 1.0 for 1
_WITHOUT_COMMAS = re.compile(r"""['"]\s+['"]""")  # Python would join the two
_HOT = {"1": True, "true": True, "0": False, "false": False, "": False}


@dataclass(frozen=True)
class LabelCells:
    """Where the labels of a table are, and how its cells are read.

    Attributes:
        columns: one, or one a label, of which each cell is 0 or 1.
        separator: between the names in a cell; None: a row has one label.
        places: the cells are lists of 0 and 1, a place a label; labels are called by their places, from 0.
    """

    columns: list[str]
    separator: str | None
    places: bool = False

    def read(self, record: dict, where: str) -> list[str]:
        """The names of the labels of a row, each once, in their order.

        Raises:
            ValueError: they cannot be read, or are several without `separator`; `where` is file and line.
        """
        if len(self.columns) > 1:
            names = [name for name in self.columns if _is_hot(record.get(name), name, where)]
            if self.separator is None and len(names) > 1:
                raise ValueError(
                    f"{where}: {', '.join(names)} are 1 at once; give each row one class, or --multi_label"
                )
            return names
        cell = record.get(self.columns[0])
        if self.places:
            values = _listed(cell, where)
            if not _is_places(values):
                raise ValueError(
                    f"{where}: the labels are {str(cell)[:40]}; the rows above have a list of 0 and 1, write one"
                )
            return [str(place) for place, value in enumerate(values) if value]
        return _names(cell, self.separator, where)

    def with_places(self, records: Iterable[tuple[int, dict]], path: str, note: Callable[[str], None]) -> "LabelCells":
        """The same, with `places` where all of `records` have lists of 0 and 1, as many each."""
        if self.separator is None or len(self.columns) > 1:
            return self
        lengths = set()
        for line, record in records:
            values = _listed(record.get(self.columns[0]), f"{path}:{line}")
            if not _is_places(values):
                return self
            lengths.add(len(values))
        if len(lengths) != 1:
            return self
        note(f"{path}: {self.columns[0]} holds lists of {lengths.pop()} times 0 or 1: a place a label, called 0, 1, …")
        return replace(self, places=True)


def label_cells(name: str, columns: list[str], separator: str | None, path: str) -> LabelCells:
    """`name` is a column, or several with commas between them, one a label.

    Raises:
        ValueError: there are no such columns.
    """
    several = [part.strip() for part in name.split(",")]
    if name in columns or len(several) < 2:
        several = [name]
    for column in several:
        find_column(column, columns, "label", path)
    return LabelCells(several, separator)


def find_column(name: str, columns: list[str], flag: str, path: str) -> None:
    """Raises ValueError where `columns` lack `name`; the message names the nearest, or the flag."""
    if name not in columns:
        near = difflib.get_close_matches(name, columns, n=1, cutoff=0.4)
        hint = f"did you mean {near[0]!r}?" if near else f"give --{flag}_column"
        raise ValueError(f"{path}:1: no column {name!r}; there are {', '.join(map(repr, columns[:20]))}: {hint}")


def _names(cell, separator: str | None, where: str) -> list[str]:
    if separator is None and isinstance(cell, (list, dict)):
        raise ValueError(f"{where}: the label is {str(cell)[:40]}; give each row one class, or --multi_label")
    values = None if separator is None else _listed(cell, where)
    if isinstance(cell, dict) or any(isinstance(name, (list, dict)) for name in values or []):
        raise ValueError(f"{where}: the labels are {str(cell)[:40]}; give a list of names")
    if values is None:
        text = text_cell(cell, where, "label").strip()
        values = [text] if separator is None else text.split(separator)
    names = [_WHOLE.sub(r"\1", text_cell(name, where, "label").strip()) for name in values]
    return list(dict.fromkeys(name for name in names if name))


def _listed(cell, where: str) -> list | None:
    """A list, or one in the writing of JSON or Python; None for all else."""
    if isinstance(cell, list):
        return cell
    text = cell.strip() if isinstance(cell, str) else ""
    if not (text.startswith("[") and text.endswith("]")):
        return None
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        pass  # Python's own writing has other quotes
    try:
        values = None if _WITHOUT_COMMAS.search(text) else ast.literal_eval(text)
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        values = None
    if not isinstance(values, list):
        raise ValueError(f'{where}: the labels are {text[:40]}; write a list as ["a", "b"]')
    return values


def _is_places(values: list | None) -> bool:
    return values is not None and len(values) > 1 and all(value in (0, 1) for value in values)


def _is_hot(cell, name: str, where: str) -> bool:
    text = _WHOLE.sub(r"\1", cell_text(cell)).lower()
    if text not in _HOT:
        raise ValueError(f"{where}: {name} is {text[:40]!r}; a column for a label holds 0 or 1")
    return _HOT[text]


def label_names(labels: Sequence[Sequence[str]], line_of: Callable[[int], int], path: str, column: str) -> list[str]:
    """The classes of rows with these `labels`, sorted: numbers by size, names by code points.

    Args:
        line_of: from the number of a row to its line, for messages.

    Raises:
        ValueError: the column holds no classes.
    """
    names = {label for row in labels for label in row}
    numbers = {name: _number(name) for name in names}
    if len(names) > 1 and None not in numbers.values() and any(not n.is_integer() for n in numbers.values()):
        row = next(row for row, found in enumerate(labels) if any(not numbers[label].is_integer() for label in found))
        raise ValueError(
            f"{path}:{line_of(row)}: column {column!r} holds fractions ({labels[row][0][:20]}), not classes; name "
            "the column of the classes, or cut the numbers into ranges"
        )
    if len(names) > _MAX_LABELS:
        raise ValueError(
            f"{path}:1: column {column!r} has {len(names):,} different values in {len(labels):,} rows, at most "
            f"{_MAX_LABELS:,} are classes; name the column of the classes"
        )
    if len(names) < 2:
        raise ValueError(
            f"{path}:1: every row of column {column!r} is {''.join(names)[:40]!r}; there is nothing to tell apart: "
            "name another column"
        )
    return sorted(names) if None in numbers.values() else sorted(names, key=lambda name: (numbers[name], name))


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def near_equal(names: Iterable[str]) -> list[list[str]]:
    """Names that differ in case, width or spaces only, in groups of two or more."""
    groups: dict[str, list[str]] = {}
    for name in names:
        groups.setdefault(" ".join(unicodedata.normalize("NFKC", name).casefold().split()), []).append(name)
    return [group for group in groups.values() if len(group) > 1]
