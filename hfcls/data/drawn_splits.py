"""The draw of splits that a table does not bring.

This file needs the standard library only.
"""

import random
from collections import Counter
from collections.abc import Callable

__all__ = ["draw"]

_Note = Callable[[str], None]


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
    rare = [f"{count} rows of class {label[:40]!r}" for label, count in counts.items() if count < len(splits)]
    if rare:
        them = "it" if len(rare) == 1 else "them"
        raise ValueError(f"{path}: {', '.join(rare)} are too few for {', '.join(splits)}; add some, or remove {them}")
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
