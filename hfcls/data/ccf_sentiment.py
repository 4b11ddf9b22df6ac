"""CCF sentiment: Chinese news as positive, neutral or negative, in the two files of the contest (CCF BDCI 2019).

The contest: https://www.datafountain.cn/competitions/350. This file needs `datasets`
and `builder.py` and `files.py` beside it.
"""

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import datasets

from .builder import CorpusBuilder, CorpusConfig, Reading, fingerprint
from .encodings import check_name, find_encoding
from .files import csv_records, csv_write, digest, offenders, shuffled_by_class

__all__ = ["CCFSentiment", "CCFSentimentConfig"]

_SAMPLE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "samples", "ccf_sentiment")
_ROWS, _LABELS, _UNLABELLED = "Train_DataSet.csv", "Train_DataSet_Label.csv", "Test_DataSet.csv"
_NAMES = ["positive", "neutral", "negative"]  # 0, 1, 2 in the files

_Row = tuple[str, str, str]  # id, title, content
_Note = Callable[[str], None]


@dataclass
class CCFSentimentConfig(CorpusConfig):
    """`seed` draws the splits; `encoding` is that of all files, None for UTF-8 or GB18030.

    The cache key follows from the bytes of the files.
    """

    seed: int = 42
    encoding: str | None = None
    folder: str = field(init=False, repr=False)

    def __post_init__(self):
        super().__post_init__()
        self.folder = _SAMPLE if self.data_dir is None else os.path.normpath(self.data_dir)
        if self.encoding is not None:
            check_name(self.encoding)
        self.fingerprint = fingerprint([__file__], _contents(self.folder))


class CCFSentiment(CorpusBuilder):
    """Builds `train`, `validation` and `test` with `id`, `text`, `text_pair` (strings) and `label` (ClassLabel).

    `CCFSentiment(data_dir=DIR, seed=42)`: `DIR` holds `Train_DataSet.csv` (`id,title,content`) and
    `Train_DataSet_Label.csv` (`id,label`; 0 positive, 1 neutral, 2 negative), in UTF-8 or GB18030. Where there is
    `Test_DataSet.csv` (`id,title,content`) too, its rows are a fourth split, `unlabelled`, with the label -1. Without
    `data_dir`, a sample of 600 invented reports.

    `text` is the title and `text_pair` the content; a row with only one of them has it as `text`, and no pair.

    The contest gives no labels for its test rows: `test` is a fifth of the labelled ones, `validation` a tenth of the
    others, drawn class by class from `seed`.

    Left out, with a warning that counts them: rows without a label, labels without a row, rows that have neither title
    nor content, repetitions of a row, and all rows of an id that stands for different ones.

    Raises:
        ValueError: one line with file, line and what to do. The constructor raises it for missing files,
            `download_and_prepare` for bytes that are neither UTF-8 nor GB18030, other columns, ragged rows, a label
            that is not 0, 1 or 2, a class with too few rows.
    """

    VERSION = datasets.Version("1.0.0")
    BUILDER_CONFIG_CLASS = CCFSentimentConfig

    def _info(self) -> datasets.DatasetInfo:
        features = {name: datasets.Value("string") for name in ("id", "text", "text_pair")}
        return datasets.DatasetInfo(
            features=datasets.Features({**features, "label": datasets.ClassLabel(names=_NAMES)})
        )

    def read(self, note: _Note) -> Reading:
        folder, seed, encoding = self.config.folder, self.config.seed, self.config.encoding
        path = os.path.join(folder, _ROWS)
        rows = _read_rows(path, encoding, note)
        labels = _read_labels(os.path.join(folder, _LABELS), encoding, note)
        _left_out([id_ for id_ in rows if id_ not in labels], f"{path}: %d rows have no label", note)
        _left_out([id_ for id_ in labels if id_ not in rows], f"{folder}/{_LABELS}: %d labels have no row", note)
        labelled = [(*row, labels[id_]) for id_, row in rows.items() if id_ in labels]
        splits = _draw(labelled, seed, path)
        unlabelled = os.path.join(folder, _UNLABELLED)
        if os.path.exists(unlabelled):
            rows = _read_rows(unlabelled, encoding, note, keep_empty=True)
            splits["unlabelled"] = [(*row, -1) for row in rows.values()]
        return Reading({name: {"rows": split} for name, split in splits.items()})

    def _generate_examples(self, rows: list[tuple[str, str, str, int]]):
        for number, (id_, title, content, label) in enumerate(rows):
            text, pair = (title, content) if title else (content, "")
            yield number, {"id": id_, "text": text, "text_pair": pair, "label": label}

    def write_back(self, kept: dict[str, list[int]], folder: str) -> None:
        """The contest's files without the rows of the ids left out; the splits will be drawn of the others anew."""
        splits = self.as_dataset()
        left_out = {id_ for name in kept for id_ in splits[name]["id"]}
        left_out -= {id_ for name, rows in kept.items() for id_ in splits[name].select(rows)["id"]}
        for name in (_ROWS, _LABELS):
            path = os.path.join(self.config.folder, name)
            with open(os.path.join(folder, name), "w", encoding="utf-8", newline="") as file:
                records = csv_records(path, self.config.encoding or find_encoding(path))
                csv_write(file, (cells for _, cells in records if cells[0].strip() not in left_out))
        if os.path.exists(unlabelled := os.path.join(self.config.folder, _UNLABELLED)):
            shutil.copyfile(unlabelled, os.path.join(folder, _UNLABELLED))


