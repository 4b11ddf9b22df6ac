"""What is drawn of runs side by side: curves, intervals, and the colours of the runs.

A comparison is of classifiers or of retrieval: `Comparison` or `RetrievalComparison`.
"""

import math
from collections.abc import Mapping, Sequence

import numpy as np

from hfcls.pages.figures import Line, Plot, line_plot, span
from hfcls.report.comparison_tables import repeated, unranked, value_text
from hfcls.report.differences import SeedGroup
from hfcls.runs.results import metric_title

COLOURED = 5  # settings whose curves have a colour of their own
DOTTED = 12  # runs, up to which the curves have dots
WHISKERS = 140  # width of the intervals' picture in pixels


def common(comparison, metrics: dict[str, str], logged: Sequence[str]) -> dict[str, object]:
    """What comparison_base.html needs.

    `metrics` are those of the test rows, and how they are called; `logged` the names in the log that curves are drawn
    of.
    """
    return {
        "comparison": comparison,
        "chosen": comparison.chosen,
        "criterion": comparison.criterion,
        "metrics": metrics,
        "settings": [name for name in comparison.settings if name != "seed"],
        "repeated": repeated(comparison),
        "unranked": unranked(comparison),
        "width": WHISKERS,
        "styles": styles(comparison),
        "legend_lines": legend(comparison, logged),
        "value": value_text,
        "title": metric_title,
    }


def styles(comparison) -> dict[str, str]:
    """Run → CSS class: the settings that are best on validation have a colour each, all others are grey.

    Where no run is ranked, the first settings have the colours.
    """
    return {
        one.name: f"s{place}" if place <= COLOURED and _is_coloured(comparison, group) else "other"
        for place, group in enumerate(comparison.groups, start=1)
        for one in group.runs
    }


def _is_coloured(comparison, group: SeedGroup) -> bool:
    return comparison.criterion is None or group.validation is not None


def legend(comparison, logged: Sequence[str]) -> list[tuple]:
    """What `legend` of macros.html draws for curves of `logged`: (name, style, _, _)."""
    style = styles(comparison)
    return [
        (_label(group), style[group.runs[0].name], "", [])
        for group in comparison.groups[:COLOURED]
        if _is_coloured(comparison, group)
        and any(_evaluations(one.history or [], name) for one in group.runs for name in logged)
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
