"""The draw of splits that a table does not bring.

This file needs numpy only.
"""

import random
from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np

__all__ = ["draw"]

_Note = Callable[[str], None]


def draw(
    labels: Sequence[Sequence[str]],
    splits: list[str],
    seed: int,
    path: str,
    note: _Note,
    groups: Sequence[str] | None = None,
) -> dict[str, np.ndarray]:
    """A tenth of each class for every split but the first, which keeps the others: the numbers of the rows, ascending.

    Args:
        labels: of each row, names.
        path: for messages.
        groups: of each row; rows of one group stay in one split, and a row without one is alone.

    Raises:
        ValueError: a class has too few rows, or the groups are too large.
    """
    counts = Counter(label for names in labels for label in names or [""])  # "" where none applies
    if "" in counts and counts[""] < len(splits):
        del counts[""]
    rare = [f"{count} rows of class {label[:40]!r}" for label, count in counts.items() if count < len(splits)]
    if rare:
        them = "it" if len(rare) == 1 else "them"
        raise ValueError(f"{path}: {', '.join(rare)} are too few for {', '.join(splits)}; add some, or remove {them}")
    rows_of = None if groups is None else _rows_of_groups(groups)
    order = list(range(len(labels) if rows_of is None else len(rows_of)))
    if len(order) < len(splits):
        raise ValueError(f"{path}: {len(order)} groups are too few for {', '.join(splits)}; name another column")
    wanted = {split: {name: max(1, round(count / 10)) for name, count in counts.items()} for split in splits[1:]}
    left = sum(sum(counted.values()) for counted in wanted.values())
    random.Random(seed).shuffle(order)
    split_of = np.zeros(len(labels), dtype=np.uint8)
    for group in order:
        if not left:  # all others stay in the first split
            break
        rows = [group] if rows_of is None else rows_of[group]
        holds = Counter(label for row in rows for label in labels[row] or [""] if label in counts)
        # The first split that lacks rows of these classes, and would not get more of any than it lacks.
        fits = (split for split in wanted if holds and all(wanted[split][name] >= n for name, n in holds.items()))
        split = next(fits, splits[0])
        split_of[rows] = splits.index(split)
        if split in wanted:
            for name, count in holds.items():
                wanted[split][name] -= count
                left -= count
    drawn = {split: np.flatnonzero(split_of == place) for place, split in enumerate(splits)}
    for split, chosen in drawn.items():
        absent = set(counts) - {label for row in chosen.tolist() for label in labels[row] or [""]}
        if not len(chosen) or (split == splits[0] and absent):
            raise ValueError(f"{path}: the groups are too large to draw {', '.join(splits)}; give one file a split")
        if absent:
            note(f"{path}: no rows of {', '.join(sorted(absent))} in {split}: the groups are too large")
    return drawn


def _rows_of_groups(groups: Sequence[str]) -> list[list[int]]:
    """The numbers of the rows of each group, in the order in which the groups begin."""
    found: dict[str, list[int]] = {}
    for row, group in enumerate(groups):
        found.setdefault(group or f"\0{row}", []).append(row)
    return list(found.values())
