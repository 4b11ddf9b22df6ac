"""The cheap part of an audit, with which every recipe starts: what repeats exactly."""

import datasets
import numpy as np

from hfcls.audit.duplicates import conflicting, keys, leaks, surplus
from hfcls.audit.flat import FlatCorpus, objects
from hfcls.audit.sources import read_contents


def count_repeated(splits: datasets.DatasetDict) -> dict | None:
    """Counts equal texts, or equal images.

    Args:
        splits: each with `label` and `text` (and perhaps `text_pair`) or `image`.

    Returns:
        `surplus`: the rows of each split that repeat an earlier one of it; `leaks`: the distinct contents that two
        splits share, by "train/test"; `conflicts`: the contents under two labels. None for input of another kind.
    """
    names = list(splits)
    if not {"text", "image"} & set(splits[names[0]].column_names):
        return None
    contents = objects([content for name in names for content in read_contents(splits[name])])
    labels = keys(objects([str(label) for name in names for label in splits[name]["label"]]))  # a list is one, too
    corpus = FlatCorpus("", "", contents, labels, [], {name: len(splits[name]) for name in names})
    found = keys(contents)
    again = np.bincount(corpus.split_ids[surplus(found, corpus.split_ids)], minlength=len(names))
    return {
        "surplus": dict(zip(names, again.tolist(), strict=True)),
        "leaks": {f"{one}/{other}": count for (one, other), count in leaks(found, corpus).items()},
        "conflicts": len(np.unique(found[conflicting(found, labels)])),
    }


def repeated_line(repeated: dict) -> str:
    """What `count_repeated` found, for a reader."""
    surplus = ", ".join(f"{count} in {split}" for split, count in repeated["surplus"].items())
    leaks = ", ".join(f"{count} in {pair.replace('/', ' and ')}" for pair, count in repeated["leaks"].items())
    return f"rows repeated: {surplus}; contents shared: {leaks}; under two labels: {repeated['conflicts']}"
