"""Corpora to audit: those of the builders, and tables in CSV, JSONL or Parquet files.

Tables are read as they are, not with the builder of `hfcls/data/table.py`: that one leaves out or refuses what an audit
is to find, and draws splits where there are none.
"""

import importlib
import json
import logging
from pathlib import Path

import datasets
import numpy as np
import pandas

from hfcls.audit.flat import FlatCorpus
from hfcls.data.repetition import objects, read_contents
from hfcls.errors import InputError

# Name of the corpus: module, class and, where it has several, the part of the corpus.
BUILDERS = {
    "thucnews": ("thucnews", "THUCNews"),
    "imdb": ("imdb", "IMDB"),
    "ccf_sentiment": ("ccf_sentiment", "CCFSentiment"),
    "mnist": ("mnist", "MNIST"),
    "dataset_cards": ("dataset_cards", "DatasetCards"),
    "muge": ("muge", "MUGE", "texts"),
    "muge_images": ("muge", "MUGE", "images"),
}
UNLABELLED = "unlabelled"  # the one class of a corpus without labels
GROUPS = {"dataset_cards": "id"}  # what the rows of a corpus belong together by: the card that they were taken from
SUFFIXES = (".csv", ".jsonl", ".parquet")
SPLITS = ("train", "validation", "test")


def load_builder(name: str, data_dir: str | None, group_column: str | None = None) -> FlatCorpus:
    """A corpus of `BUILDERS`, the embedded sample without `data_dir`; `group_column` is one of its columns.

    Raises:
        InputError: the corpus cannot be read; the message is the builder's, with file and line. Or it has no such
            column.
    """
    prepared, notes = prepare(name, data_dir)
    columns = prepared["train"].column_names
    group_column = group_column or GROUPS.get(name)
    if group_column is not None and group_column not in columns:
        raise InputError(f"--group_column {group_column}: {name} has the columns {', '.join(columns)}")

    labelled = "label" in columns

    def column(wanted: str) -> np.ndarray:
        return objects([str(value) for split in SPLITS for value in prepared[split][wanted]])

    return FlatCorpus(
        name=name,
        source="embedded sample" if data_dir is None else Path(data_dir).resolve().name,
        contents=objects([content for split in SPLITS for content in read_contents(prepared[split])]),
        labels=np.concatenate(
            [
                np.asarray(prepared[split]["label"]) if labelled else np.zeros(len(prepared[split]), int)
                for split in SPLITS
            ]
        ),
        classes=prepared["train"].features["label"].names if labelled else [UNLABELLED],
        splits={split: len(prepared[split]) for split in SPLITS},
        groups=None if group_column is None else column(group_column),
        names=column("id") if "id" in columns else None,
        notes=tuple(notes),
    )


def prepare(name: str, data_dir: str | None, **options) -> tuple[datasets.DatasetDict, list[str]]:
    """The splits that a builder makes, and what it noted.

    Raises:
        InputError: as `load_builder`.
    """
    module, builder, *part = BUILDERS[name]
    builder = getattr(importlib.import_module(f"hfcls.data.{module}"), builder)
    notes: list[str] = []
    listener = logging.Handler(logging.WARNING)
    listener.emit = lambda record: notes.append(record.getMessage())
    logger = logging.getLogger(builder.__module__)
    logger.addHandler(listener)
    try:
        prepared = builder(*part, data_dir=data_dir, **options)
        prepared.download_and_prepare()
        return prepared.as_dataset(), notes
    except datasets.exceptions.DatasetGenerationError as error:
        raise InputError(str(error.__cause__ or error)) from error
    except (ValueError, OSError) as error:
        raise InputError(str(error)) from error
    finally:
        logger.removeHandler(listener)


