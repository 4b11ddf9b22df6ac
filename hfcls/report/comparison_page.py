"""A comparison of runs as one HTML file that needs nothing beside it, and as Markdown tables."""

import math
from pathlib import Path

import numpy as np

from hfcls.errors import InputError
from hfcls.report.comparison import Compared, Comparison, SeedGroup
from hfcls.report.figures import Line, Plot, line_plot, shade_paths, span
from hfcls.report.page import environment

COLOURED = 5  # settings whose curves have a colour of their own
DOTTED = 12  # runs, up to which the curves have dots
MATRICES = 24  # settings whose confusion matrix is shown
PICTURE = 150  # width of each in pixels
WHISKERS = 140  # width of the intervals' picture in pixels


def write_comparison(comparison: Comparison, path: str | Path) -> Path:
    """Writes the page and returns its path.

    Raises:
        InputError: the file cannot be written.
    """
    path = Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(render(comparison), encoding="utf-8")
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}") from error
    return path


def render(comparison: Comparison) -> str:
    """The page as text."""
    runs = comparison.runs
    names = runs[0].about["labels"]
    same_classes = all(one.about["labels"] == names for one in runs)
    styles = _styles(comparison)
    return (
        environment()
        .get_template("comparison.html")
        .render(
            comparison=comparison,
            settings=[name for name in comparison.settings if name != "seed"],
            repeated=[group for group in comparison.groups if len(group.runs) > 1],
            refused=[one for one in runs if one.refusal],
            whiskers=_whiskers(comparison),
            width=WHISKERS,
            styles=styles,
            curves=_curves(comparison, styles),
            legend_lines=_legend(comparison, styles),
            matrices=[
                (group.runs[0], shade_paths(group.runs[0].scores.confusion, PICTURE))
                for group in comparison.groups[:MATRICES]
            ],
            picture=PICTURE,
            names=names if same_classes else None,
            value=value_text,
            p=p_text,
        )
    )


def markdown(comparison: Comparison) -> str:
    """The table of runs and that of means over seeds."""
    duration = environment().filters["duration"]
    best = comparison.best
    header = ["run", *comparison.settings, "accuracy (95 %)", "macro F1 (95 %)", "ROC-AUC", "p against best"]
    lines = [header + ["training", "samples/s", "parameters"]]
    for one in comparison.runs:
        scores, results = one.scores, one.results
        lines.append(
            [
                one.name,
                *map(value_text, one.settings.values()),
                _with_interval(scores.accuracy, scores.intervals["accuracy"]),
                _with_interval(scores.f1, scores.intervals["f1"]),
                _score(scores.roc_auc),
                "best" if one is best else p_text(one),
                duration(results["train_runtime"]) if results["train_runtime"] else "–",
                value_text(results["train_samples_per_second"]),
                f"{one.about['model']['parameters']:,}",
            ]
        )
    tables = [_table(lines)]
    repeated = [group for group in comparison.groups if len(group.runs) > 1]
    if repeated:
        lines = [[*repeated[0].settings, "runs", "accuracy", "macro F1", "ROC-AUC"]]
        lines += [
            [*map(value_text, group.settings.values()), str(len(group.runs)), *map(mean_text, group.means.values())]
            for group in repeated
        ]
        tables.append("Mean ± standard deviation over seeds\n\n" + _table(lines))
    tables += [f"{one.name}: not tested against {best.name}, {one.refusal}" for one in comparison.runs if one.refusal]
    return _printable("\n\n".join(tables))


def value_text(value: object) -> str:
    """A setting for a reader."""
    if value is None or value == "":
        return "–"
    return f"{value:g}" if isinstance(value, float) else str(value)


def mean_text(mean: tuple[float, float | None] | None) -> str:
    """`0.9012 ± 0.0034`."""
    if mean is None:
        return "–"
    average, deviation = mean
    return f"{average:.4f}" + ("" if deviation is None else f" ± {deviation:.4f}")


