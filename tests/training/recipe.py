"""A recipe on some rows of its sample, in a process of its own."""

import os
from pathlib import Path

from tests.warm import run_apart, run_warm

ROOT = Path(__file__).parents[2]
TINY = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
FLAGS = "--max_train_samples 64 --max_eval_samples 20 --max_test_samples 20 --per_device_train_batch_size 16"


def recipe(name: str, output_dir: str | Path, *flags: str, environment: dict[str, str] | None = None):
    """Runs `recipes/<name>.py` on a few rows, on the CPU; `flags` come last. Returns the finished process.

    With an `environment` of its own it has not yet imported what reads it.
    """
    command = [f"recipes/{name}.py", *FLAGS.split(), "--use_cpu", "--output_dir", str(output_dir), *flags]
    if environment is None:
        return run_warm(*command)
    return run_apart(*command, environment=os.environ | {"PYTHONPATH": str(ROOT)} | environment)
