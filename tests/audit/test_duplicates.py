from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from hfcls.audit.duplicates import find_duplicates, normalise
from hfcls.data.repetition import keys
from tests.audit.planted import flat


def _find(corpus):
    normal = np.array([normalise(text) for text in corpus.contents], dtype=object)
    return {f.name: f for f in find_duplicates(corpus, keys(corpus.contents), keys(normal))}


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("ＡＢＣ１２３", "abc123"),
        ("股市 今天，上涨！", "股市今天上涨"),
        ("Straße", "strasse"),
        ("！！！", "!!!"),
        (" ", ""),
    ],
    ids=["width", "space and punctuation", "case", "punctuation alone", "blank"],
)
def test_normal_form(text, normal):
    assert normalise(text) == normal


def test_a_sound_corpus_has_nothing(corpus):
    assert [finding.found for finding in _find(corpus).values()] == [0, 0, 0]


def test_planted_duplicates_leaks_and_conflicts_are_found_and_nothing_else(corpus):
    texts, labels = corpus.contents.copy(), corpus.labels.copy()
    texts[100:120], labels[100:120] = texts[0:20], labels[0:20]  # within train
    texts[2200:2230], labels[2200:2230] = texts[200:230], labels[200:230]  # test, from train
    texts[2000:2010], labels[2000:2010] = texts[300:310], (labels[300:310] + 1) % 4  # validation, other label
    texts[2230:2240] = [f"{text} ！" for text in texts[400:410]]  # test, only when normalised
    labels[2230:2240] = labels[400:410]
    found = _find(replace(corpus, contents=texts, labels=labels))

    assert found["duplicate"].numbers["raw"] == {"train": 20, "validation": 0, "test": 0}
    assert found["duplicate"].rows.tolist() == list(range(100, 120))
    assert found["leakage"].numbers["raw"] == {"train/validation": 10, "train/test": 30, "validation/test": 0}
    assert found["leakage"].numbers["normalised"]["train/test"] == 40
    assert found["leakage"].rows.tolist() == [*range(200, 230), *range(300, 310), *range(400, 410)]
    assert found["conflict"].found == 10
    assert sorted(found["conflict"].rows) == [*range(300, 310), *range(2000, 2010)]


def test_counts_agree_with_brute_force():
    draw = np.random.default_rng(3)
    texts = [str(number) for number in draw.integers(0, 60, 300)]
    labels = draw.integers(0, 4, 300)
    found = _find(flat(texts, labels, {"train": 200, "validation": 50, "test": 50}))
    parts = {"train": texts[:200], "validation": texts[200:250], "test": texts[250:]}
    assert found["duplicate"].numbers["raw"] == {
        name: sum(count - 1 for count in Counter(part).values()) for name, part in parts.items()
    }
    assert found["leakage"].numbers["raw"]["train/test"] == len(set(parts["train"]) & set(parts["test"]))
    under = {text: {label for other, label in zip(texts, labels, strict=True) if other == text} for text in texts}
    assert found["conflict"].numbers["raw"] == sum(len(seen) > 1 for seen in under.values())


def test_examples_show_one_row_of_every_split_and_label():
    found = _find(flat(["x"] * 50 + ["y", "x"], [0] * 50 + [1, 2], {"train": 51, "test": 1}))
    (example,) = found["conflict"].examples
    assert example.note == "a 50, c 1"
    ((where, text),) = example.texts
    assert text == "x" and where.startswith("train 0, a · ") and where.endswith(" · test 0, c")


def test_images_are_compared_by_their_bytes():
    corpus = flat([b"one", b"two", b"one", b"two"], [0, 1, 0, 0], {"train": 3, "test": 1})
    raw = keys(corpus.contents)
    duplicate, leakage, conflict = find_duplicates(corpus, raw, raw)
    assert (duplicate.found, leakage.found, conflict.found) == (1, 1, 1)
    assert duplicate.examples[0].texts == [("train 0, a · train 2, a", "image")]
