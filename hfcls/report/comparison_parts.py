"""What the pages that compare runs have in common.

A comparison has `runs`, of which each has `name`, `settings` and `history`, `groups` of them, and `best`.
"""

import math
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from hfcls.errors import InputError
from hfcls.pages.figures import Line, Plot, line_plot, span
from hfcls.report.differences import SeedGroup

COLOURED = 5  # settings whose curves have a colour of their own
DOTTED = 12  # runs, up to which the curves have dots
WHISKERS = 140  # width of the intervals' picture in pixels


def write_page(page: str, path: str | Path) -> Path:
    """Writes the page and returns its path.

    Raises:
        InputError: the file cannot be written.
    """
    path = Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(page, encoding="utf-8")
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}") from error
    return path


def common(comparison, metrics: dict[str, str]) -> dict[str, object]:
    """What comparison_base.html needs; `metrics` are those of the groups, and how they are called."""
    return {
        "comparison": comparison,
        "metrics": metrics,
        "settings": [name for name in comparison.settings if name != "seed"],
        "repeated": repeated(comparison),
        "refused": [one for one in comparison.runs if one.refusal],
        "width": WHISKERS,
        "styles": styles(comparison),
        "legend_lines": legend(comparison),
        "value": value_text,
    }


def repeated(comparison) -> list[SeedGroup]:
    """The groups of runs that differ in the seed only."""
    return [group for group in comparison.groups if len(group.runs) > 1]


def styles(comparison) -> dict[str, str]:
    """Run → CSS class: the best settings have a colour each, all others are grey."""
    return {
        one.name: f"s{place}" if place <= COLOURED else "other"
        for place, group in enumerate(comparison.groups, start=1)
        for one in group.runs
    }


def legend(comparison) -> list[tuple]:
    """What `legend` of macros.html draws: (name, style, _, _)."""
    style = styles(comparison)
    return [
        (_label(group), style[group.runs[0].name], "", [])
        for group in comparison.groups[:COLOURED]
        if any(_evaluations(one.history or [], "eval_accuracy") for one in group.runs)
    ]


def _label(group: SeedGroup) -> str:
    if len(group.runs) == 1:
        return group.runs[0].name
    set_ones = [f"{name} {value_text(value)}" for name, value in group.settings.items() if value is not None]
    return ", ".join(set_ones) or f"{len(group.runs)} seeds"


def curves(comparison, title: str, logged: str, *, high: float = 1, **size: int) -> Plot | None:
    """What runs `logged` of their evaluations, against the epoch, or the step where one does not say its epochs."""
    style = styles(comparison)
    evaluations = {one.name: _evaluations(one.history or [], logged) for one in comparison.runs}
    every = [entry for entries in evaluations.values() for entry in entries]
    if not every:
        return None
    axis = "epoch" if all(isinstance(entry.get("epoch"), (int, float)) for entry in every) else "step"
    lines = [
        Line(
            name,
            style[name],
            np.array([entry[axis] for entry in entries]),
            np.array([entry[logged] for entry in entries]),
            dotted=len(comparison.runs) <= DOTTED,
        )
        for name, entries in evaluations.items()
        if entries
    ]
    return line_plot(
        title,
        lines[::-1],  # what is drawn last lies on top
        x_label=axis,
        x_range=(0, max(entry[axis] for entry in every) or 1),
        y_range=span([entry[logged] for entry in every], low=0, high=high),
        **size,
    )


def _evaluations(history: list[dict], logged: str) -> list[dict]:
    """The evaluations with a finite value, the first of each step: the chosen model is measured again at the end."""
    first = {}
    for entry in history:
        value = entry.get(logged)
        if isinstance(value, (int, float)) and math.isfinite(value):
            first.setdefault(entry["step"], entry)
    return [first[step] for step in sorted(first)]


def whiskers(intervals: Mapping[str, tuple[float, float, float]]) -> dict[str, tuple[float, float, float]]:
    """Run → (score, low, high) to the same as x in a picture WHISKERS pixels wide."""
    low, high = span([value for values in intervals.values() for value in values], padding=0.03)
    return {
        name: tuple(round((value - low) / (high - low) * WHISKERS, 1) for value in values)
        for name, values in intervals.items()
    }


def value_text(value: object) -> str:
    """A setting for a reader."""
    if value is None or value == "":
        return "–"
    return f"{value:g}" if isinstance(value, float) else str(value)


def score_text(value: float | None, interval: tuple[float, float] | None = None) -> str:
    """`0.9012`, or `0.9012 (0.8900 – 0.9120)`."""
    if value is None:
        return "–"
    return f"{value:.4f}" if interval is None else f"{value:.4f} ({interval[0]:.4f} – {interval[1]:.4f})"


def cost_texts(one, duration: Callable[[float], str]) -> list[str]:
    """Time of the training, rows per second and parameters of a run."""
    results = one.results
    return [
        duration(results["train_runtime"]) if results["train_runtime"] else "–",
        value_text(results["train_samples_per_second"]),
        f"{one.about['model']['parameters']:,}",
    ]


def seed_table(comparison, metrics: dict[str, str]) -> list[str]:
    """The Markdown table of means over seeds, `metrics` as in `common`; empty where no seeds repeat."""
    groups = repeated(comparison)
    if not groups:
        return []
    lines = [[*groups[0].settings, "runs", *metrics.values()]]
    for group in groups:
        means = [_mean_text(mean) for mean in map(group.means.get, metrics)]
        lines.append([*map(value_text, group.settings.values()), str(len(group.runs)), *means])
    return ["Mean ± standard deviation over seeds\n\n" + table(lines)]


def _mean_text(mean: tuple[float, float | None] | None) -> str:
    """`0.9012 ± 0.0034`."""
    if mean is None:
        return "–"
    average, deviation = mean
    return f"{average:.4f}" + ("" if deviation is None else f" ± {deviation:.4f}")


def table(lines: list[list[str]]) -> str:
    """A Markdown table, the first line its header."""
    escaped = [[" ".join(cell.split()).replace("\\", "\\\\").replace("|", "\\|") for cell in line] for line in lines]
    header, *rows = escaped
    return "\n".join(f"| {' | '.join(line)} |" for line in [header, ["---"] * len(header), *rows])


def printable(text: str) -> str:
    """Without what would move the cursor of a terminal."""
    return "".join(letter if letter.isprintable() or letter == "\n" else "\N{REPLACEMENT CHARACTER}" for letter in text)
