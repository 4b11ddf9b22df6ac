"""Rows that belong together, and what a split by rows does to them."""

import numpy as np
import pandas

from hfcls.audit.flat import Example, Finding, FlatCorpus
from hfcls.data.repetition import leaks

TEST_SHARE = 0.2
EXAMPLES = 15


def find_torn_groups(corpus: FlatCorpus) -> Finding:
    """The finding `group`: groups of several rows, those across splits, and what a random split would tear apart."""
    keys = pandas.factorize(corpus.groups)[0]
    sizes = np.bincount(keys)
    several = int((sizes > 1).sum())
    across = {
        f"{one}/{other}": count for (one, other), count in leaks(keys, corpus.split_ids, list(corpus.splits)).items()
    }
    # A row falls into test with TEST_SHARE; it leaks unless all others of its group do, too.
    torn = float((1 - TEST_SHARE ** (sizes[keys] - 1)).mean())
    rows = np.flatnonzero(sizes[keys] > 1)
    largest = [group for group in np.argsort(-sizes, kind="stable")[:EXAMPLES] if sizes[group] > 1]
    members = [np.flatnonzero(keys == group) for group in largest]
    examples = [
        Example(f"{corpus.groups[m[0]]}: {len(m)} rows", [(corpus.where(row), corpus.excerpt(row)) for row in m[:4]])
        for m in members
    ]
    shared = ", ".join(f"{count:,} in both of {pair}" for pair, count in across.items())
    return Finding(
        name="group",
        title="Rows that belong together",
        found=sum(across.values()) if across else several,
        summary=f"{len(rows):,} rows in {several:,} groups of several; {shared + '; ' if shared else ''}"
        f"split by rows, {torn:.0%} of the test rows would have a sibling in train",
        explanation=f"Split by group, not by row, or the test rows are known in part. The share is that expected of a "
        f"random split with {TEST_SHARE:.0%} test rows.",
        numbers={"groups": len(sizes), "of_several_rows": several, "rows": len(rows), "across": across, "torn": torn},
        examples=examples,
        rows=rows,
    )
