"""A run killed at any point ends, resumed, in the weights of a run never killed."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from safetensors.numpy import load_file

from hfcls.training.checkpoints import is_complete, last_complete_checkpoint

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    directory = tmp_path_factory.mktemp("kill")
    subprocess.run(
        [sys.executable, "tests/worker.py", "kill", str(directory)],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT), "TOKENIZERS_PARALLELISM": "false"},
        check=True,
        timeout=300,
    )
    return directory


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
    whole = load_file(runs / "whole" / "model.safetensors")
    resumed = load_file(runs / point / "model.safetensors")
    assert whole.keys() == resumed.keys()
    assert all(whole[name].tobytes() == resumed[name].tobytes() for name in whole)


def test_half_written_checkpoint_is_passed_over_and_removed(tmp_path):
    for step in (3, 6, 12):
        checkpoint = tmp_path / f"checkpoint-{step}"
        checkpoint.mkdir()
        for name in ("model.safetensors", "rng_state.pth", "trainer_state.json"):
            (checkpoint / name).write_text("{}")
    (tmp_path / "checkpoint-12" / "trainer_state.json").write_text('{"global_step": 1')
    (tmp_path / "checkpoint-6" / "trainer_state.json").unlink()
    (tmp_path / "checkpoint-best").mkdir()
    assert not is_complete(tmp_path / "checkpoint-12")
    assert last_complete_checkpoint(tmp_path) == str(tmp_path / "checkpoint-3")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["checkpoint-3", "checkpoint-best"]


def test_nothing_to_resume(tmp_path):
    assert last_complete_checkpoint(tmp_path / "absent") is None
