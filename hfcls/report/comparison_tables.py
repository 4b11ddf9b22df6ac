"""Runs side by side as Markdown tables, and how their values are written."""

from collections.abc import Callable

from hfcls.report.differences import SeedGroup
from hfcls.runs.results import metric_title
from hfcls.terminal import printable


def repeated(comparison) -> list[SeedGroup]:
    """The groups of runs that differ in the seed only."""
    return [group for group in comparison.groups if len(group.runs) > 1]


def unranked(comparison) -> dict[str, list[str]]:
    """Why runs are not ranked → their names; empty where no run is, which is said once."""
    reasons = {}
    if comparison.criterion is not None:
        for one in comparison.runs:
            if one.unranked:
                reasons.setdefault(one.unranked, []).append(one.name)
    return reasons


def verdict(comparison) -> str:
    """Which run is chosen, by what, and which are not ranked."""
    chosen, criterion = comparison.chosen, comparison.criterion
    if chosen is None:
        lines = ["No run has a validation score, so none is chosen: test scores choose nothing."]
    else:
        lines = [f"Chosen: {chosen.name}, by its {criterion.title} of {chosen.validation:.4f}."]
        lines += [
            f"Ranked by {criterion.title} too, though chosen by {metric_title(metric)}: {', '.join(names)}."
            for metric, names in criterion.others.items()
        ]
    lines += [f"Not ranked: {', '.join(names)} ({reason})." for reason, names in unranked(comparison).items()]
    return "\n".join(lines)


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
        f"{one.record.model.parameters:,}",
    ]


def seed_table(comparison, metrics: dict[str, str]) -> list[str]:
    """The table of means over seeds, `metrics` and how they are called; none where no seeds repeat."""
    groups = repeated(comparison)
    if not groups:
        return []
    validation = [] if comparison.criterion is None else [comparison.criterion.title]
    lines = [[*groups[0].settings, "runs", *validation, *metrics.values()]]
    for group in groups:
        means = [group.validation] * len(validation) + [group.means[metric] for metric in metrics]
        lines.append([*map(value_text, group.settings.values()), str(len(group.runs)), *map(_mean_text, means)])
    return ["Mean ± standard deviation over seeds\n\n" + table(lines)]


def _mean_text(mean: tuple[float, float | None] | None) -> str:
    """`0.9012 ± 0.0034`."""
    if mean is None:
        return "–"
    average, deviation = mean
    return f"{average:.4f}" + ("" if deviation is None else f" ± {deviation:.4f}")


def table(lines: list[list[str]]) -> str:
    """A Markdown table, the first line its header."""

    def escaped(cell: str) -> str:
        return printable(" ".join(cell.split())).replace("\\", "\\\\").replace("|", "\\|")

    header, *rows = [[escaped(cell) for cell in line] for line in lines]
    return "\n".join(f"| {' | '.join(line)} |" for line in [header, ["---"] * len(header), *rows])
