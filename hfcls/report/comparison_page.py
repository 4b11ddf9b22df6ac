"""A comparison of classifiers as one HTML file that needs nothing beside it, and as Markdown tables."""

from pathlib import Path

from hfcls.pages.figures import shade_paths
from hfcls.pages.templates import duration, environment
from hfcls.report.comparison import Compared, Comparison
from hfcls.report.comparison_parts import (
    common,
    cost_texts,
    curves,
    printable,
    score_text,
    seed_table,
    table,
    value_text,
    whiskers,
)

METRICS = {"accuracy": "test accuracy", "f1": "macro F1", "roc_auc": "ROC-AUC"}
MATRICES = 24  # settings whose confusion matrix is shown
PICTURE = 150  # width of each in pixels


def render(comparison: Comparison) -> str:
    """The page as text."""
    runs = comparison.runs
    names = runs[0].about["labels"]
    same_classes = all(one.about["labels"] == names for one in runs)
    return (
        environment(Path(__file__).parent)
        .get_template("comparison.html")
        .render(
            **common(comparison, METRICS),
            whiskers=whiskers({one.name: (one.scores.accuracy, *one.scores.intervals["accuracy"]) for one in runs}),
            curves=curves(comparison, "Validation accuracy", "eval_accuracy", width=840, height=380),
            matrices=[
                (group.runs[0], shade_paths(group.runs[0].scores.confusion, PICTURE))
                for group in comparison.groups[:MATRICES]
            ],
            picture=PICTURE,
            names=names if same_classes else None,
            p=p_text,
        )
    )


def markdown(comparison: Comparison) -> str:
    """The table of runs and that of means over seeds."""
    best = comparison.best
    header = ["run", *comparison.settings, "accuracy (95 %)", "macro F1 (95 %)", "ROC-AUC", "p against best"]
    lines = [header + ["training", "samples/s", "parameters"]]
    for one in comparison.runs:
        scores = one.scores
        lines.append(
            [
                one.name,
                *map(value_text, one.settings.values()),
                score_text(scores.accuracy, scores.intervals["accuracy"]),
                score_text(scores.f1, scores.intervals["f1"]),
                score_text(scores.roc_auc),
                "best" if one is best else p_text(one),
                *cost_texts(one, duration),
            ]
        )
    tables = [table(lines), *seed_table(comparison, METRICS)]
    tables += [f"{one.name}: not tested against {best.name}, {one.refusal}" for one in comparison.runs if one.refusal]
    return printable("\n\n".join(tables))


def p_text(one: Compared) -> str:
    """McNemar's p-value, or the short form of why there is none."""
    if one.p_value is None:
        return one.refusal.partition(":")[0]
    return "< 0.0001" if one.p_value < 0.0001 else f"{one.p_value:.4f}"
