"""What the report's pictures show: training, learning rate, ROC curves, reliability, lengths."""

import math

import numpy as np

from hfcls.metrics.reliability import Reliability
from hfcls.pages.figures import Line, Plot, histogram, line_plot, span, thin
from hfcls.report.scores import CURVE_POINTS, ClassScores, Scores, macro_roc_curve
from hfcls.runs.record import Data

LOSS_POINTS = 1000
COLOURED = 4  # ROC curves with a colour of their own


# What is drawn of a training: title, highest value there can be, and the lines: name in the log, for people, style. The
# value of the first is written at the chosen step.
VALIDATION, TRAINING = "s1", "s2"
LOSS = ("Loss", math.inf, [("eval_loss", "validation", VALIDATION), ("loss", "training", TRAINING)])
OF_CLASSIFIERS = (
    ("Accuracy", 1, [("eval_accuracy", "validation", VALIDATION)]),
    ("Macro F1", 1, [("eval_f1", "validation", VALIDATION)]),
    ("ROC-AUC", 1, [("eval_roc_auc", "validation", VALIDATION)]),
    LOSS,
)


def training_curves(history: list[dict], best_step: int | None, pictures: tuple = OF_CLASSIFIERS) -> list[Plot]:
    """What was logged, against the step; a picture without a finite value is left out."""
    logged = {}
    for entry in history:
        for name in (name for _, _, lines in pictures for name, _, _ in lines):
            value = entry.get(name)
            if isinstance(value, (int, float)) and math.isfinite(value):
                # The first value of a step counts: the chosen model, measured again at the end, is logged there too.
                logged.setdefault(name, {}).setdefault(entry["step"], value)
    last_step = max((step for values in logged.values() for step in values), default=1)

    plots = []
    for title, high, shown in pictures:
        lines = []
        for name, label, style in reversed(shown):  # what is drawn last lies on top
            if name in logged:
                points = thin(np.array(sorted(logged[name].items())), LOSS_POINTS)
                lines.append(Line(label, style, points[:, 0], points[:, 1], dotted=name.startswith("eval_")))
        if not lines:
            continue
        mark = None
        if best_step is not None:
            value = logged.get(shown[0][0], {}).get(best_step)
            mark = (best_step, "chosen" if value is None else f"chosen: {value:.4f}")
        y_range = span(np.concatenate([line.y for line in lines]), low=0, high=high)
        plots.append(
            line_plot(title, lines, x_label="step", x_range=(0, max(last_step, 1)), y_range=y_range, mark=mark)
        )
    return plots


def learning_rate_curve(history: list[dict]) -> Plot | None:
    """The learning rate against the step, as it was logged; None where it was not."""
    logged = {}
    for entry in history:
        value = entry.get("learning_rate")
        if isinstance(value, (int, float)) and math.isfinite(value):
            logged[entry["step"]] = value
    if not logged:
        return None
    points = thin(np.array(sorted(logged.items())), LOSS_POINTS)
    return line_plot(
        "Learning rate",
        [Line("learning rate", "s1", points[:, 0], points[:, 1])],
        x_label="step",
        x_range=(0, max(points[-1, 0], 1)),
        y_range=(0, points[:, 1].max() * 1.08 or 1),
    )


def roc_curves(scores: Scores) -> Plot | None:
    """One curve for two classes; otherwise one for each class, the weakest in colours of their own, and their mean."""
    curved = [one for one in scores.classes if one.roc_curve is not None]
    if not curved:
        return None
    lines = [Line("by chance", "chance", np.array([0.0, 1.0]), np.array([0.0, 1.0]))]
    if len(scores.classes) == 2:
        lines.append(_roc_line(scores.classes[1], "s1"))
    else:
        weakest_last = sorted(curved, key=lambda one: one.roc_auc, reverse=True)  # what is drawn last lies on top
        lines += [_roc_line(one, "other") for one in weakest_last[:-COLOURED]]
        lines += [_roc_line(one, f"s{number}") for number, one in enumerate(weakest_last[-COLOURED:], start=2)]
        lines.append(Line(f"macro mean ({scores.roc_auc:.4f})", "s1 bold", *macro_roc_curve(curved)))
    return line_plot(
        "ROC, each class against the rest" if len(scores.classes) > 2 else "ROC",
        lines,
        x_label="false positive rate",
        x_range=(0, 1),
        y_range=(0, 1),
        height=400,
    )


def _roc_line(one: ClassScores, style: str) -> Line:
    x, y = (thin(rates, CURVE_POINTS) for rates in one.roc_curve)
    return Line(f"{one.name} ({one.roc_auc:.4f})", style, x, y)


def reliability_diagram(before: Reliability, after: Reliability) -> Plot:
    """How often predictions of a confidence are right, as they are and as they were before calibration."""
    lines = [Line("as sure as right", "chance", np.array([0.0, 1.0]), np.array([0.0, 1.0]))]
    for name, style, one in (("before", "s2", before), ("calibrated", "s1", after)):
        lines.append(Line(f"{name} ({one.error:.4f})", style, one.confidence, one.accuracy, dotted=True))
    return line_plot(
        "Reliability", lines, x_label="confidence of the prediction", x_range=(0, 1), y_range=(0, 1), height=400
    )


def length_histogram(data: Data) -> Plot | None:
    """How long the training rows are, or the test rows where there are no others, and what max_length keeps of them.

    None where the rows have no length.
    """
    name = "train" if "train" in data.splits else "test"
    length = data.splits[name].length
    if length is None:
        return None
    mark = None
    if data.max_length is not None:
        covered = "" if data.covered is None else f" keeps {100 * data.covered:.1f} % whole"
        mark = (data.max_length, f"max_length {data.max_length:g}{covered}")
    return histogram(
        f"Lengths in the {name} split",
        length.edges,
        length.counts,
        x_label=f"{length.unit}, longer rows in the last bar" if length.max > length.edges[-1] else length.unit,
        mark=mark,
    )
