"""The launch configurations of recipes/accelerate: what accelerate makes of each, and those that a CPU can run, run.

tests/text/test_thucnews_bert.py runs one_gpu.yaml; tests/training several_gpus.yaml (test_processes.py) and
two_machines.yaml (test_losses.py).
"""

import re
from pathlib import Path

import numpy as np
import pytest
from accelerate.commands.launch import _validate_launch_command, launch_command_parser
from accelerate.utils.launch import prepare_deepspeed_cmd_env, prepare_multi_gpu_env
from safetensors import safe_open

from tests.launching import CONFIGS, launch

ROOT = Path(__file__).parents[2]


def parsed(name: str, *flags: str):
    """The flags of `accelerate launch` once it has read the configuration. Private, read in accelerate 1.15."""
    words = ["--config_file", str(CONFIGS / name), *flags, "recipes/thucnews_bert.py"]
    return _validate_launch_command(launch_command_parser().parse_args(words))[0]


EXPECTED = {
    "one_gpu.yaml": {"num_processes": 1, "multi_gpu": False, "use_fsdp": False, "use_deepspeed": False},
    "several_gpus.yaml": {"num_processes": 4, "num_machines": 1, "multi_gpu": True},
    "two_machines.yaml": {"num_processes": 8, "num_machines": 2, "multi_gpu": True, "main_process_ip": "10.0.0.1"},
    "fsdp2.yaml": {"num_processes": 4, "use_fsdp": True, "fsdp_version": 2},
    "zero2.yaml": {"num_processes": 4, "use_deepspeed": True, "zero_stage": 2},
    "zero3.yaml": {"num_processes": 4, "use_deepspeed": True, "zero_stage": 3, "zero3_save_16bit_model": True},
}


def test_every_configuration_is_tested():
    assert {path.name for path in CONFIGS.iterdir()} == set(EXPECTED)


@pytest.mark.parametrize("name", EXPECTED)
def test_accelerate_reads_it_as_it_is_meant(name):
    args = parsed(name)
    assert {flag: getattr(args, flag) for flag in EXPECTED[name]} == EXPECTED[name]
    assert args.mixed_precision == "no"  # --bf16 of a recipe decides
    used = re.search(r"--config_file (recipes/accelerate/\S+)", (CONFIGS / name).read_text(encoding="utf-8"))
    assert used and used[1] == f"recipes/accelerate/{name}"


def test_what_the_processes_are_told():
    assert prepare_multi_gpu_env(parsed("fsdp2.yaml"))["FSDP_STATE_DICT_TYPE"] == "FULL_STATE_DICT"
    args = parsed("zero3.yaml")
    args.deepspeed_fields_from_accelerate_config = ""  # which the command sets besides
    _, environment = prepare_deepspeed_cmd_env(args)
    assert environment["ACCELERATE_DEEPSPEED_ZERO3_SAVE_16BIT_MODEL"] == "true"
    rank = parsed("two_machines.yaml", "--machine_rank", "1")
    prepare_multi_gpu_env(rank)
    assert (rank.nproc_per_node, rank.nnodes, rank.node_rank) == ("4", "2", 1)


def test_fsdp_ends_in_an_ordinary_folder_and_goes_on_from_its_checkpoints(tmp_path):
    flags = ("--per_device_train_batch_size", "8", "--learning_rate", "1e-2")
    launch("fsdp2.yaml", "tests/worker.py", "model", str(tmp_path), *flags, processes=2)
    result = np.load(tmp_path / "result.npz")
    assert len(result["logits"]) == 53 and np.ptp(result["logits"]) > 0.1
    np.testing.assert_allclose(result["reloaded"], result["logits"], atol=1e-5)
    np.testing.assert_allclose(result["resumed"], result["logits"], atol=1e-5)
    with safe_open(tmp_path / "model.safetensors", "pt") as weights:
        assert not any("_orig_mod" in name or "module." in name for name in weights.keys())  # noqa: SIM118
