"""Recorded steps, without a GPU: a recorder that computes what it was given once more, from the same memory.

What CUDA adds, the recording itself, is not tested here: tests/benchmarks/gpu.py compares losses where there is a GPU.
"""

import numpy as np
import pytest
import torch

from hfcls.inference.buckets import length_buckets
from hfcls.training import recorded_steps
from hfcls.training.recorded_steps import RecordedSteps
from tests import worker


class Recorder:
    """As `GraphRecorder`: warms up, and replays into the memory of the first result."""

    def __init__(self):
        self.recorded = self.replayed = 0

    def __call__(self, step):
        self.recorded += 1
        result = step()
        step()

        def replay():
            self.replayed += 1
            return result.copy_(step()).clone()

        return replay


def train(tmp_path, flags: str, recorder=None, dropout: float = 0.0):
    flags = f"--length_buckets True --logging_steps 1 --eval_strategy steps --eval_steps 5 --save_strategy no {flags}"
    trainer, _ = worker.build(
        tmp_path, [*flags.split(), "--load_best_model_at_end", "False"], dropout=dropout, train_rows=64
    )
    if recorder is not None:
        trainer.recorded_steps = RecordedSteps(trainer.model, recorder)
    gradients = worker.Record()
    trainer.add_callback(gradients)
    trainer.train()
    losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    return trainer, losses, np.array(gradients.gradients)


@pytest.mark.parametrize(
    "flags",
    [
        "--per_device_train_batch_size 8",
        "--per_device_train_batch_size 4 --gradient_accumulation_steps 3",
        "--per_device_train_batch_size 4 --gradient_accumulation_steps 2 --loss focal --class_weight balanced",
    ],
)
def test_losses_and_gradients_are_those_of_steps_that_are_not_recorded(flags, tmp_path):
    flags += " --num_train_epochs 2"
    recorder = Recorder()
    _, losses, gradients = train(tmp_path / "recorded", flags, recorder)
    _, expected_losses, expected_gradients = train(tmp_path / "usual", flags)
    np.testing.assert_allclose(losses, expected_losses, atol=1e-6)
    np.testing.assert_allclose(gradients, expected_gradients, atol=1e-6)
    assert 2 <= recorder.recorded <= 2 * len(length_buckets(24)) and recorder.replayed > len(losses) / 2


def test_dropout_stays_random_and_is_that_of_steps_that_are_not_recorded(tmp_path):
    flags = "--per_device_train_batch_size 16 --num_train_epochs 2"
    _, losses, _ = train(tmp_path / "recorded", flags, Recorder(), dropout=0.3)
    _, expected, _ = train(tmp_path / "usual", flags, dropout=0.3)
    np.testing.assert_allclose(losses, expected, atol=1e-6)


def test_no_more_shapes_than_are_kept(tmp_path, monkeypatch):
    monkeypatch.setattr(recorded_steps, "MOST_SHAPES", 1)
    recorder = Recorder()
    train(tmp_path, "--per_device_train_batch_size 8 --num_train_epochs 2", recorder)
    assert recorder.recorded == 1 and recorder.replayed > 0


def failing(step):
    step()
    raise RuntimeError("called a synchronizing CUDA operation\nat some line")


def test_what_cannot_be_recorded_is_said_once_and_computed(tmp_path, caplog):
    flags = "--per_device_train_batch_size 8 --num_train_epochs 1"
    trainer, losses, gradients = train(tmp_path / "recorded", flags, failing)
    _, expected, expected_gradients = train(tmp_path / "usual", flags)
    np.testing.assert_allclose(losses, expected, atol=1e-6)
    np.testing.assert_allclose(gradients, expected_gradients, atol=1e-6)
    assert caplog.text.count("but computed as without: called a synchronizing CUDA operation\n") == 1
    assert not trainer.recorded_steps.recordings


def test_batches_of_other_things_than_tensors(caplog):
    weight = torch.nn.Linear(2, 1)
    steps = RecordedSteps(weight, Recorder())
    batch = {"input": torch.ones(3, 2), "max_length_q": 7}
    for _ in range(3):
        assert steps(lambda given: weight(given["input"]).sum().detach(), batch) == weight(batch["input"]).sum()
    assert caplog.text.count("batches hold max_length_q, no tensor") == 1


def test_a_weight_that_is_used_later_than_others():
    model = torch.nn.ModuleDict({"short": torch.nn.Linear(2, 1), "long": torch.nn.Linear(2, 1)})
    steps = RecordedSteps(model, Recorder())

    def compute(given):
        loss = model["short" if len(given["input"]) < 3 else "long"](given["input"]).sum()
        loss.backward()
        return loss.detach()

    for rows in (1, 1, 3, 3, 1, 1, 3):
        model.zero_grad()
        batch = {"input": torch.rand(rows, 2)}
        loss = steps(compute, batch)
        found = gradients_of(model)
        model.zero_grad()
        assert loss == compute(batch)
        torch.testing.assert_close(found, gradients_of(model))


def gradients_of(model) -> list[torch.Tensor]:
    return [torch.zeros_like(weight) if weight.grad is None else weight.grad.clone() for weight in model.parameters()]


def test_batch_norm_sees_each_batch_once():
    """What warms up leaves no trace in running means."""
    model = torch.nn.BatchNorm1d(2)
    steps = RecordedSteps(model, Recorder())

    def compute(given):
        loss = model(given["input"]).sum()
        loss.backward()
        return loss.detach()

    for number in range(4):
        steps(compute, {"input": torch.arange(6.0).view(3, 2) * number})
    assert model.num_batches_tracked == 4


def test_without_a_gpu_the_flag_says_so(tmp_path, caplog):
    trainer, _ = worker.build(tmp_path, ["--cuda_graphs", "True"], dropout=0.0)
    assert trainer.recorded_steps is None
    assert "steps are not recorded (--cuda_graphs), but computed as without: there is no GPU" in caplog.text
    caplog.clear()
    trainer, _ = worker.build(tmp_path / "default", [], dropout=0.0)
    assert trainer.recorded_steps is None and "recorded" not in caplog.text
