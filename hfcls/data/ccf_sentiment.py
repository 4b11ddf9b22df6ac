"""CCF sentiment: Chinese news as positive, neutral or negative, in the two files of the contest (CCF BDCI 2019).

The contest: https://www.datafountain.cn/competitions/350. This file needs `datasets` and the standard library only.
"""

import csv
import hashlib
import io
import logging
import os
import random
from collections.abc import Iterator
from dataclasses import dataclass, field

import datasets

__all__ = ["CCFSentiment", "CCFSentimentConfig"]

logger = logging.getLogger(__name__)

_SAMPLE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "samples", "ccf_sentiment")
_ROWS, _LABELS, _UNLABELLED = "Train_DataSet.csv", "Train_DataSet_Label.csv", "Test_DataSet.csv"
_NAMES = ["positive", "neutral", "negative"]  # 0, 1, 2 in the files
_SHOWN = 3  # offenders named in a message

_Row = tuple[str, str, str]  # id, title, content


@dataclass
class CCFSentimentConfig(datasets.BuilderConfig):
    """`seed` draws the splits. The cache key follows from the bytes of the files."""

    seed: int = 42
    folder: str = field(init=False, repr=False)
    fingerprint: str = field(init=False, repr=False)

    def __post_init__(self):
        super().__post_init__()
        self.folder = _SAMPLE if self.data_dir is None else os.path.normpath(self.data_dir)
        self.fingerprint = _fingerprint(self.folder)

    def create_config_id(self, config_kwargs: dict, custom_features: datasets.Features | None = None) -> str:
        return super().create_config_id(config_kwargs | {"fingerprint": self.fingerprint}, custom_features)


class CCFSentiment(datasets.GeneratorBasedBuilder):
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

    def _split_generators(self, dl_manager) -> list[datasets.SplitGenerator]:
        folder, seed = self.config.folder, self.config.seed
        path = os.path.join(folder, _ROWS)
        rows, labels = _read_rows(path), _read_labels(os.path.join(folder, _LABELS))
        _say([id_ for id_ in rows if id_ not in labels], f"{path}: %d rows have no label (%s): left out")
        _say([id_ for id_ in labels if id_ not in rows], f"{folder}/{_LABELS}: %d labels have no row (%s): left out")
        labelled = [(*row, labels[id_]) for id_, row in rows.items() if id_ in labels]
        splits = _draw(labelled, seed, path)
        unlabelled = os.path.join(folder, _UNLABELLED)
        if os.path.exists(unlabelled):
            splits["unlabelled"] = [(*row, -1) for row in _read_rows(unlabelled, keep_empty=True).values()]
        return [datasets.SplitGenerator(name, {"rows": split}) for name, split in splits.items()]

    def _generate_examples(self, rows: list[tuple[str, str, str, int]]):
        for number, (id_, title, content, label) in enumerate(rows):
            text, pair = (title, content) if title else (content, "")
            yield number, {"id": id_, "text": text, "text_pair": pair, "label": label}


def _fingerprint(folder: str) -> str:
    with open(__file__, "rb") as file:  # what older code prepared is stale as well
        digest = hashlib.blake2b(file.read(), digest_size=16)
    for name in (_ROWS, _LABELS, _UNLABELLED):
        path = os.path.join(folder, name)
        if name == _UNLABELLED and not os.path.exists(path):
            continue
        try:
            with open(path, "rb") as file:
                digest.update(name.encode() + hashlib.blake2b(file.read(), digest_size=16).digest())
        except OSError as error:
            raise ValueError(f"{path}: {error.strerror}; give the folder that holds {_ROWS} and {_LABELS}") from None
    return digest.hexdigest()


def _records(path: str, columns: list[str]) -> Iterator[tuple[int, list[str]]]:
    """Rows of a CSV file that are not blank, stripped, each with the line it starts in; `columns` are its header."""
    with open(path, "rb") as file:
        content = file.read()
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        try:
            text = content.decode("gb18030")
        except UnicodeDecodeError:
            raise ValueError(f"{path}:{line}: neither UTF-8 nor GB18030; repair it and save as UTF-8") from None
        logger.warning("%s: read as GB18030", path)
    reader = csv.reader(io.StringIO(text.replace("\0", "\ufffd"), newline="\n"), strict=True)
    start = 1
    try:
        for cells in reader:
            if start == 1 and [cell.strip() for cell in cells] != columns:
                raise ValueError(f"{path}:1: the columns must be {','.join(columns)}, not {','.join(cells)[:80]!r}")
            if cells and len(cells) != len(columns):
                raise ValueError(f"{path}:{start}: {len(cells)} cells instead of {len(columns)}; check the quotes")
            if cells and start > 1:
                yield start, [cell.strip() for cell in cells]
            start = reader.line_num + 1
    except csv.Error as error:
        raise ValueError(f"{path}:{start}: {error}; check that every quote is closed") from None


def _read_rows(path: str, *, keep_empty: bool = False) -> dict[str, _Row]:
    """Rows by id, in their order."""
    rows, repeated, contradictory, empty = {}, [], [], []
    for _, (id_, title, content) in _records(path, ["id", "title", "content"]):
        if id_ in rows:
            (repeated if rows[id_] == (id_, title, content) else contradictory).append(id_)
        elif title or content or keep_empty:
            rows[id_] = id_, title, content
        else:
            empty.append(id_)
    for id_ in contradictory:
        rows.pop(id_, None)
    _say(empty, f"{path}: %d rows have neither title nor content (%s): left out")
    _say(repeated, f"{path}: %d rows are repetitions (%s): left out")
    _say(contradictory, f"{path}: %d ids stand for different rows (%s): left out")
    if not rows:
        raise ValueError(f"{path}:1: no rows; fetch the whole file")
    return rows


def _read_labels(path: str) -> dict[str, int]:
    """Labels by id."""
    labels, contradictory, wrong = {}, set(), []
    for number, (id_, label) in _records(path, ["id", "label"]):
        if label not in ("0", "1", "2"):
            wrong.append((number, label))
        elif labels.setdefault(id_, int(label)) != int(label):
            contradictory.add(id_)
    if wrong:
        shown = ", ".join(repr(label[:20]) for _, label in wrong[:_SHOWN])
        raise ValueError(
            f"{path}:{wrong[0][0]}: {len(wrong)} labels are not 0, 1 or 2 (first {shown}); correct or remove them"
        )
    for id_ in contradictory:
        del labels[id_]
    _say(sorted(contradictory), f"{path}: %d ids have different labels (%s): left out")
    return labels


def _say(ids: list[str], message: str) -> None:
    if ids:
        logger.warning(message, len(ids), ", ".join(ids[:_SHOWN]) + (", …" if len(ids) > _SHOWN else ""))


def _draw(rows: list[tuple[str, str, str, int]], seed: int, path: str) -> dict[str, list]:
    """Splits the rows, in their order: of each class a fifth for test, a tenth of the others for validation."""
    split_of = {}
    for label, name in enumerate(_NAMES):
        numbers = [number for number, row in enumerate(rows) if row[3] == label]
        if len(numbers) < 3:
            raise ValueError(f"{path}: {len(numbers)} rows of class {name} are too few for three splits; add some")
        random.Random(f"{seed} {label}").shuffle(numbers)
        test = max(1, round(len(numbers) / 5))
        validation = max(1, round((len(numbers) - test) / 10))
        for place, number in enumerate(numbers):
            split_of[number] = "test" if place < test else "validation" if place < test + validation else "train"
    return {
        split: [row for n, row in enumerate(rows) if split_of[n] == split] for split in ("train", "validation", "test")
    }
