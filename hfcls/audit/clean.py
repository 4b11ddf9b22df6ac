"""Writes a corpus back in its own format, without the rows that an audit found."""

from pathlib import Path

import numpy as np

from hfcls.audit.audit import Audit
from hfcls.errors import InputError


def write_clean(done: Audit, names: list[str], folder: str) -> dict[str, int]:
    """Writes the rows without those of the findings `names`; test rows all stay, or results could not be compared.

    Args:
        folder: new, or empty.

    Returns:
        The rows left out of each split.

    Raises:
        InputError: the folder holds something or cannot be written to, or the corpus is not written back.
    """
    target = Path(folder)
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise InputError(f"--write_clean {folder}: is there already; give a new folder")
    corpus, keep = done.corpus, kept_rows(done, names)
    kept = {
        split: np.flatnonzero(keep[corpus.split_ids == place]).tolist() for place, split in enumerate(corpus.splits)
    }
    try:
        target.mkdir(parents=True, exist_ok=True)
        corpus.write_back(kept, folder)
    except OSError as error:
        raise InputError(f"{error.filename or target}: {error.strerror}") from error
    except ValueError as error:
        raise InputError(f"--write_clean: {error}") from error
    return {split: corpus.splits[split] - len(rows) for split, rows in kept.items()}


def kept_rows(done: Audit, names: list[str]) -> np.ndarray:
    """(rows,) which rows of the flat corpus stay."""
    keep = np.ones(len(done.corpus.contents), dtype=bool)
    for finding in done.findings:
        if finding.name in names:
            keep[finding.rows] = False
    if "test" in done.corpus.splits:
        keep[done.corpus.split_ids == list(done.corpus.splits).index("test")] = True
    return keep
