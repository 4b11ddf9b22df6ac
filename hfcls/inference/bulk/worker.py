"""What classifies fragments, on whatever machine it is put: it knows no engine."""

import json
from dataclasses import dataclass, field

import numpy as np
import pyarrow
import pyarrow.parquet
import torch

from hfcls.errors import InputError
from hfcls.inference.bulk.job import Fragment, Job
from hfcls.inference.bulk.rows import Window, read_windows
from hfcls.inference.bulk.storage import local_copy, written_whole
from hfcls.inference.classifier import Classifier
from hfcls.inference.text_classifier import answer, probabilities_of
from hfcls.runs.predictions import probability_columns


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


class FragmentClassifier:
    """Classifies whole fragments. It is made once in each worker, and loads the model there.

    Raises:
        InputError: the model cannot be loaded.
    """

    def __init__(self, job: Job):
        torch.set_num_threads(job.threads)
        self.job = job
        self.classifier = Classifier(job.model, trust_remote_code=job.trust_remote_code)

    def __call__(self, fragment: Fragment) -> Done:
        """Writes the answers of a fragment: all of its columns, `prediction`, `probability` and `truncated`.

        Where a text has several labels, the first two are lists. The file is complete or not there. Rows that cannot
        be read go to a file of JSON lines beside it, each with its line and the reason.
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
            for window in read_windows(path, self.job, notes.append):
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
        classifier, (texts, *pairs) = self.classifier, window.texts
        labels, thresholds = classifier.labels, classifier.thresholds
        encoded = classifier.encode(texts, *pairs) if texts else {"input_ids": []}
        scores = probabilities_of(classifier.encoded_logits(encoded, self.job.batch_size), classifier.config)
        answers = [answer(row, labels, thresholds).labels for row in scores]
        one_label = [next(iter(given.items()), (None, None)) for given in answers]
        if thresholds is None:
            kinds = pyarrow.string(), pyarrow.float32()
            added = {"prediction": [label for label, _ in one_label], "probability": [share for _, share in one_label]}
        else:
            kinds = pyarrow.list_(pyarrow.string()), pyarrow.list_(pyarrow.float32())
            added = {"prediction": [list(g) for g in answers], "probability": [list(g.values()) for g in answers]}
        columns = {name: pyarrow.array(cells, kind) for (name, cells), kind in zip(added.items(), kinds, strict=True)}
        columns["truncated"] = pyarrow.array(self._truncated(encoded, texts, pairs), pyarrow.bool_())
        if self.job.all_probabilities:
            taken = [*window.table.column_names, *columns]
            columns |= dict(zip(probability_columns(labels, taken), scores.T.copy(), strict=True))
        table = window.table
        for name, column in columns.items():
            if name in window.table.column_names:
                raise ValueError(f"{path}: has a column {name} already, which is to be added: rename it")
            table = table.append_column(name, pyarrow.array(column))
        return table

    def _truncated(self, encoded: dict, texts: list[str], pairs: list[list[str]]) -> np.ndarray:
        """(rows,) whether each text is longer than what is read; only rows that reach the limit are encoded again."""
        limit = self.classifier.max_length
        if self.classifier.truncation is not None:
            limit = self.classifier.truncation.max_length
        full = [row for row, ids in enumerate(encoded["input_ids"]) if limit is not None and len(ids) >= limit]
        truncated = np.zeros(len(texts), dtype=bool)
        chosen = [[column[row] for row in full] for column in (texts, *pairs)]
        truncated[full] = self.classifier.truncated(*chosen)
        return truncated

    def _write_bad(self, fragment: Fragment, path: str, bad: list[tuple[int, str]]) -> None:
        with written_whole(fragment.bad) as part, open(part, "w", encoding="utf-8") as file:
            for line, reason in bad:
                reason = reason.replace(path, fragment.input)
                json.dump({"file": fragment.input, "line": line, "reason": reason}, file, ensure_ascii=False)
                file.write("\n")
