"""The scores of a run, held against what the run itself wrote."""

from hfcls.errors import InputError
from hfcls.report.label_scores import LabelSetScores, compute_label_scores
from hfcls.report.run import Run
from hfcls.report.scores import Scores, compute_scores

TOLERANCE = 1e-6


def checked_scores(run: Run) -> Scores | LabelSetScores:
    """The scores of the test rows of `run`, computed anew from its predictions.

    Raises:
        InputError: predictions.csv is not of the run that run.json and all_results.json describe.
    """
    compute = compute_label_scores if run.record.target == "label_sets" else compute_scores
    scores = compute(run.predictions, run.classes)
    _check_agreement(run, scores)
    return scores


def _check_agreement(run: Run, scores: Scores | LabelSetScores) -> None:
    expected = run.record.data.splits["test"].rows
    if scores.rows != expected:
        raise InputError(
            f"{run.folder}: {_stale(run, 'predictions.csv', 'run.json')} is stale: predictions.csv has {scores.rows} "
            f"rows, run.json counts {expected} test rows; evaluate again"
        )
    for name in ("accuracy", "f1", "roc_auc"):
        found, written = getattr(scores, name), run.results[f"test_{name}"]
        if (found is None) != (written is None) or (found is not None and abs(found - written) > TOLERANCE):
            raise InputError(
                f"{run.folder}: {_stale(run, 'predictions.csv', 'all_results.json')} is stale: predictions.csv gives "
                f"{name} {found}, all_results.json says {written}; evaluate again"
            )


def _stale(run: Run, *names: str) -> str:
    """Which of the files was written first."""
    return min(names, key=lambda name: (run.folder / name).stat().st_mtime_ns)
