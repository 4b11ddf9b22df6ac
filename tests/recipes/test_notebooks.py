"""The notebooks are what is made of their scripts, and the scripts run, on samples and without a network."""

import json
import os
import runpy
from importlib.util import find_spec
from pathlib import Path

import datasets
import pytest

from hfcls import Run

NOTEBOOKS = Path(__file__).parents[2] / "recipes" / "notebooks"
SCRIPTS = sorted(path for path in NOTEBOOKS.glob("*.py") if path.stem != "make_notebooks")


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_a_notebook_is_its_script(script):
    made = runpy.run_path(str(NOTEBOOKS / "make_notebooks.py"))["notebook"](script.read_text(encoding="utf-8"))
    assert script.with_suffix(".ipynb").read_text(encoding="utf-8") == made, "run make_notebooks.py"
    cells = json.loads(made)["cells"]
    assert cells[0]["cell_type"] == "markdown" and cells[0]["source"][0].startswith("# ")
    code = "".join("".join(cell["source"]) + "\n" for cell in cells if cell["cell_type"] == "code")
    lines = [line for line in script.read_text(encoding="utf-8").splitlines() if line and not line.startswith("# ")]
    assert [line for line in code.splitlines() if line and not line.startswith("# ")] == [x for x in lines if x != "#"]


@pytest.mark.skipif(find_spec("nbclient") is None, reason="nbclient is not installed (pip install nbclient ipykernel)")
@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_a_notebook_runs_in_a_kernel(script, tmp_path, monkeypatch):
    """By what `nbconvert --execute` runs notebooks with."""
    import nbclient
    import nbformat

    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(NOTEBOOKS.parents[1]), os.environ.get("PYTHONPATH", "")]))
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    notebook = nbformat.read(script.with_suffix(".ipynb"), as_version=4)
    client = nbclient.NotebookClient(notebook, timeout=600, resources={"metadata": {"path": str(tmp_path)}})
    client.execute()
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert all(cell.execution_count for cell in code) and any(cell.outputs for cell in code)


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    monkeypatch.delenv("HFCLS_PUSH_TO", raising=False)


def test_own_table():
    names = runpy.run_path(str(NOTEBOOKS / "own_table.py"))
    assert names["run"].metrics["test_accuracy"] == 1 - len(names["wrong"]) / 21 > 0.8
    assert names["run"].classifier("where is my parcel").label == "shipping"


def test_chinese_headlines(tmp_path, capsys):
    names = runpy.run_path(str(NOTEBOOKS / "chinese_headlines.py"))
    accuracies = [Run(f"outputs/{name}").metrics["test_accuracy"] for name in ("ngrams", "bert")]
    assert accuracies[0] > accuracies[1] > 0.2  # chance is a tenth
    assert f"n-grams    accuracy {accuracies[0]:.2f}" in capsys.readouterr().out
    assert Path(names["page"]).is_file()


def test_predict_and_push(capsys):
    names = runpy.run_path(str(NOTEBOOKS / "predict_and_push.py"))
    assert list(names["classifier"](names["news"])) == ["id", "text", "prediction", "probability", "truncated"]
    assert names["answer"].label == "sports"
