"""The geometry of the report's pictures, in pixels of a small SVG; the template only draws it.

Names of classes go into a picture only as tooltips, everything else beside it, so the browser sets text in any script.
"""

import math
from dataclasses import dataclass, field

import numpy as np

LEFT, RIGHT, TOP, BOTTOM = 46, 12, 20, 38  # margins for tick labels and titles
DOTS = 60  # more points than these are a line without dots


@dataclass(frozen=True)
class Line:
    """A line of a plot: `style` is its CSS class, `x` and `y` (points,) its data; a NaN in `y` is a gap."""

    name: str
    style: str
    x: np.ndarray
    y: np.ndarray
    dotted: bool = False


@dataclass(frozen=True)
class Plot:
    """Axes, lines and bars in pixels, y downwards. `lines` are (name, style, SVG path, [(x, y, tooltip)]), `bars`
    (x, y, width, height, tooltip), `mark` the x of a vertical line and what it is called."""

    title: str
    x_label: str
    width: int
    height: int
    x_ticks: list[tuple[float, str]]
    y_ticks: list[tuple[float, str]]
    lines: list[tuple] = field(default_factory=list)
    bars: list[tuple] = field(default_factory=list)
    mark: tuple[float, str] | None = None

    left, right, top, bottom = LEFT, RIGHT, TOP, BOTTOM


def line_plot(
    title: str,
    lines: list[Line],
    *,
    x_label: str,
    x_range: tuple[float, float],
    y_range: tuple[float, float],
    mark: tuple[float, str] | None = None,
    width: int = 420,
    height: int = 240,
) -> Plot:
    """Lines over common axes; `mark` is an x in data units and its name."""
    to_x, to_y = _scales(x_range, y_range, width, height)
    drawn = []
    for line in lines:
        points = [(to_x(x), to_y(y), f"{x:,g}: {y:.4f}") for x, y in zip(line.x, line.y, strict=True)]
        lone = len(points) == 1 or (line.dotted and len(points) <= DOTS)
        dots = [point for point in points if lone and math.isfinite(point[1])]
        drawn.append((line.name, line.style, _path(points), dots))
    return Plot(
        title=title,
        x_label=x_label,
        width=width,
        height=height,
        x_ticks=[(to_x(value), text) for value, text in _ticks(*x_range)],
        y_ticks=[(to_y(value), text) for value, text in _ticks(*y_range)],
        lines=drawn,
        mark=None if mark is None else (to_x(mark[0]), mark[1]),
    )


def histogram(
    title: str,
    edges: list[float],
    counts: list[float],
    *,
    x_label: str,
    mark: tuple[float, str] | None,
    width: int = 420,
    height: int = 240,
) -> Plot:
    """Bars over `edges` (bars + 1), `counts` (bars,) high; the axis reaches to `mark` where that lies outside."""
    reached = [*edges, *([mark[0]] if mark else [])]
    x_range = span(reached, padding=0)
    y_range = (0, max(*counts, 1) * 1.05)
    to_x, to_y = _scales(x_range, y_range, width, height)
    bars = []
    for low, high, count in zip(edges, edges[1:], counts, strict=False):
        x, y = to_x(low), to_y(count)
        bars.append((x, y, max(to_x(high) - x - 0.5, 0.5), to_y(0) - y, f"{low:,g} to {high:,g}: {count:,}"))
    return Plot(
        title=title,
        x_label=x_label,
        width=width,
        height=height,
        x_ticks=[(to_x(value), text) for value, text in _ticks(*x_range)],
        y_ticks=[(to_y(value), text) for value, text in _ticks(*y_range)],
        bars=bars,
        mark=None if mark is None else (to_x(mark[0]), mark[1]),
    )


def span(values, *, padding: float = 0.08, low: float = -math.inf, high: float = math.inf) -> tuple[float, float]:
    """The range of the finite `values`, widened by the share `padding` of it, never beyond `low` and `high`."""
    finite = [value for value in values if math.isfinite(value)]
    first, last = min(finite), max(finite)
    if first == last:
        first, last = first - max(abs(first), 1) * 0.1, last + max(abs(last), 1) * 0.1
    margin = (last - first) * padding
    return max(first - margin, low), min(last + margin, high)


def thin(values: np.ndarray, limit: int) -> np.ndarray:
    """At most `limit` of `values` (points,), evenly spread, the first and the last among them."""
    if len(values) <= limit:
        return values
    return values[np.linspace(0, len(values) - 1, limit).round().astype(int)]


def shade_paths(confusion: np.ndarray, size: int, levels: int = 8) -> list[tuple[str, float, str]]:
    """A confusion matrix (classes, columns) too large for a table, as few SVG paths.

    Returns (CSS class, opacity, path) for right and wrong cells and each level of the square root of the cell's share
    of its row, empty cells left out; all columns together are `size` pixels wide.
    """
    rows, columns = np.nonzero(confusion)
    share = np.sqrt(confusion[rows, columns] / confusion.sum(axis=1)[rows])
    level = np.ceil(share * levels).astype(int)
    cell = size / confusion.shape[1]
    paths = []
    for style, chosen in (("right", rows == columns), ("wrong", rows != columns)):
        for step in range(1, levels + 1):
            squares = [
                f"M{column * cell:.1f} {row * cell:.1f}h{cell:.2f}v{cell:.2f}h-{cell:.2f}z"
                for row, column in zip(rows[chosen & (level == step)], columns[chosen & (level == step)], strict=True)
            ]
            if squares:
                paths.append((style, step / levels, "".join(squares)))
    return paths


def _scales(x_range, y_range, width: int, height: int):
    (x_low, x_high), (y_low, y_high) = x_range, y_range
    across, down = width - LEFT - RIGHT, height - TOP - BOTTOM
    return (
        lambda x: round(LEFT + (x - x_low) / (x_high - x_low) * across, 1),
        lambda y: round(TOP + (y_high - y) / (y_high - y_low) * down, 1) if math.isfinite(y) else math.nan,
    )


def _path(points) -> str:
    steps, pen = [], "M"
    for x, y, _ in points:
        if math.isfinite(y):
            steps.append(f"{pen}{x:g} {y:g}")
            pen = "L"
        else:
            pen = "M"
    return "".join(steps)


def _ticks(low: float, high: float, most: int = 6) -> list[tuple[float, str]]:
    """At most `most` round values between `low` and `high`, with their text."""
    unit = 10.0 ** math.floor(math.log10((high - low) / most))
    step = next(unit * factor for factor in (1, 2, 5, 10, 20) if (high - low) / (unit * factor) <= most - 1)
    decimals = max(0, -math.floor(math.log10(step) + 1e-9))
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    digits = f",.{decimals}f" if decimals <= 4 else ".3g"  # 0.00002 has no room beside the axis
    return [(index * step, f"{index * step:{digits}}") for index in range(first, last + 1)]
