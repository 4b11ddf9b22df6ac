"""Corpora to audit: those that builders prepare, and tables.

Tables are read as they are, not with the builder of `hfcls/data/table.py`: that one leaves out or refuses what an audit
is to find, and draws splits where there are none.
"""

import logging
import shutil
from collections.abc import Iterator
from pathlib import Path

import datasets
import numpy as np

from hfcls.audit.flat import FlatCorpus
from hfcls.audit.stored_texts import StoredTexts, store_texts
from hfcls.data.builder import CorpusBuilder
from hfcls.data.corpora import NamedCorpus, corpus_names
from hfcls.data.encodings import check_name
from hfcls.data.labels import label_cells
from hfcls.data.own_corpus import OwnCorpus
from hfcls.data.prepare import Prepared
from hfcls.data.repetition import objects, read_contents
from hfcls.data.split_files import find_files
from hfcls.data.stored_rows import store
from hfcls.data.table_files import text_cell, write_records
from hfcls.data.table_rows import Piece, has_label_column, open_pieces
from hfcls.errors import InputError

logger = logging.getLogger(__name__)

UNLABELLED = "unlabelled"  # the one class of a corpus without labels
NO_LABEL = "(no label)"  # in place of a class, of a row whose cell is empty
PART = 10_000  # rows of a split that are in memory at once
SPLITS = ("train", "validation", "test")


def load_builder(
    name: str, corpus: NamedCorpus | OwnCorpus, data_dir: str | None, group_column: str | None = None, **options
) -> FlatCorpus:
    """A corpus of that name, its sample without `data_dir`; `group_column` is one of its columns.

    `options` are those of its builder.

    Raises:
        InputError: the corpus cannot be read; the message is the builder's, with file and line. Or it has no such
            column, or several labels a row.
    """
    prepared = corpus.prepare(data_dir, **options)
    splits = [prepared.splits[split] for split in SPLITS]
    columns = splits[0].column_names
    group_column = group_column or _usual_group_column(corpus, columns)
    if group_column is not None and group_column not in columns:
        raise InputError(f"--group_column {group_column}: {name} has the columns {', '.join(columns)}: name one")
    label = splits[0].features.get("label")
    if isinstance(label, datasets.List):
        raise InputError(f"{name}: rows have several labels, and hfcls check looks at one: name another --label_column")

    def column(wanted: str) -> np.ndarray:
        return objects([str(value) for split in splits for value in split[wanted]])

    return FlatCorpus(
        name=name,
        source=prepared.source,
        contents=_contents(splits),
        labels=np.concatenate([np.asarray(split["label"]) if label else np.zeros(len(split), int) for split in splits]),
        classes=label.names if label else [UNLABELLED],
        splits={name: len(split) for name, split in zip(SPLITS, splits, strict=True)},
        groups=None if group_column is None else column(group_column),
        names=column("id") if "id" in columns else None,
        notes=tuple(prepared.notes),
        write_back=lambda kept, folder: _write_back(prepared, kept, folder),
    )


def _contents(splits: list[datasets.Dataset]) -> np.ndarray | StoredTexts:
    """Of all splits one after another: texts, or digests of images."""
    if "text" not in splits[0].column_names:
        return objects([content for split in splits for content in read_contents(split)])
    parts = (
        split.select(range(at, min(at + PART, len(split)))) for split in splits for at in range(0, len(split), PART)
    )
    return store_texts(text for part in parts for text in read_contents(part))


def _usual_group_column(corpus: NamedCorpus | OwnCorpus, columns: list[str]) -> str | None:
    if isinstance(corpus, NamedCorpus):
        return corpus.group_column
    return "group" if "group" in columns else None


def _write_back(prepared: Prepared, kept: dict[str, list[int]], folder: str) -> None:
    if not isinstance(prepared.builder, CorpusBuilder):
        raise InputError("a builder of your own does not write; edit its files")
    prepared.builder.write_back(kept, folder)


