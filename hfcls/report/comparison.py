"""Finished runs side by side: what differs in their settings, how well they do, and whether that is more than luck."""

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from hfcls.errors import InputError
from hfcls.metrics.mcnemar import mcnemar
from hfcls.report.differences import SeedGroup, describe, differing, distinct, seed_groups
from hfcls.report.run import Run, load_run
from hfcls.report.scores import Scores, check_agreement, compute_scores

METRICS = ("accuracy", "f1", "roc_auc")


@dataclass(frozen=True)
class Compared:
    """One run: `about` is its run.json, `results` all_results.json, `history` the Trainer's log or None.

    `settings` has a value for each of the comparison's; `test_rows` is equal where texts and labels of the test rows
    are; `correct` is (rows,). `p_value` is McNemar's against the best run; where it is None, `refusal` says why, and is
    empty for the best itself.
    """

    name: str
    about: dict
    results: dict
    history: list[dict] | None
    scores: Scores
    settings: dict[str, object]
    test_rows: str
    correct: np.ndarray
    p_value: float | None = None
    refusal: str = ""


@dataclass(frozen=True)
class Comparison:
    """`runs` with the most accurate first, the names of the `settings` that differ between them, and `groups` of runs
    that differ in the seed, the highest mean accuracy first. `best` is the most accurate of the runs measured on the
    test rows that most of them share.
    """

    runs: list[Compared]
    settings: list[str]
    groups: list[SeedGroup]
    best: Compared


def compare(folders: list[str | Path]) -> Comparison:
    """Reads finished runs.

    Raises:
        InputError: a run is given twice, or one of its files is missing, torn or stale.
    """
    runs = [_read(name, path) for name, path in distinct(folders).items()]
    runs.sort(key=lambda one: one.scores.accuracy, reverse=True)
    settings = differing([one.settings for one in runs])
    runs = [replace(one, settings={name: one.settings.get(name) for name in settings}) for one in runs]
    most_shared = max(runs, key=lambda one: sum(other.test_rows == one.test_rows for other in runs)).test_rows
    best = next(one for one in runs if one.test_rows == most_shared)
    runs = [_tested(one, best) for one in runs]
    groups = seed_groups(runs, METRICS, lambda one, metric: getattr(one.scores, metric))
    return Comparison(runs, settings, groups, best)


def _read(name: str, folder: Path) -> Compared:
    run = load_run(folder)
    if run.about["multi_label"]:
        raise InputError(f"{folder}: has several labels a row; runs with one class a row can be compared")
    scores = compute_scores(run.predictions, run.classes)
    check_agreement(run, scores)
    # Texts, probabilities and ROC curves are dropped here: of sixty runs they would not fit into memory.
    return Compared(
        name=name,
        about=run.about,
        results=run.results,
        history=run.history,
        scores=replace(scores, classes=[]),
        settings=describe(run.about),
        test_rows=_digest(run),
        correct=run.predictions.labels == run.predictions.predicted,
    )


def _digest(run: Run) -> str:
    """A fingerprint of texts and labels of the test rows, in their order."""
    digest = hashlib.sha256(run.predictions.column.encode())
    for text, label in zip(run.predictions.texts, run.predictions.labels, strict=True):
        for part in (text, run.classes[label]):
            content = part.encode("utf-8", "surrogatepass")
            digest.update(b"%d:%b" % (len(content), content))
    return digest.hexdigest()


def _tested(one: Compared, best: Compared) -> Compared:
    if one is best:
        return one
    if one.test_rows == best.test_rows:
        return replace(one, p_value=mcnemar(one.correct, best.correct))
    classes, best_classes = set(one.about["labels"]), set(best.about["labels"])
    if classes != best_classes:
        absent, other = sorted(best_classes - classes), sorted(classes - best_classes)
        parts = [f"without {', '.join(absent)}"] * bool(absent) + [f"with {', '.join(other)}"] * bool(other)
        return replace(one, refusal=f"other classes: {' and '.join(parts)}")
    if len(one.correct) != len(best.correct):
        return replace(one, refusal=f"other test rows: {len(one.correct):,} instead of {len(best.correct):,}")
    return replace(one, refusal="other test rows: as many, but not the same texts and labels in the same order")
