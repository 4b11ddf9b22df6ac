"""Finished runs side by side: what differs in their settings, how well they do, and whether that is more than luck."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from hfcls.metrics.mcnemar import mcnemar
from hfcls.report.checked_scores import checked_scores
from hfcls.report.differences import SeedGroup, describe, differing, distinct, seed_groups
from hfcls.report.label_scores import LabelSetScores
from hfcls.report.ranking import ComparedRun, Criterion, rank
from hfcls.report.run import Run, load_run
from hfcls.report.scores import Scores

METRICS = ("accuracy", "f1", "roc_auc")


@dataclass(frozen=True, kw_only=True)
class Compared(ComparedRun):
    """One run of a classifier.

    Attributes:
        scores: of the test rows.
        correct: (rows,) whether each test row is right: its class, or all of its labels.
        p_value: McNemar's against the chosen run; None for that run itself, where none is chosen, and where the test
            rows are others.
    """

    scores: Scores | LabelSetScores
    correct: np.ndarray
    p_value: float | None = None


@dataclass(frozen=True)
class Comparison:
    """Runs side by side.

    Attributes:
        runs: the best by validation first, those that are not ranked last.
        settings: names of those that differ between the runs.
        groups: runs that differ in the seed, the best mean of the validation score first.
        criterion: what they are ranked by, None where no run has a validation score.
        chosen: the best by validation, None where no run is ranked.
    """

    runs: list[Compared]
    settings: list[str]
    groups: list[SeedGroup]
    criterion: Criterion | None
    chosen: Compared | None


def compare(folders: Sequence[str | Path]) -> Comparison:
    """Reads finished runs of classifiers, all with one class a row or all with several labels.

    Raises:
        InputError: a run is given twice, or one of its files is missing, torn or stale.
    """
    runs = [_read(name, path) for name, path in distinct(folders).items()]
    settings = differing([one.settings for one in runs])
    runs = [replace(one, settings={name: one.settings.get(name) for name in settings}) for one in runs]
    runs, criterion = rank(runs, _difference)
    chosen = None if runs[0].unranked else runs[0]
    if chosen is not None:
        runs = [chosen, *(_tested(one, chosen) for one in runs[1:])]
    groups = seed_groups(runs, criterion, METRICS, lambda one, metric: getattr(one.scores, metric))
    return Comparison(runs, settings, groups, criterion, chosen)


def _read(name: str, folder: Path) -> Compared:
    run = load_run(folder)
    # Texts, probabilities and ROC curves are dropped here: of sixty runs they would not fit into memory.
    return Compared(
        name=name,
        record=run.record,
        results=run.results,
        history=run.history,
        settings=describe(run.record),
        test_rows=_digest(run),
        scores=replace(checked_scores(run), classes=[]),
        correct=run.predictions.correct,
    )


def _digest(run: Run) -> str:
    """A fingerprint of texts and labels of the test rows, in their order."""
    from hfcls.metrics.target import target_of  # not needed to import hfcls.report

    cells = target_of(run.record.target, run.classes).label_cells(run.predictions.labels)
    digest = hashlib.sha256(run.predictions.column.encode())
    for text, label in zip(run.predictions.texts, cells, strict=True):
        for part in (text, label):
            content = part.encode("utf-8", "surrogatepass")
            digest.update(b"%d:%b" % (len(content), content))
    return digest.hexdigest()


def _difference(one: Compared, other: Compared) -> str:
    """How the test rows of `one` differ from those of `other`."""
    classes, other_classes = set(one.record.labels), set(other.record.labels)
    if classes != other_classes:
        absent, added = sorted(other_classes - classes), sorted(classes - other_classes)
        parts = [f"without {', '.join(absent)}"] * bool(absent) + [f"with {', '.join(added)}"] * bool(added)
        return f"other classes: {' and '.join(parts)}"
    if len(one.correct) != len(other.correct):
        return f"other test rows: {len(one.correct):,} instead of {len(other.correct):,}"
    return "other test rows: as many, but not the same texts and labels in the same order"


def _tested(one: Compared, chosen: Compared) -> Compared:
    return replace(one, p_value=mcnemar(one.correct, chosen.correct)) if one.test_rows == chosen.test_rows else one
