"""What a finished run left in its output folder, read and checked."""

from dataclasses import dataclass
from pathlib import Path

from hfcls.errors import InputError
from hfcls.runs import predictions, results, thumbnails
from hfcls.runs.explanations import Explanations, read_explanations
from hfcls.runs.json_files import from_json, read_json
from hfcls.runs.record import Record, read_record


@dataclass(frozen=True)
class Run:
    """One finished run of a classifier.

    Attributes:
        record: run.json.
        results: all_results.json, as `hfcls.runs.results.read_results` gives it.
        history: the Trainer's `log_history`, None where nothing was trained.
        best_step: of the checkpoint that was kept, None where the Trainer chose none.
        thumbnails: PNG files in base64 of wrong test rows, by row counted from 1; empty where rows are no pictures.
        marked: the same with what spoke for the wrong label in colour; empty where that was not asked for.
        explanations: of test rows, None where none were made.
    """

    folder: Path
    record: Record
    results: dict[str, float | None]
    history: list[dict] | None
    best_step: int | None
    predictions: predictions.Predictions
    thumbnails: dict[int, str]
    marked: dict[int, str]
    explanations: Explanations | None

    @property
    def classes(self) -> list[str]:
        return self.record.labels


def load_run(folder: str | Path) -> Run:
    """Reads run.json, all_results.json, predictions.csv and, where they are, trainer_state.json and mistakes.json.

    Raises:
        InputError: a file is missing or torn, or lacks something; the message names the file and the key or line.
    """
    from hfcls.metrics.target import target_of  # not needed to import hfcls.report

    folder = Path(folder)
    record = read_record(folder)
    measured = results.read_results(folder, record.target)
    history, best_step = read_history(folder)
    return Run(
        folder=folder,
        record=record,
        results=measured,
        history=history,
        best_step=best_step,
        predictions=predictions.read_predictions(
            folder / predictions.NAME, target_of(record.target, record.labels, record.thresholds)
        ),
        thumbnails=thumbnails.read_thumbnails(folder),
        marked=thumbnails.read_thumbnails(folder, thumbnails.MARKED),
        explanations=read_explanations(folder),
    )


@dataclass(frozen=True)
class _TrainerState:
    log_history: list[dict[str, object]]
    best_global_step: int | None = None


def read_history(folder: Path) -> tuple[list[dict] | None, int | None]:
    """The Trainer's `log_history` and the step of the checkpoint that it kept, of trainer_state.json if there is one.

    Raises:
        InputError: the file is torn.
    """
    path = folder / "trainer_state.json"
    if not path.exists():
        return None, None
    state = from_json(_TrainerState, read_json(path), f"{path}: ")
    for entry in state.log_history:
        if "step" not in entry:
            raise InputError(f"{path}: log_history: 'step' is missing: run again with this version")
        from_json(int, entry["step"], f"{path}: log_history: step: ")
    return state.log_history, state.best_global_step
