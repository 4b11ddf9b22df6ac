"""run.sh with stand-ins for accelerate and pip that write down how they were called."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from hfcls.sweep import launch_flags

ROOT = Path(__file__).parent.parent


@pytest.fixture
def checkout(tmp_path):
    for name in ("run.sh", "requirements.lock", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path / name)
    shutil.copytree(ROOT / "recipes", tmp_path / "recipes")
    bin_dir = tmp_path / ".venv" / "bin"
    bin_dir.mkdir(parents=True)
    for name in ("accelerate", "pip", "python"):
        script = bin_dir / name
        script.write_text(f'#!/bin/sh\necho "{name} $* NCCL_DEBUG=$NCCL_DEBUG" >> "$CALLS"\n')
        script.chmod(0o755)
    base_python = tmp_path / "bin" / "python3"
    base_python.parent.mkdir()
    base_python.write_text('#!/bin/sh\necho "venv $*" >> "$CALLS"\n')
    base_python.chmod(0o755)
    return tmp_path


def run(checkout, *arguments, **environment):
    calls = checkout / "calls"
    calls.write_text("")
    base = {key: value for key, value in os.environ.items() if key != "CUDA_VISIBLE_DEVICES"}
    environment = {**base, "CALLS": str(calls), "PYTHON": str(checkout / "bin" / "python3"), **environment}
    result = subprocess.run(["./run.sh", *arguments], cwd=checkout, env=environment, capture_output=True, text=True)
    return result, calls.read_text().splitlines()


def test_first_run_installs_and_the_second_does_not(checkout):
    result, calls = run(checkout, "test")
    assert result.returncode == 0, result.stderr
    assert [call.split()[0] for call in calls] == ["venv", "venv", "pip", "pip", "python"]
    assert "-r requirements.lock" in calls[2]
    _, calls = run(checkout, "test", "-k", "metrics")
    assert len(calls) == 1 and calls[0].startswith(
        "python -m pytest -n 2 --dist loadfile --no-loadscope-reorder -k metrics"
    )
    with (checkout / "requirements.lock").open("a") as lock:
        lock.write("six==1.17.0\n")
    assert len(run(checkout, "test")[1]) == 5


def test_the_installation_says_how_far_it_is_and_what_to_do_where_it_fails(checkout):
    pip = checkout / ".venv" / "bin" / "pip"
    pip.write_text(
        """#!/bin/sh
echo "Looking in indexes: https://example.org/simple"
echo "Collecting six==1.17.0 (from -r requirements.lock (line 2))"
echo "  Downloading six-1.17.0-py2.py3-none-any.whl.metadata (12 MB)"
echo "  Downloading six-1.17.0-py2.py3-none-any.whl (11 kB)"
echo "Processing /a b/wheels/torch-2.13.0-cp311.whl (from -r requirements.lock (line 3))"
echo "  Downloading torch-2.13.0-cp311.whl (180.1 MB)"
echo "Installing collected packages: six, torch"
exit $FAILS
"""
    )
    result, _ = run(checkout, "--help", FAILS="0")
    assert result.returncode == 0, result.stderr
    packages = (ROOT / "requirements.lock").read_text().count("==")
    first, *others = result.stdout.splitlines()
    assert first.startswith(f"installing {packages} packages into .venv, once: 0.5 GB to download, 3 GB where ")
    assert [line for line in others if f" of {packages}: " in line] == [
        f"2 of {packages}: downloading torch-2.13.0-cp311.whl (180.1 MB)",
        f"2 of {packages}: unpacking all of them",
    ]
    (checkout / ".venv" / "installed").unlink()
    result, _ = run(checkout, "--help", FAILS="1")
    assert result.returncode == 2
    assert result.stderr.startswith("error: not installed; name a mirror of the package index with PIP_INDEX_URL=")
    assert not (checkout / ".venv" / "installed").exists()


@pytest.mark.parametrize(
    ("visible", "processes"), [("0,1", 2), ("3", 1), ("", 1), ("GPU-1a,GPU-2b,GPU-3c", 3), ("-1", 1), ("0,-1,1", 1)]
)
def test_one_process_for_each_visible_gpu(checkout, visible, processes):
    run(checkout, "test")
    flags = ["--data_dir", "a folder"]
    result, calls = run(checkout, "thucnews_bert", *flags, CUDA_VISIBLE_DEVICES=visible, NCCL_DEBUG="INFO")
    assert result.returncode == 0, result.stderr
    (call,) = calls
    launcher = f"accelerate launch {' '.join(launch_flags(processes))}"  # as `hfcls sweep` does
    assert f"--num_processes {processes} " in launcher and ("--multi_gpu" in launcher) == (processes > 1)
    command = "recipes/thucnews_bert.py --data_dir a folder NCCL_DEBUG=INFO"
    assert call == f"{launcher if processes > 1 else 'python'} {command}"


@pytest.mark.parametrize("flag", [["--config_file", "a b.yaml"], ["--config_file=a b.yaml"]])
def test_the_launcher_is_told_by_a_file(checkout, flag):
    run(checkout, "test")
    (checkout / "a b.yaml").touch()
    _, (call,) = run(checkout, "thucnews_bert", "--seed", "1", *flag, "--bf16", "False", CUDA_VISIBLE_DEVICES="0,1")
    recipe = "recipes/thucnews_bert.py --seed 1 --bf16 False"
    assert call == f"accelerate launch --quiet --config_file a b.yaml {recipe} NCCL_DEBUG="
    result, calls = run(checkout, "thucnews_bert", "--config_file", "absent.yaml")
    assert result.returncode == 2 and "absent.yaml: no such file" in result.stderr and not calls


def test_gpus_are_counted_where_none_are_named(checkout):
    run(checkout, "test")
    nvidia_smi = checkout / "bin" / "nvidia-smi"
    nvidia_smi.write_text('#!/bin/sh\nprintf "GPU 0: A (UUID: x)\\nGPU 1: A (UUID: y)\\n"\n')
    nvidia_smi.chmod(0o755)
    _, (call,) = run(checkout, "thucnews_bert", PATH=f"{checkout / 'bin'}:{os.environ['PATH']}")
    assert "--num_processes 2 " in call


def test_quick_start_runs_the_main_job_on_the_sample(checkout):
    run(checkout, "test")
    _, (call,) = run(checkout)
    assert "recipes/thucnews_bert.py --from_scratch tiny --output_dir outputs/quickstart-" in call


def test_a_recipe_of_ones_own_is_named_by_its_path(checkout):
    run(checkout, "test")
    (checkout / "mine").mkdir()
    (checkout / "mine" / "my_recipe.py").write_text("")
    _, (call,) = run(checkout, "mine/my_recipe.py", "--seed", "1")
    assert call.startswith("python mine/my_recipe.py --seed 1 ")
    assert run(checkout, "mine/absent.py")[0].stderr.startswith("error: no recipe mine/absent.py; there are: ")


def test_unknown_task_and_old_python(checkout):
    run(checkout, "test")
    result, _ = run(checkout, "thucnews_brt")
    assert result.returncode == 2
    assert result.stderr.startswith("error: no recipe thucnews_brt") and "thucnews_bert" in result.stderr
    shutil.rmtree(checkout / ".venv")
    (checkout / "bin" / "python3").write_text("#!/bin/sh\n[ $1 = --version ] && echo Python 3.9.1 || exit 1\n")
    result, _ = run(checkout, "test")
    assert result.returncode == 2 and "Python 3.9.1 is too old" in result.stderr
