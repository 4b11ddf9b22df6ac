"""Reading a run: what is there comes back, what does not fit is one line that names file, line and key."""

import json
import math

import numpy as np
import pytest

from hfcls.errors import InputError
from hfcls.report.run import load_run


def test_a_run_comes_back(make_run):
    run = load_run(make_run(names=("text", "label", "第三"), rows=40, without_prediction=[3, 7]))
    rows = run.predictions
    assert run.classes == ["text", "label", "第三"]
    assert run.best_step == 200
    assert len(run.history) == 8
    assert rows.texts[2] == "第2条新闻"
    assert rows.predicted[[3, 7]].tolist() == [-1, -1]
    assert rows.probabilities.shape == (40, 3)
    assert rows.probabilities[3] == pytest.approx([1 / 3] * 3)
    others = np.delete(np.arange(40), [3, 7])
    assert rows.probabilities.argmax(axis=1)[others].tolist() == rows.predicted[others].tolist()


def test_texts_come_back_as_they_were(make_run):
    texts = [
        'a "quoted", text',
        "two\nlines\r\nand more",
        "nul \x00 byte",
        "lone \ud800 surrogate",
        "",
        "NA",
        "x" * 200_000,
    ]
    run = load_run(make_run(rows=len(texts), text=lambda row: texts[row]))
    assert run.predictions.texts == texts


def test_without_training_there_is_no_history(make_run):
    run = load_run(make_run(state=None))
    assert run.history is None
    assert run.best_step is None


def test_nan_is_null(make_run):
    folder = make_run()
    results = json.loads((folder / "all_results.json").read_text())
    (folder / "all_results.json").write_text(json.dumps(results | {"test_roc_auc": math.nan, "test_loss": math.inf}))
    run = load_run(folder)
    assert run.results["test_roc_auc"] is None
    assert run.results["test_loss"] is None


@pytest.mark.parametrize("name", ["run.json", "all_results.json", "predictions.csv"])
def test_a_missing_file_is_named(make_run, name):
    folder = make_run()
    (folder / name).unlink()
    with pytest.raises(InputError, match=name):
        load_run(folder)


@pytest.mark.parametrize("name", ["run.json", "all_results.json", "trainer_state.json"])
@pytest.mark.parametrize("content", [b"", b'{"task": ', b"\xff\xfe", b"[]", b"3"])
def test_a_torn_json_file_is_named(make_run, name, content):
    folder = make_run()
    (folder / name).write_bytes(content)
    with pytest.raises(InputError, match=name) as error:
        load_run(folder)
    assert "\n" not in str(error.value)


def _without(content: dict, path: list[str]) -> None:
    for key in path[:-1]:
        content = content[key]
    del content[path[-1]]


@pytest.mark.parametrize(
    "path", [["task"], ["model", "architecture"], ["data", "splits", "test"], ["data", "splits", "train", "rows"]]
)
def test_a_missing_key_is_named(make_run, path):
    folder = make_run()
    about = json.loads((folder / "run.json").read_text())
    _without(about, path)
    (folder / "run.json").write_text(json.dumps(about))
    with pytest.raises(InputError, match=rf"run\.json: .*'{path[-1]}' is missing"):
        load_run(folder)


@pytest.mark.parametrize(
    ("about", "data", "named"),
    [
        ({"seconds": "long"}, {}, "seconds"),
        ({"seconds": 10**400}, {}, "seconds"),
        ({"settings": [1]}, {}, "settings"),
        ({"labels": ["a", "a", "b"]}, {}, "labels"),
        ({"labels": []}, {}, "labels"),
        ({"labels": ["a", "", "b"]}, {}, "labels"),
        ({"labels": ["a", 3, "b"]}, {}, "labels"),
        ({}, {"splits": {"test": 5}}, "test"),
        ({}, {"splits": {"test": {"rows": 3, "labels": {"a": "many"}, "length": None}}}, "labels"),
        ({}, {"max_length": "auto"}, "max_length"),
    ],
)
def test_a_value_of_the_wrong_kind_is_named(make_run, about, data, named):
    folder = make_run(about=about, data=data)
    if about.get("seconds") == 10**400:
        text = (folder / "run.json").read_text().replace("1" + "0" * 400, "1e400")
        (folder / "run.json").write_text(text)
    with pytest.raises(InputError, match=rf"run\.json: .*{named}"):
        load_run(folder)


def test_a_histogram_that_does_not_fit_is_named(make_run):
    folder = make_run()
    about = json.loads((folder / "run.json").read_text())
    about["data"]["splits"]["train"]["length"]["edges"].pop()
    (folder / "run.json").write_text(json.dumps(about))
    with pytest.raises(InputError, match="train: length: edges must be one more than counts"):
        load_run(folder)


def test_history_without_steps_is_refused(make_run):
    with pytest.raises(InputError, match=r"trainer_state\.json: log_history: 'step' is missing"):
        load_run(make_run(state={"log_history": [{"loss": 1.0}], "best_global_step": None}))


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("新闻,财经,体育,0.1,0.9", r"predictions\.csv:5: 5 fields instead of 6, the file is torn"),
        ("新闻,财经,体育,0.1,0.9,0,0", r"predictions\.csv:5: 7 fields instead of 6"),
        ("新闻,天气,体育,0.1,0.9,0", r"predictions\.csv:5: '天气' is not one of the classes"),
        ("新闻,财经,天气,0.1,0.9,0", r"predictions\.csv:5: '天气' is not one of the classes"),
        ("新闻,,体育,0.1,0.9,0", r"predictions\.csv:5: '' is not one of the classes"),
        ("新闻,财经,体育,0.1,high,0", r"predictions\.csv:5: .*'high', where a probability belongs"),
        ("新闻,财经,体育,0.1,nan,0", r"predictions\.csv:5: a probability that is not between 0 and 1"),
        ("新闻,财经,体育,0.1,1.5,0", r"predictions\.csv:5: a probability that is not between 0 and 1"),
        ("新闻,财经,体育,0.1,,0", r"predictions\.csv:5: .*where a probability belongs"),
    ],
)
def test_a_row_that_does_not_fit_is_named_by_its_line(make_run, line, message):
    file = make_run(rows=10) / "predictions.csv"
    lines = file.read_text(encoding="utf-8").splitlines()
    lines[4] = line
    file.write_text("\n".join(lines), encoding="utf-8")
    with pytest.raises(InputError, match=message):
        load_run(file.parent)


@pytest.mark.parametrize(
    "header", ["", "text,label,prediction,财经,游戏,体育", "title,label,prediction,财经,体育,游戏"]
)
def test_columns_that_do_not_fit_are_refused(make_run, header):
    file = make_run(rows=10) / "predictions.csv"
    lines = file.read_text(encoding="utf-8").splitlines()
    file.write_text("\n".join([header, *lines[1:]]), encoding="utf-8")
    with pytest.raises(InputError, match=r"predictions\.csv:1: the columns must be text or id, label"):
        load_run(file.parent)


def test_another_encoding_is_named(make_run):
    file = make_run(rows=10) / "predictions.csv"
    file.write_bytes(file.read_text(encoding="utf-8").encode("gb18030"))
    with pytest.raises(InputError, match=r"predictions\.csv: no CSV file in UTF-8"):
        load_run(file.parent)


def test_a_file_without_rows_is_refused(make_run):
    file = make_run(rows=10) / "predictions.csv"
    file.write_text(file.read_text(encoding="utf-8").splitlines()[0], encoding="utf-8")
    with pytest.raises(InputError, match=r"predictions\.csv: no test rows"):
        load_run(file.parent)
