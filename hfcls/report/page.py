"""Puts a run, its scores and its pictures into one HTML file that needs nothing beside it."""

from pathlib import Path

import numpy as np

from hfcls.errors import InputError
from hfcls.metrics.intervals import wilson_interval
from hfcls.metrics.reliability import at_temperature, reliability
from hfcls.pages.figures import shade_paths
from hfcls.pages.templates import environment
from hfcls.report.checked_scores import checked_scores
from hfcls.report.label_scores import LabelSetScores, surprises
from hfcls.report.mistakes import EXCERPT, confident_mistakes, frequent_confusions
from hfcls.report.plots import (
    learning_rate_curve,
    length_histogram,
    reliability_diagram,
    roc_curves,
    training_curves,
)
from hfcls.report.run import Run, load_run
from hfcls.report.scores import Scores
from hfcls.runs.explanations import Explanation
from hfcls.runs.results import FURTHER, metric_title
from hfcls.runs.thumbnails import MOST as THUMBNAILS

HERE = Path(__file__).parent

TABLE_CLASSES = 20  # the confusion matrix of more classes is a picture
PICTURE = 480  # its width in pixels
FEW_ROWS = 30  # fewer test rows than these get a word of caution
CONFUSIONS = 10
MISTAKES = 20


def write_report(output_dir: str | Path) -> Path:
    """Writes `report.html` into the folder of a finished run and returns its path.

    Reads run.json, all_results.json, predictions.csv and, where they are, trainer_state.json and mistakes.json.

    Raises:
        InputError: a file is missing or torn, or predictions.csv does not give the numbers of all_results.json.
    """
    run = load_run(output_dir)
    path = run.folder / "report.html"
    path.write_text(render(run, checked_scores(run)), encoding="utf-8")
    return path


def render(run: Run, scores: Scores | LabelSetScores) -> str:
    """The page as text."""
    template = environment(HERE).get_template("report.html")
    common = {
        "run": run,
        "record": run.record,
        "data": run.record.data,
        "scores": scores,
        "few_rows": FEW_ROWS,
        "chosen_by": f"validation {metric_title(run.record.chosen_by or 'score')}",
        "curves": training_curves(run.history or [], run.best_step),
        "learning_rate": learning_rate_curve(run.history or []),
        "lengths": length_histogram(run.record.data),
        "further": _further(run, scores.rows),
        "explained": _explained(run),
    }
    if run.record.target == "label_sets":
        return template.render(**common, surprises=surprises(run.predictions, MISTAKES), calibration=None, matrix=None)
    as_table = len(run.classes) <= TABLE_CLASSES
    return template.render(
        **common,
        matrix=_shaded(scores.confusion) if as_table else None,
        shades=None if as_table else shade_paths(scores.confusion, PICTURE),
        picture=PICTURE,
        confusions=frequent_confusions(scores.confusion, CONFUSIONS),
        roc=roc_curves(scores),
        mistakes=confident_mistakes(run.predictions, MISTAKES),
        pictured=[one for one in confident_mistakes(run.predictions, THUMBNAILS) if one.row in run.thumbnails],
        excerpt=EXCERPT,
        calibration=_calibration(run),
    )


def _further(run: Run, rows: int) -> list[tuple[str, float, tuple[float, float]]]:
    """Name, value and 95 % interval of what the task measured besides."""
    measured = {name: run.results[f"test_{key}"] for key, name in FURTHER.items()}
    return [(name, share, wilson_interval(share, rows)) for name, share in measured.items() if share is not None]


def _explained(run: Run) -> dict[int, Explanation]:
    """The mistakes that are explained, by row."""
    if run.explanations is None:
        return {}
    texts = dict(enumerate(run.predictions.texts, start=1))
    if any(texts.get(one.row) != one.text for one in [*run.explanations.mistakes, *run.explanations.random]):
        raise InputError(f"{run.folder}: explanations.json is of other predictions: hfcls explain {run.folder}")
    return {one.row: one for one in run.explanations.mistakes}


def _calibration(run: Run) -> dict | None:
    """The diagram, and the calibration error before and after; None for a run that was not calibrated."""
    temperature = run.record.temperature
    if temperature is None:
        return None
    predicted = run.predictions.known
    labels, probabilities = run.predictions.labels[predicted], run.predictions.probabilities[predicted]
    before = reliability(at_temperature(probabilities, 1 / temperature), labels)
    after = reliability(probabilities, labels)
    return {"diagram": reliability_diagram(before, after), "before": before.error, "after": after.error}


def _shaded(confusion: np.ndarray) -> list[list[tuple[int, float]]]:
    """Rows of (count, square root of its share of the row); the last column is left out where it is empty."""
    shown = confusion if confusion[:, -1].any() else confusion[:, :-1]
    shade = np.sqrt(shown / np.maximum(confusion.sum(axis=1, keepdims=True), 1))
    return [list(zip(*row, strict=True)) for row in zip(shown.tolist(), shade.tolist(), strict=True)]
