"""Ctrl-C and SIGTERM in a recipe, in processes of their own: one line, the exit code of a shell, and nothing lost."""

import subprocess
import sys
from pathlib import Path

import pytest
from safetensors.torch import load_file

from tests.warm import run_warm

ROOT = Path(__file__).parents[2]
FLAGS = "--architecture text_cnn --embedding_dim 8 --tokens word --num_train_epochs 2 --use_cpu --bf16 False"
FLAGS += " --rows_in_memory 20"  # of 48 training rows, which stay on the disk

# Ends the process by `numbers` when `name` is opened for writing for the second time.
INTERRUPTED = """
import os, runpy, sys
name, numbers, *argv = sys.argv[1:]
opened = []
def hook(event, arguments):
    if event == "open" and str(arguments[0]).endswith(name) and "w" in (arguments[1] or ""):
        opened.append(name)
        if len(opened) == 2:
            for number in numbers.split(","):
                os.kill(os.getpid(), int(number))
sys.addaudithook(hook)
sys.argv = argv
runpy.run_path(argv[0], run_name="__main__")
"""


def _recipe(folder: Path, *more: str, interrupted: tuple[str, str] = ("nothing", "")):
    command = [folder.parent / "script.py", *interrupted, "recipes/text_classification.py", *FLAGS.split()]
    return run_warm(*command, "--data_dir", folder.parent / "rows.csv", "--output_dir", folder, *more)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("interrupted")
    rows = [f"{'ab'[number % 2] * 2} {'pqrst'[number % 5] * 2},{'ab'[number % 2]}" for number in range(60)]
    (folder / "rows.csv").write_text("\n".join(["text,label", *rows]) + "\n", encoding="utf-8")
    (folder / "script.py").write_text(INTERRUPTED, encoding="utf-8")
    return folder


def test_twice_while_a_checkpoint_is_written(folder):
    """SIGINT and SIGTERM at once: the second one comes while the first one ends the program."""
    done = _recipe(folder / "interrupted", interrupted=("trainer_state.json", "2,15"))
    assert done.returncode in (130, 143), done.stderr
    assert "Traceback" not in done.stderr
    assert done.stderr.splitlines()[-1] == (
        "interrupted: the same command with --resume_from_checkpoint auto goes on from the last checkpoint"
    )
    assert _recipe(folder / "interrupted", "--resume_from_checkpoint", "auto").returncode == 0
    assert _recipe(folder / "whole").returncode == 0
    weights, expected = (load_file(folder / name / "model.safetensors") for name in ("interrupted", "whole"))
    assert all((weights[name] == expected[name]).all() for name in expected)


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not tell a process that its parent died")
def test_what_accelerate_launched_ends_with_it(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        "import time\nfrom hfcls.errors import one_line_errors\n"
        "with one_line_errors():\n    print('at work', flush=True)\n    time.sleep(300)\n"
    )
    command = [sys.executable, "-m", "accelerate.commands.launch", "--cpu", "--num_processes", "1", str(script)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as launcher:
        while launcher.stdout.readline() != "at work\n":
            assert launcher.poll() is None
        launcher.terminate()
        _, errors = launcher.communicate(timeout=60)  # once the script has closed the pipe, too
    assert errors.splitlines()[-1].startswith("interrupted: ")
