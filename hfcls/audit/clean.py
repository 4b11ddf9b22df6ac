"""Writes a corpus back in its own format, without the rows that an audit found."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hfcls.audit.audit import Audit
from hfcls.errors import InputError

LEAST = 3  # rows of a class, with which a split can still be drawn for training, validation and test


@dataclass(frozen=True)
class Cleaned:
    """What was left out.

    Attributes:
        dropped: rows of each split.
        spared: classes, with their split, that lost no row because hardly any would have been left.
        halved: classes, with their split and what is left of them, that lost over half of their rows.
    """

    dropped: dict[str, int]
    spared: list[str]
    halved: list[str]


def write_clean(done: Audit, names: list[str], folder: str) -> Cleaned:
    """Writes the rows without those of the findings `names`; test rows all stay, or results could not be compared.

    Args:
        folder: new, or empty.

    Raises:
        InputError: the folder holds something or cannot be written to, or the corpus is not written back.
    """
    target = Path(folder)
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise InputError(f"--write_clean {folder}: is there already; give a new folder")
    corpus, (keep, spared, halved) = done.corpus, kept_rows(done, names)
    kept = {
        split: np.flatnonzero(keep[corpus.split_ids == place]).tolist() for place, split in enumerate(corpus.splits)
    }
    try:
        target.mkdir(parents=True, exist_ok=True)
        corpus.write_back(kept, folder)
    except OSError as error:
        raise InputError(
            f"{error.filename or target}: {error.strerror}; give a --write_clean that can be written to"
        ) from error
    except ValueError as error:
        raise InputError(f"--write_clean: {error}") from error
    return Cleaned({split: corpus.splits[split] - len(rows) for split, rows in kept.items()}, spared, halved)


def kept_rows(done: Audit, names: list[str]) -> tuple[np.ndarray, list[str], list[str]]:
    """(rows,) which rows of the flat corpus stay; and, as `Cleaned` has them, the classes spared and halved."""
    corpus = done.corpus
    keep = np.ones(len(corpus.contents), dtype=bool)
    for finding in done.findings:
        if finding.name in names:
            keep[finding.rows] = False
    if "test" in corpus.splits:
        keep[corpus.split_ids == list(corpus.splits).index("test")] = True
    spared, halved = [], []
    for place, split in enumerate(corpus.splits):
        for label, name in enumerate(corpus.classes):
            rows = np.flatnonzero((corpus.split_ids == place) & (corpus.labels == label))
            left = int(keep[rows].sum())
            if name and left < min(LEAST, len(rows)):
                keep[rows] = True
                spared.append(f"{name} in {split}")
            elif left < len(rows) / 2:
                halved.append(f"{name} in {split} ({left:,} of {len(rows):,})")
    return keep, spared, halved
