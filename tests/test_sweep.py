"""Sweeps over a recipe of a few lines, which leaves what a real one leaves."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from hfcls import sweep
from hfcls.errors import InputError
from hfcls.sweep import plan, run_sweep

# Leaves a finished run with perfect predictions. --fail VALUE: as recipes fail on bad input; --sleep: never ends.
RECIPE = """
import argparse, csv, json, os, sys, time
from pathlib import Path

parser = argparse.ArgumentParser()
for flag in ("output_dir", "resume_from_checkpoint", "learning_rate", "seed", "hub_token", "fail", "sleep"):
    parser.add_argument(f"--{flag}")
flags = parser.parse_args()
folder = Path(flags.output_dir)
print("TQDM_DISABLE", os.environ["TQDM_DISABLE"], flush=True)
print("resumed from", sorted(path.name for path in folder.glob("checkpoint-*")), flags.resume_from_checkpoint)
if flags.fail and flags.seed == flags.fail:
    print(f"error: --seed {flags.seed}: not this one", file=sys.stderr)
    sys.exit(2)
(folder / "checkpoint-7").mkdir(parents=True, exist_ok=True)
if flags.sleep:
    (folder / "pid").write_text(str(os.getpid()))
    time.sleep(60)

names = ["a", "b"]
with open(folder / "predictions.csv", "w", newline="") as file:
    rows = [[str(row), names[row % 2], names[row % 2], 1 - row % 2, row % 2] for row in range(40)]
    csv.writer(file).writerows([["text", "label", "prediction", *names], *rows])
run = {
    "version": 2, "target": "one_label", "chosen_by": "accuracy",
    "task": "made_up", "command": "accelerate launch " + " ".join(sys.argv), "started": "2026-01-31", "seconds": 1.0,
    "model": {"name": "nothing", "architecture": "None", "base_model": None, "parameters": 1}, "language": None,
    "labels": names,
    "data": {
        "name": "numbers", "source": "here", "max_length": None, "covered": None, "notes": [],
        "splits": {"test": {"rows": 40, "labels": {"a": 20, "b": 20}, "length": None}},
    },
    "settings": {"learning_rate": float(flags.learning_rate or 0), "seed": int(flags.seed or 0)}, "versions": {},
    "hardware": {"cpu": "one", "cores": 1, "memory_gb": 1, "gpus": []}, "precision": "float32", "processes": 1,
}
results = dict.fromkeys(["test_accuracy", "test_f1", "test_roc_auc", "train_runtime", "train_samples_per_second"], 1.0)
results["eval_accuracy"] = 0.5 + float(flags.learning_rate or 0)
for name, content in (("run", run), ("all_results", results)):
    (folder / f"{name}.json").write_text(json.dumps(content))
