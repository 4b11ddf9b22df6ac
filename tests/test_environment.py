"""The threads that a launched process computes with."""

import os
import subprocess
import sys

import psutil
import pytest
import torch

from hfcls.environment import use_cores

CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
SHARE = min(CORES, psutil.cpu_count(logical=False) or CORES)


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        pytest.param({"ACCELERATE_MIXED_PRECISION": "no", "OMP_NUM_THREADS": "1"}, SHARE, id="one-process"),
        pytest.param(
            {"TORCHELASTIC_RUN_ID": "a", "OMP_NUM_THREADS": "1", "LOCAL_WORLD_SIZE": "2"}, SHARE // 2 or 1, id="two"
        ),
        pytest.param({"TORCHELASTIC_RUN_ID": "a", "OMP_NUM_THREADS": "2"}, 1, id="chosen"),
        pytest.param({"OMP_NUM_THREADS": "1"}, 1, id="no-launcher"),
    ],
)
def test_share_of_the_cores(environment, expected, monkeypatch):
    """Where nothing is to change, the one thread set beforehand stays."""
    for name in ("ACCELERATE_MIXED_PRECISION", "TORCHELASTIC_RUN_ID", "OMP_NUM_THREADS", "LOCAL_WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        assert use_cores() == expected == torch.get_num_threads()
    finally:
        torch.set_num_threads(before)


def test_accelerate_launch_leaves_no_core_idle(tmp_path):
    script = tmp_path / "show.py"
    script.write_text(
        "import os\nfrom hfcls.environment import use_cores\nprint(os.environ['OMP_NUM_THREADS'], use_cores())"
    )
    inherited = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}
    flags = "--quiet --num_machines 1 --num_processes 1 --mixed_precision no --dynamo_backend no".split()
    command = [sys.executable, "-m", "accelerate.commands.launch", *flags, str(script)]
    done = subprocess.run(command, env=inherited, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["1", str(SHARE)]
