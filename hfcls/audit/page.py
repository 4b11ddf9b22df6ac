"""An audit as one HTML file that needs nothing beside it."""

from pathlib import Path

import numpy as np
from jinja2 import ChoiceLoader, FileSystemLoader

from hfcls.audit.audit import Audit
from hfcls.errors import InputError
from hfcls.report.page import environment


def write_page(done: Audit, path: str | Path) -> Path:
    """Writes the page and returns its path.

    Raises:
        InputError: the file cannot be written.
    """
    path = Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(render(done), encoding="utf-8")
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}") from error
    return path


def render(done: Audit) -> str:
    """The page as text."""
    reports = environment()
    loader = ChoiceLoader([FileSystemLoader(Path(__file__).parent), reports.loader])
    return (
        reports.overlay(loader=loader)
        .get_template("audit.html")
        .render(
            corpus=done.corpus,
            findings=done.findings,
            class_counts=_class_counts(done.corpus.split_ids, done.corpus),
        )
    )


def _class_counts(split_ids: np.ndarray, corpus) -> np.ndarray:
    """(classes, splits) rows of each class in each split."""
    counts = np.zeros((len(corpus.classes), len(corpus.splits)), dtype=int)
    np.add.at(counts, (corpus.labels, split_ids), 1)
    return counts.tolist()
