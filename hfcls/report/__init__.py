"""The one-file HTML report of a finished run, and the page that puts several side by side."""

from collections.abc import Sequence
from pathlib import Path

from hfcls.errors import InputError
from hfcls.report import page, retrieval

__all__ = ["write_comparison", "write_report"]


def write_report(folder: str | Path) -> Path:
    """Writes `report.html` into the folder of a finished run, of a classifier or of retrieval, and returns its path.

    Raises:
        InputError: a file of the run is missing or torn, or its numbers contradict each other.
    """
    return retrieval.write_retrieval_report(folder) if _is_retrieval(folder) else page.write_report(folder)


def write_comparison(folders: Sequence[str | Path], path: str | Path) -> tuple[Path, str]:
    """Writes the page of finished runs, all of classifiers or all of retrieval.

    Returns:
        Its path, and its tables in Markdown.

    Raises:
        InputError: runs of both kinds, one that cannot be read or compared, or the page cannot be written.
    """
    from hfcls.report import (
        comparison,
        comparison_page,
        comparison_parts,
        retrieval_comparison,
        retrieval_comparison_page,
    )

    kinds = {_is_retrieval(folder): folder for folder in folders}
    if len(kinds) > 1:
        raise InputError(f"{kinds[True]} searches pictures, {kinds[False]} classifies: compare runs of one kind")
    if True in kinds:
        found, written = retrieval_comparison.compare(folders), retrieval_comparison_page
    else:
        found, written = comparison.compare(folders), comparison_page
    return comparison_parts.write_page(written.render(found), path), written.markdown(found)


def _is_retrieval(folder: str | Path) -> bool:
    return (Path(folder) / retrieval.EXAMPLES).exists()
