"""Which of several runs is chosen: by its score on validation. Test scores choose nothing."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

from hfcls.runs.record import Record
from hfcls.runs.results import metric_title, validation_score


@dataclass(frozen=True, kw_only=True)
class ComparedRun:
    """One run beside others.

    Attributes:
        name: that tells it from the others.
        record, results: run.json and all_results.json.
        history: the Trainer's log, or None.
        settings: a value for each of those that differ between the runs.
        test_rows: equal where the runs were measured on the same test rows.
        validation: the score that the runs are ranked by, None where there is none.
        unranked: why the run is not ranked, empty where it is.
    """

    name: str
    record: Record
    results: dict[str, float | None]
    history: list[dict] | None
    settings: dict[str, object]
    test_rows: object
    validation: float | None = None
    unranked: str = ""


@dataclass(frozen=True)
class Criterion:
    """What runs are ranked by.

    Attributes:
        metric: of validation, "accuracy".
        greater_is_better: whether the highest score is the best.
        others: of runs whose checkpoint was chosen by another metric, that metric → their names.
    """

    metric: str
    greater_is_better: bool
    others: dict[str, list[str]] = field(default_factory=dict)

    @property
    def title(self) -> str:
        """For people: "validation accuracy"."""
        return f"validation {metric_title(self.metric)}"

    def order(self, score: float | None) -> tuple[bool, float]:
        """A key that sorts scores, the best first and None last."""
        if score is None:
            return True, 0.0
        return False, -score if self.greater_is_better else score


Compared = TypeVar("Compared", bound=ComparedRun)


def rank(
    runs: Sequence[Compared], difference: Callable[[Compared, Compared], str]
) -> tuple[list[Compared], Criterion | None]:
    """Orders `runs` by their validation score, the best first; those that cannot be ranked come last, as they were.

    The metric is the one that most of the checkpoints were chosen by. A run is ranked if it has that score, measured on
    the validation rows that most share, and was tested on the test rows that most share.

    Args:
        runs: as they were given.
        difference: of two runs with other `test_rows` → how those of the first differ from those of the second.

    Returns:
        The runs with `validation` and `unranked`, and the criterion, None where no run has a validation score.
    """
    criterion = _criterion(runs)
    if criterion is not None:
        runs = [replace(one, validation=validation_score(one.record, one.results, criterion.metric)) for one in runs]
    scored = [one for one in runs if one.validation is not None]
    common = _most_shared(scored or runs, lambda one: one.test_rows)
    alike = [one for one in scored if one.test_rows == common.test_rows]
    judged = _most_shared(alike, lambda one: _validation_rows(one.record)) if alike else None

    def why_unranked(one: Compared) -> str:
        if one.test_rows != common.test_rows:
            return difference(one, common)
        if one.validation is None:
            return "no validation score"
        here, there = _validation_rows(one.record), _validation_rows(judged.record)
        if here == there:
            return ""
        instead = f"{here[0]} instead of {there[0]}" if here[0] != there[0] else "as many, but of other classes"
        return f"other validation rows: {instead}"

    runs = [replace(one, unranked=why_unranked(one)) for one in runs]
    if criterion is None:
        return runs, None
    return sorted(runs, key=lambda one: criterion.order(None if one.unranked else one.validation)), criterion


def _criterion(runs: Sequence[Compared]) -> Criterion | None:
    """The metric that most checkpoints were chosen by, of several the first; None where no run has such a score."""
    chosen_by = {}
    for one in runs:
        metric = one.record.chosen_by
        if metric is not None and validation_score(one.record, one.results, metric) is not None:
            chosen_by[one.name] = (metric, one.record.greater_is_better)
    if not chosen_by:
        return None
    ((metric, greater_is_better), _), *_ = Counter(chosen_by.values()).most_common()
    others = {}
    for name, (other, _) in chosen_by.items():
        if other != metric:
            others.setdefault(other, []).append(name)
    return Criterion(metric, greater_is_better, others)


def _most_shared(runs: Sequence[Compared], what: Callable[[Compared], object]) -> Compared:
    """The first of the runs whose `what` most of them share."""
    return max(runs, key=lambda one: sum(what(other) == what(one) for other in runs))


def _validation_rows(record: Record) -> tuple[str, tuple]:
    """What a validation score was measured on: for people, and all that a record tells of it."""
    if record.folds is not None:
        return f"{len(record.folds)} folds", ()
    split = record.data.splits.get("validation")
    if split is None:
        return "none", ()
    return f"{split.rows:,}", (*sorted(split.labels.items()), split.images, split.pairs)
