"""Exact duplicates, leaks between splits, and texts under two labels."""

import re
import unicodedata

import numpy as np
import pandas

from hfcls.audit.flat import Example, Finding, FlatCorpus
from hfcls.data.repetition import conflicting, leaks, present, surplus

EXAMPLES = 20
PLACES = 6  # rows of one example that are shown
_NOT_ALPHANUMERIC = re.compile(r"[\W_]+")


def normalise(text: str) -> str:
    """`text` without differences of width, case, space and punctuation; a text of punctuation alone keeps it."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    return _NOT_ALPHANUMERIC.sub("", folded) or "".join(folded.split())


def leaking_rows(keys: np.ndarray, corpus: FlatCorpus) -> np.ndarray:
    """(found,) rows whose content stands in a later split, too: in train rather than in what train is measured by."""
    found = present(keys, corpus.split_ids, len(corpus.splits))
    last = len(corpus.splits) - 1 - found[::-1].argmax(axis=0)  # the last split that each content occurs in
    return np.flatnonzero(corpus.split_ids < last[keys])


def find_duplicates(corpus: FlatCorpus, raw: np.ndarray, normal: np.ndarray) -> list[Finding]:
    """Duplicates within a split, leaks across splits, contents with two labels.

    Args:
        raw: (rows,) keys of the contents as they are.
        normal: (rows,) keys of the normalised texts; of images, the same as `raw`.

    Returns:
        The findings `duplicate`, `leakage` and `conflict`. Counted on the raw contents and again on the normalised
        ones; the rows to be removed are those of the normalised count.
    """
    return [_duplicates(corpus, raw, normal), _leakage(corpus, raw, normal), _conflicts(corpus, raw, normal)]


def _duplicates(corpus: FlatCorpus, raw: np.ndarray, normal: np.ndarray) -> Finding:
    numbers = {}
    for name, chosen in (("raw", raw), ("normalised", normal)):
        repeated = corpus.split_ids[surplus(chosen, corpus.split_ids)]
        counts = np.bincount(repeated, minlength=len(corpus.splits)).tolist()
        numbers[name] = dict(zip(corpus.splits, counts, strict=True))
    rows = np.flatnonzero(surplus(normal, corpus.split_ids))
    exact = ", ".join(f"{count:,} in {split}" for split, count in numbers["raw"].items())
    return Finding(
        name="duplicate",
        title="Duplicates",
        found=len(rows),
        summary=f"surplus rows: {exact}{_normalised(corpus, sum(numbers['normalised'].values()))}",
        explanation="Rows whose content already stands in an earlier row of the same split. They weigh a text twice "
        "in training and count it twice in a measurement.",
        numbers=numbers,
        examples=_examples(corpus, normal, rows, lambda members: f"{len(members)} times"),
        rows=rows,
    )


def _leakage(corpus: FlatCorpus, raw: np.ndarray, normal: np.ndarray) -> Finding:
    pairs, normal_pairs = (leaks(keys, corpus.split_ids, list(corpus.splits)) for keys in (raw, normal))
    rows = leaking_rows(normal, corpus)
    exact = ", ".join(f"{count:,} distinct {other} in {one}" for (one, other), count in pairs.items())
    return Finding(
        name="leakage",
        title="Leakage between splits",
        found=sum(normal_pairs.values()),
        summary=f"{exact}{_normalised(corpus, sum(normal_pairs.values()))}" if pairs else "one split only",
        explanation="Contents that stand in two splits. What a model has seen in training measures its memory; "
        "cleaning removes such rows from the split that is trained on, not from the one that measures.",
        numbers={
            "raw": {f"{one}/{other}": count for (one, other), count in pairs.items()},
            "normalised": {f"{one}/{other}": count for (one, other), count in normal_pairs.items()},
        },
        examples=_examples(corpus, normal, rows, lambda members: _splits_of(corpus, members)),
        rows=rows,
    )


def _conflicts(corpus: FlatCorpus, raw: np.ndarray, normal: np.ndarray) -> Finding:
    rows = np.flatnonzero(conflicting(normal, corpus.labels))
    exact = len(np.unique(raw[conflicting(raw, corpus.labels)]))
    contents = len(np.unique(normal[rows]))
    return Finding(
        name="conflict",
        title="The same content under two labels",
        found=contents,
        summary=f"{exact:,} contents under more than one label{_normalised(corpus, contents)}",
        explanation="At most one of the labels can be learned, and a model that is right about one row is wrong "
        "about the other.",
        numbers={"raw": exact, "normalised": contents, "rows": len(rows)},
        examples=_examples(corpus, normal, rows, lambda members: _labels_of(corpus, members)),
        rows=rows,
    )


def _normalised(corpus: FlatCorpus, count: int) -> str:
    return f"; {count:,} normalised" if corpus.is_text else ""


def _examples(corpus: FlatCorpus, keys: np.ndarray, rows: np.ndarray, note) -> list[Example]:
    """The most frequent contents among `rows`, each with the places where it stands in the whole corpus."""
    chosen, counts = np.unique(keys[rows], return_counts=True)
    chosen = chosen[np.argsort(-counts, kind="stable")][:EXAMPLES]
    order = np.flatnonzero(np.isin(keys, chosen))
    members = sorted((order[keys[order] == key] for key in chosen), key=len, reverse=True)
    return [Example(note(rows), _quoted(corpus, rows)) for rows in members]


def _quoted(corpus: FlatCorpus, rows: np.ndarray) -> list[tuple[str, str]]:
    """The places of each text among some of `rows`, and the text, quoted once."""
    places: dict[str, list[str]] = {}
    for row in _spread(corpus, rows):
        places.setdefault(corpus.excerpt(row), []).append(corpus.where(row))
    return [(" · ".join(found), text) for text, found in places.items()]


def _spread(corpus: FlatCorpus, rows: np.ndarray) -> np.ndarray:
    """Some of `rows`: the first of every split and label before the others, in their order."""
    kinds = pandas.DataFrame({"split": corpus.split_ids[rows], "label": corpus.labels[rows]})
    order = np.argsort(kinds.duplicated().to_numpy(), kind="stable")[:PLACES]
    return rows[np.sort(order)]


def _splits_of(corpus: FlatCorpus, rows: np.ndarray) -> str:
    counts = np.bincount(corpus.split_ids[rows], minlength=len(corpus.splits))
    return ", ".join(f"{count} in {name}" for name, count in zip(corpus.splits, counts, strict=True) if count)


def _labels_of(corpus: FlatCorpus, rows: np.ndarray) -> str:
    labels, counts = np.unique(corpus.labels[rows], return_counts=True)
    return ", ".join(f"{corpus.classes[label]} {count}" for label, count in zip(labels, counts, strict=True))
