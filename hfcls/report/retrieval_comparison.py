"""Finished retrieval runs side by side: what differs in their settings, and how often each finds what is wanted."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from hfcls.errors import InputError
from hfcls.metrics.intervals import wilson_interval
from hfcls.metrics.pairs import RECALLS
from hfcls.report.differences import SeedGroup, describe, differing, distinct, seed_groups
from hfcls.report.ranking import ComparedRun, Criterion, rank
from hfcls.report.retrieval import RetrievalRun, load_retrieval_run

METRICS = (*RECALLS, *(f"image_to_text_{name}" for name in RECALLS))
_MEASURED = {"test": "test_", "validation": "eval_"}  # split: the beginning of its metrics' names in all_results.json


@dataclass(frozen=True, kw_only=True)
class ComparedRetrieval(ComparedRun):
    """One run of retrieval.

    Attributes:
        test_rows: equal where the runs searched as many pictures for as many texts of the same corpus: (name of the
            corpus, texts, pictures, pairs).
        scores: of each of the METRICS.
        intervals: the 95 % interval of each but the means.
    """

    scores: dict[str, float]
    intervals: dict[str, tuple[float, float]]


@dataclass(frozen=True)
class RetrievalComparison:
    """Runs side by side: `runs`, `settings`, `groups`, `criterion` and `chosen` as `Comparison` of
    hfcls.report.comparison has them. `split` is what was searched: test, or validation where the answers of the test
    texts are not known.
    """

    runs: list[ComparedRetrieval]
    settings: list[str]
    groups: list[SeedGroup]
    criterion: Criterion | None
    chosen: ComparedRetrieval | None
    split: str


def compare(folders: Sequence[str | Path]) -> RetrievalComparison:
    """Reads finished runs of retrieval.

    Raises:
        InputError: a run is given twice, one of its files is missing or torn, or no split was searched by all runs.
    """
    # Their pictures are dropped here: of sixty runs they would not fit into a page.
    read = {name: replace(load_retrieval_run(path), queries=[]) for name, path in distinct(folders).items()}
    split = _measured_by_all(list(read.values()))
    runs = [_compared(name, run, split) for name, run in read.items()]
    settings = differing([one.settings for one in runs])
    runs = [replace(one, settings={name: one.settings.get(name) for name in settings}) for one in runs]
    runs, criterion = rank(runs, _difference)
    chosen = None if runs[0].unranked else runs[0]
    groups = seed_groups(runs, criterion, METRICS, lambda one, metric: one.scores[metric])
    return RetrievalComparison(runs, settings, groups, criterion, chosen, split)


def _measured_by_all(runs: list[RetrievalRun]) -> str:
    for split in _MEASURED:
        lacking = [run for run in runs if None in _scores(run, split).values()]
        if not lacking:
            return split
    raise InputError(
        f"{lacking[0].folder}: has no recall on validation, and not all runs have one on test: leave it out, or "
        f"evaluate all on test texts whose image_ids are known"
    )


def _scores(run: RetrievalRun, split: str) -> dict[str, float | None]:
    return {metric: run.results[f"{_MEASURED[split]}{metric}"] for metric in METRICS}


def _compared(name: str, run: RetrievalRun, split: str) -> ComparedRetrieval:
    searched = run.record.data.splits[split]
    if searched.answered is None:
        raise InputError(
            f"{run.folder / 'run.json'}: data: splits: {split}: 'answered' is missing: run again with this version"
        )
    scores = _scores(run, split)
    intervals = {}
    for metric, value in scores.items():
        if "mean" not in metric:
            answered = searched.answered
            queries = answered.images if metric.startswith("image_to_text") else answered.texts
            intervals[metric] = wilson_interval(value, queries)
    return ComparedRetrieval(
        name=name,
        record=run.record,
        results=run.results,
        history=run.history,
        settings=describe(run.record),
        test_rows=(run.record.data.name, searched.rows, searched.images, searched.pairs),
        scores=scores,
        intervals=intervals,
    )


def _difference(one: ComparedRetrieval, other: ComparedRetrieval) -> str:
    """How the pool of `one` differs from that of `other`."""
    here, there = (
        f"{texts:,} texts and {images:,} pictures of {name}"
        for name, texts, images, _ in (one.test_rows, other.test_rows)
    )
    return f"other test rows: {here} instead of {there}" if here != there else "other test rows: other image_ids"
