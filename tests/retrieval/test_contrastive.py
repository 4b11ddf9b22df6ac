"""The loss, over parts of a batch and over processes, against one big batch and against references."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn.functional import normalize
from transformers.models.chinese_clip.modeling_chinese_clip import image_text_contrastive_loss

from hfcls.errors import InputError
from hfcls.retrieval import trainer as trainer_module
from hfcls.retrieval.contrastive import MAX_LOGIT_SCALE, contrastive_loss, mask_patches
from hfcls.retrieval.corpus import Relations
from hfcls.retrieval.sampling import AccompaniedSampler, batches_of_pairs
from tests.retrieval import worker
from tests.warm import run_together

ROOT = Path(__file__).parents[2]


def towers(rows=12, width=8):
    random = torch.Generator().manual_seed(0)
    return [normalize(torch.randn(rows, width, generator=random), dim=1) for _ in range(2)]


def test_one_positive_a_row_is_the_loss_of_transformers():
    images, texts = towers()
    scale = torch.tensor(2.0)
    expected = image_text_contrastive_loss(scale.exp() * texts @ images.T)
    torch.testing.assert_close(contrastive_loss(images, texts, scale, torch.eye(12, dtype=torch.bool)), expected)


def test_several_texts_of_a_picture_are_not_each_others_negatives():
    images, texts = towers(4)
    images[1] = images[0]  # the same picture with two texts
    positives = torch.eye(4, dtype=torch.bool)
    positives[0, 1] = positives[1, 0] = True
    scale = torch.tensor(1.0)
    logits = (scale.exp() * images @ texts.T).double().numpy()
    expected = 0
    for matrix in (logits, logits.T):
        log_share = matrix - np.log(np.exp(matrix).sum(axis=1, keepdims=True))
        rows = [(log_share[0, :2].mean()), (log_share[1, :2].mean()), log_share[2, 2], log_share[3, 3]]
        expected -= np.mean(rows) / 2
    assert contrastive_loss(images, texts, scale, positives).item() == pytest.approx(expected, abs=1e-5)


def test_relations_against_brute_force():
    random = np.random.default_rng(0)
    pairs = random.integers(0, [30, 7], (40, 2))
    told = {tuple(pair) for pair in pairs.tolist()}
    asked = Relations(pairs, 7)(torch.arange(30)[:, None], torch.arange(7)[None])
    assert asked.tolist() == [[(image, text) in told for text in range(7)] for image in range(30)]
    assert not Relations(pairs[:0], 7)(torch.arange(3), torch.arange(3)).any()


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return worker.measure(tmp_path_factory.mktemp("whole"), "--per_device_train_batch_size 64")


def assert_equal(parts, whole):
    np.testing.assert_allclose(parts["losses"], whole["losses"], rtol=1e-5)
    np.testing.assert_allclose(parts["gradients"], whole["gradients"], atol=1e-5)
    np.testing.assert_allclose(parts["evaluation"], whole["evaluation"], atol=1e-5)
    assert np.abs(whole["gradients"]).max() > 0.01


def test_four_parts_of_16_are_one_batch_of_64(whole, tmp_path):
    parts = worker.measure(tmp_path, "--per_device_train_batch_size 16 --contrastive_accumulation 4")
    assert_equal(parts, whole)
    apart = worker.measure(tmp_path / "apart", "--per_device_train_batch_size 16 --gradient_accumulation_steps 4")
    assert np.abs(apart["gradients"] - whole["gradients"]).max() > 1e-3  # separate losses are something else


def test_activation_checkpointing_changes_nothing(whole, tmp_path):
    flags = "--per_device_train_batch_size 16 --contrastive_accumulation 4 --activation_checkpointing"
    assert worker.build(tmp_path, flags).args.activation_checkpointing
    assert_equal(worker.measure(tmp_path / "out", flags), whole)


@pytest.mark.parametrize("step", [2, 4], ids=["inside the first epoch", "inside the second"])
def test_a_resumed_run_ends_in_the_weights_of_a_whole_one(step, tmp_path):
    """Order of the pairs, movements of the pictures, masks and dropout are those that they would have been."""
    flags = "--per_device_train_batch_size 100 --train_sampling_strategy random --augment True --patch_masking 0.3 "
    flags += "--contrastive_accumulation 2 --max_steps 5 --save_strategy steps --save_steps 1 --save_total_limit 9"
    trainer = worker.build(tmp_path / "out", flags)
    assert len(trainer.get_train_dataloader()) == 3
    trainer.train()
    weights = {name: tensor.clone() for name, tensor in trainer.model.state_dict().items()}
    resumed = worker.build(tmp_path / "out", f"{flags} --resume_from_checkpoint {tmp_path}/out/checkpoint-{step}")
    resumed.train(resume_from_checkpoint=resumed.args.resume_from_checkpoint)
    assert resumed.state.global_step == 5
    for name, tensor in resumed.model.state_dict().items():
        assert torch.equal(tensor, weights[name]), name


def test_two_processes_are_one(whole, tmp_path):
    flags = "--per_device_train_batch_size"
    run_together(2, "tests/retrieval/worker.py", tmp_path, f"{flags} 32", f"{flags} 8 --contrastive_accumulation 4")
    for number in range(2):  # at once, and in four parts each
        two = np.load(tmp_path / str(number) / "result.npz")
        assert two["processes"] == 2
        assert_equal(two, whole)


def test_the_second_pass_masks_and_drops_as_the_first_did(tmp_path, monkeypatch):
    trainer = worker.build(tmp_path, "--patch_masking 0.5 --contrastive_accumulation 2 --per_device_train_batch_size 8")
    for layer in trainer.model.text_model.encoder.layer:
        layer.output.dropout.p = 0.5
    seen, features = [], trainer_module._features

    def record(model, inputs):
        seen.append(features(model, inputs))
        return seen[-1]

    monkeypatch.setattr(trainer_module, "_features", record)
    trainer.current_gradient_accumulation_steps = 1  # as the training loop sets it
    trainer.training_step(trainer.model, next(iter(trainer.get_train_dataloader())))
    first, second = seen[:2], seen[2:]
    assert len(second) == 2
    for before, after in zip(first, second, strict=True):
        torch.testing.assert_close(before, tuple(tower.detach() for tower in after), rtol=0, atol=0)


def test_masking_keeps_the_class_token_and_a_share_of_the_patches():
    embeddings = torch.nn.Identity()
    mask_patches(embeddings, 0.75)
    tokens = torch.arange(2 * 17.0).view(2, 17, 1)
    masked = embeddings.train()(tokens)
    assert masked.shape == (2, 5, 1)
    torch.testing.assert_close(masked[:, 0], tokens[:, 0])
    for row, kept in zip(tokens, masked, strict=True):
        assert {*kept.flatten().tolist()} <= {*row.flatten().tolist()} and len({*kept.flatten().tolist()}) == 5
    torch.testing.assert_close(embeddings.eval()(tokens), tokens)


def test_logit_scale_stays_below_its_limit_and_a_frozen_tower_as_it_is(tmp_path):
    trainer = worker.build(tmp_path, "--freeze_vision True --learning_rate 10 --per_device_train_batch_size 8")
    before = {name: tensor.clone() for name, tensor in trainer.model.state_dict().items()}
    trainer.train()
    after = trainer.model.state_dict()
    assert 0 <= after["logit_scale"] <= MAX_LOGIT_SCALE == math.log(100)
    for name, tensor in before.items():
        frozen = name.startswith(("vision_model.", "visual_projection."))
        assert torch.equal(after[name], tensor) or not frozen, name
    assert not torch.equal(after["text_projection.weight"], before["text_projection.weight"])


@pytest.mark.parametrize("strategy", ["random", "sequential"])
def test_no_pair_is_alone(strategy, tmp_path):
    """A pair that is left over is read with another one, in every epoch; all other orders are what they were."""
    flags = f"--train_sampling_strategy {strategy} --max_train_samples 8 --max_steps 4 --learning_rate 1e-4"
    even = worker.build(tmp_path / "even", f"{flags} --per_device_train_batch_size 8")
    pairs = len(even.train_dataset)
    assert pairs % 8 != 1
    assert not isinstance(even.get_train_dataloader().batch_sampler.sampler, AccompaniedSampler)

    odd = worker.build(tmp_path / "odd", f"{flags} --per_device_train_batch_size {pairs - 1}")
    batches = list(odd.get_train_dataloader().batch_sampler)
    assert [len(batch) for batch in batches] == [pairs - 1, 2] and batches[1][1] == batches[0][0]
    assert sorted(row for batch in batches for row in batch)[-1] == pairs - 1
    assert len({row for batch in batches for row in batch}) == pairs
    results = worker.measure(tmp_path / "measured", f"{flags} --per_device_train_batch_size {pairs - 1}")
    assert len(results["losses"]) == 4 and (results["losses"] > 0.1).all()


def test_a_batch_of_one_pair_is_refused(tmp_path):
    with pytest.raises(InputError, match="--per_device_train_batch_size 1: a pair alone has nothing"):
        worker.build(tmp_path, "--per_device_train_batch_size 1")
    worker.build(tmp_path, "--per_device_train_batch_size 1 --contrastive_accumulation 2")


def test_batches_that_a_loss_is_measured_on():
    for rows in range(1, 20):
        for size in range(1, 7):
            batches = batches_of_pairs(torch.arange(rows), size)
            assert torch.cat(batches).tolist() == list(range(rows))
            assert all(len(batch) > 1 for batch in batches) or rows == 1
            assert all(len(batch) == max(2, size) for batch in batches[:-1])
            assert len(batches[-1]) <= max(2, size) + 1