def load_tables(
    path: str, *, text_column: str, label_column: str, group_column: str | None = None, encoding: str | None = None
) -> FlatCorpus:
    """A table in one of the formats of `split_files`, or a folder of splits: all rows, as training reads their cells.

    Bytes of no encoding become U+FFFD, which is one of the findings; rows without a label have the class
    `NO_LABEL`.

    Raises:
        InputError: no such file, a torn one, or one without the columns.
    """
    notes: list[str] = []
    if not Path(path).exists():
        raise InputError(f"{path}: no such file or folder; give one, or a corpus of {', '.join(corpus_names())}")
    try:
        if encoding is not None:
            check_name(encoding)
        files = find_files(path)
        pieces = [
            (split, piece)
            for split, paths in files.items()
            for piece in open_pieces(paths, notes.append, encoding=encoding, errors="replace")
        ]
        if all(next(iter(piece.records), None) is None for _, piece in pieces):
            raise InputError(f"{path}: no rows; there is nothing to audit: add some")
        sizes = [0] * len(pieces)

        def counted() -> Iterator[dict]:
            for number, (split, piece) in enumerate(pieces):
                for row in _rows(piece, split, text_column, label_column, group_column):
                    sizes[number] += 1
                    yield row

        rows = store(counted())
    except ValueError as error:
        raise InputError(str(error)) from error
    if unlabelled := sum(names == (NO_LABEL,) for names in rows.labels):
        notes.append(f"{unlabelled:,} rows have no label: shown as {NO_LABEL}")
    classes = sorted({name for (name,) in set(rows.labels)})
    index = {name: i for i, name in enumerate(classes)}
    parts = {split: [] for split in files}
    for (split, piece), size in zip(pieces, sizes, strict=True):
        parts[split].append((piece.path, size))
    return FlatCorpus(
        name=Path(path).stem,
        source=Path(path).resolve().name,
        contents=StoredTexts.of(rows),
        labels=np.fromiter((index[name] for (name,) in rows.labels), dtype=np.int32, count=len(rows)),
        classes=classes,
        splits={split: sum(size for _, size in found) for split, found in parts.items()},
        groups=None if group_column is None else objects(rows.column("group")),
        notes=tuple(notes),
        write_back=lambda kept, folder: _write_tables(parts, kept, folder, encoding),
    )


def _rows(piece: Piece, split: str, text: str, label: str, group: str | None) -> Iterator[dict]:
    """Text, label (one of `labels`) and, if there is such a column, group of every row of a file."""
    for flag, column in (("text", text), ("group", group)):
        if column is not None and column not in piece.columns:
            raise _no_column(piece, split, flag, column)
    labelled = split != "test" or has_label_column(piece, label)
    if labelled and label not in piece.columns and "," not in label:
        raise _no_column(piece, split, "label", label)
    cells = label_cells(label, piece.columns, None, piece.path) if labelled else None
    for line, record in piece.records:
        where = f"{piece.path}:{line}"
        names = [] if cells is None else cells.read(record, where)
        row = {"text": text_cell(record.get(text), where), "labels": names[:1] or [NO_LABEL]}
        yield row if group is None else row | {"group": text_cell(record.get(group), where)}


def _no_column(piece: Piece, split: str, flag: str, column: str) -> ValueError:
    found = ", ".join(piece.columns[:20])
    return ValueError(f"{piece.path}: {split} has no column {column!r} but {found}: name one with --{flag}_column")


def _write_tables(
    parts: dict[str, list[tuple[str, int]]], kept: dict[str, list[int]], folder: str, encoding: str | None
) -> None:
    """Writes the rows `kept` of each split into `folder`; `parts` are its files, and how many rows each has."""
    for split, files in parts.items():
        rows, first = np.asarray(kept[split], dtype=int), 0
        for path, size in files:
            inside = rows[(rows >= first) & (rows < first + size)] - first
            first += size
            if len(inside) == size and encoding is None:
                shutil.copyfile(path, Path(folder, Path(path).name))
            else:
                write_records(path, inside.tolist(), folder, encoding)
