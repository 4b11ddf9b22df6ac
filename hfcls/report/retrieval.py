"""The one-file HTML report of a retrieval run."""

from dataclasses import dataclass
from math import comb
from pathlib import Path

from hfcls.pages.templates import environment
from hfcls.report.plots import LOSS, learning_rate_curve, training_curves
from hfcls.report.run import NUMBER, OPTIONAL_NUMBER, RUN, check, read_checked, read_history
from hfcls.report.thumbnails import check_pngs

EXAMPLES = "examples.json"  # marks the folder of a retrieval run, too

_KS = (1, 5, 10)
RECALLS = (*(f"recall_at_{k}" for k in _KS), "mean_recall")  # names in all_results.json, after their beginning
_STYLES = ("s1", "s2", "s3")
_CURVES = (
    ("Recall, text to image", 1, [(f"eval_recall_at_{k}", f"at {k}", s) for k, s in zip(_KS, _STYLES, strict=True)]),
    (
        "Recall, image to text",
        1,
        [(f"eval_image_to_text_recall_at_{k}", f"at {k}", s) for k, s in zip(_KS, _STYLES, strict=True)],
    ),
    LOSS,
)

_TABLE = {  # whose queries are searched for, and the beginning of their names in all_results.json
    "test texts": "test_",
    "test pictures": "test_image_to_text_",
    "validation texts": "eval_",
    "validation pictures": "eval_image_to_text_",
}
_RESULTS = {f"{start}{name}": OPTIONAL_NUMBER for start in _TABLE.values() for name in RECALLS} | {
    name: OPTIONAL_NUMBER
    for name in (
        *("start_recall_at_1", "zero_shot_accuracy", "zero_shot_pictures", "zero_shot_classes"),
        *("test_samples_per_second", "train_samples_per_second", "train_runtime"),
    )
}
_SPLIT = {
    "rows": int,
    "images": int,
    "pairs": int,
    "length": {"unit": str, "mean": NUMBER, "max": NUMBER},
}
_QUERY = {"kind": str, "text_id": int, "text": str, "pictures": list}
_PICTURE = {"id": int, "right": (bool, type(None)), "png": str}


@dataclass(frozen=True)
class RetrievalRun:
    """One finished run: run.json, all_results.json, the Trainer's log and kept step as `hfcls.report.run.Run` has them,
    and the queries of examples.json.
    """

    folder: Path
    about: dict
    results: dict
    history: list[dict] | None
    best_step: int | None
    queries: list[dict]


def load_retrieval_run(folder: str | Path) -> RetrievalRun:
    """Reads run.json, all_results.json, examples.json and, where it is, trainer_state.json.

    Raises:
        InputError: a file is missing or torn, or lacks something; the message names the file and the key.
    """
    folder = Path(folder)
    about = read_checked(folder / "run.json", RUN)
    for name in ("train", "validation", "test"):
        check(about["data"]["splits"].get(name), _SPLIT, f"{folder / 'run.json'}: data: splits: {name}: ")
    results = read_checked(folder / "all_results.json", _RESULTS)
    history, best_step = read_history(folder)
    path = folder / EXAMPLES
    queries = read_checked(path, {"queries": list})["queries"]
    for query in queries:
        check(query, _QUERY, f"{path}: ")
        for picture in query["pictures"]:
            check(picture, _PICTURE, f"{path}: ")
    check_pngs(path, [picture["png"] for query in queries for picture in query["pictures"]])
    return RetrievalRun(folder, about, results, history, best_step, queries)


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
    results, test = run.results, run.about["data"]["splits"]["test"]
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
            about=run.about,
            data=run.about["data"],
            chance={k: _chance(k, test) for k in _KS},
            worse=start is not None and chosen is not None and chosen < start,
            curves=training_curves(run.history or [], run.best_step, _CURVES),
            learning_rate=learning_rate_curve(run.history or []),
            recalls=recalls,
        )
    )


def _chance(k: int, test: dict) -> float:
    """Recall of `k` random pictures for a text that has the mean number of right ones."""
    images, right = test["images"], round(test["pairs"] / max(test["rows"], 1))
    return 1 - comb(images - right, min(k, images)) / comb(images, min(k, images))
