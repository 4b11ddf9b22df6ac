"""Draws what few_rows.py measured: accuracy against the rows of each class, a panel for each corpus.

python tests/benchmarks/few_rows_picture.py "Headlines, ten classes=RUNS/headlines" "IMDB=RUNS/imdb" OUT.svg
"""

import json
import math
import sys
from pathlib import Path

import numpy as np
from few_rows import STEPS
from markupsafe import escape

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 440, 370, 46, 14, 98, 44
STYLES = {  # method → what it is called, and its colour
    "fine-tuned": ("encoder, fine-tuned", "#0072b2"),
    "frozen": ("encoder, frozen, logistic regression", "#009e73"),
    "n-grams": ("n-grams", "#d55e00"),
}


def main():
    *panels, out = sys.argv[1:]
    drawn = [panel(*given.split("=", 1), x=number * WIDTH) for number, given in enumerate(panels)]
    legend = []
    for line, (name, colour) in enumerate(STYLES.values()):
        y = 16 + 17 * line
        legend.append(f'<line x1="{LEFT}" x2="{LEFT + 22}" y1="{y}" y2="{y}" stroke="{colour}" stroke-width="2.5"/>')
        legend.append(f'<text x="{LEFT + 28}" y="{y + 4}">{escape(name)}</text>')
    width = WIDTH * len(panels)
    Path(out).write_text(
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {HEIGHT}" width="{width}" height="{HEIGHT}" '
        'font-family="system-ui, sans-serif" font-size="12" fill="#1c2430">\n'
        f'<rect width="{width}" height="{HEIGHT}" fill="#fff"/>\n' + "\n".join([*legend, *drawn]) + "\n</svg>\n",
        encoding="utf-8",
    )


def panel(title: str, folder: str, x: int) -> str:
    """One corpus, `x` pixels from the left."""
    figures = json.loads(Path(folder, "figures.json").read_text())
    means = {
        method: {int(rows): float(np.mean(found)) for rows, found in figures[method].items()}
        for method in STYLES
        if method in figures
    }
    values = [value for found in means.values() for value in found.values()]
    low, high = math.floor(10 * min(values)) / 10, math.ceil(10 * max(values)) / 10
    parts = [f'<text x="{x + LEFT}" y="{TOP - 14}" font-weight="600">{escape(title)}</text>']

    def y(value: float) -> float:
        return round(TOP + (high - value) / (high - low) * (HEIGHT - TOP - BOTTOM), 1)

    for tenth in range(round(10 * low), round(10 * high) + 1):
        at = y(tenth / 10)
        parts.append(f'<line x1="{x + LEFT}" x2="{x + WIDTH - RIGHT}" y1="{at}" y2="{at}" stroke="#dfe3e8"/>')
        parts.append(f'<text x="{x + LEFT - 6}" y="{at + 4}" text-anchor="end">{tenth / 10:.1f}</text>')
    for rows in sorted({rows for found in means.values() for rows in found}):
        parts.append(f'<text x="{x + across(rows)}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle">{rows:,}</text>')
    parts.append(
        f'<text x="{x + WIDTH - RIGHT}" y="{HEIGHT - 6}" text-anchor="end" fill="#5b6675">'
        "training rows of each class → test accuracy</text>"
    )
    for method, found in means.items():
        colour = STYLES[method][1]
        points = [(x + across(rows), y(value)) for rows, value in sorted(found.items())]
        path = " ".join(f"{across},{down}" for across, down in points)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2.5"/>')
        parts += [f'<circle cx="{across}" cy="{down}" r="3.5" fill="{colour}"/>' for across, down in points]
    return "\n".join(parts)


def across(rows: int) -> float:
    """Pixels from the left of a panel: a logarithmic scale, no rows at its beginning."""
    places = WIDTH - RIGHT - LEFT - 60
    share = 0.0 if rows == 0 else 0.2 + 0.8 * math.log(rows / STEPS[0]) / math.log(STEPS[-1] / STEPS[0])
    return round(LEFT + 30 + share * places, 1)


if __name__ == "__main__":
    main()
