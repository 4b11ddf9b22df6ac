"""What the Trainer of the house changes, and that transformers still asks for it."""

import os
import shutil
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import transformers

from hfcls.errors import InputError
from hfcls.training.options import measured_at_once
from hfcls.training.sampling import LengthGroupedSampler
from tests import worker


class Numbers(torch.utils.data.Dataset):
    """Rows that are their own numbers, with lengths."""

    def __init__(self):
        self.lengths = np.random.default_rng(0).integers(3, 60, 100)
        self.epochs = []

    def __len__(self):
        return len(self.lengths)

    def __getitem__(self, row):
        return row

    def set_epoch(self, epoch):
        self.epochs.append(epoch)


@pytest.fixture
def trainer(tmp_path):
    flags = "--per_device_train_batch_size 4 --gradient_accumulation_steps 2 --schedule step".split()
    trainer, _ = worker.build(tmp_path, flags, dropout=0.0, train_rows=16)
    return trainer


def test_transformers_asks_for_our_order_of_rows(trainer):
    """`_get_train_sampler` is private: whoever raises the bound of transformers learns here that it has moved."""
    trainer.train_dataset, trainer.data_collator = Numbers(), torch.tensor
    loader = trainer.get_train_dataloader()
    loader.set_epoch(3)
    rows = torch.cat(list(loader)).tolist()
    expected = LengthGroupedSampler(trainer.train_dataset.lengths, 4, trainer.args.seed)
    expected.set_epoch(3)
    assert rows == list(expected), (
        f"transformers {transformers.__version__}: get_train_dataloader no longer reads the rows in the order of "
        f"_get_train_sampler, which hfcls/training/trainer.py overrides"
    )
    assert set(trainer.train_dataset.epochs) == {3}


def test_rows_are_measured_by_length_and_predictions_are_in_their_order(trainer):
    """As above, of `_get_eval_sampler`."""
    numbers, collate = Numbers(), trainer.data_collator
    trainer.data_collator = torch.tensor
    read = torch.cat(list(trainer.get_test_dataloader(numbers)))
    assert sorted(read.tolist()) == list(range(100)) and (np.diff(numbers.lengths[read]) <= 0).all()
    trainer.data_collator = collate

    rows = trainer.eval_dataset
    assert len(set(rows.lengths)) > 1 and (np.diff(rows.lengths) > 0).any()
    predicted = trainer.predict(rows)
    np.testing.assert_array_equal(predicted.label_ids, rows.labels)
    for row in (0, 1, len(rows) - 1):
        with torch.no_grad():
            logits = trainer.model(**collate([rows[row]])).logits[0]
        np.testing.assert_allclose(predicted.predictions[row], logits, atol=1e-5)


def test_batches_that_are_measured_on_a_gpu():
    def rows(device, trained, measured, gradient_checkpointing=False):
        return measured_at_once(
            SimpleNamespace(
                device=torch.device(device),
                per_device_train_batch_size=trained,
                per_device_eval_batch_size=measured,
                gradient_checkpointing=gradient_checkpointing,
            )
        )

    assert rows("cpu", 64, 32) == 32
    assert [rows("cuda", *sizes) for sizes in ((16, 32), (64, 512), (1024, 32), (1, 64))] == [64, 512, 512, 64]
    assert rows("cuda", 64, 32, gradient_checkpointing=True) == 32


def test_every_training_has_a_schedule_of_its_own(trainer):
    """Trainer marks those of its own in a private attribute; ours are made anew each time."""
    trainer.create_optimizer()
    first, second = trainer.create_scheduler(8), trainer.create_scheduler(8)
    assert first is not second and trainer.lr_scheduler is second
    assert first.step_size == 2 * 2  # two epochs of 16 rows, eight in a step


class Code:
    def __init__(self, folder):
        self.folder = str(folder)

    def __reduce__(self):
        return os.mkdir, (self.folder,)


def test_a_checkpoint_with_code_in_it_or_torn_is_one_line(tmp_path):
    flags = "--per_device_train_batch_size 4 --max_steps 2 --save_strategy steps --save_steps 1 --eval_strategy no"
    trainer, _ = worker.build(tmp_path / "out", [*flags.split(), "--bf16", "False"], dropout=0.0, train_rows=16)
    trainer.train()
    whole, ran = tmp_path / "out" / "checkpoint-1", tmp_path / "ran"
    for name in ("optimizer.pt", "scheduler.pt", "rng_state.pth", "model.safetensors"):
        for what in ("code", "torn"):
            harmed = tmp_path / f"{what} in {name}" / "checkpoint-1"
            shutil.copytree(whole, harmed)
            if what == "code":
                torch.save(Code(ran), harmed / name)
            else:
                (harmed / name).write_bytes((whole / name).read_bytes()[:100])
            with pytest.raises(InputError, match=f"{what} in {name}/checkpoint-1: one of its files is torn, or holds"):
                trainer.train(resume_from_checkpoint=str(harmed))
            assert not ran.exists()
    trainer.train(resume_from_checkpoint=str(whole))


@pytest.mark.parametrize(("one_optimum", "best"), [(True, 8), (False, 4)])
def test_of_equally_good_checkpoints_the_last_is_the_best_if_there_is_one_optimum(one_optimum, best, tmp_path):
    flags = "--per_device_train_batch_size 4 --num_train_epochs 3"
    trainer, _ = worker.build(tmp_path, flags.split(), dropout=0.0, train_rows=16)
    trainer.model.has_one_optimum = one_optimum
    measured = iter([0.5, 0.5, 0.25])
    trainer.compute_metrics = lambda _: {"accuracy": next(measured)}
    trainer.train()
    assert (trainer.state.best_global_step, trainer.state.best_metric) == (best, 0.5)


def test_an_equally_good_checkpoint_is_no_progress_for_early_stopping(tmp_path):
    flags = "--per_device_train_batch_size 4 --num_train_epochs 5"
    trainer, _ = worker.build(tmp_path, flags.split(), dropout=0.0, train_rows=16)
    trainer.model.has_one_optimum = True
    trainer.add_callback(transformers.EarlyStoppingCallback(early_stopping_patience=2))
    trainer.compute_metrics = lambda _: {"accuracy": 0.5}
    trainer.train()
    assert (trainer.state.best_global_step, trainer.state.global_step) == (12, 12)
