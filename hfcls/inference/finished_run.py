"""A finished run, from its folder: what it measured, what it answered, its model at work, and to the Hub."""

from dataclasses import dataclass
from functools import cached_property
from os import PathLike
from pathlib import Path

import pandas

from hfcls.inference.classifier import Classifier
from hfcls.runs.hub import check_hub, files_to_push, push_folder
from hfcls.runs.json_files import read_json
from hfcls.runs.predictions import NAME as PREDICTIONS
from hfcls.runs.record import Record, read_record
from hfcls.runs.results import NAME as RESULTS


@dataclass(frozen=True)
class Run:
    """What `fine_tune` and the recipes leave in a folder.

    >>> run = Run("outputs/reviews")
    >>> run.metrics["test_accuracy"]
    0.93
    """

    folder: str | PathLike[str]

    @cached_property
    def metrics(self) -> dict[str, float | None]:
        """all_results.json: `test_accuracy`, `test_f1`, `eval_loss`, …; None what was not finite.

        Raises:
            InputError: the folder holds no finished run.
        """
        return read_json(Path(self.folder, RESULTS))

    @cached_property
    def record(self) -> Record:
        """run.json: corpus, model, settings, hardware.

        Raises:
            InputError: as `metrics`.
        """
        return read_record(Path(self.folder))

    @property
    def predictions(self) -> pandas.DataFrame:
        """predictions.csv: the test rows, each with its label, its prediction, and a probability for each class."""
        return pandas.read_csv(Path(self.folder, PREDICTIONS), keep_default_na=False, dtype={"text": str, "id": str})

    @property
    def report(self) -> Path:
        """The page that says all of this."""
        return Path(self.folder, "report.html")

    @cached_property
    def classifier(self) -> Classifier:
        """The trained model, reloaded from the folder.

        Raises:
            InputError: as `Classifier`.
        """
        return Classifier(self.folder)

    def push(self, repo: str, *, private: bool | None = None, token: str | None = None) -> str:
        """Uploads the model and its card to the Hub, and returns the address of its page.

        Args:
            repo: NAMESPACE/NAME, created if need be; or NAME in your own namespace.
            private: of a repository that is created; None is what the namespace does by default.
            token: `hf auth login` or HF_TOKEN by default.

        Raises:
            InputError: there is nothing to push, no token that may, or the Hub cannot be reached.
        """
        files_to_push(Path(self.folder))  # that there is something to push is known before a repository is created
        repo_id = check_hub(repo, token=token, private=private)
        return push_folder(Path(self.folder), repo_id, token=token)
