"""The n-gram floor: its scores, its cost, and where it is told."""

import json
import logging

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, f1_score

from hfcls.runs.floor import Floor
from hfcls.text import floor
from hfcls.text.tfidf import METHODS
from tests.text.test_baselines import run
from tests.text.test_tfidf import COMPOUNDS, TEXTS, corpus, of_compounds


@pytest.mark.parametrize("several", [False, True])
def test_scores_and_the_comparison_with_the_model_of_the_run(several):
    def labels(numbers):
        return [[number] for number in numbers] if several else numbers

    rows = corpus(
        TEXTS[:18], labels([0, 1, 2, 0, 1, 1] * 3), TEXTS[:6], labels([0, 1, 2, 0, 1, 0]), ["财经", "体育", "科技"]
    )
    found = floor.measure(rows, np.zeros(6, dtype=bool))
    assert found.accuracy == accuracy_score([0, 1, 2, 0, 1, 0], [0, 1, 2, 0, 1, 1])
    assert found.f1 == pytest.approx(f1_score([0, 1, 2, 0, 1, 0], [0, 1, 2, 0, 1, 1], average="macro"))
    assert found.p_value == 2 * 0.5**5  # five rows that the floor alone gets right


def test_nothing_to_tell_apart():
    assert floor.measure(corpus([" ", "\n"], [0, 1], ["a"], [0], ["a", "b"]), np.zeros(1, dtype=bool)) is None
    one = floor.measure(corpus(["a", "b"], [1, 1], ["a", "b"], [1, 0], ["a", "b"]), np.zeros(2, dtype=bool))
    assert one.accuracy == 0.5


def test_what_would_take_too_long_is_left_out_and_said(caplog, monkeypatch):
    rows = corpus(["新闻 " * 30_000, "体育 " * 30_000], [0, 1], ["新闻"], [0], ["a", "b"])
    monkeypatch.setattr(floor, "FREE_SECONDS", 0.0)
    caplog.set_level(logging.INFO, logger="hfcls")
    assert floor.measure_if_cheap(rows, np.ones(1, dtype=bool), seconds=0.0) is None
    assert "--floor yes" in caplog.text
    assert floor.measure_if_cheap(rows, np.ones(1, dtype=bool), seconds=1e4).accuracy == 1.0


def test_it_is_of_characters_where_those_are_better(monkeypatch):
    rows = of_compounds()
    none_right = np.zeros(len(COMPOUNDS), dtype=bool)
    found = floor.measure_if_cheap(rows, none_right, seconds=1e4)
    assert (found.method, found.accuracy) == (METHODS["characters"], 1.0)
    seconds = {"pairs": 1.0, "characters": 60.0}  # which is more than a tenth of the run, pairs are less
    monkeypatch.setattr(floor, "_expected_seconds", lambda corpus, kind: seconds[kind])
    found = floor.measure_if_cheap(rows, none_right, seconds=100.0)
    assert found.method == METHODS["pairs"] and found.accuracy < 1


def test_a_run_below_the_floor_says_so_everywhere(tmp_path, monkeypatch, capsys):
    few = "--embedding_dim 8 --hidden_size 8 --max_steps 2 --eval_strategy no --save_strategy no"
    run("thucnews_rnn.py", few, tmp_path / "out", monkeypatch)
    record = json.loads((tmp_path / "out" / "run.json").read_text(encoding="utf-8"))
    found = record["floor"]
    assert found["accuracy"] > 0.8 and found["p_value"] < 1e-4 and "floor" not in record["settings"]
    line = Floor(**found).comparison(0.1, 0.1)
    assert line.endswith("this model is below it") and line in capsys.readouterr().out
    for name in ("report.html", "README.md"):
        assert line[1:] in (tmp_path / "out" / name).read_text(encoding="utf-8"), name

    run("thucnews_rnn.py", f"{few} --evaluate_only {tmp_path / 'out'}", tmp_path / "evaluated", monkeypatch)
    run("thucnews_rnn.py", f"{few} --floor no", tmp_path / "without", monkeypatch)
    run("thucnews_rnn.py", f"{few} --architecture ngram_linear", tmp_path / "ngrams", monkeypatch)
    for name in ("evaluated", "without", "ngrams"):
        assert json.loads((tmp_path / name / "run.json").read_text(encoding="utf-8"))["floor"] is None, name
    assert "n-gram floor" not in capsys.readouterr().out


def test_it_is_of_training_alone(tmp_path, monkeypatch, capsys):
    with pytest.raises(SystemExit, match="2"):
        run("thucnews_rnn.py", "--evaluate_only somewhere --floor yes", tmp_path / "out", monkeypatch)
    assert "--floor yes" in capsys.readouterr().err
