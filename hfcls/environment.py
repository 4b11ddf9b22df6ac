"""Where a run ran: versions, hardware and the command, for the report and the model card."""

import os
import platform
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import psutil
import torch

PACKAGES = ("hfcls", "torch", "transformers", "datasets", "accelerate", "tokenizers", "scikit-learn")


def versions() -> dict[str, str]:
    """Installed versions of what decides the result; without hfcls where it runs from its folder, uninstalled."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def hardware() -> dict:
    """Processor, cores, memory in GB and GPUs that this process may use."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") if hasattr(os, "sysconf") else None
    return {
        "cpu": _processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory_gb": None if memory is None else round(memory / 2**30),
        "gpus": [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())],
    }


def use_cores() -> int:
    """Lets torch compute with this process's share of the cores, and returns the number of threads.

    `accelerate launch` sets OMP_NUM_THREADS to 1 unless it is told otherwise, and so does torchrun for several
    processes: without a GPU, all cores but one would idle. A larger number is someone's choice and stays, and so does
    what a process without a launcher finds. `taskset` restricts the cores themselves.
    """
    launched = "ACCELERATE_MIXED_PRECISION" in os.environ or "TORCHELASTIC_RUN_ID" in os.environ
    if launched and os.environ.get("OMP_NUM_THREADS") == "1":
        available = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
        cores = min(available, psutil.cpu_count(logical=False) or available)  # two threads on one core do not help
        torch.set_num_threads(max(1, cores // int(os.environ.get("LOCAL_WORLD_SIZE", "1"))))
    return torch.get_num_threads()


def computes_bf16_lstm() -> bool:
    """Whether this CPU computes an LSTM under bfloat16 autocast.

    It is tried, on a tiny one, because no flag of the processor tells: oneDNN has no such LSTM for AVX2 alone, while it
    has the other cells, and linear layers and convolutions.
    """
    lstm = torch.nn.LSTM(2, 2)
    try:
        with torch.autocast("cpu", torch.bfloat16):
            lstm(torch.zeros(1, 1, 2))[0].float().sum().backward()
    except RuntimeError as error:
        if "could not create a primitive" not in str(error):
            raise
        return False
    return True


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


def command(argv: list[str] | None = None) -> str:
    """The command line `argv`, by default that of this process, without the values of secrets and with paths outside
    the working folder cut.
    """
    words = []
    hide = False
    for word in sys.argv if argv is None else argv:
        name, equals, value = word.partition("=")
        secret = name.lstrip("-").endswith("token")
        if hide:
            word, hide = "***", False
        elif secret and equals:
            word = f"{name}=***"
        elif secret and name.startswith("--"):
            hide = True
        elif equals and os.path.isabs(value):
            word = f"{name}={_relative(value)}"
        elif os.path.isabs(word):
            word = _relative(word)
        words.append(word)
    return " ".join(["accelerate launch", *words])


def _relative(path: str) -> str:
    """A path below the working folder as seen from there; of any other, the last component."""
    try:
        return str(Path(path).relative_to(Path.cwd()))
    except ValueError:
        return f"…/{Path(path).name}"
