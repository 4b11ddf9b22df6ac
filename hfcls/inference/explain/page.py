"""Explained texts as one HTML file that needs nothing beside it."""

from collections.abc import Sequence
from pathlib import Path

from hfcls.inference.classifier import Classifier
from hfcls.inference.explain.explanation import method
from hfcls.pages.templates import environment
from hfcls.pages.write import write
from hfcls.runs.explanations import Explanation


def write_page(classifier: Classifier, explained: Sequence[tuple[Explanation, float]], path: str | Path) -> Path:
    """Writes the page of explanations, each with its gap, and returns its path.

    Raises:
        InputError: the file cannot be written.
    """
    template = environment(Path(__file__).parent).get_template("page.html")
    page = template.render(
        model=Path(classifier.name_or_path).name,
        explanations=[one for one, _ in explained],
        method=method(classifier),
        gap=max(gap for _, gap in explained),
    )
    return write(page, path)
