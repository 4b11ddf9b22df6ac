"""A comparison of classifiers as one HTML file that needs nothing beside it, and as Markdown tables."""

import math
from pathlib import Path

from hfcls.pages.figures import shade_paths
from hfcls.pages.templates import duration, environment
from hfcls.report.comparison import Compared, Comparison
from hfcls.report.comparison_figures import common, curves, whiskers
from hfcls.report.comparison_tables import cost_texts, score_text, seed_table, table, value_text, verdict
from hfcls.report.ranking import Criterion

METRICS = {"accuracy": "test accuracy", "f1": "test macro F1", "roc_auc": "test ROC-AUC"}
MATRICES = 24  # settings whose confusion matrix is shown
PICTURE = 150  # width of each in pixels


def render(comparison: Comparison) -> str:
    """The page as text."""
    runs = comparison.runs
    names = runs[0].record.labels
    same_classes = all(one.record.labels == names for one in runs)
    drawn = comparison.criterion or Criterion("accuracy", greater_is_better=True)
    logged = f"eval_{drawn.metric}"
    return (
        environment(Path(__file__).parent)
        .get_template("comparison.html")
        .render(
            **common(comparison, METRICS, [logged]),
            whiskers=whiskers({one.name: (one.scores.accuracy, *one.scores.intervals["accuracy"]) for one in runs}),
            curves=curves(
                comparison,
                f"V{drawn.title[1:]}",
                logged,
                high=1 if drawn.greater_is_better else math.inf,
                width=840,
                height=380,
            ),
            matrices=_matrices(comparison),
            picture=PICTURE,
            names=names if same_classes else None,
            several=runs[0].record.target == "label_sets",
            p=p_text,
        )
    )


def _matrices(comparison: Comparison) -> list[tuple[Compared, list]]:
    """The first run of each setting and its confusion matrix; none where rows have several labels."""
    firsts = [group.runs[0] for group in comparison.groups[:MATRICES] if group.runs[0].record.target == "one_label"]
    return [(one, shade_paths(one.scores.confusion, PICTURE)) for one in firsts]


def markdown(comparison: Comparison) -> str:
    """The table of runs and that of means over seeds."""
    criterion, chosen = comparison.criterion, comparison.chosen
    validation = [] if criterion is None else [criterion.title]
    header = ["run", *validation, *comparison.settings, "test accuracy (95 %)", "test macro F1 (95 %)", "test ROC-AUC"]
    lines = [[*header, *(["p against chosen"] if chosen else []), "training", "samples/s", "parameters"]]
    for one in comparison.runs:
        scores = one.scores
        lines.append(
            [
                one.name,
                *([score_text(one.validation)] if validation else []),
                *map(value_text, one.settings.values()),
                score_text(scores.accuracy, scores.intervals["accuracy"]),
                score_text(scores.f1, scores.intervals["f1"]),
                score_text(scores.roc_auc),
                *([p_text(one, chosen)] if chosen else []),
                *cost_texts(one, duration),
            ]
        )
    return "\n\n".join([table(lines), *seed_table(comparison, METRICS), verdict(comparison)])


def p_text(one: Compared, chosen: Compared) -> str:
    """McNemar's p-value against the chosen run, or why there is none."""
    if one is chosen:
        return "chosen"
    if one.p_value is None:
        return one.unranked.partition(":")[0]
    return "< 0.0001" if one.p_value < 0.0001 else f"{one.p_value:.4f}"