(folder / "report.html").touch()
"""


@pytest.fixture
def recipe(tmp_path, monkeypatch):
    (tmp_path / "recipe.py").write_text(RECIPE)
    monkeypatch.chdir(tmp_path)
    return "recipe.py"


def _plan(words: str) -> list[list[str]]:
    return [run.flags for run in plan(words.split(" "), "out")]


def test_plan_is_the_product_with_the_last_flag_fastest():
    runs = plan("--learning_rate 1e-3,3e-4 --fp16 --report_to a b --seed=1,2".split(), "out")
    fixed = ["--fp16", "--report_to", "a", "b"]
    expected = [(rate, seed) for rate in ("1e-3", "3e-4") for seed in "12"]
    assert [run.name for run in runs] == [f"learning_rate={rate}_seed={seed}" for rate, seed in expected]
    for run, (rate, seed) in zip(runs, expected, strict=True):
        assert run.folder == Path("out", run.name)
        assert run.flags == ["--learning_rate", rate, *fixed, "--seed", seed, "--output_dir", str(run.folder)]


@pytest.mark.parametrize(
    ("word", "values"),
    [
        (r"a\,b,c", ["a,b", "c"]),
        ("'a,b'", ["a,b"]),
        ('"a,b"', ["a,b"]),
        ('{"a":1,"b":[2,3]}', ['{"a":1,"b":[2,3]}']),
        ("-1,2", ["-1", "2"]),
        ("", [""]),
    ],
)
def test_commas(word, values):
    assert [run.flags[1] for run in plan(["--x", word], "out")] == values


def test_names_are_folders():
    runs = plan(["--model_name_or_path", "google-bert/bert-base-chinese,../x y"], "out")
    assert [run.name for run in runs] == [
        "model_name_or_path=google-bert-bert-base-chinese",
        "model_name_or_path=..-x-y",
    ]
    assert plan([], "out")[0].name == "run"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("1e-3 --seed 1", "1e-3: belongs to no flag"),
        ("--seed 1 --seed 2", "--seed is given twice"),
        ("--seed 1,,2", "--seed 1,,2: no value between two commas"),
        ("--seed 1,1", "two runs would be called seed=1"),
        ("--model a/b,a-b", "two runs would be called model=a-b"),
        (f"--model {'a' * 250},b", "too long for a folder"),
    ],
)
def test_plans_that_cannot_be(words, message):
    with pytest.raises(InputError, match=message):
        _plan(words)


def test_a_sweep_goes_on_where_it_stopped(recipe, capsys):
    words = ["--learning_rate", "1e-3,3e-4", "--seed", "1,2"]
    assert run_sweep(recipe, words, "out") == 0
    printed = capsys.readouterr().out
    assert "[4/4] learning_rate=3e-4_seed=2: validation accuracy 0.5003 after" in printed
    assert "| learning_rate=1e-3_seed=1 | 0.5010 | 0.001 | 1 | 1.0000 (1.0000 – 1.0000) |" in printed
    assert "| 0.0003 | 2 | 0.5003 ± 0.0000 | 1.0000 ± 0.0000 | 1.0000 ± 0.0000 | 1.0000 ± 0.0000 |" in printed
    assert "Chosen: learning_rate=1e-3_seed=1, by its validation accuracy of 0.5010." in printed
    folders = sorted(path for path in Path("out").iterdir() if path.is_dir())
    assert [path.name for path in folders] == sorted(run.name for run in plan(words, "out"))
    assert Path("out/comparison.html").read_text(encoding="utf-8").count("<figure>") >= 2
    assert not [*Path("out").glob("*/checkpoint-*")]
    first, *rest = (folders[0] / "log.txt").read_text().splitlines()
    assert first == "$ python recipe.py --learning_rate 1e-3 --seed 1 --output_dir out/learning_rate=1e-3_seed=1"
    assert rest == ["TQDM_DISABLE 1", "resumed from [] auto"]

    # as a kill leaves it: a checkpoint, and a file of the end half written
    (folders[0] / "checkpoint-3").mkdir()
    (folders[0] / "run.json").write_text('{"task":')
    times = [(path / "run.json").stat().st_mtime_ns for path in folders[1:]]
    assert run_sweep(recipe, words, "out", keep_checkpoints=True) == 0
    assert "[4/4] learning_rate=3e-4_seed=2: finished before, validation accuracy 0.5003" in capsys.readouterr().out
    assert (folders[0] / "log.txt").read_text().splitlines()[3:] == rest[:1] + ["resumed from ['checkpoint-3'] auto"]
    assert sorted(path.name for path in folders[0].glob("checkpoint-*")) == ["checkpoint-3", "checkpoint-7"]
    assert times == [(path / "run.json").stat().st_mtime_ns for path in folders[1:]]


def test_a_failure_is_reported_and_the_others_run(recipe, capsys):
    assert run_sweep(recipe, ["--seed", "1,2,3", "--fail", "2"], "out") == 1
    printed = capsys.readouterr().out
    assert "[2/3] seed=2: failed, exit code 2: error: --seed 2: not this one (see out/seed=2/log.txt)" in printed
    assert "[3/3] seed=3: validation accuracy 0.5000" in printed
    assert "| seed=2 |" not in printed
    assert printed.rstrip().endswith("failed: seed=2")


def test_other_flags_do_not_take_over_a_folder(recipe):
    run_sweep(recipe, ["--seed", "1,2"], "out")
    with pytest.raises(
        InputError, match=r"out/seed=1: was run as `python recipe.py --seed 1 .* give another --output_dir"
    ):
        run_sweep(recipe, ["--seed", "1,2", "--learning_rate", "1"], "out")
    Path("out/seed=3").mkdir()
    Path("out/seed=3/model.safetensors").touch()
    with pytest.raises(InputError, match="out/seed=3: holds what is not of a sweep"):
        run_sweep(recipe, ["--seed", "2,3"], "out")


def test_dry_run_prints_and_does_nothing(recipe, capsys):
    run_sweep(recipe, ["--seed", "1", "--hub_token", "hf_secret"], "done")
    assert "hf_secret" not in Path("done/run/log.txt").read_text().splitlines()[0]
    assert run_sweep(recipe, ["--seed", "1", "--hub_token", "hf_secret"], "done", dry_run=True) == 0
    assert capsys.readouterr().out.splitlines()[-1].startswith("# finished: python recipe.py ")
    assert run_sweep(recipe, ["--seed", "1,2", "--hub_token", "hf_secret"], "out", dry_run=True) == 0
    assert capsys.readouterr().out.splitlines() == [
        f"python recipe.py --seed {seed} --hub_token '***' --output_dir out/seed={seed}" for seed in "12"
    ]
    assert not Path("out").exists()


def test_no_such_recipe(recipe):
    Path("recipes").mkdir()
    Path("recipes/mine.py").touch()
    with pytest.raises(InputError, match="1,2: no such recipe; there are: recipes/mine.py"):
        run_sweep("1,2", [], "out")


def test_a_folder_that_cannot_be_written_to(recipe, tmp_path):
    (tmp_path / "file").write_text("")
    for folder in (tmp_path / "file", tmp_path / "file" / "out"):
        with pytest.raises(InputError, match=f"{folder}: .*; give an --output_dir that can be written to"):
            run_sweep(recipe, ["--seed", "1"], str(folder))


def test_two_sweeps_do_not_share_a_folder(recipe, tmp_path):
    (tmp_path / "out").mkdir()
    code = "import sys; from pathlib import Path; from hfcls.runs import lock; "
    code += "release = lock.acquire(Path(sys.argv[1]), '', ''); print(flush=True); input()"
    command = [sys.executable, "-c", code, str(tmp_path / "out" / sweep.LOCK)]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment) as other:
        other.stdout.readline()
        with pytest.raises(InputError, match=f"out: process {other.pid} on .* give another --output_dir"):
            run_sweep(recipe, ["--seed", "1"], "out")
        other.kill()
    assert run_sweep(recipe, ["--seed", "1"], "out") == 0
    assert not (tmp_path / "out" / sweep.LOCK).exists()


def test_several_processes_need_as_many_gpus_and_a_launcher(recipe, monkeypatch, capsys):
    monkeypatch.setattr("torch.cuda.device_count", lambda: 1)
    with pytest.raises(InputError, match="--num_processes 2: there are 1 GPUs"):
        run_sweep(recipe, [], "out", num_processes=2)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    run_sweep(recipe, [], "out", num_processes=2, dry_run=True)
    launch = "accelerate launch --quiet --num_machines 1 --num_processes 2 --mixed_precision no --dynamo_backend no"
    assert capsys.readouterr().out == f"{launch} --multi_gpu recipe.py --output_dir out/run\n"


def test_a_sweep_of_an_earlier_version_goes_on(recipe, capsys):
    """Which started one process by `accelerate launch`, too."""
    run_sweep(recipe, ["--seed", "1"], "out")
    log = Path("out/run/log.txt")
    launch = "accelerate launch --quiet --num_machines 1 --num_processes 1 --mixed_precision no --dynamo_backend no"
    log.write_text(log.read_text().replace("$ python ", f"$ {launch} "))
    assert run_sweep(recipe, ["--seed", "1"], "out") == 0
    assert "[1/1] run: finished before" in capsys.readouterr().out


def test_nothing_stays_behind_when_it_is_ended(tmp_path):
    """Ends a sweep by SIGTERM while a recipe runs."""
    (tmp_path / "recipe.py").write_text(RECIPE)
    root = Path(__file__).parent.parent
    process = subprocess.Popen(
        [sys.executable, "-m", "hfcls.cli", "sweep", "recipe.py", "--sleep", "1", "--output_dir", "out"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(root)},
        stderr=subprocess.PIPE,
        text=True,
    )
    pid = tmp_path / "out" / "run" / "pid"
    deadline = time.monotonic() + 120
    while not (pid.exists() and pid.read_text()):
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < deadline
        time.sleep(0.1)
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 143
    assert errors == "interrupted: the same command goes on from here\n"
    recipe = Path("/proc", pid.read_text(), "stat")
    while recipe.exists() and ") Z " not in recipe.read_text():
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert "TQDM_DISABLE 1" in (tmp_path / "out" / "run" / "log.txt").read_text()
