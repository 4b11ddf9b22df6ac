"""The one-file HTML report of a retrieval run."""

from dataclasses import dataclass
from math import comb
from pathlib import Path

from hfcls.metrics.pairs import KS, RECALLS
from hfcls.pages.templates import environment
from hfcls.report.plots import LOSS, learning_rate_curve, training_curves
from hfcls.report.run import read_history
from hfcls.runs.examples import Query, read_examples
from hfcls.runs.record import Record, Split, read_record
from hfcls.runs.results import metric_title, read_results

_STYLES = ("s1", "s2", "s3")
_CURVES = (
    ("Recall, text to image", 1, [(f"eval_recall_at_{k}", f"at {k}", s) for k, s in zip(KS, _STYLES, strict=True)]),
    (
        "Recall, image to text",
        1,
        [(f"eval_image_to_text_recall_at_{k}", f"at {k}", s) for k, s in zip(KS, _STYLES, strict=True)],
    ),
    LOSS,
)

_TABLE = {  # whose queries are searched for, and the beginning of their names in all_results.json
    "test texts": "test_",
    "test pictures": "test_image_to_text_",
    "validation texts": "eval_",
    "validation pictures": "eval_image_to_text_",
}


@dataclass(frozen=True)
class RetrievalRun:
    """One finished run of retrieval; `record`, `results`, `history` and `best_step` are as `hfcls.report.run.Run` has
    them, `queries` those of examples.json.
    """

    folder: Path
    record: Record
    results: dict[str, float | None]
    history: list[dict] | None
    best_step: int | None
    queries: list[Query]


def load_retrieval_run(folder: str | Path) -> RetrievalRun:
    """Reads run.json, all_results.json, examples.json and, where it is, trainer_state.json.

    Raises:
        InputError: a file is missing or torn, or lacks something; the message names the file and the key.
    """
    folder = Path(folder)
    record = read_record(folder)
    return RetrievalRun(
        folder, record, read_results(folder, record.target), *read_history(folder), read_examples(folder)
    )


def write_retrieval_report(folder: str | Path) -> Path:
    """Writes `report.html` into the folder of a finished run and returns its path.

    Raises:
        InputError: a file of the run is missing or torn.
    """
    run = load_retrieval_run(folder)
    path = run.folder / "report.html"
    path.write_text(render(run), encoding="utf-8")
    return path


def render(run: RetrievalRun) -> str:
    """The page as text."""
    results, test = run.results, run.record.data.splits["test"]
    recalls = []
    for title, start in _TABLE.items():
        values = [results[f"{start}{name}"] for name in RECALLS]
        if values[0] is not None:
            recalls.append((title, values))
    start, chosen = results["start_recall_at_1"], results["eval_recall_at_1"]
    return (
        environment(Path(__file__).parent)
        .get_template("retrieval.html")
        .render(
            run=run,
            record=run.record,
            data=run.record.data,
            chosen_by=f"validation {metric_title(run.record.chosen_by or 'score')}",
            chance={k: _chance(k, test) for k in KS},
            worse=start is not None and chosen is not None and chosen < start,
            curves=training_curves(run.history or [], run.best_step, _CURVES),
            learning_rate=learning_rate_curve(run.history or []),
            recalls=recalls,
        )
    )


def _chance(k: int, test: Split) -> float:
    """Recall of `k` random pictures for a text that has the mean number of right ones."""
    right = round(test.pairs / max(test.rows, 1))
    return 1 - comb(test.images - right, min(k, test.images)) / comb(test.images, min(k, test.images))
