"""Your own table: texts and labels in a CSV, TSV, JSON Lines, Parquet or Excel file, or in one file a split.

This file needs `datasets`, and `builder.py`, `files.py` and `table_files.py` beside it.
"""

import difflib
import math
import os
import random
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

import datasets

from . import table_files
from .builder import CorpusBuilder, CorpusConfig, Reading, fingerprint
from .files import digest, offenders
from .table_files import SPLITS, cell_text, find_files, read_records

__all__ = ["Table", "TableConfig"]

_MAX_LABELS = 1000
_WHOLE = re.compile(r"^(-?\d+)\.0+$")  # a CSV column with gaps has 1.0 for 1

_Note = Callable[[str], None]


@dataclass
class TableConfig(CorpusConfig):
    """Reads the files; the class names and the cache key follow from them.

    Args:
        text_column, label_column: names of columns.
        text_pair_column: of a second text, if there is one.
        multi_label: a row has any number of labels: a list, or names between separators.
        label_separator: between the names in a cell.
        group_column: rows with the same value (a customer, an article) stay in one split where splits are drawn.
        seed: draws the splits.
    """

    text_column: str = "text"
    label_column: str = "label"
    text_pair_column: str | None = None
    group_column: str | None = None
    multi_label: bool = False
    label_separator: str = ","
    seed: int = 42
    splits: dict[str, list[dict]] = field(init=False, repr=False)
    labels: list[str] = field(init=False, repr=False)

    def __post_init__(self):
        super().__post_init__()
        if self.data_dir is None:
            raise ValueError("data_dir is missing; give a file or a folder with a file a split")
        note, files = self.notes.append, find_files(os.path.normpath(self.data_dir))
        columns = (self.text_column, self.label_column, self.text_pair_column, self.group_column)
        separator = self.label_separator if self.multi_label else None
        rows = {split: _rows(path, *columns, separator, note) for split, path in files.items()}
        self.labels = _label_names(rows["train"], files["train"], self.label_column)
        for split, path in files.items():
            for row in rows[split]:
                for label in set(row["labels"]) - set(self.labels):
                    raise ValueError(f"{path}:{row['line']}: label {label[:40]!r} is not in the training file")
        missing = [split for split in SPLITS if split not in rows]
        if missing:
            rows |= draw(rows["train"], ["train", *missing], self.seed, files["train"], note)
        self.splits = {split: rows[split] for split in SPLITS}
        contents = ((split, digest(path)) for split, path in files.items())
        self.fingerprint = fingerprint([__file__, table_files.__file__], contents)


class Table(CorpusBuilder):
    """Builds `train`, `validation` and `test` with `text`, `label` (ClassLabel), and maybe `text_pair` and `group`.

    `Table(data_dir=PATH, text_column="text", label_column="label", text_pair_column=None, group_column=None, seed=42)`:
    `PATH` is a file in CSV (with a header), TSV, JSON Lines, Parquet or Excel (its first sheet), or a folder with
    `train.*`, and `validation.*` (or `valid`, `val`, `dev`) and `test.*`, each in one of these formats. Text files are
    UTF-8 or GB18030.

    A split that has no file is a tenth of the training rows: drawn class by class, or group by group as near to that as
    the groups allow. Rows keep their order. The classes are those of the training file, sorted: numbers by size, names
    by code point.

    With `multi_label`, `label` is a list: of JSON Lines and Parquet files the list in the column, of others what stands
    between `label_separator`; an empty cell is a row that no label applies to.

    Left out, with a warning that counts them: rows without a text, and rows without a label.

    Raises:
        ValueError: one line with file, line and what to do, raised by the constructor: a missing file or column, a
            ragged or torn row, a label column of fractions or of more than 1,000 values, a class with too few rows.
    """

    VERSION = datasets.Version("1.0.0")
    BUILDER_CONFIG_CLASS = TableConfig

    def _info(self) -> datasets.DatasetInfo:
        texts = ["text", "text_pair"] if self.config.text_pair_column is not None else ["text"]
        texts += ["group"] if self.config.group_column is not None else []
        features = {name: datasets.Value("string") for name in texts}
        label = datasets.ClassLabel(names=self.config.labels)
        label = datasets.List(label) if self.config.multi_label else label
        return datasets.DatasetInfo(features=datasets.Features({**features, "label": label}))

    def read(self, note: _Note) -> Reading:
        return Reading({split: {"rows": rows} for split, rows in self.config.splits.items()})

    def _generate_examples(self, rows: list[dict]):
        for number, row in enumerate(rows):
            label = row["labels"] if self.config.multi_label else row["labels"][0]
            yield number, {name: label if name == "label" else row[name] for name in self.info.features}


