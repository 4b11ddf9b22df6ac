"""Texts that are no texts: empty, undecodable, full of HTML, in another script than the rest."""

import re
from collections.abc import Iterable, Iterator
from itertools import islice

import numpy as np

from hfcls.audit.flat import Example, Finding, FlatCorpus

EXAMPLES = 20
ROWS = 10_000  # looked at together
# Replacement characters, control characters, halves of surrogate pairs, private use, noncharacters; and what UTF-8
# looks like where it was read as Windows-1252.
_UNDECODABLE = re.compile(
    "[\ufffd\x00-\x08\x0e-\x1f\x7f-\x9f\ud800-\udfff\ue000-\uf8ff\ufdd0-\ufdef\ufffe\uffff]"
    "|[\u00c3\u00c2][\u0080-\u00bf]|\u00e2\u20ac[\u02dc\u2122\u0153\u009d\u201c\u201d\u00a6]|\u00ef\u00bb\u00bf"
    "|\u951f\u65a4\u62f7|\u70eb\u70eb\u70eb"
)
_HTML = re.compile(
    r"</?(?:a|b|br|div|em|font|h[1-6]|hr|i|img|li|ol|p|script|span|strong|style|table|td|tr|u|ul)\b[^<>]*>"
    r"|&(?:amp|lt|gt|quot|nbsp|apos|ldquo|rdquo|hellip|mdash|middot|#\d{2,6}|#x[0-9a-f]{2,5});",
    re.IGNORECASE,
)
# Code points (first, last) of the scripts that most corpora are written in.
_SCRIPTS = {
    "Latin": [(0x41, 0x5A), (0x61, 0x7A), (0xC0, 0x24F), (0x1E00, 0x1EFF), (0xFF21, 0xFF3A), (0xFF41, 0xFF5A)],
    "Greek": [(0x370, 0x3FF)],
    "Cyrillic": [(0x400, 0x52F)],
    "Hebrew": [(0x590, 0x5FF)],
    "Arabic": [(0x600, 0x6FF), (0x750, 0x77F)],
    "Devanagari": [(0x900, 0x97F)],
    "Thai": [(0xE00, 0xE7F)],
    "Kana": [(0x3040, 0x30FF)],
    "Hangul": [(0x1100, 0x11FF), (0xAC00, 0xD7A3)],
    "Han": [(0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0xF900, 0xFAFF)],
}
# A character of these is a syllable or a word, one of the others a letter.
_SYLLABLES = ("Kana", "Hangul", "Han")
_LETTERS = 3  # that weigh as much as a syllable
_OUTWEIGHED = 3  # times the usual script, from which letters are a language of their own and not names within one


def find_unfit_texts(corpus: FlatCorpus) -> list[Finding]:
    """The findings `empty`, `encoding`, `html` and `script`."""
    columns = zip(*map(_looked_at, _batches(corpus.contents)), strict=True)
    lengths, undecodable, html, scripts, borrowing = (np.concatenate(column) for column in columns)
    names = [*_SCRIPTS, "none"]
    usual = int(np.bincount(scripts, minlength=len(names))[:-1].argmax())
    scripts = np.where(borrowing[:, usual], usual, scripts)
    counts = np.bincount(scripts, minlength=len(names))
    foreign = (scripts != usual) & (scripts != len(_SCRIPTS))
    shares = {name: int(count) for name, count in zip(names, counts, strict=True) if count}
    others = ", ".join(f"{count:,} {name}" for name, count in shares.items() if name not in (names[usual], "none"))
    return [
        _finding(
            corpus,
            "empty",
            "Empty texts",
            lengths <= 1,
            f"{(lengths == 0).sum():,} empty, {(lengths == 1).sum():,} of one character",
            "Nothing can be learned from them.",
            {"empty": int((lengths == 0).sum()), "one_character": int((lengths == 1).sum())},
        ),
        _finding(
            corpus,
            "encoding",
            "Undecodable characters",
            undecodable,
            f"{undecodable.sum():,} texts with characters that a wrong encoding leaves",
            "Replacement and control characters, halves of surrogate pairs, private use, UTF-8 read as Windows-1252. "
            "The file was read, or written before, in another encoding than its own.",
            {"rows": int(undecodable.sum())},
        ),
        _finding(
            corpus,
            "html",
            "HTML left over",
            html,
            f"{html.sum():,} texts with tags or entities",
            "Tags and entities are no words; a model may still learn which source leaves them.",
            {"rows": int(html.sum())},
        ),
        _finding(
            corpus,
            "script",
            "Languages mixed",
            foreign,
            f"{foreign.sum():,} texts not mostly in {names[usual]}{f': {others}' if others else ''}",
            f"Most texts are written in {names[usual]}; these in another script, names in it apart.",
            {"scripts": shares},
        ),
    ]


def _batches(texts: Iterable[str]) -> Iterator[list[str]]:
    """`texts`, some together; at least one batch."""
    rows = iter(texts)
    yield list(islice(rows, ROWS))
    while batch := list(islice(rows, ROWS)):
        yield batch


def _looked_at(texts: list[str]) -> tuple[np.ndarray, ...]:
    """(rows,) the length of each text, whether it is undecodable, whether it has HTML, and its script; and (rows,
    scripts) what `_borrowing` says.
    """
    weights = script_weights(texts)
    scripts = np.where(weights.any(axis=1), weights.argmax(axis=1), len(_SCRIPTS)).astype(np.int8)
    return (
        np.array([len(text.strip()) for text in texts], dtype=np.int32),
        np.array([_UNDECODABLE.search(text) is not None for text in texts], dtype=bool),
        np.array([_HTML.search(text) is not None for text in texts], dtype=bool),
        scripts,
        _borrowing(scripts, weights),
    )


def script_weights(texts: list[str]) -> np.ndarray:
    """(rows, scripts) how much of each text is in each of `_SCRIPTS`: its letters, and `_LETTERS` for a syllable."""
    table = np.full(0x10000, len(_SCRIPTS), dtype=np.uint8)
    for script, ranges in enumerate(_SCRIPTS.values()):
        for first, last in ranges:
            table[first : last + 1] = script
    factors = np.array([_LETTERS if name in _SYLLABLES else 1 for name in _SCRIPTS])
    weights = np.empty((len(texts), len(_SCRIPTS)), dtype=np.int32)
    for row, text in enumerate(texts):
        points = np.frombuffer(text[:2000].encode("utf-16-le", "surrogatepass"), dtype=np.uint16)
        weights[row] = np.bincount(table[points], minlength=len(_SCRIPTS) + 1)[:-1] * factors
    return weights


def _borrowing(scripts: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """(rows, scripts) whether a text is of a script, where that is the usual one, though it holds more of another:
    brands among Chinese, say.

    Names are borrowed as letters. Syllables beside Han are Japanese or Korean however many Han they are mixed with.
    """
    letters = np.array([name not in _SYLLABLES for name in [*_SCRIPTS, "none"]])[scripts]
    most = weights.max(axis=1)
    return letters[:, None] & (weights > 0) & (most[:, None] < _OUTWEIGHED * weights)


def _finding(corpus, name, title, wrong, summary, explanation, numbers) -> Finding:
    rows = np.flatnonzero(wrong)
    examples = [Example(corpus.where(row), [("", corpus.excerpt(row))]) for row in rows[:EXAMPLES]]
    return Finding(name, title, len(rows), summary, explanation, numbers, examples, rows)
