"""A run killed at any point ends, resumed, in the weights and the totals of a run never killed."""

import csv
import json
import os
import runpy
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from safetensors.numpy import load_file

from hfcls.training.checkpoints import last_complete_checkpoint
from hfcls.training.resume import is_finished
from tests import killed_recipe

ROOT = Path(__file__).parents[2]
TIMES = ("runtime", "per_second", "seconds")


@pytest.fixture(scope="module")
def started(tmp_path_factory):
    """What `tests/worker.py kill` and `tests/killed_recipe.py` made, at the same time."""
    folders = [tmp_path_factory.mktemp("kill"), tmp_path_factory.mktemp("recipes")]
    commands = [["tests/worker.py", "kill"], ["tests/killed_recipe.py"]]
    processes = [
        subprocess.Popen(
            [sys.executable, *command, str(folder)],
            cwd=ROOT,
            env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT), "TOKENIZERS_PARALLELISM": "false"},
        )
        for command, folder in zip(commands, folders, strict=True)
    ]
    assert [process.wait(timeout=300) for process in processes] == [0, 0]
    return folders


@pytest.fixture(scope="module")
def runs(started):
    return started[0]


@pytest.fixture(scope="module")
def recipes(started):
    return started[1]


def scenario(recipes: Path, name: str) -> Path:
    error = recipes / name / "error.txt"
    assert not error.exists(), error.read_text()
    return recipes / name


def same_weights(one: Path, other: Path) -> bool:
    one, other = load_file(one / "model.safetensors"), load_file(other / "model.safetensors")
    return one.keys() == other.keys() and all(one[name].tobytes() == other[name].tobytes() for name in one)


def read(path: Path) -> dict:
    return json.loads(path.read_text(encoding="utf-8"))


def without_times(values: dict) -> dict:
    return {name: value for name, value in values.items() if not name.endswith(TIMES)}


def without_losses(entry: dict) -> dict:
    return {name: value for name, value in without_times(entry).items() if name not in ("loss", "train_loss")}


def assert_same_run(resumed: Path, whole: Path) -> None:
    """The same weights, epochs, curves, scores and answers, and the mean of all losses."""
    assert same_weights(resumed, whole)
    states = [read(folder / "trainer_state.json") for folder in (resumed, whole)]
    for name in ("global_step", "epoch", "num_train_epochs", "best_metric", "best_global_step"):
        assert states[0][name] == states[1][name], name
    histories = [[without_losses(entry) for entry in state["log_history"]] for state in states]
    # What was not yet logged when a checkpoint was written is missing from the curve's next point, not from the run.
    assert histories[0] == histories[1]
    results = [without_times(read(folder / "all_results.json")) for folder in (resumed, whole)]
    assert results[0].pop("train_loss") == pytest.approx(results[1].pop("train_loss"), rel=1e-6)
    assert results[0] == results[1]
    assert (resumed / "predictions.csv").read_bytes() == (whole / "predictions.csv").read_bytes()
    assert is_finished(resumed) and (resumed / "README.md").is_file() and (resumed / "report.html").is_file()


@pytest.mark.parametrize(
    "point",
    [
        "before_the_first_save",
        "inside_an_epoch",
        "between_epochs",
        "after_an_epoch",
        "while_saving",
        "while_saving_the_first",
    ],
)
def test_same_weights_bit_for_bit(runs, point):
    assert same_weights(runs / "whole", runs / point)


def test_patience_goes_on_counting(recipes):
    folder = scenario(recipes, "early_stopping")
    assert_same_run(folder / "often", folder / "whole")
    assert 3 < read(folder / "whole" / "trainer_state.json")["epoch"] < 12
    # Patience was never counted in one piece: no evaluations of so many epochs between two starts.
    assert (folder / "often.log").read_text().count("computing in float32") >= 4


def test_save_strategy_best(recipes):
    folder = scenario(recipes, "best")
    state = read(folder / "whole" / "trainer_state.json")
    assert state["best_global_step"] < state["global_step"]
    assert_same_run(folder / "killed", folder / "whole")


