"""The folder of a run: one run at a time, whatever other ones left, and one line where nothing can be written."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from hfcls.errors import InputError
from hfcls.runs import lock
from hfcls.text.arguments import PretrainedTextArguments
from hfcls.training import output_folder
from hfcls.training.arguments import parse

ROOT = Path(__file__).parents[2]
AT_WORK = """
import sys, time
from types import SimpleNamespace
from hfcls.training import output_folder
class Arguments:
    output_dir, process_index = sys.argv[1], 0
arguments = Arguments()
output_folder.lock(arguments)
print("locked", flush=True)
time.sleep(600)
"""


class Arguments(SimpleNamespace):
    """What is asked of TrainingArguments here."""


def _arguments(folder, process_index=0) -> Arguments:
    return Arguments(output_dir=str(folder), process_index=process_index)


@pytest.fixture
def at_work(tmp_path):
    """Another process, which is at work in `tmp_path / "run"`."""
    command = [sys.executable, "-c", AT_WORK, str(tmp_path / "run")]
    with subprocess.Popen(command, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, stdout=-1) as process:
        assert process.stdout.readline() == b"locked\n"
        yield process
        process.kill()


def test_a_folder_is_for_one_run_until_that_is_killed(tmp_path, at_work):
    with pytest.raises(InputError, match=rf"run: process {at_work.pid} on .* is at work there: wait for it"):
        output_folder.lock(_arguments(tmp_path / "run"))
    output_folder.lock(_arguments(tmp_path / "run", process_index=1))  # of the same run: the main process asks
    at_work.send_signal(signal.SIGKILL)
    at_work.wait()
    assert (tmp_path / "run" / output_folder.LOCK).is_file()  # stale
    arguments = _arguments(tmp_path / "run")
    output_folder.lock(arguments)
    del arguments
    assert list((tmp_path / "run").iterdir()) == []


def test_where_the_system_has_no_locks_the_process_must_be_alive(tmp_path, at_work, monkeypatch):
    monkeypatch.setattr(lock, "fcntl", None)
    with pytest.raises(InputError, match=f"process {at_work.pid} on "):
        output_folder.lock(_arguments(tmp_path / "run"))
    at_work.send_signal(signal.SIGKILL)
    at_work.wait()
    output_folder.lock(_arguments(tmp_path / "run"))


def test_a_run_that_wrote_nothing_leaves_no_folder(tmp_path):
    arguments = _arguments(tmp_path / "a" / "run")
    output_folder.lock(arguments)
    del arguments
    assert not (tmp_path / "a" / "run").exists()


def test_a_second_recipe_is_refused_before_it_reads_anything(tmp_path, at_work):
    flags = ["--output_dir", str(tmp_path / "run"), "--use_cpu", "--resume_from_checkpoint", "auto"]
    command = [sys.executable, "recipes/imdb_lstm.py", *flags]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"error: {tmp_path / 'run'}: process {at_work.pid} on ")


@pytest.mark.parametrize("place", ["a file", "below a file", "not ours"])
def test_a_folder_that_cannot_be_written_to_is_one_line(place, tmp_path):
    (tmp_path / "file").write_text("")
    folder = {"a file": tmp_path / "file", "below a file": tmp_path / "file" / "run", "not ours": "/proc/run"}[place]
    with pytest.raises(InputError, match=r"give an --output_dir that can be written to$"):
        parse(
            PretrainedTextArguments,
            task="task",
            description="",
            defaults=lambda given: {},
            argv=["--output_dir", str(folder), "--use_cpu"],
        )


@pytest.mark.parametrize(
    ("flags", "optimizer", "times"),
    [
        ({}, None, 4),  # the model, and a checkpoint with two moments
        ({}, "sgd", 2),
        ({"save_only_model": True}, None, 2),
        ({"save_strategy": "no"}, None, 1),
        ({"optim": "adamw_bnb_8bit"}, None, 2),
    ],
)
def test_a_model_needs_room_for_itself_and_a_checkpoint(flags, optimizer, times, tmp_path, monkeypatch):
    model = torch.nn.Linear(999, 1000)  # 4 MB
    arguments = Arguments(
        **{"output_dir": tmp_path, "save_strategy": "epoch", "save_only_model": False, "optim": "adamw_torch"} | flags
    )
    monkeypatch.setattr(output_folder.shutil, "disk_usage", lambda path: SimpleNamespace(free=times * 4_000_000))
    output_folder.check_room(model, arguments, optimizer)
    monkeypatch.setattr(output_folder.shutil, "disk_usage", lambda path: SimpleNamespace(free=times * 4_000_000 - 1))
    with pytest.raises(InputError, match=rf"{tmp_path}: .* take {times * 4} MB: free some space"):
        output_folder.check_room(model, arguments, optimizer)