def _rows(
    path: str, text: str, label: str, pair: str | None, group: str | None, separator: str | None, note: _Note
) -> list[dict]:
    """Rows with `line`, `text`, `labels` and, where there is such a column, `text_pair` and `group`, all strings.

    `labels` is a list of one, or of any number where there is a `separator`.
    """
    columns, records = read_records(path, note)
    names = {"text": text, "label": label, "text_pair": pair, "group": group}
    names = {key: name for key, name in names.items() if name is not None}
    for key, name in names.items():
        if name not in columns:
            near = difflib.get_close_matches(name, columns, n=1, cutoff=0.4)
            hint = f"did you mean {near[0]!r}?" if near else f"give --{key}_column"
            raise ValueError(f"{path}:1: no column {name!r}; there are {', '.join(map(repr, columns[:20]))}: {hint}")
    rows, without_text, without_label = [], [], []
    for line, record in records:
        row = {"line": line} | {key: cell_text(record.get(name)) for key, name in names.items()}
        row["labels"] = _labels(record.get(label), separator, f"{path}:{line}")
        if not row["text"]:
            without_text.append(line)
        elif not row["labels"] and separator is None:
            without_label.append(line)
        else:
            rows.append(row)
    for lines, what in ((without_text, "text"), (without_label, "label")):
        if lines:
            note(f"{path}: {len(lines)} rows without a {what} (lines {offenders(lines)}): left out")
    if not rows:
        raise ValueError(f"{path}:1: no rows with a text and a label; check {text!r} and {label!r}")
    return rows


def _labels(cell, separator: str | None, where: str) -> list[str]:
    """The names in a cell, each once, in their order."""
    if separator is None and isinstance(cell, (list, dict)):
        raise ValueError(f"{where}: the label is {str(cell)[:40]}; give each row one class, or --multi_label")
    if isinstance(cell, dict) or (isinstance(cell, list) and any(isinstance(name, (list, dict)) for name in cell)):
        raise ValueError(f"{where}: the labels are {str(cell)[:40]}; give a list of names")
    cells = cell if isinstance(cell, list) else [cell_text(cell)]
    if separator is not None and not isinstance(cell, list):
        cells = cells[0].split(separator)
    names = [_WHOLE.sub(r"\1", cell_text(name)) for name in cells]
    return list(dict.fromkeys(name for name in names if name))


def _label_names(rows: list[dict], path: str, column: str) -> list[str]:
    """The classes, sorted; raises ValueError where the column holds no classes."""
    names = {label for row in rows for label in row["labels"]}
    numbers = {name: _number(name) for name in names}
    if len(names) > 1 and None not in numbers.values() and any(not n.is_integer() for n in numbers.values()):
        row = next(row for row in rows if any(not numbers[label].is_integer() for label in row["labels"]))
        raise ValueError(
            f"{path}:{row['line']}: column {column!r} holds fractions ({row['labels'][0][:20]}), not classes; name "
            "the column of the classes, or cut the numbers into ranges"
        )
    if len(names) > _MAX_LABELS:
        raise ValueError(
            f"{path}:1: column {column!r} has {len(names):,} different values in {len(rows):,} rows, at most "
            f"{_MAX_LABELS:,} are classes; name the column of the classes"
        )
    if len(names) < 2:
        raise ValueError(
            f"{path}:1: every row of column {column!r} is {''.join(names)[:40]!r}; there is nothing to tell apart"
        )
    return sorted(names) if None in numbers.values() else sorted(names, key=lambda name: (numbers[name], name))


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def draw(rows: list[dict], splits: list[str], seed: int, path: str, note: _Note) -> dict[str, list[dict]]:
    """A tenth of each class for every split but the first, which keeps the others.

    Args:
        rows: each with `labels`, a list of names, and perhaps `group`: rows of one group stay in one split.
        path: for messages.

    Raises:
        ValueError: a class has too few rows, or the groups are too large.
    """
    counts = Counter(label for row in rows for label in row["labels"] or [""])  # "" where none applies
    if "" in counts and counts[""] < len(splits):
        del counts[""]
    label, fewest = min(counts.items(), key=lambda item: item[1])
    if fewest < len(splits):
        raise ValueError(
            f"{path}: {fewest} rows of class {label[:40]!r} are too few for {', '.join(splits)}; add some, or remove it"
        )
    grouped: dict[str, list[int]] = {}
    for number, row in enumerate(rows):
        grouped.setdefault(row.get("group") or f"\0{number}", []).append(number)
    if len(grouped) < len(splits):
        raise ValueError(f"{path}: {len(grouped)} groups are too few for {', '.join(splits)}; name another column")
    wanted = {split: {name: max(1, round(count / 10)) for name, count in counts.items()} for split in splits[1:]}
    groups = list(grouped.values())
    random.Random(seed).shuffle(groups)
    split_of = {}
    for group in groups:
        holds = Counter(label for number in group for label in rows[number]["labels"] or [""] if label in counts)
        # The first split that lacks rows of these classes, and would not get more of any than it lacks.
        fits = (split for split in wanted if holds and all(wanted[split][name] >= n for name, n in holds.items()))
        split = next(fits, splits[0])
        for number in group:
            split_of[number] = split
        if split in wanted:
            for name, count in holds.items():
                wanted[split][name] -= count
    drawn = {split: [row for number, row in enumerate(rows) if split_of[number] == split] for split in splits}
    for split, chosen in drawn.items():
        absent = set(counts) - {label for row in chosen for label in row["labels"] or [""]}
        if not chosen or (split == splits[0] and absent):
            raise ValueError(f"{path}: the groups are too large to draw {', '.join(splits)}; give one file a split")
        if absent:
            note(f"{path}: no rows of {', '.join(sorted(absent))} in {split}: the groups are too large")
    return drawn
