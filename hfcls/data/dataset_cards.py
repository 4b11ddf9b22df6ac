"""Cards of datasets on the Hugging Face Hub, with the coarse or fine class of the task that each dataset serves.

This file needs `datasets` and `builder.py`, `card_text.py` and `files.py` beside it; Excel needs openpyxl.
"""

import math
import os
import random
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

import datasets

from .builder import CorpusBuilder, CorpusConfig, Reading, fingerprint
from .card_text import clean_card
from .encodings import find_encoding
from .excel_files import excel_records
from .files import csv_records, digest

__all__ = ["DatasetCards", "DatasetCardsConfig", "clean_card", "is_template"]

_CLASS = {"coarse": "bclass", "fine": "sclass"}
_NUMBERS = {"downloads": "download_time", "size": "dataset_size", "num_rows": "dataset_number"}
_COLUMNS = {"page_link", "bclass", "sclass", "dataset_viewer", *_NUMBERS.values()}
_PREFIX = "https://huggingface.co/datasets/"
_MIN_CARDS = 3  # of a class, for one card in each split
# What the template asks for besides text: addresses, and thanks.
_FILLED_IN = re.compile(
    r"[-+ ]*(homepage|repository|paper|leaderboard|point of contact)\b.*|thanks to .* for adding this dataset\W*|-+",
    re.IGNORECASE,
)
_MIN_WORDS = 10  # of a card, besides headings, lists of headings and labels, that is more than the template


@dataclass
class DatasetCardsConfig(CorpusConfig):
    """`target` chooses the classes, `seed` draws the splits. The cache key follows from the bytes of the file."""

    target: Literal["fine", "coarse"] = "fine"
    seed: int = 42
    path: str = field(init=False, repr=False)
    rows: list[dict] = field(init=False, repr=False)

    def __post_init__(self):
        super().__post_init__()
        if self.target not in _CLASS:
            raise ValueError(f"target={self.target!r}: give fine or coarse")
        self.path = _find(self.data_dir)
        self.rows = _read(self.path, self.target)
        self.fingerprint = fingerprint([__file__], [("", digest(self.path))])


class DatasetCards(CorpusBuilder):
    """Builds `train`, `validation` and `test` with `id`, `text`, `downloads`, `size`, `num_rows`, `template`, `coarse`
    and `label`.

    `DatasetCards(data_dir=DIR, target="fine", seed=42)`: `DIR` is a CSV file in UTF-8 or an Excel file, or holds
    exactly one, with the columns `page_link,download_time,dataset_size,dataset_number,bclass,sclass,dataset_viewer` in
    any order (`dataset_num` is read as `dataset_number`).

    `id` is the dataset's name; `text` its words and then the card as `clean_card` leaves it. Numbers that are negative,
    empty or unreadable are None. `template` is true for a card that says nothing besides the template's headings.
    `coarse` is the name of the coarse class, whatever the target. A card with several classes stands in one row for
    each of them, and all its rows are in one split: of the cards a fifth is `test`, a tenth of the others `validation`.
    Cards of a class that fewer than three cards have stay in `train`, with a warning.

    Raises:
        ValueError: one line with file, line and what to do. The constructor raises it for a missing file, bytes that
            are not UTF-8, missing columns, ragged rows, an empty name or class, too few cards.
    """

    VERSION = datasets.Version("1.0.0")
    BUILDER_CONFIG_CLASS = DatasetCardsConfig

    def _info(self) -> datasets.DatasetInfo:
        labels = sorted({row["label"] for row in self.config.rows})
        numbers = {name: datasets.Value("float64") for name in _NUMBERS}
        texts = {name: datasets.Value("string") for name in ("id", "text")}
        classes = {"coarse": datasets.Value("string"), "label": datasets.ClassLabel(names=labels)}
        return datasets.DatasetInfo(
            features=datasets.Features({**texts, **numbers, "template": datasets.Value("bool"), **classes})
        )

    def read(self, note: Callable[[str], None]) -> Reading:
        path, rows = self.config.path, self.config.rows
        if empty := len({row["id"] for row in rows if row["template"]}):
            note(f"{path}: {empty} cards say nothing besides the template (column template)")
        split_of = _draw(rows, self.config.seed, path, note)
        splits = ("train", "validation", "test")
        return Reading({split: {"rows": [row for row in rows if split_of[row["id"]] == split]} for split in splits})

    def _generate_examples(self, rows: list[dict]):
        yield from enumerate(rows)


