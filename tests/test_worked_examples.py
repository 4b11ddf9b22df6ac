"""The worked examples of recipes/own.md: its files, run by its commands, with no edit anywhere else."""

import csv
import json
import random
import re
import runpy
import shlex
import sys
from pathlib import Path

import datasets
import pytest

from hfcls.cli import main
from tests.hub_server import serve_hub
from tests.warm import run_apart

ROOT = Path(__file__).parents[1]
SECTION = (ROOT / "recipes" / "own.md").read_text(encoding="utf-8")
FILES = dict(re.findall(r"`(mine/\w+\.py)`:\n\n```python\n(.*?)```", SECTION, flags=re.DOTALL))
COMMANDS = [
    command
    for block in re.findall(r"```bash\n(.*?)```", SECTION, flags=re.DOTALL)
    for command in block.replace("\\\n", " ").splitlines()
]
(STRANGER,) = re.findall(r"for those who have read the code:\n\n```python\n(.*?)```", SECTION, flags=re.DOTALL)
WORDS = {"billing": "invoice card refund", "login": "password account code", "shipping": "parcel courier address"}


def write_tickets(path: Path) -> None:
    draws = random.Random(0)
    lines = []
    for row in range(480):
        label = list(WORDS)[row % 3]
        words = [draws.choice(WORDS[label].split()), *draws.choices("where is my the a please".split(), k=4)]
        draws.shuffle(words)
        lines.append(f"{label}\t{' '.join(words)} {row}\n")
    path.write_text("".join(lines), encoding="utf-8")


def run_here(words: list[str]) -> None:
    """A command of the README in this process: imports are paid once."""
    if words[0] == "hfcls":
        with pytest.raises(SystemExit) as ended:
            main(words[1:])
        assert ended.value.code == 0, words
        return
    assert words[0] == "./run.sh"
    recipe = words[1] if words[1].endswith(".py") else str(ROOT / "recipes" / f"{words[1]}.py")
    sys.argv = [recipe, *words[2:]]
    runpy.run_path(recipe, run_name="__main__")


@pytest.fixture(scope="module")
def outputs(tmp_path_factory):
    """What is in outputs/ after all commands; and what a process without hfcls makes of what was pushed."""
    folder = tmp_path_factory.mktemp("checkout")
    (folder / "mine").mkdir()
    for name, text in FILES.items():
        (folder / name).write_text(text, encoding="utf-8")
    write_tickets(folder / "mine" / "tickets.tsv")
    with pytest.MonkeyPatch.context() as patched, serve_hub() as hub:
        patched.chdir(folder)
        patched.setattr(sys, "argv", sys.argv)
        patched.setattr(datasets.config, "HF_DATASETS_CACHE", folder / "cache")
        for name, value in {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "TQDM_DISABLE": "1"}.items():
            patched.setenv(name, value)  # for the processes of the sweep
        pushed = None
        for command in COMMANDS:
            words = shlex.split(command.replace("USER/", "tester/"))
            if words[:2] == ["hfcls", "push"]:  # the client reads its address when it is imported
                pushing = {"environment": hub.environment(folder / "author"), "folder": folder, "check": True}
                run_apart("-m", "hfcls.cli", *words[1:], **pushing)
                texts = [row["text"] for row in read_predictions(folder / "outputs" / "averaging")]
                stranger = "import sys; sys.modules['hfcls'] = None\n" + STRANGER.replace("USER/", "tester/")
                stranger += f"import json; print(json.dumps(classifier({texts!r}, top_k=None)))"
                environment = hub.environment(folder / "stranger", HF_TOKEN=None)
                done = run_apart("-c", stranger, environment=environment, folder=folder, check=True)
                pushed = json.loads(done.stdout.splitlines()[-1])
            else:
                run_here(words)
    for name in [name for name, module in sys.modules.items() if str(folder) in str(getattr(module, "__file__", ""))]:
        del sys.modules[name]
    assert sorted(path.name for path in (folder / "mine").iterdir() if path.is_file()) == [
        *("my_corpus.py", "my_model.py", "my_recipe.py", "tickets.tsv")
    ]
    return folder / "outputs", pushed


def read_predictions(run: Path) -> list[dict]:
    with (run / "predictions.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def read_json(path: Path) -> dict:
    return json.loads(path.read_text(encoding="utf-8"))


def test_the_examples_are_short():
    assert list(FILES) == ["mine/my_corpus.py", "mine/my_model.py", "mine/my_recipe.py"]
    assert all(len(text.splitlines()) < 60 for text in FILES.values())
    assert len(COMMANDS) == 9


def test_a_corpus_of_ones_own(outputs):
    folder, _ = outputs
    assert "my_corpus" in (folder / "tickets.html").read_text(encoding="utf-8")
    assert len(read_predictions(folder / "tickets")) == 48  # a tenth of each class
    assert read_json(folder / "tickets" / "all_results.json")["test_accuracy"] == 1
    record = read_json(folder / "tickets" / "run.json")
    assert record["labels"] == list(WORDS)
    assert record["settings"]["dataset"] == "my_corpus.py"


def test_an_architecture_of_ones_own(outputs):
    folder, _ = outputs
    run = folder / "averaging"
    assert (run / "report.html").is_file()
    results = read_json(run / "all_results.json")
    assert results["test_accuracy"] > 0.9
    measured = read_json(folder / "averaging_evaluation" / "all_results.json")
    assert measured["test_loss"] == pytest.approx(results["test_loss"], abs=1e-6)
    assert (run / "my_model.py").read_text(encoding="utf-8") == FILES["mine/my_model.py"]
    config = read_json(run / "config.json")
    assert (config["embedding_dim"], config["hidden_size"], config["dropout"]) == (200, 128, 0.5)  # the recipe's
    card = (run / "README.md").read_text(encoding="utf-8")
    assert "no such architecture" in card and "my_model.py" in card and "trust_remote_code=True" in card
    assert str(folder) not in card


def test_what_was_pushed_answers_the_same_without_hfcls(outputs):
    folder, pushed = outputs
    rows = read_predictions(folder / "averaging")
    assert len(pushed) == len(rows)
    for row, answers in zip(rows, pushed, strict=True):
        assert answers[0]["label"] == row["prediction"]
        for answer in answers:
            assert answer["score"] == pytest.approx(float(row[answer["label"]]), abs=1e-5)


def test_a_recipe_of_ones_own(outputs):
    folder, _ = outputs
    assert read_json(folder / "folds" / "all_results.json")["fold_accuracy_mean"] > 0.9
    assert (folder / "folds" / "fold_2" / "my_model.py").is_file()
    card = (folder / "folds" / "fold_2" / "README.md").read_text(encoding="utf-8").replace("\\", "")
    assert "my_corpus.py" in card and str(folder.parent) not in card  # though the recipe names it by its whole path
    sizes = {read_json(run / "config.json")["hidden_size"] for run in (folder / "sweep").glob("hidden_size=*")}
    assert sizes == {16, 32}
    assert (folder / "sweep" / "comparison.html").is_file()
    assert read_json(folder / "folds" / "run.json")["task"] == "tickets"
