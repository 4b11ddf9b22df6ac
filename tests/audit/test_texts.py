import random
from dataclasses import replace

import numpy as np
import pytest

from hfcls.audit.balance import find_imbalance
from hfcls.audit.groups import find_torn_groups
from hfcls.audit.lengths import find_extreme_lengths
from hfcls.audit.texts import find_unfit_texts
from hfcls.data.repetition import objects
from tests.audit.planted import flat


def _unfit(corpus):
    return {finding.name: finding for finding in find_unfit_texts(corpus)}


def test_a_sound_corpus_has_nothing(corpus):
    assert {name: finding.found for name, finding in _unfit(corpus).items()} == dict.fromkeys(
        ["empty", "encoding", "html", "script"], 0
    )
    assert find_extreme_lengths(corpus).found == 0
    assert find_imbalance(corpus).found == 0


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("empty", ["", "  ", "字"]),
        (
            "encoding",
            [
                "股市\ufffd上涨",
                "CafÃ© 股市上涨了",
                "股市\x96上涨",
                "股\ud800市上涨",
                "锟斤拷锟斤拷",
                "â€™股市上涨",
                "股\x00市上涨",
            ],
        ),
        ("html", ["股市&nbsp;上涨", "<br />股市", "股市</p>", "<A HREF='x'>股市上涨</A>", "乐&#8226;活股市"]),
        ("script", ["What an English headline this is", "Новости на русском языке", "これはひらがなですよね"]),
    ],
)
def test_planted_faults_are_found_and_nothing_else(name, wrong, corpus):
    texts = corpus.contents.copy()
    rows = random.Random(1).sample(range(len(texts)), len(wrong))
    texts[rows] = objects(wrong)
    assert _unfit(replace(corpus, contents=texts))[name].rows.tolist() == sorted(rows)


@pytest.mark.parametrize(
    "text",
    ["a < b and c > d", "R&D at AT&T", "<sigh> what a film", "Café Noël, naïve", "São Paulo Â", "😀 fine", "2 <3 you"],
)
def test_what_only_looks_wrong_is_left_alone(text):
    found = _unfit(flat([text, "another text"], [0, 1], {"train": 2}))
    assert found["encoding"].found == found["html"].found == 0


@pytest.mark.parametrize(
    ("usual", "text", "foreign"),
    [
        ("股市今天上涨", "盛大密会Bruce商讨世界", False),
        ("股市今天上涨", "JMP Securities下调Adobe评级", False),  # 18 letters, 4 characters
        ("股市今天上涨", "ThinkPad T510i", True),
        ("股市今天上涨", "2010 !", False),
        ("股市今天上涨", "新しい映画を見ました", True),  # Japanese, a third of it Han
        ("a day at the market", "A week in 北京 and in 上海", False),
        ("a day at the market", "我在北京买了 ThinkPad 电脑", True),
    ],
    ids=["one brand", "two brands", "brands alone", "digits", "Japanese", "names in Han", "Chinese"],
)
def test_names_in_another_script_do_not_make_a_text_foreign(usual, text, foreign):
    found = _unfit(flat([usual] * 5 + [text], [0] * 6, {"train": 6}))["script"]
    assert found.rows.tolist() == ([5] if foreign else [])


def test_lengths():
    texts = ["one two three four"] * 97 + ["word " * 300, "股市今天上涨", "Mr. O'Neil, 42"]
    finding = find_extreme_lengths(flat(texts, [0] * 100, {"train": 100}))
    tokens = np.array([4] * 97 + [300, 6, 7])  # Mr . O ' Neil , 42
    assert finding.numbers["tokens"] == {
        "mean": tokens.mean(),
        "std": tokens.std(),
        "min": 4,
        "median": 4.0,
        "max": 300,
    }
    assert finding.rows.tolist() == [97]
    assert finding.numbers["covered"]["256"] == 0.99
    assert finding.numbers["covered"]["512"] == 1.0
    assert finding.numbers["limit"] == int(np.ceil(tokens.mean() + 2 * tokens.std())) + 2


def test_missing_rare_and_unequal_classes():
    labels = [0] * 500 + [1] * 500 + [2] * 5 + [0] * 300 + [1] * 100
    finding = find_imbalance(flat(["x"] * len(labels), labels, {"train": 1005, "test": 400}))
    assert finding.numbers["missing"] == {"train": ["d"], "test": ["c", "d"]}
    assert finding.numbers["rare"] == {"train": ["c (5)"]}
    assert finding.numbers["different"]["test"]["distance"] == pytest.approx(0.75 - 500 / 1005)
    assert finding.found == 5


def test_groups_that_a_split_tears_apart():
    groups = objects(["a", "a", "b", "c", "a", "d"])
    corpus = replace(flat(list("uvwxyz"), [0] * 6, {"train": 4, "test": 2}), groups=groups)
    finding = find_torn_groups(corpus)
    assert finding.numbers == {
        "groups": 4,
        "of_several_rows": 1,
        "rows": 3,
        "across": {"train/test": 1},
        "torn": pytest.approx(3 * (1 - 0.04) / 6),
    }
    assert finding.rows.tolist() == [0, 1, 4]
