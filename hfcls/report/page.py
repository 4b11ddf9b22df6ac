"""Puts a run, its scores and its pictures into one HTML file that needs nothing beside it."""

import math
from datetime import datetime
from pathlib import Path

import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from hfcls.report.figures import Line, Plot, histogram, line_plot, shade_paths, span, thin
from hfcls.report.run import Run, load_run
from hfcls.report.scores import CURVE_POINTS, Scores, check_agreement, compute_scores, macro_roc_curve

TABLE_CLASSES = 20  # a confusion matrix of more classes is a picture
FEW_ROWS = 30  # fewer test rows than these get a word of caution
PICTURE = 480  # pixels, width of that picture
MISTAKES = 20
PAIRS = 10
EXCERPT = 200  # characters
HIGHLIGHTED = 4  # ROC curves with a colour of their own

# What must not reach a page as it is: control characters, surrogates, noncharacters, and the marks that reorder the text
# after them (Unicode Standard Annex 9). Each becomes U+FFFD, so that it is seen.
_UNSEEN = dict.fromkeys(
    [
        *(code for code in range(0x20) if chr(code) not in "\t\n\r"),
        *range(0x7F, 0xA0),
        *range(0x202A, 0x202F),
        *range(0x2066, 0x206A),
        *range(0xD800, 0xE000),
        0xFFFE,
        0xFFFF,
    ],
    "\N{REPLACEMENT CHARACTER}",
)


def write_report(output_dir: str | Path) -> Path:
    """Writes `report.html` into the folder of a finished run and returns its path.

    Reads run.json, all_results.json, predictions.csv and, where there is one, trainer_state.json.

    Raises:
        InputError: a file is missing or torn, or predictions.csv does not give the numbers of all_results.json.
    """
    run = load_run(output_dir)
    scores = compute_scores(run.predictions, run.classes)
    check_agreement(run, scores)
    path = run.folder / "report.html"
    path.write_text(render(run, scores), encoding="utf-8")
    return path


