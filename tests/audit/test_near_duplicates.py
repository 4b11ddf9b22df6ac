import random

import numpy as np
import pytest

from hfcls.audit.duplicates import normalise
from hfcls.audit.near_duplicates import SIMILARITY, find_near_duplicates, near_pairs
from hfcls.data.repetition import keys, objects
from tests.audit.planted import LETTERS, flat, headline


def _edited(text: str, kinds: str, draw: random.Random) -> str:
    """One edit for each letter of `kinds`: a character is replaced, inserted, or deleted."""
    for place, kind in zip(draw.sample(range(len(text) - len(kinds)), len(kinds)), kinds, strict=True):
        new = "" if kind == "d" else draw.choice(LETTERS)
        text = text[:place] + new + text[place + (kind != "i") :]
    return text


@pytest.mark.parametrize("kinds", ["r", "rr", "rrr", "iii", "ddd", "rid"])
def test_texts_with_a_few_edited_characters_are_found_and_no_others(kinds):
    draw = random.Random(len(kinds))
    originals = [headline(draw, row % 4) for row in range(3000)]
    copies = [_edited(text, kinds, draw) for text in originals[:1000]]
    pairs, similarities = near_pairs(originals + copies)
    found, planted = {tuple(pair) for pair in pairs.tolist()}, {(row, 3000 + row) for row in range(1000)}
    assert len(found & planted) >= 0.99 * len(planted)
    assert len(found & planted) >= 0.99 * len(found)
    assert similarities.min() >= SIMILARITY


def test_pairs_agree_with_brute_force():
    draw = random.Random(5)
    words = [headline(draw, 0, 4) for _ in range(12)]
    texts = sorted({"".join(draw.choices(words, k=5)) for _ in range(600)})
    grams = [{text[i : i + 2] for i in range(len(text) - 1)} for text in texts]
    expected = {
        (i, j)
        for i in range(len(texts))
        for j in range(i + 1, len(texts))
        if len(grams[i] & grams[j]) >= SIMILARITY * len(grams[i] | grams[j])
    }
    found = {tuple(pair) for pair in near_pairs(texts)[0].tolist()}
    assert len(expected) > 100
    assert found <= expected
    assert len(found) >= 0.99 * len(expected)


def test_documents_are_compared_by_longer_ngrams():
    draw = random.Random(6)
    words = ["".join(draw.choices("abcdefghijklmnop", k=draw.randint(3, 9))) for _ in range(400)]
    texts = ["".join(draw.choices(words, k=80)) for _ in range(60)]
    texts.append(texts[3][:200] + "anotherending" + texts[3][200:])
    pairs, _ = near_pairs(texts)
    assert pairs.tolist() == [[3, 60]]


@pytest.mark.parametrize("texts", [[], ["short", "shore"], ["only one text here"]], ids=["none", "short", "one"])
def test_nothing_to_compare(texts):
    pairs, similarities = near_pairs(texts)
    assert pairs.shape == (0, 2) and len(similarities) == 0


def test_within_and_across_splits():
    a, b, c = "一二三四五六七八九十甲乙丙丁", "子丑寅卯辰巳午未申酉戌亥天地", "春夏秋冬东西南北金木水火土日"
    texts = [a, a + "戊", b, b, b + "己", c, c + "庚"]
    corpus = flat(texts, [0, 0, 1, 1, 2, 3, 3], {"train": 3, "validation": 0, "test": 4})
    texts = objects([normalise(text) for text in texts])
    finding = find_near_duplicates(corpus, keys(texts), texts)
    assert finding.numbers == {
        "pairs": 3,
        "train": 1,
        "train/validation": 0,
        "train/test": 1,
        "validation": 0,
        "validation/test": 0,
        "test": 2,
    }
    assert finding.rows.tolist() == [1, 2, 4, 6]  # of each pair the later one, and what the test rows resemble
    assert finding.examples[0].texts[1] == ("test 1, c", b + "己")  # two labels, two splits
    assert np.isclose(float(finding.examples[0].note.split("%")[0]), 93)
