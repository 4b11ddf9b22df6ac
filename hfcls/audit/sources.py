"""Corpora to audit: those that builders prepare, and tables.

Tables are read as they are, not with the builder of `hfcls/data/table.py`: that one leaves out or refuses what an audit
is to find, and draws splits where there are none.
"""

import logging
import math
import shutil
from pathlib import Path

import datasets
import numpy as np

from hfcls.audit.flat import FlatCorpus
from hfcls.data.builder import CorpusBuilder
from hfcls.data.corpora import NamedCorpus, corpus_names
from hfcls.data.own_corpus import OwnCorpus
from hfcls.data.prepare import Prepared
from hfcls.data.repetition import objects, read_contents
from hfcls.data.table_files import find_files, read_records, write_records
from hfcls.errors import InputError

logger = logging.getLogger(__name__)

UNLABELLED = "unlabelled"  # the one class of a corpus without labels
SPLITS = ("train", "validation", "test")


def load_builder(
    name: str, corpus: NamedCorpus | OwnCorpus, data_dir: str | None, group_column: str | None = None
) -> FlatCorpus:
    """A corpus of that name, its sample without `data_dir`; `group_column` is one of its columns.

    Raises:
        InputError: the corpus cannot be read; the message is the builder's, with file and line. Or it has no such
            column, or several labels a row.
    """
    prepared = corpus.prepare(data_dir)
    splits = [prepared.splits[split] for split in SPLITS]
    columns = splits[0].column_names
    group_column = group_column or _usual_group_column(corpus, columns)
    if group_column is not None and group_column not in columns:
        raise InputError(f"--group_column {group_column}: {name} has the columns {', '.join(columns)}")
    label = splits[0].features.get("label")
    if isinstance(label, datasets.List):
        raise InputError(f"{name}: rows have several labels; hfcls check looks at one label a row")

    def column(wanted: str) -> np.ndarray:
        return objects([str(value) for split in splits for value in split[wanted]])

    return FlatCorpus(
        name=name,
        source=prepared.source,
        contents=objects([content for split in splits for content in read_contents(split)]),
        labels=np.concatenate([np.asarray(split["label"]) if label else np.zeros(len(split), int) for split in splits]),
        classes=label.names if label else [UNLABELLED],
        splits={name: len(split) for name, split in zip(SPLITS, splits, strict=True)},
        groups=None if group_column is None else column(group_column),
        names=column("id") if "id" in columns else None,
        notes=tuple(prepared.notes),
        write_back=lambda kept, folder: _write_back(prepared, kept, folder),
    )


def _usual_group_column(corpus: NamedCorpus | OwnCorpus, columns: list[str]) -> str | None:
    if isinstance(corpus, NamedCorpus):
        return corpus.group_column
    return "group" if "group" in columns else None


def _write_back(prepared: Prepared, kept: dict[str, list[int]], folder: str) -> None:
    if not isinstance(prepared.builder, CorpusBuilder):
        raise InputError("a builder of your own does not write; edit its files")
    prepared.builder.write_back(kept, folder)


def load_tables(path: str, *, text_column: str, label_column: str, group_column: str | None = None) -> FlatCorpus:
    """A table in one of the formats of `table_files`, or a folder with `train`, `validation` and `test` in one.

    Bytes of no encoding become U+FFFD, which is one of the findings.

    Raises:
        InputError: no such file, a torn one, or one without the columns.
    """
    notes: list[str] = []
    if not Path(path).exists():
        raise InputError(f"{path}: neither a file nor a folder, nor one of the corpora {', '.join(corpus_names())}")
    try:
        files = find_files(path)
        tables = {split: read_records(file, notes.append, errors="replace") for split, file in files.items()}
    except ValueError as error:
        raise InputError(str(error)) from error
    if not any(records for _, records in tables.values()):
        raise InputError(f"{path}: no rows; there is nothing to audit")
    for split, (columns, _) in tables.items():
        for flag, column in (("text", text_column), ("label", label_column), ("group", group_column)):
            if column is not None and column not in columns:
                raise InputError(
                    f"{path}: {split} has no column {column!r} but {', '.join(columns)}: name one with --{flag}_column"
                )

    def strings(column: str) -> np.ndarray:
        return objects([_text(record.get(column)) for _, records in tables.values() for _, record in records])

    named = strings(label_column)
    classes = sorted(set(named))
    index = {name: i for i, name in enumerate(classes)}
    sizes = {split: len(records) for split, (_, records) in tables.items()}
    return FlatCorpus(
        name=Path(path).stem,
        source=Path(path).resolve().name,
        contents=strings(text_column),
        labels=np.array([index[name] for name in named]),
        classes=classes,
        splits=sizes,
        groups=None if group_column is None else strings(group_column),
        notes=tuple(notes),
        write_back=lambda kept, folder: _write_tables(files, sizes, kept, folder),
    )


def _write_tables(files: dict[str, str], sizes: dict[str, int], kept: dict[str, list[int]], folder: str) -> None:
    for split, file in files.items():
        if len(kept[split]) == sizes[split]:
            shutil.copyfile(file, Path(folder, Path(file).name))
        else:
            write_records(file, kept[split], folder)


def _text(value) -> str:
    return "" if value is None or (isinstance(value, float) and math.isnan(value)) else str(value)
