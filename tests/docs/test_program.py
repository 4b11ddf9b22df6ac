"""The programs of README.md and recipes/python.md, run as they stand: trained, tested, asked, pushed and reloaded."""

import re
import subprocess
import sys
from pathlib import Path

from tests.docs.inputs import save_bert, write_reviews
from tests.hub_server import Repo, serve_hub

ROOT = Path(__file__).parents[2]
BERT = "google-bert/bert-base-uncased"


def program(page: str) -> str:
    """The first program of the page."""
    text = (ROOT / page).read_text(encoding="utf-8")
    return re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL)[0].replace("USER/", "tester/")


def test_they_run(tmp_path):
    write_reviews(tmp_path)
    table = (tmp_path / "table.csv").read_text(encoding="utf-8")
    save_bert(tmp_path / "bert")
    files = {file.name: file.read_bytes() for file in (tmp_path / "bert").iterdir()}
    second = (tmp_path / "second").mkdir() or tmp_path / "second"
    for name in ("reviews.csv", "other_reviews.csv"):
        (second / name).write_text(table, encoding="utf-8")
    both = f"{program('README.md')}\nimport os\nos.chdir('second')\n{program('recipes/python.md')}"
    with serve_hub() as hub:
        hub.repos[BERT] = Repo(private=False, branches={"main": files})
        done = subprocess.run(
            [sys.executable, "-c", both],
            cwd=tmp_path,
            env=hub.environment(tmp_path / "hf", OMP_NUM_THREADS="1"),
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr[-3000:]
        assert all("model.safetensors" in hub.repos[f"tester/{name}"].files for name in ("reviews", "bert"))
        assert hub.repos["tester/bert"].private
    scores = [line for line in done.stdout.splitlines() if re.match(r"[01]\.\d+", line)]
    (accuracy, report), (bert_accuracy, bert_report), (f1,) = (line.split() for line in scores)
    assert 0.9 < float(accuracy) <= 1 and (tmp_path / report).is_file()
    assert 0 <= float(bert_accuracy) <= 1 and 0 <= float(f1) <= 1 and (second / bert_report).is_file()
    labels = [line for line in done.stdout.splitlines() if line in ("1", "3", "5")]
    assert len(labels) == 2 and labels[0] == "5"
    assert "'5': " in done.stdout  # reloaded from the Hub
