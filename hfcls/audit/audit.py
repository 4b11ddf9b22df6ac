"""All finders on one corpus, and what the terminal and machines are told of it."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hfcls.audit.duplicates import find_duplicates, keys, normalise
from hfcls.audit.flat import Example, Finding, FlatCorpus
from hfcls.errors import InputError

FINDINGS = ("duplicate", "leakage", "conflict")


@dataclass(frozen=True)
class Audit:
    """A corpus and what was found in it, one finding of each name."""

    corpus: FlatCorpus
    findings: list[Finding]


def audit(corpus: FlatCorpus) -> Audit:
    """Looks for everything that can be wrong with `corpus`."""
    raw = keys(corpus.contents)
    normal = keys(_objects([normalise(text) for text in corpus.contents])) if corpus.is_text else raw
    return Audit(corpus, find_duplicates(corpus, raw, normal))


def summary(done: Audit) -> str:
    """A line for the corpus and one for each finding."""
    corpus = done.corpus
    rows = ", ".join(f"{count:,} {split}" for split, count in corpus.splits.items())
    lines = [f"{corpus.source}: {rows} rows, {len(corpus.classes)} classes"]
    lines += [f"  {finding.name:<15} {finding.summary}" for finding in done.findings]
    return "\n".join(lines)


def as_json(done: Audit) -> dict:
    """Everything that was found; `rows` are places within the split, from 0."""
    corpus = done.corpus
    return {
        "name": corpus.name,
        "source": corpus.source,
        "splits": corpus.splits,
        "classes": corpus.classes,
        "notes": list(corpus.notes),
        "findings": {finding.name: _finding_json(corpus, finding) for finding in done.findings},
    }


def write_json(done: Audit, path: str | Path) -> Path:
    """Writes `as_json` and returns the path.

    Raises:
        InputError: the file cannot be written.
    """
    path = Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        text = json.dumps(as_json(done), ensure_ascii=False, allow_nan=False)
        path.write_text(text + "\n", encoding="utf-8", errors="backslashreplace")  # half a surrogate pair is no UTF-8
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}") from error
    return path


def _finding_json(corpus: FlatCorpus, finding: Finding) -> dict:
    rows = np.sort(finding.rows)
    places = {
        split: (rows[corpus.split_ids[rows] == i] - corpus.first_rows[i]).tolist()
        for i, split in enumerate(corpus.splits)
    }
    return {
        "title": finding.title,
        "found": finding.found,
        "summary": finding.summary,
        "numbers": finding.numbers,
        "rows": places,
        "examples": [_example_json(example) for example in finding.examples],
    }


def _example_json(example: Example) -> dict:
    return {"note": example.note, "texts": [{"where": where, "text": text} for where, text in example.texts]}


def _objects(values: list) -> np.ndarray:
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array
