"""The corpus as an audit sees it: the rows of all splits one after another, so that one array operation finds what
repeats within and across splits."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from hfcls.audit.names import FindingName
from hfcls.audit.stored_texts import StoredTexts
from hfcls.pages.figures import Plot

EXCERPT = 300  # characters of a text that are quoted


@dataclass(frozen=True)
class FlatCorpus:
    """All rows of a corpus, split after split.

    Attributes:
        name: of the corpus, "thucnews".
        source: the folder's or file's name, or "embedded sample".
        contents: (rows,) str, perhaps in a file, or where the rows are images a digest of each, as bytes.
        labels: (rows,) ids into `classes`.
        classes: the names of the labels.
        splits: rows of each split, in the order of the rows: train, validation, test, as far as they exist.
        groups: (rows,) str, what rows belong together by (the card they were taken from), or None.
        names: (rows,) str, what each row is called, or None; of an image, this is quoted.
        notes: what the builder said while reading, one line each.
        write_back: writes rows, given as their numbers within each split, into an empty folder, in a format that the
            corpus is read from; ValueError where that cannot be done.
    """

    name: str
    source: str
    contents: np.ndarray | StoredTexts
    labels: np.ndarray
    classes: list[str]
    splits: dict[str, int]
    groups: np.ndarray | None = None
    names: np.ndarray | None = None
    notes: tuple[str, ...] = ()
    write_back: Callable[[dict[str, list[int]], str], None] | None = None

    @property
    def is_text(self) -> bool:
        return len(self.contents) == 0 or isinstance(self.contents[0], str)

    @cached_property
    def split_ids(self) -> np.ndarray:
        """(rows,) the place of each row's split in `splits`."""
        return np.repeat(np.arange(len(self.splits), dtype=np.int16), list(self.splits.values()))

    @cached_property
    def first_rows(self) -> np.ndarray:
        """(splits,) where each split begins."""
        return np.cumsum([0, *self.splits.values()])[:-1]

    def where(self, row: int) -> str:
        """`train 17, sports`: split, row within the split (from 0) and class, for a reader."""
        split = self.split_ids[row]
        label = self.classes[self.labels[row]]
        return f"{list(self.splits)[split]} {row - self.first_rows[split]:,}, {label}"

    def excerpt(self, row: int) -> str:
        """The beginning of a text, in one line; of an image, its name."""
        content = self.contents[row]
        if isinstance(content, bytes):
            return "image" if self.names is None else self.names[row]
        line = " ".join(content[: EXCERPT + 1].split())
        return line if len(content) <= EXCERPT else f"{line[:EXCERPT]}…"


@dataclass(frozen=True)
class Example:
    """Rows that belong together in a finding: `texts` are (where, excerpt) pairs, `note` says what is wrong."""

    note: str
    texts: list[tuple[str, str]]


@dataclass(frozen=True)
class Finding:
    """What one finder found.

    Attributes:
        name: what `--fail_on` and `--clean` call it.
        title: for people.
        found: how many of `unit` are wrong; 0 is a clean bill.
        summary: one line for the terminal.
        explanation: what was looked for and how, for the page.
        numbers: JSON scalars, lists and dicts.
        examples: the worst first.
        rows: (found rows,) places in the flat corpus of the rows that cleaning would remove.
        plots: for the page.
    """

    name: FindingName
    title: str
    found: int
    summary: str
    explanation: str
    numbers: dict
    examples: list[Example]
    rows: np.ndarray
    plots: list[Plot] = field(default_factory=list)


def spaced(texts: np.ndarray) -> bool:
    """Whether spaces separate the words of `texts`: 5 % of the characters or more, in a thousand of them."""
    some = texts[:: max(1, len(texts) // 1000)]
    return sum(text.count(" ") for text in some) > 0.05 * sum(len(text) for text in some)
