"""The one-file HTML report of a finished run."""

from pathlib import Path

from hfcls.report import page, retrieval

__all__ = ["write_report"]


def write_report(folder: str | Path) -> Path:
    """Writes `report.html` into the folder of a finished run, of a classifier or of retrieval, and returns its path.

    Raises:
        InputError: a file of the run is missing or torn, or its numbers contradict each other.
    """
    retrieved = (Path(folder) / retrieval.EXAMPLES).exists()
    return retrieval.write_retrieval_report(folder) if retrieved else page.write_report(folder)
