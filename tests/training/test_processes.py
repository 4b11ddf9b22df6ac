"""Two processes, and accumulation, do what one process with the same global batch does."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests import worker

ROOT = Path(__file__).parents[2]


def run(directory, launcher, *flags):
    directory.mkdir()
    subprocess.run(
        [*launcher, "tests/worker.py", "gradients", str(directory), *flags],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT), "TOKENIZERS_PARALLELISM": "false"},
        check=True,
        timeout=300,
    )
    return np.load(directory / "result.npz")


@pytest.fixture(scope="module")
def one(tmp_path_factory):
    return run(tmp_path_factory.mktemp("one") / "run", [sys.executable], "--per_device_train_batch_size", "16")


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node", "2", "--master_port", str(port)]
    return run(tmp_path_factory.mktemp("two") / "run", torchrun, "--per_device_train_batch_size", "8")


def test_two_processes_give_the_losses_and_gradients_of_one(one, two):
    assert (one["processes"], two["processes"]) == (1, 2)
    assert len(one["losses"]) == 8
    np.testing.assert_allclose(two["losses"], one["losses"], atol=1e-4)
    np.testing.assert_allclose(two["gradients"], one["gradients"], atol=1e-4)
    assert np.abs(one["gradients"]).max() > 0.01


@pytest.mark.parametrize("result", ["one", "two"])
def test_every_row_is_evaluated_once_and_in_order(result, one, request):
    result = request.getfixturevalue(result)
    assert result["logits"].shape == (53, 3)
    np.testing.assert_array_equal(result["labels"], result["expected_labels"])
    np.testing.assert_allclose(result["logits"], one["logits"], atol=1e-4)
    np.testing.assert_allclose(result["eval_loss"], one["eval_loss"], atol=1e-4)
    assert result["eval_accuracy"] == one["eval_accuracy"]


def test_accumulation_of_four_quarters_equals_the_whole(tmp_path):
    """transformers' BERT head takes **kwargs and ignores num_items_in_batch: its loss would be four times the mean."""
    whole, parts = worker.Record(), worker.Record()
    losses = []
    for record, flags in ((whole, "16"), (parts, "4 --gradient_accumulation_steps 4")):
        flags = f"--per_device_train_batch_size {flags} --train_sampling_strategy sequential"
        flags += " --max_steps 3 --logging_steps 1"
        trainer, _ = worker.build(tmp_path / str(len(losses)), flags.split(), dropout=0.0)
        trainer.args.load_best_model_at_end = False
        trainer.add_callback(record)
        trainer.train()
        losses.append([entry["loss"] for entry in trainer.state.log_history if "loss" in entry])
    np.testing.assert_allclose(parts.gradients, whole.gradients, atol=1e-6)
    np.testing.assert_allclose(losses[1], losses[0], rtol=1e-5)