def _contents(folder: str) -> Iterator[tuple[str, bytes]]:
    """The name and the digest of each file of the corpus."""
    for name in (_ROWS, _LABELS, _UNLABELLED):
        path = os.path.join(folder, name)
        if name == _UNLABELLED and not os.path.exists(path):
            continue
        try:
            yield name, digest(path)
        except OSError as error:
            raise ValueError(f"{path}: {error.strerror}; give the folder that holds {_ROWS} and {_LABELS}") from None


def _records(path: str, columns: list[str], encoding: str | None, note: _Note) -> Iterator[tuple[int, list[str]]]:
    """Rows of a CSV file, stripped, each with the line it starts in; `columns` are its header."""
    if encoding is None:
        encoding = find_encoding(path)
        if encoding == "gb18030":
            note(f"{path}: read as GB18030")
    records = csv_records(path, encoding)
    _, header = next(records, (1, []))
    if [cell.strip() for cell in header] != columns:
        raise ValueError(f"{path}:1: has the columns {','.join(header)[:80]!r}; name them {','.join(columns)}")
    for line, cells in records:
        yield line, [cell.strip() for cell in cells]


def _read_rows(path: str, encoding: str | None, note: _Note, *, keep_empty: bool = False) -> dict[str, _Row]:
    """Rows by id, in their order."""
    rows, repeated, contradictory, empty = {}, [], [], []
    for _, (id_, title, content) in _records(path, ["id", "title", "content"], encoding, note):
        if id_ in rows:
            (repeated if rows[id_] == (id_, title, content) else contradictory).append(id_)
        elif title or content or keep_empty:
            rows[id_] = id_, title, content
        else:
            empty.append(id_)
    for id_ in contradictory:
        rows.pop(id_, None)
    _left_out(empty, f"{path}: %d rows have neither title nor content", note)
    _left_out(repeated, f"{path}: %d rows are repetitions", note)
    _left_out(contradictory, f"{path}: %d ids stand for different rows", note)
    if not rows:
        raise ValueError(f"{path}:1: no rows; fetch the whole file")
    return rows


def _read_labels(path: str, encoding: str | None, note: _Note) -> dict[str, int]:
    """Labels by id."""
    labels, contradictory, wrong = {}, set(), []
    for number, (id_, label) in _records(path, ["id", "label"], encoding, note):
        if label not in ("0", "1", "2"):
            wrong.append((number, label))
        elif labels.setdefault(id_, int(label)) != int(label):
            contradictory.add(id_)
    if wrong:
        first = offenders(repr(label[:20]) for _, label in wrong)
        raise ValueError(
            f"{path}:{wrong[0][0]}: {len(wrong)} labels are not 0, 1 or 2 (first {first}); correct or remove them"
        )
    for id_ in contradictory:
        del labels[id_]
    _left_out(sorted(contradictory), f"{path}: %d ids have different labels", note)
    return labels


def _left_out(ids: list[str], what: str, note: _Note) -> None:
    if ids:
        note(f"{what % len(ids)} ({offenders(ids)}): left out")


def _draw(rows: list[tuple[str, str, str, int]], seed: int, path: str) -> dict[str, list]:
    """Splits the rows, in their order: of each class a fifth for test, a tenth of the others for validation."""
    drawn = dict(shuffled_by_class([row[3] for row in rows], seed))
    split_of = {}
    sizes = {name: len(drawn.get(label, [])) for label, name in enumerate(_NAMES)}
    rare = [f"{size} rows of class {name}" for name, size in sizes.items() if size < 3]
    if rare:
        raise ValueError(f"{path}: {', '.join(rare)} are too few for three splits; add some")
    for numbers in drawn.values():
        test = max(1, round(len(numbers) / 5))
        validation = max(1, round((len(numbers) - test) / 10))
        for place, number in enumerate(numbers):
            split_of[number] = "test" if place < test else "validation" if place < test + validation else "train"
    return {
        split: [row for n, row in enumerate(rows) if split_of[n] == split] for split in ("train", "validation", "test")
    }
