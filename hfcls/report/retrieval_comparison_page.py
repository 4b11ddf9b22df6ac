"""A comparison of retrieval runs as one HTML file that needs nothing beside it, and as Markdown tables."""

import math
from pathlib import Path

from hfcls.pages.templates import duration, environment
from hfcls.report.comparison_figures import common, curves, whiskers
from hfcls.report.comparison_tables import cost_texts, score_text, seed_table, table, value_text, verdict
from hfcls.report.retrieval_comparison import METRICS, RetrievalComparison

_TITLES = [
    f"{way} {place}" for way in ("text to image", "image to text") for place in ("at 1", "at 5", "at 10", "mean")
]
_NAMED = dict(zip(METRICS, _TITLES, strict=True))
_CURVES = (
    ("Recall at 1, text to image", "eval_recall_at_1", 1),
    ("Recall at 1, image to text", "eval_image_to_text_recall_at_1", 1),
    ("Mean recall, text to image", "eval_mean_recall", 1),
    ("Validation loss", "eval_loss", math.inf),
)


def render(comparison: RetrievalComparison) -> str:
    """The page as text."""
    drawn = [curves(comparison, title, logged, high=high) for title, logged, high in _CURVES]
    first = METRICS[0]
    intervals = {one.name: (one.scores[first], *one.intervals[first]) for one in comparison.runs}
    return (
        environment(Path(__file__).parent)
        .get_template("retrieval_comparison.html")
        .render(
            **common(comparison, _NAMED, [logged for _, logged, _ in _CURVES]),
            whiskers=whiskers(intervals),
            curves=[plot for plot in drawn if plot is not None],
        )
    )


def markdown(comparison: RetrievalComparison) -> str:
    """The table of runs and that of means over seeds."""
    validation = [] if comparison.criterion is None else [comparison.criterion.title]
    header = [title if title.endswith("mean") else f"{title} (95 %)" for title in _TITLES]
    lines = [["run", *validation, *comparison.settings, *header, "training", "pairs/s", "parameters"]]
    for one in comparison.runs:
        scores = [score_text(value, one.intervals.get(metric)) for metric, value in one.scores.items()]
        ranked = [score_text(one.validation)] if validation else []
        lines.append([one.name, *ranked, *map(value_text, one.settings.values()), *scores, *cost_texts(one, duration)])
    runs = f"Recall on {comparison.split}\n\n{table(lines)}"
    return "\n\n".join([runs, *seed_table(comparison, _NAMED), verdict(comparison)])
