"""Finished retrieval runs side by side: what differs in their settings, and how often each finds what is wanted."""

from dataclasses import dataclass, replace
from pathlib import Path

from hfcls.errors import InputError
from hfcls.metrics.intervals import wilson_interval
from hfcls.report.differences import SeedGroup, describe, differing, distinct, seed_groups
from hfcls.report.retrieval import RECALLS, RetrievalRun, load_retrieval_run
from hfcls.report.run import check

METRICS = (*RECALLS, *(f"image_to_text_{name}" for name in RECALLS))
_ANSWERED = {"answered": {"texts": int, "images": int}}
_MEASURED = {"test": "test_", "validation": "eval_"}  # split: the beginning of its metrics' names in all_results.json


@dataclass(frozen=True)
class ComparedRetrieval:
    """One run: `about`, `results`, `history` and `settings` as `Compared` of hfcls.report.comparison has them.

    `scores` has the METRICS, `intervals` the 95 % interval of each but the means; `test_rows` is equal where the runs
    searched as many pictures for as many texts of the same corpus, and `refusal` says how a run differs in that from
    the best, empty where it does not.
    """

    name: str
    about: dict
    results: dict
    history: list[dict] | None
    settings: dict[str, object]
    scores: dict[str, float]
    intervals: dict[str, tuple[float, float]]
    test_rows: tuple
    refusal: str = ""


@dataclass(frozen=True)
class RetrievalComparison:
    """`runs` with the highest recall at 1 first; `settings`, `groups` and `best` as `Comparison` of
    hfcls.report.comparison has them. `split` is what was searched: test, or validation where the answers of the test
    texts are not known.
    """

    runs: list[ComparedRetrieval]
    settings: list[str]
    groups: list[SeedGroup]
    best: ComparedRetrieval
    split: str


def compare(folders: list[str | Path]) -> RetrievalComparison:
    """Reads finished runs.

    Raises:
        InputError: a run is given twice, one of its files is missing or torn, or no split was searched by all runs.
    """
    # Their pictures are dropped here: of sixty runs they would not fit into a page.
    read = {name: replace(load_retrieval_run(path), queries=[]) for name, path in distinct(folders).items()}
    split = _measured_by_all(list(read.values()))
    runs = [_compared(name, run, split) for name, run in read.items()]
    runs.sort(key=lambda one: one.scores[METRICS[0]], reverse=True)
    settings = differing([one.settings for one in runs])
    runs = [replace(one, settings={name: one.settings.get(name) for name in settings}) for one in runs]
    most_shared = max(runs, key=lambda one: sum(other.test_rows == one.test_rows for other in runs)).test_rows
    runs = [one if one.test_rows == most_shared else replace(one, refusal=_refusal(one, most_shared)) for one in runs]
    best = next(one for one in runs if not one.refusal)
    groups = seed_groups(runs, METRICS, lambda one, metric: one.scores[metric])
    return RetrievalComparison(runs, settings, groups, best, split)


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
    searched = run.about["data"]["splits"][split]
    check(searched, _ANSWERED, f"{run.folder / 'run.json'}: data: splits: {split}: ")
    scores = _scores(run, split)
    intervals = {}
    for metric, value in scores.items():
        if "mean" not in metric:
            queries = searched["answered"]["images" if metric.startswith("image_to_text") else "texts"]
            intervals[metric] = wilson_interval(value, queries)
    return ComparedRetrieval(
        name=name,
        about=run.about,
        results=run.results,
        history=run.history,
        settings=describe(run.about),
        scores=scores,
        intervals=intervals,
        test_rows=(run.about["data"]["name"], searched["rows"], searched["images"], searched["pairs"]),
    )


def _refusal(one: ComparedRetrieval, most_shared: tuple) -> str:
    there, here = (
        f"{rows:,} texts and {images:,} pictures of {name}" for name, rows, images, _ in (most_shared, one.test_rows)
    )
    return f"other test rows: {here} instead of {there}" if here != there else "other test rows: other image_ids"
