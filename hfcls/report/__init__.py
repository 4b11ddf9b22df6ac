"""The one-file HTML report of a finished run, and the page that puts several side by side."""

from collections.abc import Sequence
from pathlib import Path

from hfcls.errors import InputError
from hfcls.pages.write import write
from hfcls.report import page, retrieval
from hfcls.runs.record import read_record

__all__ = ["write_comparison", "write_report"]

_KINDS = {
    "one_label": "has one class a row",
    "label_sets": "has several labels a row",
    "pairs": "searches pictures",
}


def write_report(folder: str | Path) -> Path:
    """Writes `report.html` into the folder of a finished run, of a classifier or of retrieval, and returns its path.

    Raises:
        InputError: a file of the run is missing or torn, or its numbers contradict each other.
    """
    of_retrieval = read_record(folder).target == "pairs"
    return retrieval.write_retrieval_report(folder) if of_retrieval else page.write_report(folder)


def write_comparison(folders: Sequence[str | Path], path: str | Path) -> tuple[Path, str]:
    """Writes the page of finished runs of one kind.

    Returns:
        Its path, and its tables in Markdown.

    Raises:
        InputError: runs of several kinds, one that cannot be read or compared, or the page cannot be written.
    """
    from hfcls.report import comparison, comparison_page, retrieval_comparison, retrieval_comparison_page

    kinds = {read_record(folder).target: folder for folder in folders}
    if len(kinds) > 1:
        one, other, *_ = (f"{folder} {_KINDS[kind]}" for kind, folder in kinds.items())
        raise InputError(f"{one}, {other}: compare runs of one kind")
    if "pairs" in kinds:
        found, written = retrieval_comparison.compare(folders), retrieval_comparison_page
    else:
        found, written = comparison.compare(folders), comparison_page
    return write(written.render(found), path), written.markdown(found)
