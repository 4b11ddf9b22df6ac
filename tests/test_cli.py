"""The command line: what each verb says, what it leaves, and one line for what cannot be done."""

import csv
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from transformers import pipeline

from hfcls import cli
from hfcls.models.bert import bert_from_scratch
from hfcls.text.tokenization import train_wordpiece_tokenizer
from tests.warm import run_apart

ROOT = Path(__file__).parent.parent
TEXTS = ["股市 大涨", '引号 ", 逗号', "球队", "球队赢得比赛"]


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    tokenizer = train_wordpiece_tokenizer(TEXTS * 2, max_length=16)
    tokenizer.save_pretrained(folder)
    bert_from_scratch("tiny", tokenizer, ["财经", "体育"], 16).save_pretrained(folder)
    return str(folder)


def _main(*words) -> int:
    with pytest.raises(SystemExit) as end:
        cli.main([str(word) for word in words])
    return end.value.code


def test_help_loads_nothing_heavy():
    code = """
import sys
from hfcls import cli
try:
    cli.main(["--help"])
finally:
    print([name for name in ("torch", "transformers", "numpy", "jinja2", "huggingface_hub") if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0
    for verb in ("predict", "push", "sweep", "compare", "convert-cn-clip", "report"):
        assert re.search(rf"^    {verb}\s", done.stdout, re.MULTILINE)
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize("verb", ["predict", "push", "sweep", "compare", "check", "convert-cn-clip", "report"])
def test_help_of_each_verb(verb, capsys):
    assert _main(verb, "--help") == 0
    assert f"usage: hfcls {verb}" in capsys.readouterr().out


def test_no_verb_shows_the_help(capsys):
    assert _main() == 2
    assert "usage: hfcls" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["predcit", "x"], "predcit is not a command of hfcls: did you mean predict?"),
        (["zzz"], "zzz is not a command of hfcls (see hfcls --help)"),
        (["--model", "x"], "--model is not a command of hfcls (see hfcls --help)"),
        (["predict"], "the following arguments are required: MODEL"),
        (
            ["predict", "m", "text", "--batchsize=3"],
            "--batchsize is not a flag of hfcls predict: did you mean --batch_size?",
        ),
        (["predict", "m", "text", "--zzz"], "--zzz is not a flag of hfcls predict (see hfcls predict --help)"),
        (["predict", "m", "--batch_size", "many"], "argument --batch_size: invalid int value: 'many'"),
        (["predict", "m"], "give texts to classify, or --input FILE --output FILE"),
        (["predict", "m", "text", "--input", "x.txt"], "give texts to classify, or --input FILE --output FILE"),
        (["predict", "m", "--input", "x.txt"], "--input and --output go together"),
        (["predict", "m", "text", "--output", "x.csv"], "--input and --output go together"),
        (["predict", "m", "--input", "x.txt", "--output", "-"], "--output -: answers go to a file"),
        (["predict", "m", "text", "--batch_size", "0"], "--batch_size 0: give at least 1"),
        (["predict", "m", "--input", "nowhere.txt", "--output", "x.csv"], "nowhere.txt: No such file or directory"),
        (["push", "nowhere", "user/name"], "nowhere: holds no model (no config.json)"),
        (["sweep", "nowhere.py", "--seed", "1,2"], "nowhere.py: no such recipe"),
        (["sweep", "nowhere.py", "--num_processes", "0"], "--num_processes 0: give at least 1"),
        (["compare", "nowhere"], "run.json: No such file or directory"),
        (["check", "nowhere"], "nowhere: no such file or folder; give one, or a corpus of thucnews, imdb"),
        (["check", "thucnews", "--fail-on", "leekage"], "--fail_on leekage: did you mean leakage?"),
        (["check", "x.csv", "--data_dir", "d"], "--data_dir goes with thucnews, imdb"),
        (["report", "nowhere"], "nowhere/run.json: No such file or directory"),
    ],
)
def test_one_line_for_what_cannot_be_done(words, message, capsys):
    assert _main(*words) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("error: ")
    assert message in printed.err
    assert printed.err.count("\n") == 1


def test_texts_are_classified(model, capsys):
    assert _main("predict", model, *TEXTS) == 0
    expected = pipeline("text-classification", model=model, device="cpu")(TEXTS)
    for line, text, answer in zip(capsys.readouterr().out.splitlines(), TEXTS, expected, strict=True):
        label, probability, shown = line.split(maxsplit=2)
        assert (label, shown) == (answer["label"], text)
        assert float(probability) == pytest.approx(answer["score"], abs=1e-4)  # four digits, rounded either way


def test_a_file_in_a_process_of_its_own(model, tmp_path):
    expected = pipeline("text-classification", model=model, device="cpu")(TEXTS)
    words = ["-m", "hfcls.cli", "predict", model, "--input", "-", "--output", "out.csv"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = run_apart(*words, given="\n".join(TEXTS), environment=environment, folder=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "out.csv: 4 rows\n", "")
    with open(tmp_path / "out.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["text"] for row in rows] == TEXTS
    assert [row["prediction"] for row in rows] == [answer["label"] for answer in expected]
    assert [float(row["probability"]) for row in rows] == pytest.approx(
        [answer["score"] for answer in expected], abs=1e-6
    )


def test_gb18030_is_said(model, tmp_path, capsys):
    (tmp_path / "in.txt").write_bytes("股市大涨\n球队\n".encode("gb18030"))
    assert _main("predict", model, "--input", tmp_path / "in.txt", "--output", tmp_path / "out.csv") == 0
    printed = capsys.readouterr()
    assert "in.txt: read as GB18030; if it is another encoding, name it" in printed.err
    assert (tmp_path / "out.csv").read_text(encoding="utf-8").splitlines()[2].startswith("球队,")


def test_push_checks_before_it_uploads(model, capsys, monkeypatch):
    called = []

    def check_hub(repo, private):
        called.append(("check", repo, private))
        return f"someone/{repo}"

    def push_folder(folder, repo):
        called.append(("push", folder, repo))
        return f"https://hub/{repo}"

    monkeypatch.setattr("hfcls.runs.hub.check_hub", check_hub)
    monkeypatch.setattr("hfcls.runs.hub.push_folder", push_folder)
    assert _main("push", model, "name", "--private") == 0
    assert called == [("check", "name", True), ("push", model, "someone/name")]
    assert capsys.readouterr().out == "pushed to https://hub/someone/name\n"


def test_ctrl_c_is_one_line(monkeypatch, capsys):
    def interrupt(argv):
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "_run", interrupt)
    assert _main("predict") == 130
    assert capsys.readouterr().err == "interrupted: the same command goes on from here\n"
