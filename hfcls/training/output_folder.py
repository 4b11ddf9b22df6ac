"""The folder that a run writes to: for one run at a time, writable, and with room for the model.

All of it is known before training begins.
"""

import contextlib
import re
import shutil
import weakref
from collections.abc import Callable
from pathlib import Path

from hfcls.errors import InputError
from hfcls.runs import lock as locks

LOCK = "run.lock"


def lock(training_args) -> Callable[[], object]:
    """Makes `output_dir`, and keeps other runs out of it until `training_args` is gone or the process ends, or what is
    returned is called.

    The main process locks for all processes of its run.

    Raises:
        InputError: another run is at work there, or nothing can be written there.
    """
    if training_args.process_index != 0:
        return lambda: None
    folder = Path(training_args.output_dir)
    made = not folder.exists()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        release = locks.acquire(folder / LOCK, str(folder), "--output_dir")
    except OSError as error:
        raise InputError(f"{folder}: {error.strerror}; give an --output_dir that can be written to") from error
    return weakref.finalize(training_args, _leave, release, folder, made)


def check_room(model, training_args, optimizer: str | None) -> None:
    """Makes sure that the weights, and one checkpoint if there are to be any, fit on the disk of `output_dir`.

    Args:
        model: a torch.nn.Module.
        optimizer: the value of `--optimizer`; None for `--optim`.

    Raises:
        InputError: they do not.
    """
    tensors = [*model.parameters(), *model.buffers()]
    weights = sum(tensor.numel() * tensor.element_size() for tensor in tensors)
    needed = weights
    if training_args.save_strategy != "no":
        needed += weights
        name = optimizer or str(training_args.optim)
        if not training_args.save_only_model and re.search("adam(?!.*bit)", name):  # two moments of each parameter
            needed += 2 * sum(p.numel() * p.element_size() for p in model.parameters() if p.requires_grad)
    free = shutil.disk_usage(training_args.output_dir).free
    if free < needed:
        raise InputError(
            f"{training_args.output_dir}: {free / 1e6:,.0f} MB are free, and the model and a checkpoint of it take "
            f"{needed / 1e6:,.0f} MB: free some space, or give an --output_dir on another disk"
        )


def _leave(release: Callable[[], None], folder: Path, made: bool) -> None:
    release()
    if made:
        with contextlib.suppress(OSError):  # the run has written something
            folder.rmdir()
