"""What is added to rows of texts: label, probability, and whether the text is longer than what is read of it."""

import numpy as np
import pyarrow

from hfcls.data.table_files import text_cell
from hfcls.inference.bulk.job import Job
from hfcls.inference.onnx_classifier import load_classifier
from hfcls.inference.text_classifier import answer, probabilities_of
from hfcls.runs.predictions import probability_columns


class TextAnswers:
    """A classifier of texts at work on windows of rows.

    Raises:
        InputError: the model cannot be loaded.
    """

    window_rows = 8192  # that are sorted by length together

    def __init__(self, job: Job):
        self.job = job
        self.classifier = load_classifier(job.model, trust_remote_code=job.trust_remote_code)

    def read_cell(self, cell, where: str) -> str:
        """A text, as training reads it."""
        return text_cell(cell, where)

    def columns(self, columns: list[list[str]], taken: list[str]) -> dict[str, pyarrow.Array]:
        """The columns to add, of texts and perhaps second texts; `taken` are the names that there are already.

        Where a text has several labels, the first two are lists.
        """
        classifier, (texts, *pairs) = self.classifier, columns
        labels, thresholds = classifier.labels, classifier.thresholds
        encoded = classifier.encode(texts, *pairs) if texts else {"input_ids": []}
        scores = probabilities_of(classifier.encoded_logits(encoded, self.job.batch_size), classifier.config)
        added = labelled(scores, labels, thresholds)
        added["truncated"] = pyarrow.array(self._truncated(encoded, texts, pairs), pyarrow.bool_())
        if self.job.all_probabilities:
            added |= shares(scores, labels, [*taken, *added])
        return added

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


def labelled(scores: np.ndarray, labels: list[str], thresholds: np.ndarray | None) -> dict[str, pyarrow.Array]:
    """`prediction` and `probability` of scores (rows, classes), as `answer` says them: lists where rows have several
    labels.
    """
    if thresholds is not None:
        answers = [answer(row, labels, thresholds).labels for row in scores]
        return {
            "prediction": pyarrow.array([list(given) for given in answers], pyarrow.list_(pyarrow.string())),
            "probability": pyarrow.array([list(g.values()) for g in answers], pyarrow.list_(pyarrow.float32())),
        }
    unknown = np.isnan(scores).any(axis=1)
    best = pyarrow.array(scores.argmax(axis=1), mask=unknown)
    return {
        "prediction": pyarrow.array(labels, pyarrow.string()).take(best),
        "probability": pyarrow.array(scores.max(axis=1), pyarrow.float32(), mask=unknown),
    }


def shares(scores: np.ndarray, labels: list[str], taken: list[str]) -> dict[str, pyarrow.Array]:
    """A column for each class of scores (rows, classes), called otherwise where its name is `taken`."""
    names = probability_columns(labels, taken)
    return {name: pyarrow.array(column) for name, column in zip(names, scores.T.copy(), strict=True)}
