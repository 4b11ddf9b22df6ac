"""An audit as one HTML file that needs nothing beside it."""

from pathlib import Path

from hfcls.audit.audit import Audit
from hfcls.audit.balance import class_counts
from hfcls.pages.templates import environment
from hfcls.pages.write import write


def write_page(done: Audit, path: str | Path) -> Path:
    """Writes the page and returns its path.

    Raises:
        InputError: the file cannot be written.
    """
    return write(render(done), path)


def render(done: Audit) -> str:
    """The page as text."""
    return (
        environment(Path(__file__).parent)
        .get_template("audit.html")
        .render(
            corpus=done.corpus,
            findings=done.findings,
            class_counts=class_counts(done.corpus).T.tolist(),
        )
    )
