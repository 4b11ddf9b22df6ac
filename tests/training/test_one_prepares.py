"""One process prepares, the others wait for it, and not for a collective that would give up."""

import datetime
import os
import time
from types import SimpleNamespace

import pytest
import torch.distributed

from hfcls.training.processes import prepared_once

SECONDS = 3  # after which a collective gives up
PREPARING = 5


def take_part(rank: int, folder) -> None:
    """What each of two processes does: prepares, unless the other one has, then meets it."""
    torch.distributed.init_process_group(
        "gloo",
        init_method=f"file://{folder}/rendezvous",
        rank=rank,
        world_size=2,
        timeout=datetime.timedelta(seconds=SECONDS),
    )
    with prepared_once(SimpleNamespace(world_size=2, output_dir=str(folder)), "something"):
        if not (folder / "prepared").exists():
            (folder / f"prepares_{rank}").touch()
            time.sleep(PREPARING)
            (folder / "prepared").touch()
    torch.distributed.barrier()
    (folder / f"met_{rank}").touch()


def in_child(function, *arguments) -> int:
    """The number of a process that runs `function`."""
    child = os.fork()
    if child == 0:
        try:
            function(*arguments)
        finally:
            os._exit(0)
    return child


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_the_others_wait_for_longer_than_a_collective_would(tmp_path):
    children = [in_child(take_part, rank, tmp_path) for rank in range(2)]
    for child in children:
        os.waitpid(child, 0)
    assert len(list(tmp_path.glob("prepares_*"))) == 1
    assert {path.name for path in tmp_path.glob("met_*")} == {"met_0", "met_1"}


def hold(folder) -> None:
    with prepared_once(SimpleNamespace(world_size=2, output_dir=str(folder)), "something"):
        (folder / "held").touch()
        time.sleep(60)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_who_is_killed_keeps_nobody_waiting(tmp_path):
    child = in_child(hold, tmp_path)
    while not (tmp_path / "held").exists():
        time.sleep(0.05)
    os.kill(child, 9)
    os.waitpid(child, 0)
    with prepared_once(SimpleNamespace(world_size=2, output_dir=str(tmp_path)), "something"):
        pass
