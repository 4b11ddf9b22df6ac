"""All finders on one corpus, and what the terminal and machines are told of it."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hfcls.audit.balance import find_imbalance
from hfcls.audit.duplicates import find_duplicates, normalise
from hfcls.audit.flat import Example, Finding, FlatCorpus
from hfcls.audit.giveaways import find_giveaways
from hfcls.audit.groups import find_torn_groups
from hfcls.audit.lengths import find_extreme_lengths
from hfcls.audit.near_duplicates import find_near_duplicates
from hfcls.audit.stored_texts import store_texts
from hfcls.audit.suspicious import find_suspicious_labels
from hfcls.audit.texts import find_unfit_texts
from hfcls.data.repetition import keys, text_keys
from hfcls.pages.write import write
from hfcls.terminal import printable, shortened


@dataclass(frozen=True)
class Audit:
    """A corpus and what was found in it, one finding of each name."""

    corpus: FlatCorpus
    findings: list[Finding]


def audit(corpus: FlatCorpus) -> Audit:
    """Looks for everything that can be wrong with `corpus`; of images, for what can be seen by their bytes."""
    if corpus.is_text:
        raw = text_keys(corpus.contents)
        texts = store_texts(map(normalise, corpus.contents))
        normal = text_keys(texts)
        findings = [
            *find_duplicates(corpus, raw, normal),
            find_near_duplicates(corpus, normal, texts),
            *find_unfit_texts(corpus),
            find_extreme_lengths(corpus),
            find_imbalance(corpus),
            find_giveaways(corpus),
            find_suspicious_labels(corpus, normal),
        ]
    else:
        raw = keys(corpus.contents)
        findings = [*find_duplicates(corpus, raw, raw), find_imbalance(corpus)]
    if corpus.groups is not None:
        findings.append(find_torn_groups(corpus))
    return Audit(corpus, findings)


def summary(done: Audit) -> str:
    """A line for the corpus, one for each finding, one for what was looked for in vain."""
    corpus = done.corpus
    rows = ", ".join(f"{count:,} {split}" for split, count in corpus.splits.items())
    lines = [f"{printable(corpus.source)}: {rows} rows, {len(corpus.classes)} classes"]
    # Lengths are worth a line even where none is extreme, groups where no split tears one apart.
    told = [finding for finding in done.findings if finding.found or finding.plots or len(finding.rows)]
    lines += [f"  {finding.name:<15} {printable(shortened(finding.summary))}" for finding in told]
    sound = [finding.name for finding in done.findings if finding not in told]
    lines += [f"  {'nothing found':<15} {', '.join(sound)}"] if sound else []
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
    return write(json.dumps(as_json(done), ensure_ascii=False, allow_nan=False) + "\n", path)


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
