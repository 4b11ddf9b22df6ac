"""What classifies fragments, on whatever machine it is put: it knows no engine."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

import pyarrow
import pyarrow.parquet
import torch

from hfcls.errors import InputError
from hfcls.inference.bulk.embeddings import TextEmbeddings
from hfcls.inference.bulk.job import Fragment, Job
from hfcls.inference.bulk.pictures import PictureAnswers
from hfcls.inference.bulk.rows import Window, read_windows
from hfcls.inference.bulk.storage import local_copy, written_whole
from hfcls.inference.bulk.texts import TextAnswers
from hfcls.inference.kind import kind_of
from hfcls.inference.onnx_classifier import is_exported


@dataclass(frozen=True)
class Done:
    """What became of a fragment.

    Attributes:
        rows: that have answers now.
        bad_rows: that could not be read.
        notes: what was guessed of its file.
        error: one line if it has no answers.
    """

    input: str
    rows: int = 0
    bad_rows: int = 0
    notes: list[str] = field(default_factory=list)
    error: str | None = None


def begin_worker(job: Job) -> Callable[[Fragment], Done]:
    """What a worker of an engine does with each fragment: a `FragmentClassifier` where the model can be loaded.

    Where it cannot, every fragment is done with that error: an engine would start the worker again, and end in pages of
    its own.
    """
    try:
        return FragmentClassifier(job)
    except InputError as error:
        return partial(_without_answers, str(error))


def _without_answers(error: str, fragment: Fragment) -> Done:
    return Done(fragment.input, error=error)


def _answers(job: Job) -> TextAnswers | TextEmbeddings | PictureAnswers:
    if job.image_column is not None:
        return PictureAnswers(job)
    embeds = not is_exported(job.model) and kind_of(job.model, job.trust_remote_code) == "pairs"
    return TextEmbeddings(job) if embeds else TextAnswers(job)


class FragmentClassifier:
    """Classifies whole fragments. It is made once in each worker, and loads the model there.

    Raises:
        InputError: the model cannot be loaded.
    """

    def __init__(self, job: Job):
        torch.set_num_threads(job.threads)
        self.job = job
        self.answers = _answers(job)

    def __call__(self, fragment: Fragment) -> Done:
        """Writes the answers of a fragment: all of its columns, and those that its answers add.

        The file is complete or not there. Rows that cannot be read go to a file of JSON lines beside it, each with its
        line and the reason.
        """
        notes: list[str] = []
        path = fragment.input
        try:
            with local_copy(fragment.input) as path, written_whole(fragment.output) as part:
                rows, bad = self._write(path, part, notes)
                if bad:
                    self._write_bad(fragment, path, bad)
        except (OSError, ValueError, InputError) as error:
            reason = str(error).replace(path, fragment.input).partition("\n")[0]
            named = fragment.input in reason
            return Done(fragment.input, error=reason if named else f"{fragment.input}: {reason}")
        return Done(fragment.input, rows, len(bad), notes)

    def _write(self, path: str, part: str, notes: list[str]) -> tuple[int, list[tuple[int, str]]]:
        writer, rows, bad = None, 0, []
        try:
            for window in read_windows(path, self.job, self.answers, notes.append):
                bad += window.bad
                if len(bad) > self.job.max_bad_rows:
                    line, reason = bad[0]
                    raise ValueError(f"{reason}, or allow for such rows with --max_bad_rows")
                table = self._answered(window, path)
                if writer is None:
                    writer = pyarrow.parquet.ParquetWriter(part, table.schema)
                writer.write_table(table)
                rows += len(table)
        finally:
            if writer is not None:
                writer.close()
        return rows, bad

    def _answered(self, window: Window, path: str) -> pyarrow.Table:
        """The table of a window with the columns of the answers."""
        table = window.table
        for name, column in self.answers.columns(window.items, table.column_names).items():
            if name in window.table.column_names:
                raise ValueError(f"{path}: has a column {name} already, which is to be added: rename it")
            table = table.append_column(name, column)
        return table

    def _write_bad(self, fragment: Fragment, path: str, bad: list[tuple[int, str]]) -> None:
        with written_whole(fragment.bad) as part, open(part, "w", encoding="utf-8") as file:
            for line, reason in bad:
                reason = reason.replace(path, fragment.input)
                json.dump({"file": fragment.input, "line": line, "reason": reason}, file, ensure_ascii=False)
                file.write("\n")
