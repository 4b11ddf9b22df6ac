"""Optimizers and schedules by name: against formulas of their own, and through a recipe."""

import json
import math

import pytest
import torch
from torch import nn
from transformers import TrainingArguments

from hfcls.errors import InputError
from hfcls.report.plots import learning_rate_curve
from hfcls.training.arguments import RecipeArguments, parse
from hfcls.training.optimization import decayed, learning_rate_schedule, optimizer_class
from tests.text.test_baselines import run

STEPS, WARMUP, PER_EPOCH = 60, 6, 10
SHARES = {
    "constant": lambda step: 1,
    "step": lambda step: 0.9 ** (step // 20),
    "warmup_constant": lambda step: min(1, step / 6),
    "warmup_linear": lambda step: min(step / 6, (60 - step) / 54),
    "warmup_cosine": lambda step: step / 6 if step < 6 else (1 + math.cos(math.pi * (step - 6) / 54)) / 2,
    "warmup_exponential": lambda step: step / 6 if step < 6 else 0.01 ** ((step - 6) / 54),
}


@pytest.mark.parametrize("name", SHARES)
def test_schedule(name):
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=0.5)
    scheduler = learning_rate_schedule(name, optimizer, warmup_steps=WARMUP, num_steps=STEPS, steps_per_epoch=PER_EPOCH)
    rates = []
    for _ in range(STEPS):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    assert rates == pytest.approx([0.5 * SHARES[name](step) for step in range(STEPS)])


@pytest.mark.parametrize("name", ["adam", "adamw", "nadam", "radam", "sgd", "sgdm", "rmsprop", "adagrad"])
def test_optimizer_descends(name, tmp_path):
    torch.manual_seed(0)
    weight = nn.Parameter(torch.randn(5))
    args = TrainingArguments(output_dir=str(tmp_path), learning_rate=0.05, adam_beta1=0.8, use_cpu=True)
    cls, options = optimizer_class(name, args)
    optimizer = cls([weight], **options)
    before = weight.square().sum().item()
    for _ in range(20):
        optimizer.zero_grad()
        weight.square().sum().backward()
        optimizer.step()
    assert weight.square().sum() < 0.9 * before
    assert optimizer.defaults.get("betas", (0.8,))[0] == 0.8
    assert optimizer.defaults.get("momentum", 0) == (0.9 if name == "sgdm" else 0)


def test_decay_spares_vectors():
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Linear(2, 2))
    assert decayed(model, [name for name, _ in model.named_parameters()]) == ["0.weight", "2.weight"]


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ("--optimizer adam --optim sgd", "^--optimizer and --optim exclude each other: give one of them$"),
        ("--schedule step --lr_scheduler_type linear", "^--schedule and --lr_scheduler_type exclude each other"),
        ("--schedule constant --warmup_steps 10", "^--schedule constant has no warm-up: leave --warmup_steps out"),
        ("--optimizer lion", "^argument --optimizer: invalid choice: 'lion'"),
    ],
)
def test_contradictions_are_refused(flags, message, tmp_path):
    with pytest.raises(InputError, match=message):
        read(flags, tmp_path, {})


def read(flags, tmp_path, defaults):
    argv = [*flags.split(), "--output_dir", str(tmp_path / "out")]
    return parse(RecipeArguments, task="t", description="", defaults=lambda given: defaults, argv=argv)


def test_warmup_follows_the_schedule(tmp_path):
    recipe = {"warmup_steps": 0.05}
    assert read("", tmp_path, recipe)[1].warmup_steps == 0.05
    assert read("--schedule step", tmp_path, recipe)[1].warmup_steps == 0
    assert read("--schedule warmup_linear", tmp_path, recipe)[1].warmup_steps == 0.05
    assert read("--schedule warmup_linear", tmp_path, {})[1].warmup_steps == 0.1
    assert read("--schedule warmup_linear --warmup_steps 7", tmp_path, recipe)[1].warmup_steps == 7


def test_recipe_uses_both(tmp_path, monkeypatch):
    flags = (
        "--architecture text_cnn --embedding_dim 8 --max_train_samples 64 --per_device_train_batch_size 16 "
        "--num_train_epochs 5 --logging_steps 1 --optimizer nadam --schedule step --learning_rate 1e-2"
    )
    run("thucnews_rnn.py", flags, tmp_path / "out", monkeypatch)
    history = json.loads((tmp_path / "out" / "trainer_state.json").read_text())["log_history"]
    rates = [entry["learning_rate"] for entry in history if "learning_rate" in entry]
    assert rates == pytest.approx([1e-2 * 0.9 ** (step // 8) for step in range(20)])
    settings = json.loads((tmp_path / "out" / "run.json").read_text())["settings"]
    assert (settings["optimizer"], settings["schedule"]) == ("nadam", "step")
    assert "optim" not in settings and "lr_scheduler_type" not in settings
    assert "Learning rate" in (tmp_path / "out" / "report.html").read_text(encoding="utf-8")


def test_picture_of_a_constant_rate():
    plot = learning_rate_curve([{"step": step, "learning_rate": 2e-5} for step in (1, 50, 100)])
    assert [text for _, text in plot.y_ticks] == ["0", "5e-06", "1e-05", "1.5e-05", "2e-05"]
    (_, _, path, _) = plot.lines[0]
    assert len({point.split(" ")[1] for point in path.replace("M", "L").split("L")[1:]}) == 1
    assert learning_rate_curve([{"step": 1, "loss": 1.0}]) is None
