"""Between two logs, no step asks the device for a number: on a GPU, that would make it wait for Python."""

import collections
import sys

import pytest
import transformers
from torch.profiler import ProfilerActivity, profile

from tests import worker

# What a GPU has to finish everything for: a number of a tensor, or a shape that depends on its content.
ASKED = ("_local_scalar_dense", "is_nonzero", "equal", "nonzero", "masked_select", "_unique2", "nonzero_numpy")


class Profile(transformers.TrainerCallback):
    """Counts the calls of torch's operators from the end of step `first` to the end of step `last`."""

    def __init__(self, first: int, last: int):
        self.first, self.last = first, last
        self.profiler = profile(activities=[ProfilerActivity.CPU])

    def on_step_end(self, args, state, control, **kwargs):
        if state.global_step == self.first:
            self.profiler.start()
        elif state.global_step == self.last:
            self.profiler.stop()

    @property
    def calls(self) -> collections.Counter:
        """But for those of the optimizer: on a CPU it reads the number of its step, on a GPU the kernel does."""
        names = [event.name for event in self.profiler.events() if not _within(event, "Optimizer.step")]
        return collections.Counter(name.removeprefix("aten::") for name in names if name.startswith("aten::"))


def _within(event, name: str) -> bool:
    while event is not None and not event.name.startswith(name):
        event = event.cpu_parent
    return event is not None


def operators_of_steps(tmp_path, flags: str = "", given_masks: bool = True, steps: int = 5) -> collections.Counter:
    """Calls of each operator in five steps of the tiny recipe, far from any log."""
    flags = f"--max_steps {steps + 2} --logging_steps 100 --eval_strategy no --save_strategy no {flags}"
    trainer, _ = worker.build(tmp_path, flags.split(), dropout=0.1)
    if not given_masks:
        trainer.model.set_attn_implementation("sdpa")
    counted = Profile(1, 1 + steps)
    trainer.add_callback(counted)
    trainer.train()
    calls = counted.calls
    assert calls["scaled_dot_product_attention"] == steps * trainer.model.config.num_hidden_layers
    return calls


@pytest.mark.parametrize("flags", ["", "--loss focal --class_weight balanced --optimizer adamw"])
def test_no_step_asks_its_device(flags, tmp_path):
    calls = operators_of_steps(tmp_path, flags)
    assert {name: calls[name] for name in ASKED if calls[name]} == {}


def test_what_would_be_seen(tmp_path):
    """The masks of transformers ask once a step; its filter of losses that are not finite, twice."""
    calls = operators_of_steps(tmp_path, "--logging_nan_inf_filter True", given_masks=False)
    assert calls["is_nonzero"] >= 5 * 2


def test_no_step_looks_for_a_package(tmp_path, monkeypatch):
    """On a slow disk that costs a small model more than its step."""
    asked = []

    class Finder:
        @staticmethod
        def find_spec(name, path=None, target=None):
            asked.append(name)

    class Counter(transformers.TrainerCallback):
        def on_step_end(self, args, state, control, **kwargs):
            if state.global_step == 2:
                monkeypatch.setattr(sys, "meta_path", [Finder, *sys.meta_path])
            elif state.global_step == 6:
                monkeypatch.undo()

    trainer, _ = worker.build(tmp_path, "--max_steps 7 --eval_strategy no --save_strategy no".split(), dropout=0.1)
    trainer.add_callback(Counter())
    trainer.train()
    assert trainer.state.global_step == 7 and asked == []
