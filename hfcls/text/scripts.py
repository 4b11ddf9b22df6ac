"""Which scripts texts are written in, and what a token is that suits them."""

import re
from collections.abc import Sequence
from typing import Literal

# Thai and Lao, Burmese, Khmer, kana, Han and the marks that belong to them, which have no spaces between words; and
# Hangul, which has them between phrases, of a word and the particles that follow it. The content of a class of
# characters, for the regular expressions of Python and of tokenizers alike.
UNSPACED = (
    "\u0e00-\u0eff\u1000-\u109f\u1100-\u11ff\u1780-\u17ff\u2e80-\u2fdf\u3005-\u3007\u3021-\u3029\u3031-\u3035"
    "\u3038-\u303c\u3040-\u30ff\u3130-\u318f\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7a3\uf900-\ufaff"
    "\uff66-\uffdc\U00020000-\U0003ffff"
)

MOST = 0.9  # of the tokens of a text that is written in characters, with a few names and numbers between them
FEW = 0.01  # of the tokens of a text that is written in words, with a few foreign ones between them
SAMPLE = 10_000  # texts that are looked at, evenly spread

_UNSPACED_CHARACTER = re.compile(f"[{UNSPACED}]")
_SPACED_WORD = re.compile(rf"[^\W{UNSPACED}]+")


def evenly_spread(texts: int) -> range:
    """The places of those of so many `texts` that are looked at."""
    return range(0, texts, -(-texts // SAMPLE) or 1)


def unspaced_share(texts: Sequence[str]) -> float:
    """Characters of scripts without spaces, as a share of these characters and the words of all other scripts.

    0 where there is neither, as in texts of punctuation or emoji alone.

    >>> unspaced_share(["股市大涨", "NBA 2024"])
    0.6666666666666666
    """
    texts = [texts[place] for place in evenly_spread(len(texts))]
    characters = sum(len(_UNSPACED_CHARACTER.findall(text)) for text in texts)
    words = sum(len(_SPACED_WORD.findall(text)) for text in texts)
    return characters / max(1, characters + words)


def token_level(texts: Sequence[str]) -> tuple[Literal["char", "word", "mixed"], str]:
    """What `--tokens auto` takes for these training texts, and the words that say why.

    Words where next to nothing is written without spaces; characters where next to everything is; else both: words of
    the scripts that have spaces, characters of those that have none.
    """
    share = unspaced_share(texts)
    level = "word" if share < FEW else "char" if share >= MOST else "mixed"
    return level, f"{share:.1%} of what the training texts consist of is written without spaces"