def render(run: Run, scores: Scores) -> str:
    """The page as text."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_visible,
    )
    environment.filters |= {
        "count": lambda value: f"{value:,}",
        "score": lambda value: "–" if value is None else f"{value:.4f}",
        "percent": lambda value: f"{value:.1%}".replace("%", " %"),
        "short": lambda value: f"{value:,.4g}" if isinstance(value, float) else str(value),
        "duration": _duration,
        "moment": _moment,
    }
    return environment.get_template("report.html").render(
        run=run,
        about=run.about,
        data=run.about["data"],
        scores=scores,
        trained=run.history is not None,
        few_rows=FEW_ROWS,
        curves=training_curves(run.history or [], run.best_step),
        matrix_is_table=len(run.classes) <= TABLE_CLASSES,
        matrix=_matrix(scores.confusion),
        shades=shade_paths(scores.confusion, PICTURE),
        picture=PICTURE,
        pairs=confused_pairs(scores.confusion),
        roc=roc_plot(scores),
        mistakes=confident_mistakes(run),
        lengths=_lengths(run.about["data"]),
        excerpt_length=EXCERPT,
    )


def training_curves(history: list[dict], best_step: int | None) -> list[Plot]:
    """Loss, accuracy, macro F1 and ROC-AUC against the step; a picture without a finite point is left out."""
    logged = {}
    for entry in history:
        for name in ("loss", "eval_loss", "eval_accuracy", "eval_f1", "eval_roc_auc"):
            value = entry.get(name)
            if isinstance(value, (int, float)) and math.isfinite(value):
                # The first value of a step counts: the chosen checkpoint, measured again at the end, is logged at the last.
                logged.setdefault(name, {}).setdefault(entry["step"], value)
    if not logged:
        return []
    steps = sorted({step for values in logged.values() for step in values})
    x_range = (0, max(steps[-1], 1))

    plots = []
    for title, names, high in (
        ("Accuracy", {"eval_accuracy": "validation"}, 1),
        ("Macro F1", {"eval_f1": "validation"}, 1),
        ("ROC-AUC", {"eval_roc_auc": "validation"}, 1),
        ("Loss", {"loss": "training", "eval_loss": "validation"}, math.inf),
    ):
        lines = []
        for name, label in names.items():
            points = thin(np.array(sorted(logged.get(name, {}).items())).reshape(-1, 2), 1000)
            style = "s1" if label == "validation" else "s2"
            if len(points):
                lines.append(Line(label, style, points[:, 0], points[:, 1], dotted=label == "validation"))
        if lines:
            y_range = span(np.concatenate([line.y for line in lines]), low=0, high=high)
            mark = None
            if best_step is not None:
                value = logged.get(name, {}).get(best_step)  # of the last name, the validation's
                mark = (best_step, "chosen" if value is None else f"chosen: {value:.4f}")
            plots.append(line_plot(title, lines, x_label="step", x_range=x_range, y_range=y_range, mark=mark))
    return plots


def roc_plot(scores: Scores) -> Plot | None:
    """One curve for two classes; otherwise one for each class, the weakest in colours of their own, and their mean."""
    curved = [one for one in scores.classes if one.roc_curve is not None]
    if not curved:
        return None
    diagonal = Line("by chance", "chance", np.array([0.0, 1.0]), np.array([0.0, 1.0]))
    if len(scores.classes) == 2:
        lines = [_roc_line(scores.classes[1], "s1")]
    else:
        weakest_last = sorted(curved, key=lambda one: one.roc_auc, reverse=True)  # what is drawn last lies on top
        grey, coloured = weakest_last[:-HIGHLIGHTED], weakest_last[-HIGHLIGHTED:]
        lines = [_roc_line(one, "other") for one in grey]
        lines += [_roc_line(one, f"s{number}") for number, one in enumerate(coloured, start=2)]
        lines.append(Line(f"macro mean ({scores.roc_auc:.4f})", "s1 bold", *macro_roc_curve(curved)))
    return line_plot(
        "ROC, each class against the rest",
        [diagonal, *lines],
        x_label="false positive rate",
        x_range=(0, 1),
        y_range=(0, 1),
        width=420,
        height=400,
    )


def _roc_line(one, style: str) -> Line:
    x, y = (thin(rates, CURVE_POINTS) for rates in one.roc_curve)
    return Line(f"{one.name} ({one.roc_auc:.4f})", style, x, y)


def confused_pairs(confusion: np.ndarray) -> list[tuple[int, int, int, float]]:
    """(true class, predicted class, rows, share of the true class's rows) of the most frequent mistakes, most first."""
    wrong = confusion.copy()
    np.fill_diagonal(wrong, 0)
    wrong[:, -1] = 0
    order = np.argsort(-wrong, axis=None, kind="stable")[:PAIRS]
    pairs = [divmod(int(place), wrong.shape[1]) for place in order if wrong.flat[place] > 0]
    return [(true, predicted, int(wrong[true, predicted]), wrong[true, predicted] / confusion[true].sum()) for true, predicted in pairs]


def confident_mistakes(run: Run) -> list[dict]:
    """The wrong rows with the highest probability of the predicted class, highest first."""
    rows = run.predictions
    wrong = np.flatnonzero((rows.predicted >= 0) & (rows.predicted != rows.labels))
    confidence = rows.probabilities[wrong, rows.predicted[wrong]]
    return [
        {
            "row": int(row) + 1,
            "text": excerpt(rows.texts[row]),
            "label": run.classes[rows.labels[row]],
            "prediction": run.classes[rows.predicted[row]],
            "confidence": float(rows.probabilities[row, rows.predicted[row]]),
            "label_probability": float(rows.probabilities[row, rows.labels[row]]),
        }
        for row in wrong[np.argsort(-confidence, kind="stable")[:MISTAKES]]
    ]


def excerpt(text: str) -> str:
    """The beginning of `text` in one line, with an ellipsis where something was cut off."""
    beginning = text[: 20 * EXCERPT]  # white space is folded, and a document may be megabytes long
    line = " ".join(beginning.split())
    return line if len(line) <= EXCERPT and beginning == text else line[:EXCERPT].rstrip() + "…"


def _matrix(confusion: np.ndarray) -> list[list[tuple[int, float]]]:
    """Rows of (count, square root of its share of the row) for the table; without the last column where it is empty."""
    shown = confusion if confusion[:, -1].any() else confusion[:, :-1]
    share = np.sqrt(shown / np.maximum(confusion.sum(axis=1, keepdims=True), 1))
    return [list(zip(*rows, strict=True)) for rows in zip(shown.tolist(), share.tolist(), strict=True)]


def _lengths(data: dict) -> Plot | None:
    """The lengths of the training rows, or of the test rows where there are no others."""
    name = "train" if "train" in data["splits"] else "test"
    length = data["splits"][name]["length"]
    if length is None:
        return None
    mark = None
    if data["max_length"] is not None:
        covered = "" if data["covered"] is None else f" keeps {data['covered']:.1%} whole".replace("%", " %")
        mark = (data["max_length"], f"max_length {data['max_length']:g}{covered}")
    return histogram(
        f"Length of the {name} rows", length["edges"], length["counts"], x_label=length["unit"], mark=mark
    )


def _visible(value):
    """Jinja's last step before escaping, for every expression of the template."""
    return value.translate(_UNSEEN) if isinstance(value, str) and not isinstance(value, Markup) else value


def _duration(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:,} h {minutes} min" if hours else f"{minutes} min {rest} s"


def _moment(started: str) -> str:
    """An ISO 8601 time for a reader; anything else as it is."""
    try:
        return datetime.fromisoformat(started).strftime("%Y-%m-%d %H:%M %Z").strip()
    except ValueError:
        return started