def load_tables(path: str, *, text_column: str, label_column: str, group_column: str | None = None) -> FlatCorpus:
    """A CSV, JSONL or Parquet file, or a folder with `train`, `validation` and `test` in one of these formats.

    Raises:
        InputError: no such file, a torn one, or one without the columns.
    """
    tables = {split: read_table(file) for split, file in find_tables(path).items()}
    for split, table in tables.items():
        for flag, column in (("text", text_column), ("label", label_column), ("group", group_column)):
            if column is not None and column not in table.columns:
                raise InputError(
                    f"{path}: {split} has no column {column!r} but {', '.join(map(str, table.columns))}: "
                    f"name one with --{flag}_column"
                )
    whole = pandas.concat(tables.values(), ignore_index=True)
    if whole.empty:
        raise InputError(f"{path}: no rows; there is nothing to audit")
    labels, classes = pandas.factorize(_strings(whole[label_column]), sort=True)
    return FlatCorpus(
        name=Path(path).stem,
        source=Path(path).resolve().name,
        contents=_strings(whole[text_column]),
        labels=labels,
        classes=[str(name) for name in classes],
        splits={split: len(table) for split, table in tables.items()},
        groups=None if group_column is None else _strings(whole[group_column]),
    )


def find_tables(path: str) -> dict[str, Path]:
    """The file of each split: `train.csv`, `validation.csv` (or `dev`, `val`), `test.csv`; a lone file is train.

    Raises:
        InputError: there is none, or two for one split.
    """
    place = Path(path)
    if place.is_file():
        if place.suffix not in SUFFIXES:
            raise InputError(f"{path}: give a {', '.join(SUFFIXES)} file, a folder of them, or {', '.join(BUILDERS)}")
        return {"train": place}
    if not place.is_dir():
        raise InputError(f"{path}: neither a file nor a folder, nor one of the corpora {', '.join(BUILDERS)}")
    names = {"train": ("train",), "validation": ("validation", "dev", "val", "valid"), "test": ("test",)}
    tables = {}
    for split, stems in names.items():
        files = sorted(f for f in place.iterdir() if f.suffix in SUFFIXES and f.stem in stems)
        if len(files) > 1:
            raise InputError(f"{files[0]}: {files[1].name} is there as well; keep one of them")
        if files:
            tables[split] = files[0]
    if "train" not in tables:
        raise InputError(f"{path}: no train.csv, train.jsonl or train.parquet; name the file itself")
    return tables


def read_table(file: Path) -> pandas.DataFrame:
    """All columns of a file; cells of a CSV stay the strings they are, bytes of no encoding become U+FFFD.

    Raises:
        InputError: the file is torn or empty.
    """
    try:
        if file.suffix == ".parquet":
            return pandas.read_parquet(file)
        if file.suffix == ".jsonl":
            return _read_jsonl(file)
        return pandas.read_csv(
            file, dtype=str, keep_default_na=False, encoding=encoding_of(file), encoding_errors="replace"
        )
    except InputError:
        raise
    except (ValueError, OSError) as error:
        reason = " ".join(str(error).split())
        raise InputError(f"{file}: not a readable {file.suffix} file ({reason}); repair it") from error


def _read_jsonl(file: Path) -> pandas.DataFrame:
    rows = []
    with file.open(encoding=encoding_of(file), errors="replace", newline="\n") as lines:
        for number, line in enumerate(lines, start=1):
            try:
                row = json.loads(line) if line.strip() else None
            except (ValueError, RecursionError) as error:
                raise InputError(f"{file}:{number}: not JSON ({error}): one object a line") from error
            if isinstance(row, dict):
                rows.append(row)
            elif line.strip():
                raise InputError(f"{file}:{number}: not a JSON object; write one object a line")
    return pandas.DataFrame(rows, dtype=object)


def encoding_of(file: Path) -> str:
    """UTF-8 with or without a byte order mark, or GB18030 where the bytes are that and not UTF-8."""
    content = file.read_bytes()
    for encoding in ("utf-8-sig", "gb18030"):
        try:
            content.decode(encoding)
        except UnicodeDecodeError:
            continue
        return encoding
    return "utf-8-sig"


def _strings(column: pandas.Series) -> np.ndarray:
    return objects(["" if pandas.api.types.is_scalar(x) and pandas.isna(x) else str(x) for x in column])
