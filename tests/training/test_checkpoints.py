"""Which checkpoint is gone on from."""

from pathlib import Path

import pytest

from hfcls.errors import InputError
from hfcls.training.checkpoints import check_checkpoint, is_complete, last_complete_checkpoint


def checkpoint(folder: Path, step: int) -> Path:
    made = folder / f"checkpoint-{step}"
    made.mkdir()
    for name in ("model.safetensors", "optimizer.pt", "scheduler.pt", "rng_state.pth"):
        (made / name).touch()
    (made / "trainer_state.json").write_text('{"global_step": 1}')
    return made


def test_half_written_checkpoint_is_passed_over_and_removed(tmp_path):
    for step in (3, 6, 12):
        checkpoint(tmp_path, step)
    (tmp_path / "checkpoint-12" / "trainer_state.json").write_text('{"global_step": 1')
    (tmp_path / "checkpoint-6" / "trainer_state.json").unlink()
    (tmp_path / "checkpoint-best").mkdir()
    assert not is_complete(tmp_path / "checkpoint-12")
    assert last_complete_checkpoint(tmp_path) == str(tmp_path / "checkpoint-3")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["checkpoint-3", "checkpoint-best"]


def test_a_process_that_had_not_written_its_random_state(tmp_path, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    (tmp_path / "setup.json").write_text('{"processes": 2}')
    for step, ranks in ((3, (0, 1)), (6, (0,))):
        made = checkpoint(tmp_path, step)
        (made / "rng_state.pth").unlink()
        for rank in ranks:
            (made / f"rng_state_{rank}.pth").touch()
    assert last_complete_checkpoint(tmp_path) == str(tmp_path / "checkpoint-3")
    monkeypatch.setenv("WORLD_SIZE", "4")
    with pytest.raises(InputError, match=r"was written by 2 process\(es\), and this run has 4"):
        last_complete_checkpoint(tmp_path)
    assert (tmp_path / "checkpoint-3").is_dir()


@pytest.mark.parametrize("name", ["optimizer.pt", "scheduler.pt", "rng_state.pth", "model.safetensors"])
def test_a_checkpoint_that_lacks_something_is_refused_and_kept(tmp_path, name):
    made = checkpoint(tmp_path, 3)
    (made / name).unlink()
    said = {"rng_state.pth": "random state", "model.safetensors": "weights"}.get(name, name)
    with pytest.raises(InputError, match=f"checkpoint-3: has no {said} .*start anew"):
        last_complete_checkpoint(tmp_path)
    with pytest.raises(InputError, match=f"checkpoint-3: has no {said} "):
        check_checkpoint(made)
    assert made.is_dir()


def test_the_best_checkpoint_is_gone(tmp_path):
    made = checkpoint(tmp_path, 6)
    (made / "trainer_state.json").write_text('{"best_model_checkpoint": "elsewhere/checkpoint-3"}')
    with pytest.raises(InputError, match="the best checkpoint so far, elsewhere/checkpoint-3, is gone"):
        check_checkpoint(made)
    checkpoint(tmp_path, 3)
    check_checkpoint(made)  # the folder was moved


def test_nothing_to_resume(tmp_path):
    assert last_complete_checkpoint(tmp_path / "absent") is None
