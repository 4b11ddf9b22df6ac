"""Two processes, and accumulation, do what one process with the same global batch does."""

import numpy as np
import pytest

from hfcls.errors import InputError
from hfcls.training.processes import meeting
from tests import worker
from tests.launching import free_port, launch
from tests.warm import run_warm


@pytest.fixture(scope="module")
def one(tmp_path_factory):
    directory = tmp_path_factory.mktemp("one")
    done = run_warm("tests/worker.py", "gradients", directory, "--per_device_train_batch_size", "16")
    assert done.returncode == 0, done.stderr
    return np.load(directory / "result.npz")


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    directory = tmp_path_factory.mktemp("two")
    flags = ("gradients", str(directory), "--per_device_train_batch_size", "8")
    launch("several_gpus.yaml", "tests/worker.py", *flags, processes=2)
    return np.load(directory / "result.npz")


def test_two_processes_give_the_losses_and_gradients_of_one(one, two):
    assert (one["processes"], two["processes"]) == (1, 2)
    assert len(one["losses"]) == 8
    np.testing.assert_allclose(two["losses"], one["losses"], atol=1e-4)
    np.testing.assert_allclose(two["gradients"], one["gradients"], atol=1e-4)
    np.testing.assert_allclose(two["weights"], one["weights"], atol=1e-4)
    assert np.abs(one["gradients"]).max() > 0.01


@pytest.mark.parametrize("result", ["one", "two"])
def test_every_row_is_evaluated_once_and_in_order(result, one, request):
    result = request.getfixturevalue(result)
    assert result["logits"].shape == (53, 3)
    np.testing.assert_array_equal(result["labels"], result["expected_labels"])
    np.testing.assert_allclose(result["logits"], one["logits"], atol=1e-4)
    np.testing.assert_allclose(result["eval_loss"], one["eval_loss"], atol=1e-4)
    assert result["eval_accuracy"] == one["eval_accuracy"]
    for few in worker.FEW:
        assert result[f"logits_of_{few}"].shape == (few, 3)
        np.testing.assert_allclose(result[f"logits_of_{few}"], one["logits"][:few], atol=1e-4)


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


@pytest.mark.parametrize("rank", ["0", "1"])
def test_a_process_that_finds_no_other_says_so(rank, monkeypatch):
    place = {"RANK": rank, "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port())}
    for name, value in place.items():
        monkeypatch.setenv(name, value)
    with (
        pytest.raises(InputError, match="do not find each other: start all of them"),
        meeting({"use_cpu": True, "ddp_timeout": 1}),
    ):
        raise AssertionError("it has found one")
