"""Corpora with planted faults."""

import random

import numpy as np

from hfcls.audit.flat import FlatCorpus

LETTERS = "".join(chr(code) for code in range(0x4E00, 0x4E00 + 2000))


def flat(texts, labels, splits, classes=("a", "b", "c", "d"), **more) -> FlatCorpus:
    contents = np.empty(len(texts), dtype=object)
    contents[:] = texts
    return FlatCorpus("planted", "planted", contents, np.asarray(labels), list(classes), splits, **more)


def headline(draw: random.Random, label: int, length: int = 20) -> str:
    """A text of 20 characters, a third of them from a few that belong to its class."""
    own = LETTERS[label * 60 : label * 60 + 60]
    return "".join(draw.choice(own if draw.random() < 0.35 else LETTERS[300:]) for _ in range(length))


def sound_corpus() -> FlatCorpus:
    """2,000 training, 200 validation and 200 test rows of four classes, without a fault."""
    draw = random.Random(7)
    labels = [draw.randrange(4) for _ in range(2400)]
    texts = [headline(draw, label) for label in labels]
    return flat(texts, labels, {"train": 2000, "validation": 200, "test": 200})
