"""Words that give labels away, and labels that are wrong."""

import random
from dataclasses import replace

import numpy as np

from hfcls.audit.giveaways import find_giveaways
from hfcls.audit.suspicious import confident_learning, find_suspicious_labels
from hfcls.data.repetition import keys
from tests.audit.planted import LETTERS, flat


def test_planted_words_are_found_and_nothing_else(corpus):
    assert find_giveaways(corpus).found == 0
    texts = corpus.contents.copy()
    for row in np.flatnonzero(corpus.labels == 2)[::3]:
        texts[row] += "新华社讯"
    finding = find_giveaways(replace(corpus, contents=texts))
    assert [(one["word"], one["label"]) for one in finding.numbers["words"]] == [("新华社讯", "c")]
    assert {"新华社讯" in texts[row] for row in finding.rows} == {True}


def test_what_a_class_is_about_gives_nothing_away(corpus):
    texts = corpus.contents.copy()
    for row in np.flatnonzero(corpus.labels == 2)[::8]:
        texts[row] += "考研"  # only this class, but an eighth of it
    assert find_giveaways(replace(corpus, contents=texts)).found == 0


def test_words_between_spaces():
    draw = random.Random(2)
    texts = [f"{draw.choice('abcdefgh')} film number {draw.random():.6f}" for _ in range(800)]
    texts = [f"{text} RottenTomatoes" if row % 2 and row % 4 == 1 else text for row, text in enumerate(texts)]
    finding = find_giveaways(flat(texts, [row % 2 for row in range(800)], {"train": 800}))
    assert [one["word"] for one in finding.numbers["words"]] == ["rottentomatoes"]


def test_flipped_labels_are_found(corpus):
    draw = np.random.default_rng(4)
    flipped = draw.choice(len(corpus.labels), len(corpus.labels) // 20, replace=False)
    labels = corpus.labels.copy()
    labels[flipped] = (labels[flipped] + draw.integers(1, 4, len(flipped))) % 4
    finding = find_suspicious_labels(replace(corpus, labels=labels), keys(corpus.contents))
    right = np.isin(finding.rows, flipped)
    assert right.sum() >= 0.8 * len(flipped)
    assert right.mean() >= 0.5
    assert right[: len(flipped) // 2].mean() >= 0.9  # the most suspicious come first
    likely = [finding.numbers["likely"][str(row)] for row in finding.rows[right]]
    assert (
        np.mean(
            [corpus.classes[corpus.labels[row]] == name for row, name in zip(finding.rows[right], likely, strict=True)]
        )
        > 0.9
    )


def test_confident_joint_by_hand():
    # Thresholds: class 0 (0.9 + 0.8 + 0.1) / 3 = 0.6, class 1 (0.7 + 0.5) / 2 = 0.6.
    probabilities = np.array([[0.9, 0.1], [0.8, 0.2], [0.1, 0.9], [0.3, 0.7], [0.5, 0.5]])
    rows, likely, margins = confident_learning(probabilities, np.array([0, 0, 0, 1, 1]))
    assert (rows.tolist(), likely.tolist()) == ([2], [1])
    assert np.allclose(margins, [-0.8])


def test_copies_do_not_vouch_for_each_other(corpus):
    # A headline repeated under a wrong label is suspicious however often it is repeated.
    texts, labels = corpus.contents.copy(), corpus.labels.copy()
    texts[100:106], labels[100:106] = LETTERS[:20], 3  # all characters are those of class 0
    finding = find_suspicious_labels(replace(corpus, contents=texts, labels=labels), keys(texts))
    assert {*range(100, 106)} <= {*finding.rows.tolist()}


def test_one_class_has_no_suspicious_labels():
    assert find_suspicious_labels(flat(["a", "b"] * 20, [0] * 40, {"train": 40}), np.arange(40)).found == 0
