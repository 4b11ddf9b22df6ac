"""Where a run ran: versions, hardware and the command, for the report and the model card."""

import os
import platform
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

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


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


def command() -> str:
    """The command line of this process, without the values of secrets and with paths outside the working folder cut."""
    words = []
    hide = False
    for word in sys.argv:
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