def _find(data_dir: str | None) -> str:
    if data_dir is None:
        raise ValueError(
            "there is no embedded sample of dataset cards: give a CSV or Excel file or its folder as --data_dir"
        )
    if os.path.isfile(data_dir):
        return data_dir
    if not os.path.isdir(data_dir):
        raise ValueError(f"{data_dir}: no such file or folder; give the CSV or Excel file of cards")
    found = sorted(name for name in os.listdir(data_dir) if name.endswith((".csv", ".xlsx")))
    if len(found) != 1:
        raise ValueError(f"{data_dir}: {len(found)} CSV or Excel files; give the path of the one that holds the cards")
    return os.path.join(data_dir, found[0])


def _read(path: str, target: str) -> list[dict]:
    """Rows in the file's order, each card once for each of its classes."""
    if path.endswith(".xlsx"):
        records = ((row, ["" if cell is None else str(cell) for cell in cells]) for row, cells in excel_records(path))
    else:
        records = csv_records(path, find_encoding(path, ("utf-8-sig",)))
    _, names = next(records, (1, []))
    header = ["dataset_number" if cell.strip() == "dataset_num" else cell.strip() for cell in names]
    if missing := sorted(_COLUMNS - set(header)):
        raise ValueError(f"{path}:1: no column {', '.join(missing)}; add it to the header")
    rows = {}
    for line, cells in records:
        row = _row(dict(zip(header, cells, strict=True)), target)
        if not row["id"] or not row["label"]:
            raise ValueError(f"{path}:{line}: no page_link or no {_CLASS[target]}; fill it in or remove it")
        rows.setdefault((row["id"], row["label"]), row)
    return list(rows.values())


def _row(cells: dict[str, str], target: str) -> dict:
    name = cells["page_link"].strip().removeprefix(_PREFIX).strip("/")
    card = clean_card(cells["dataset_viewer"])
    numbers = {ours: _number(cells[theirs]) for ours, theirs in _NUMBERS.items()}
    words = " ".join(re.split(r"[/_\-.]+", name))
    classes = {"coarse": cells[_CLASS["coarse"]].strip(), "label": cells[_CLASS[target]].strip()}
    return {"id": name, "text": f"{words}\n{card}", **numbers, "template": is_template(card), **classes}


def is_template(card: str) -> bool:
    """Whether a card that `clean_card` made holds headings, their list, addresses and thanks, and no more."""
    lines = card.splitlines()
    headings = {line.lstrip("# ").lower() for line in lines if line.startswith("#")}
    told = [line for line in lines if not line.startswith("#") and line.lstrip("-+ ").lower() not in headings]
    told = [line for line in told if not line.endswith(":") and not _FILLED_IN.fullmatch(line)]
    words = [word for line in told for word in re.findall(r"\w+", line)]
    return len(words) < _MIN_WORDS


def _number(cell: str) -> float | None:
    try:
        number = float(cell)
    except ValueError:
        return None
    return number if math.isfinite(number) and number >= 0 else None


def _draw(rows: list[dict], seed: int, path: str, note: Callable[[str], None]) -> dict[str, str]:
    """The split of each card."""
    cards: dict[str, set[str]] = {}
    for row in rows:
        cards.setdefault(row["label"], set()).add(row["id"])
    rare = {label for label, names in cards.items() if len(names) < _MIN_CARDS}
    if rare:
        note(f"{path}: too few cards to split, all in train: {', '.join(sorted(rare))}")
    kept = {name for label in rare for name in cards[label]}
    names = sorted({row["id"] for row in rows} - kept)
    if len(names) < 5:
        raise ValueError(f"{path}: {len(names)} cards are too few for three splits; add some")
    random.Random(seed).shuffle(names)
    test = round(len(names) / 5)
    validation = max(1, round((len(names) - test) / 10))
    split_of = dict.fromkeys(kept, "train")
    for place, name in enumerate(names):
        split_of[name] = "test" if place < test else "validation" if place < test + validation else "train"
    return split_of
