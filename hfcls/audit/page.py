"""An audit as one HTML file that needs nothing beside it."""

from pathlib import Path

from hfcls.audit.audit import Audit
from hfcls.audit.balance import class_counts
from hfcls.errors import InputError
from hfcls.pages.templates import environment


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
        raise InputError(f"{path}: {error.strerror}; give an --output that can be written to") from error
    return path


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
