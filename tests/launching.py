"""Test programs started by `accelerate launch` with the configurations of recipes/accelerate, on this machine's CPU."""

import os
import socket
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
CONFIGS = ROOT / "recipes" / "accelerate"


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def launch(config: str, script: str, *flags: str, processes: int, machines: int = 1) -> None:
    """Runs `script` in so many `processes` in all, as `config` says otherwise; of several machines, all are this one.

    Raises:
        CalledProcessError: a launcher failed.
    """
    command = [sys.executable, "-m", "accelerate.commands.launch", "--quiet", "--config_file", str(CONFIGS / config)]
    command += ["--num_processes", str(processes), "--main_process_port", str(free_port())]
    if machines > 1:
        command += ["--main_process_ip", "127.0.0.1"]
    environment = {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT), "TOKENIZERS_PARALLELISM": "false"}
    running = []
    for machine in range(machines):
        rank = ["--machine_rank", str(machine)] if machines > 1 else []
        words = [*command, *rank, script, *flags]
        running.append((words, subprocess.Popen(words, cwd=ROOT, env={**os.environ, **environment})))
    codes = [process.wait(timeout=300) for _, process in running]
    for (words, _), code in zip(running, codes, strict=True):
        if code:
            raise subprocess.CalledProcessError(code, words)