def p_text(one: Compared) -> str:
    """McNemar's p-value, or the short form of why there is none."""
    if one.p_value is None:
        return one.refusal.partition(":")[0]
    return "< 0.0001" if one.p_value < 0.0001 else f"{one.p_value:.4f}"


def _styles(comparison: Comparison) -> dict[str, str]:
    """Run → CSS class: the best settings have a colour each, all others are grey."""
    return {
        one.name: f"s{place}" if place <= COLOURED else "other"
        for place, group in enumerate(comparison.groups, start=1)
        for one in group.runs
    }


def _legend(comparison: Comparison, styles: dict[str, str]) -> list[tuple]:
    """What `legend` of macros.html draws: (name, style, _, _)."""
    return [
        (_label(group), styles[group.runs[0].name], "", [])
        for group in comparison.groups[:COLOURED]
        if any(_evaluations(one.history or []) for one in group.runs)
    ]


def _label(group: SeedGroup) -> str:
    if len(group.runs) == 1:
        return group.runs[0].name
    set_ones = [f"{name} {value_text(value)}" for name, value in group.settings.items() if value is not None]
    return ", ".join(set_ones) or f"{len(group.runs)} seeds"


def _curves(comparison: Comparison, styles: dict[str, str]) -> Plot | None:
    """Validation accuracy against the epoch, or the step where a run does not say its epochs."""
    evaluations = {one.name: _evaluations(one.history or []) for one in comparison.runs}
    every = [entry for entries in evaluations.values() for entry in entries]
    if not every:
        return None
    axis = "epoch" if all(isinstance(entry.get("epoch"), (int, float)) for entry in every) else "step"
    lines = [
        Line(
            name,
            styles[name],
            np.array([entry[axis] for entry in entries]),
            np.array([entry["eval_accuracy"] for entry in entries]),
            dotted=len(comparison.runs) <= DOTTED,
        )
        for name, entries in evaluations.items()
        if entries
    ]
    return line_plot(
        "Validation accuracy",
        lines[::-1],  # what is drawn last lies on top
        x_label=axis,
        x_range=(0, max(entry[axis] for entry in every) or 1),
        y_range=span([entry["eval_accuracy"] for entry in every], low=0, high=1),
        width=840,
        height=380,
    )


def _evaluations(history: list[dict]) -> list[dict]:
    """The evaluations with an accuracy, the first of each step: the chosen model is measured again at the end."""
    first = {}
    for entry in history:
        accuracy = entry.get("eval_accuracy")
        if isinstance(accuracy, (int, float)) and math.isfinite(accuracy):
            first.setdefault(entry["step"], entry)
    return [first[step] for step in sorted(first)]


def _whiskers(comparison: Comparison) -> dict[str, tuple[float, float, float]]:
    """Run → x of the accuracy and of both ends of its interval, in pixels of a picture WHISKERS wide."""
    intervals = {one.name: (one.scores.accuracy, *one.scores.intervals["accuracy"]) for one in comparison.runs}
    low, high = span([value for values in intervals.values() for value in values], padding=0.03)
    return {
        name: tuple(round((value - low) / (high - low) * WHISKERS, 1) for value in values)
        for name, values in intervals.items()
    }


def _score(value: float | None) -> str:
    return "–" if value is None else f"{value:.4f}"


def _with_interval(value: float, interval: tuple[float, float]) -> str:
    return f"{value:.4f} ({interval[0]:.4f} – {interval[1]:.4f})"


def _table(lines: list[list[str]]) -> str:
    escaped = [[" ".join(cell.split()).replace("\\", "\\\\").replace("|", "\\|") for cell in line] for line in lines]
    header, *rows = escaped
    return "\n".join(f"| {' | '.join(line)} |" for line in [header, ["---"] * len(header), *rows])


def _printable(text: str) -> str:
    """Without what would move the cursor of a terminal."""
    return "".join(letter if letter.isprintable() or letter == "\n" else "\N{REPLACEMENT CHARACTER}" for letter in text)