@pytest.mark.parametrize("point", killed_recipe.END_POINTS)
def test_killed_after_training_finishes_without_training(recipes, point):
    folder = scenario(recipes, "end")
    assert read(folder / "whole" / "trainer_state.json")["epoch"] % 1 > 0  # ended by patience, inside an epoch
    assert_same_run(folder / point, folder / "whole")
    results = read(folder / point / "all_results.json")
    last = read(folder / point / "trainer_state.json")["log_history"][-1]
    assert last["train_runtime"] == results["train_runtime"] < read(folder / point / "run.json")["seconds"]
    rows = 16 / 6 * 96  # 16 steps, 6 in an epoch of 96 rows
    assert results["train_samples_per_second"] == pytest.approx(rows / results["train_runtime"], rel=0.01)


def test_all_steps_are_not_one_more(recipes):
    assert read(scenario(recipes, "end") / "all_steps" / "trainer_state.json")["global_step"] == 8


@pytest.mark.parametrize(("name", "logs"), [("end", ["whole.log"]), ("processes", ["second_0.log", "second_1.log"])])
def test_a_finished_run_stays_finished(recipes, name, logs):
    folder = scenario(recipes, name)
    said = [line for log in logs for line in (folder / log).read_text().splitlines() if "finished before" in line]
    whole = folder / "whole"
    assert said == [f"{whole}: finished before, nothing to do; report: {whole / 'report.html'}"]
    files = sorted(path.relative_to(whole) for path in whole.rglob("*") if path.is_file())
    assert files == sorted(
        path.relative_to(folder / "before") for path in (folder / "before").rglob("*") if path.is_file()
    )
    for path in files:
        assert (whole / path).read_bytes() == (folder / "before" / path).read_bytes(), path
        assert (whole / path).stat().st_mtime_ns == (folder / "before" / path).stat().st_mtime_ns, path


def test_checkpoint_of_an_older_version(recipes):
    folder = scenario(recipes, "older")
    assert (
        "no setup.json, so its flags and corpus are taken to be what they were" in (folder / "killed.log").read_text()
    )
    assert read(folder / "killed" / "trainer_state.json")["global_step"] == 12
    assert is_finished(folder / "killed")


def test_folds(recipes):
    folder = scenario(recipes, "folds")
    for number in (1, 2):
        assert_same_run(folder / "killed" / f"fold_{number}", folder / "whole" / f"fold_{number}")
    assert (folder / "run.json").read_bytes() == (folder / "killed" / "fold_1" / "run.json").read_bytes()
    for name in ("predictions.csv", "out_of_fold.csv", "all_results.json"):
        assert (folder / "killed" / name).read_bytes() == (folder / "whole" / name).read_bytes()
    assert is_finished(folder / "killed")


def test_sweep(recipes):
    folder = scenario(recipes, "sweep")
    for seed in ("seed=1", "seed=2"):
        assert_same_run(folder / "killed" / seed, folder / "whole" / seed)
    assert (folder / "first" / "run.json").read_bytes() == (folder / "killed" / "seed=1" / "run.json").read_bytes()
    assert "seed=2: failed, exit code -9" in (folder / "sweep.log").read_text()
    assert (folder / "killed" / "comparison.html").is_file()


def test_two_processes(recipes):
    folder = scenario(recipes, "processes")
    assert (folder / "resumed_0.log").read_text().count("computing in float32, 2 processes") == 1
    assert_same_run(folder / "killed", folder / "whole")


# What a checkpoint was made with is compared with the flags and the data.


@pytest.fixture
def unfinished(recipes, tmp_path):
    """A run killed after training, and the flags that go on with it."""
    folder = scenario(recipes, "best")
    shutil.copytree(folder / "killed", tmp_path / "out")
    shutil.copy(folder / "rows.csv", tmp_path)
    setup = read(tmp_path / "out" / "setup.json")
    del setup["finished"]
    (tmp_path / "out" / "setup.json").write_text(json.dumps(setup))
    return tmp_path


