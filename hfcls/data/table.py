"""Your own table: texts and labels in a CSV, TSV, JSON, Parquet or Excel file, or in files of their own a split.

This file needs `datasets`, and beside it `builder.py`, `drawn_splits.py`, `encodings.py`, `files.py`, `labels.py`,
`mapped_files.py`, `split_files.py`, `stored_rows.py`, `table_files.py` and `table_rows.py`.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass, field

import datasets

from . import (
    arrow_files,
    drawn_splits,
    excel_files,
    labels,
    mapped_files,
    split_files,
    stored_rows,
    table_files,
    table_rows,
)
from .builder import CorpusBuilder, CorpusConfig, Reading, fingerprint
from .drawn_splits import draw
from .encodings import check_name
from .files import digest
from .labels import label_names, near_equal
from .split_files import SPLITS, find_files
from .stored_rows import StoredRows
from .table_rows import UNLABELLED, TableColumns, read_splits

__all__ = ["Table", "TableConfig"]

_CODE = [
    module.__file__
    for module in (
        *(arrow_files, drawn_splits, excel_files, labels, mapped_files, split_files),
        *(stored_rows, table_files, table_rows),
    )
]

_Note = Callable[[str], None]


@dataclass
class TableConfig(CorpusConfig):
    """Reads the files; the class names and the cache key follow from them.

    Args:
        text_column, label_column: names of columns; of labels also several columns of 0 and 1, with commas between.
        text_pair_column: of a second text, if there is one.
        multi_label: a row has any number of labels: a list, or names between separators.
        label_separator: between the names in a cell.
        group_column: rows with the same value (a customer, an article) stay in one split where splits are drawn.
        seed: draws the splits.
        encoding: of text files; None: UTF-8, or GB18030.
    """

    text_column: str = "text"
    label_column: str = "label"
    text_pair_column: str | None = None
    group_column: str | None = None
    multi_label: bool = False
    label_separator: str = ","
    seed: int = 42
    encoding: str | None = None
    splits: dict[str, StoredRows] = field(init=False, repr=False)
    labels: list[str] = field(init=False, repr=False)

    def __post_init__(self):
        super().__post_init__()
        if self.data_dir is None:
            raise ValueError("data_dir is missing; give a file or a folder with a file a split")
        if self.encoding is not None:
            check_name(self.encoding)
        note, files = self.notes.append, find_files(os.path.normpath(self.data_dir))
        columns = TableColumns(
            self.text_column,
            self.label_column,
            self.text_pair_column,
            self.group_column,
            self.label_separator if self.multi_label else None,
            self.encoding,
        )
        rows, train = read_splits(files, columns, note), files["train"][0]
        labels = rows["train"].labels
        self.labels = label_names(labels, lambda row: rows["train"].column("line")[row], train, self.label_column)
        for group in near_equal(self.labels):
            note(f"{train}: the labels {', '.join(map(repr, group))} are a class each, though nearly equal")
        missing = [split for split in SPLITS if split not in rows]
        if missing:
            groups = None if self.group_column is None else rows["train"].column("group")
            drawn = draw(labels, ["train", *missing], self.seed, train, note, groups)
            rows |= {split: rows["train"].select(numbers) for split, numbers in drawn.items()}
        self.splits = {split: rows[split] for split in [*SPLITS, UNLABELLED] if split in rows}
        contents = ((f"{split} {place}", digest(path)) for split in files for place, path in enumerate(files[split]))
        self.fingerprint = fingerprint([__file__, *_CODE], contents)


class Table(CorpusBuilder):
    """Builds `train`, `validation` and `test` with `text`, `label` (ClassLabel), and maybe `text_pair` and `group`.

    `Table(data_dir=PATH, text_column="text", label_column="label", text_pair_column=None, group_column=None, seed=42)`:
    `PATH` is a file in CSV (with a header), TSV, JSON (a list, or an object a line), Parquet or Excel (first sheet),
    text files also in .gz or .zst; or a folder with `train.*`, and `validation.*` (or `valid`, `val`, `dev`) and
    `test.*`, each in one of these formats or in pieces (`train-00000-of-00002.parquet`), in the folder itself or its
    `data`; or what `save_to_disk` of `datasets` wrote. Text files are UTF-8 or GB18030, or what `encoding` says.

    A split that has no file is a tenth of the training rows: drawn class by class, or group by group as near to that as
    the groups allow. Rows keep their order. The classes are those of the training file, sorted: numbers by size, names
    by code point.

    With `multi_label`, `label` is a list: the list in the column, also in the writing of JSON or Python, or what stands
    between `label_separator`; an empty cell is a row that no label applies to. Where every cell is a list of 0 and 1,
    as many each, its places are the labels.

    A test file without labels (no column, empty cells or lists, or -1 throughout) becomes the split `unlabelled`, and
    all splits get an `id`. Left out, with a warning that counts them: rows without a text, and rows without a label.

    Raises:
        ValueError: one line with file, line and what to do, raised by the constructor: a missing file or column, a
            ragged or torn row, a label column of fractions or of more than 1,000 values, a class with too few rows.
    """

    VERSION = datasets.Version("1.0.0")
    BUILDER_CONFIG_CLASS = TableConfig

    def _info(self) -> datasets.DatasetInfo:
        texts = ["text", "text_pair"] if self.config.text_pair_column is not None else ["text"]
        texts += ["group"] if self.config.group_column is not None else []
        texts += ["id"] if UNLABELLED in self.config.splits else []
        features = {name: datasets.Value("string") for name in texts}
        label = datasets.ClassLabel(names=self.config.labels)
        label = datasets.List(label) if self.config.multi_label else label
        return datasets.DatasetInfo(features=datasets.Features({**features, "label": label}))

    def read(self, note: _Note) -> Reading:
        return Reading({split: {"rows": rows} for split, rows in self.config.splits.items()})

    def _generate_examples(self, rows: StoredRows):
        for number, row in enumerate(rows):
            label = row["labels"] if self.config.multi_label else next(iter(row["labels"]), -1)
            yield number, {name: label if name == "label" else row[name] for name in self.info.features}
