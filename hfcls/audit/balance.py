"""Classes that are missing or rare in a split, and splits whose classes are distributed differently."""

import numpy as np

from hfcls.audit.flat import Example, Finding, FlatCorpus
from hfcls.data.labels import near_equal

RARE = 10  # rows of a class in a split, under which neither training nor a measurement says much
DIFFERENCE = 0.05  # share of the rows that would have to change their class for two splits to agree
SIGNIFICANT = 0.001


def class_counts(corpus: FlatCorpus) -> np.ndarray:
    """(splits, classes) rows of each class in each split."""
    counts = np.zeros((len(corpus.splits), len(corpus.classes)), dtype=np.int64)
    np.add.at(counts, (corpus.split_ids, corpus.labels), 1)
    return counts


def find_imbalance(corpus: FlatCorpus) -> Finding:
    """The finding `balance`: what is missing, rare, distributed differently or nearly of one name, each an example."""
    counts = class_counts(corpus)
    groups = near_equal(corpus.classes)
    examples = [Example("classes of nearly one name", [("", " | ".join(group))]) for group in groups]
    numbers = {"missing": {}, "rare": {}, "different": {}, "near_equal": groups}
    for split, row in zip(corpus.splits, counts, strict=True):
        missing = [name for name, count in zip(corpus.classes, row, strict=True) if not count]
        rare = [f"{name} ({count})" for name, count in zip(corpus.classes, row, strict=True) if 0 < count < RARE]
        for kind, names in (("missing", missing), ("rare", rare)):
            if names:
                numbers[kind][split] = names
                examples.append(Example(f"{kind} in {split}", [("", ", ".join(names))]))
    for split, row in list(zip(corpus.splits, counts, strict=True))[1:]:
        distance, p_value = _difference(counts[0], row)
        if distance >= DIFFERENCE and p_value < SIGNIFICANT:
            numbers["different"][split] = {"distance": distance, "p_value": p_value}
            note = f"{distance:.1%} of the rows of {split} would have to change their class to agree with train"
            examples.append(Example(note, []))
    sizes = counts[0][counts[0] > 0]
    ratio = sizes.max() / sizes.min() if len(sizes) else 1
    missing, rare = (sum(map(len, numbers[kind].values())) for kind in ("missing", "rare"))
    return Finding(
        name="balance",
        title="Classes missing, rare or unequal",
        found=missing + rare + len(numbers["different"]) + len(groups),
        summary=f"{missing} missing and {rare} rare classes in splits; in train up to {ratio:.1f} to 1; "
        f"{len(numbers['different'])} splits distributed differently"
        + (f"; nearly one name: {', '.join(map(repr, groups[0]))}" if groups else ""),
        explanation=f"Rare: under {RARE} rows in a split. Different: {DIFFERENCE:.0%} of the rows or more, and more "
        "than chance (chi-squared test). Nearly one name: but for case, width or spaces.",
        numbers=numbers | {"imbalance": float(ratio)},
        examples=examples,
        rows=np.empty(0, dtype=np.int64),
    )


def _difference(train: np.ndarray, other: np.ndarray) -> tuple[float, float]:
    """Total variation distance of two class distributions, and the p-value of their being one."""
    from scipy.stats import chi2_contingency

    table = np.stack([train, other])
    table = table[:, table.any(axis=0)]
    distance = np.abs(train / train.sum() - other / max(other.sum(), 1)).sum() / 2
    if not other.sum() or table.shape[1] < 2:
        return float(distance), 1.0
    return float(distance), float(chi2_contingency(table).pvalue)
