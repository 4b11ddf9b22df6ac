"""How long the texts are, and what a maximal length covers."""

import re

import numpy as np

from hfcls.audit.flat import Example, Finding, FlatCorpus
from hfcls.pages.figures import Plot, histogram

LIMITS = (128, 256, 512)
SPECIAL = 2  # [CLS] and [SEP] take part of a limit
EXTREME = 10  # times the median, or that part of it
BARS = 40
EXAMPLES = 10
# What BERT's basic tokenizer separates: Han characters, words, other marks. Subwords make more tokens of rare words.
_TOKEN = re.compile(r"[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]|[^\W\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]+|[^\w\s]")


def find_extreme_lengths(corpus: FlatCorpus) -> Finding:
    """The finding `length`: the distribution, and the texts far outside of it."""
    counts = ((len(text), sum(1 for _ in _TOKEN.finditer(text))) for text in corpus.contents)
    characters, tokens = np.fromiter(counts, dtype=np.dtype((np.int32, 2)), count=len(corpus.contents)).T
    median = np.median(tokens)
    extreme = (tokens > EXTREME * median) | (tokens * EXTREME < median)
    limit = int(np.ceil(tokens.mean() + 2 * tokens.std())) + SPECIAL
    covered = {str(most): float((tokens + SPECIAL <= most).mean()) for most in sorted({*LIMITS, limit})}
    rows = np.flatnonzero(extreme)
    worst = rows[np.argsort(-np.abs(np.log((tokens[rows] + 1) / (median + 1))), kind="stable")[:EXAMPLES]]
    shares = ", ".join(f"{most} {share:.1%}" for most, share in covered.items() if most != str(limit))
    return Finding(
        name="length",
        title="Lengths",
        found=len(rows),
        summary=f"{tokens.mean():.1f} ± {tokens.std():.1f} tokens, {tokens.min()} to {tokens.max():,}; covered: "
        f"mean + 2 sd ({limit}) {covered[str(limit)]:.1%}, {shares}; {len(rows):,} extreme",
        explanation=f"Tokens are words, Han characters and punctuation marks; a subword tokenizer makes some more. "
        f"Covered is the share of texts that fit with {SPECIAL} special tokens. Extreme: over {EXTREME} times the "
        "median, or under a tenth of it.",
        numbers={"characters": _describe(characters), "tokens": _describe(tokens), "covered": covered, "limit": limit},
        examples=[Example(f"{tokens[row]:,} tokens", [(corpus.where(row), corpus.excerpt(row))]) for row in worst],
        rows=rows,
        plots=[_plot("Characters", characters, None), _plot("Tokens", tokens, (limit, "mean + 2 sd"))],
    )


def _describe(lengths: np.ndarray) -> dict:
    return {
        "mean": float(lengths.mean()),
        "std": float(lengths.std()),
        "min": int(lengths.min()),
        "median": float(np.median(lengths)),
        "max": int(lengths.max()),
    }


def _plot(title: str, lengths: np.ndarray, mark: tuple[float, str] | None) -> Plot:
    """A histogram whose last bar holds the longest 0.5 %."""
    low, high = int(lengths.min()), int(np.percentile(lengths, 99.5))
    width = -(-(high - low + 1) // BARS)
    edges = np.arange(low, high + width + 1, width)
    counts, _ = np.histogram(np.minimum(lengths, high), bins=edges)
    return histogram(title, edges.tolist(), counts.tolist(), x_label=title.lower(), mark=mark)