def resume(folder: Path, monkeypatch, flags: str = "") -> int:
    argv = [killed_recipe.RECIPE, *killed_recipe.FLAGS.split(), *killed_recipe.BEST.split()]
    argv += ["--data_dir", str(folder / "rows.csv")]
    argv += ["--output_dir", str(folder / "out"), "--resume_from_checkpoint", "auto", *flags.split()]
    monkeypatch.setattr(sys, "argv", argv)
    try:
        runpy.run_path(str(ROOT / killed_recipe.RECIPE), run_name="__main__")
    except SystemExit as error:
        return error.code or 0
    return 0


def refused(capsys) -> str:
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    return line


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ("--learning_rate 5e-3", "--learning_rate 0.01 (now 0.005)"),
        ("--per_device_train_batch_size 64 --seed 7", "--per_device_train_batch_size 16 (now 64), --seed 42 (now 7)"),
        ("--num_train_epochs 9", "--num_train_epochs 4.0 (now 9.0)"),
        ("--schedule constant", "--schedule None (now constant)"),
        ("--optimizer sgd", "--optimizer None (now sgd)"),
        ("--max_length 5 --truncation tail", "--max_length auto (now 5), --truncation head (now tail)"),
        ("--embedding_dim 16", "--embedding_dim 8 (now 16)"),
        ("--max_train_samples 50", "--max_train_samples None (now 50)"),
        ("--early_stopping_patience 2", "--early_stopping_patience 9 (now 2)"),
    ],
)
def test_other_flags_are_refused(unfinished, monkeypatch, capsys, flags, message):
    before = {path: path.read_bytes() for path in unfinished.rglob("*") if path.is_file()}
    assert resume(unfinished, monkeypatch, flags) == 2
    line = refused(capsys)
    assert message in line and "start anew with another --output_dir" in line
    assert before == {path: path.read_bytes() for path in unfinished.rglob("*") if path.is_file()}


def test_other_flags_of_a_finished_run_are_refused(recipes, tmp_path, monkeypatch, capsys):
    folder = scenario(recipes, "best")
    shutil.copytree(folder / "killed", tmp_path / "out")
    assert resume(tmp_path, monkeypatch, "--learning_rate 5e-3") == 2
    assert "--learning_rate 0.01 (now 0.005)" in refused(capsys)
    assert resume(tmp_path, monkeypatch, "--logging_steps 99 --save_total_limit 5 --per_device_eval_batch_size 3") == 0
    assert "finished before, nothing to do" in capsys.readouterr().out


def test_from_a_checkpoint_of_another_folder(recipes, unfinished, monkeypatch, capsys):
    folder = scenario(recipes, "best")
    made = Path(last_complete_checkpoint(unfinished / "out"))
    moved = made.parent.rename(unfinished / "moved")
    assert resume(unfinished, monkeypatch, f"--resume_from_checkpoint {moved / made.name} --seed 7") == 2
    assert "moved: was begun with --seed 42 (now 7)" in refused(capsys)
    assert resume(unfinished, monkeypatch, f"--resume_from_checkpoint {moved / made.name}") == 0
    assert_same_run(unfinished / "out", folder / "whole")


def edit(path: Path, change) -> None:
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(change(row) for row in rows)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda row: {**row, "text": row["text"].replace("pp", "new")}, ["the train rows 96:", "the vocabulary "]),
        (lambda row: {**row, "label": row["label"].replace("a", "z")}, ["labels a,b,c (now b,c,z)"]),
    ],
    ids=["text", "label"],
)
def test_another_corpus_is_refused(unfinished, monkeypatch, capsys, change, message):
    edit(unfinished / "rows.csv", change)
    assert resume(unfinished, monkeypatch) == 2
    line = refused(capsys)
    assert all(part in line for part in message), line


def test_early_stopping_is_not_added_on_the_way(recipes, tmp_path, monkeypatch, capsys):
    shutil.copytree(scenario(recipes, "older") / "killed", tmp_path / "out")
    for name in ("setup.json", "report.html"):
        (tmp_path / "out" / name).unlink()
    assert resume(tmp_path, monkeypatch) == 2
    assert "checkpoint-12: was made without --early_stopping_patience" in refused(capsys)
