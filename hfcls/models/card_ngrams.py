"""The n-grams of a dataset card, by field; needs Python alone, and lies beside exported models of cards."""

import re
import zlib
from collections import Counter
from collections.abc import Iterator

FIELDS = ("text", "summary", "tasks", "structure", "name", "name_words")
# A feature's id is its field, then one bit for pairs of words, then the CRC-32 of its letters: no vocabulary is kept.
FIELD_BITS, PAIR = 33, 2**32

# Headings that begin each field; what stands under another heading is in `text` alone.
SECTIONS = {
    "summary": ("summary", "description"),
    "tasks": ("tasks", "leaderboard"),
    "structure": ("instance", "field", "structure", "feature", "split"),
}


def count_ngrams(card: str, name: str) -> Counter[int]:
    """Ids of the distinct features of one card, and how often each occurs."""
    words = name_words(name)
    found = {"text": Counter(_terms(words_of(f"{' '.join(words)}\n{card}")))}
    for field, lines in _sections(card).items():
        found[field] = Counter(_terms(words_of("\n".join(lines))))
    found["name"] = Counter(
        f" {word} "[i : i + n] for word in words for n in range(2, 6) for i in range(len(word) + 3 - n)
    )
    found["name_words"] = Counter(words)
    counts: Counter[int] = Counter()
    for field, terms in found.items():
        first = FIELDS.index(field) << FIELD_BITS
        for term, count in terms.items():
            pair = PAIR if field != "name" and " " in term else 0
            counts[first + pair + zlib.crc32(term.encode())] += count
    return counts


def words_of(text: str) -> list[str]:
    return re.findall(r"\w\w+", text.lower())


def _terms(tokens: list[str]) -> Iterator[str]:
    yield from tokens
    yield from (f"{first} {second}" for first, second in zip(tokens, tokens[1:], strict=False))


def name_words(name: str) -> list[str]:
    """The words of a dataset's name, in lower case.

    >>> name_words("me/MovieReviews")
    ['me', 'movie', 'reviews']
    """
    return [word for word in re.split(r"[\W_]+", re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).lower()) if word]


def _sections(card: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {field: [] for field in SECTIONS}
    open_fields: list[str] = []
    for line in card.splitlines():
        if line.startswith("#"):
            open_fields = [field for field, names in SECTIONS.items() if any(name in line.lower() for name in names)]
        for field in open_fields:
            if not line.startswith("#"):
                found[field].append(line)
    return found
