"""Words that give a label away by themselves: an id, the name of a source, a template."""

import numpy as np

from hfcls.audit.flat import Example, Finding, FlatCorpus, spaced

PURITY = 0.99  # of the rows with the word, the share of one class, from which the word gives it away
COVERAGE = 0.2  # of the rows of the class, the share that have the word: less is what the class is about
LEAST = 20  # rows with the word
SAMPLE = 50_000  # training rows looked at: a word of a fifth of a class shows in fewer
WORDS = 100_000  # of the vocabulary that are looked at
EXAMPLES = 20


def find_giveaways(corpus: FlatCorpus) -> Finding:
    """The finding `giveaway`. Words are runs of letters and digits; where texts have no spaces, 2 to 4 characters."""
    from sklearn.feature_extraction.text import CountVectorizer

    train = np.flatnonzero(corpus.split_ids == 0)
    if len(train) > SAMPLE:
        train = np.sort(np.random.default_rng(42).choice(train, SAMPLE, replace=False))
    texts, labels = corpus.contents[train], corpus.labels[train]
    how = (
        {"token_pattern": r"(?u)\w+", "ngram_range": (1, 2)}
        if spaced(texts)
        else {"analyzer": "char", "ngram_range": (2, 4)}
    )
    vectorizer = CountVectorizer(binary=True, min_df=LEAST, max_features=WORDS, **how)
    found, names = [], np.empty(0, dtype=object)
    if len(train) > LEAST and len(corpus.classes) > 1:
        try:
            occurrences = vectorizer.fit_transform(texts)
        except ValueError:  # no word is frequent enough
            occurrences = None
        if occurrences is not None:
            names = vectorizer.get_feature_names_out()
            found = _pure(occurrences, labels, len(corpus.classes))
    found = _longest(found, names)
    rows = [train[np.flatnonzero(occurrences[:, word].toarray().ravel())] for word, *_ in found]
    examples = [
        Example(
            f"“{names[word]}” is {corpus.classes[label]}: {purity:.1%} of its {count:,} rows, {share:.1%} of the class",
            [(corpus.where(row), corpus.excerpt(row)) for row in members[:2]],
        )
        for (word, label, purity, share, count), members in zip(found[:EXAMPLES], rows, strict=False)
    ]
    listed = ", ".join(f"“{names[word]}” ({corpus.classes[label]})" for word, label, *_ in found[:5])
    return Finding(
        name="giveaway",
        title="Words that give a label away",
        found=len(found),
        summary=f"{len(found):,} words{f': {listed}' if listed else ''}",
        explanation=f"Words of which {PURITY:.0%} of the rows or more are of one class and which {COVERAGE:.0%} of the "
        "class or more have. Ask whether they will be there when the model is used: if not, remove them.",
        numbers={
            "words": [
                {
                    "word": str(names[word]),
                    "label": corpus.classes[label],
                    "purity": purity,
                    "share": share,
                    "rows": rows,
                }
                for word, label, purity, share, rows in found
            ]
        },
        examples=examples,
        rows=np.unique(np.concatenate(rows)) if rows else np.empty(0, dtype=np.int64),
    )


def _pure(occurrences, labels: np.ndarray, classes: int) -> list[tuple[int, int, float, float, int]]:
    """(word, class, purity, share of the class, rows) of the words that give a class away, the widest first."""
    one_hot = np.eye(classes, dtype=np.int64)[labels]
    counts = np.asarray(occurrences.T @ one_hot)  # (words, classes)
    totals = counts.sum(axis=1)
    label = counts.argmax(axis=1)
    most = counts.max(axis=1)
    purity, share = most / totals, most / np.maximum(one_hot.sum(axis=0), 1)[label]
    words = np.flatnonzero((purity >= PURITY) & (share >= COVERAGE) & (totals >= LEAST))
    words = words[np.argsort(-share[words], kind="stable")]
    return [(int(i), int(label[i]), float(purity[i]), float(share[i]), int(totals[i])) for i in words]


def _longest(found: list[tuple], names: np.ndarray) -> list[tuple]:
    """`found` without the words that are part of another with as many rows: of a template, its whole."""
    kept = []
    for one in found:
        wholes = [
            other
            for other in found
            if other is not one
            and names[one[0]] in names[other[0]]
            and other[4] >= 0.95 * one[4]
            and other[1] == one[1]
        ]
        if not wholes:
            kept.append(one)
    return kept
