"""`hfcls new` and `hfcls recipes`: what they write runs as it is, by the commands that its README gives."""

import re
import runpy
import shlex
import subprocess
import sys
from pathlib import Path

import datasets
import pytest

from hfcls import Run
from hfcls.cli import main
from hfcls.errors import InputError
from hfcls.project.new import write_task
from hfcls.project.recipes import copy_recipes
from tests.warm import run_apart

ROOT = Path(__file__).parents[2]


def hfcls(*words: str) -> None:
    with pytest.raises(SystemExit) as ended:
        main(list(words))
    assert ended.value.code == 0, words


def test_a_new_task_runs_by_its_readme(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    hfcls("new", "support_tickets")
    folder = tmp_path / "support_tickets"
    texts = {path.name: path.read_text(encoding="utf-8") for path in folder.iterdir()}
    assert sorted(texts) == [
        *("README.md", "sample.tsv", "support_tickets.py", "support_tickets_corpus.py", "support_tickets_model.py"),
        "test_support_tickets.py",
    ]
    assert not any("my_task" in text.lower() or "MyTask" in text for text in texts.values())
    assert "class SupportTicketsForSequenceClassification(" in texts["support_tickets_model.py"]

    monkeypatch.chdir(folder)
    (block,) = re.findall(r"```bash\n(.*?)```", texts["README.md"], flags=re.DOTALL)
    commands = [shlex.split(line, comments=True) for line in block.splitlines()]
    assert [words[0] for words in commands] == ["hfcls", "python", "hfcls", "python"]
    hfcls(*commands[0][1:])
    assert "support_tickets_corpus" in (folder / "audit.html").read_text(encoding="utf-8")
    monkeypatch.setattr(sys, "argv", commands[1][1:])
    runpy.run_path(commands[1][1], run_name="__main__")
    assert Run("outputs/support_tickets").metrics["test_accuracy"] > 0.8
    capsys.readouterr()
    hfcls(*commands[2][1:])
    assert capsys.readouterr().out.startswith("shipping ")
    # In a process of its own, which has neither the corpus nor the model.
    environment = {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "HF_HOME": str(tmp_path), "PATH": ""}
    done = run_apart(*commands[3][1:], "-q", "-p", "no:cacheprovider", environment=environment, folder=folder)
    assert done.returncode == 0 and "3 passed" in done.stdout, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("my-task", "my-task: modules are called so, too: give ASCII letters, digits and _"),
        ("class", "class: modules are called so"),
        ("../up", "modules are called so"),
        ("json", "json: there is a module of that name"),
        ("there", "there: is there already"),
    ],
)
def test_names_that_no_task_can_have(tmp_path, monkeypatch, name, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "there").write_text("mine")
    with pytest.raises(InputError, match=message):
        write_task(name)
    assert [path.name for path in tmp_path.iterdir()] == ["there"]


def test_the_recipes_are_copied_and_nothing_is_lost(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    hfcls("recipes")
    assert "thucnews_bert" in capsys.readouterr().out
    for path in (ROOT / "recipes").glob("*.py"):
        assert (tmp_path / "recipes" / path.name).read_bytes() == path.read_bytes()
    (tmp_path / "recipes" / "thucnews_bert.py").unlink()
    (tmp_path / "recipes" / "imdb_bert.py").write_text("changed")
    with pytest.raises(InputError, match="is there already, and would be lost"):
        copy_recipes("recipes")
    assert not (tmp_path / "recipes" / "thucnews_bert.py").exists()
    assert (tmp_path / "recipes" / "imdb_bert.py").read_text() == "changed"
    capsys.readouterr()
    done = subprocess.run(
        [sys.executable, "recipes/imdb_lstm.py", "--help"],
        env={"PYTHONPATH": str(ROOT), "PATH": ""},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0 and "flags of this recipe" in done.stdout
