"""The folder that a run writes to: for one run at a time, writable, and with room for the model.

All of it is known before training begins.
"""

import contextlib
import errno
import json
import os
import re
import shutil
import socket
import weakref
from pathlib import Path
from typing import TextIO

import psutil

from hfcls.errors import InputError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

LOCK = "run.lock"  # there while a run is at work; holds its process and host

_NO_LOCKS_HERE = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)  # said by some network file systems


def lock(training_args) -> None:
    """Makes `output_dir`, and keeps other runs out of it until `training_args` is gone or the process ends.

    The main process locks for all processes of its run. The lock is the system's where it has one, so that what a
    killed run leaves keeps nobody out; elsewhere the process that the file names must be alive.

    Raises:
        InputError: another run is at work there, or nothing can be written there.
    """
    if training_args.process_index != 0:
        return
    folder = Path(training_args.output_dir)
    made = not folder.exists()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = _locked(folder / LOCK)
    except OSError as error:
        raise InputError(f"{folder}: {error.strerror}; give an --output_dir that can be written to") from error
    weakref.finalize(training_args, _release, file, folder / LOCK, made, os.getpid())


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


def _locked(path: Path) -> TextIO:
    """The lock file, open, which names this process and belongs to it."""
    while True:
        file = path.open("a+", encoding="utf-8")
        if not _lock_of_system(file):
            _refuse_if_alive(file)
        if _is_at(file, path):
            break
        file.close()  # a run that came to its end removed it in between
    file.truncate(0)
    json.dump({"process": os.getpid(), "host": socket.gethostname()}, file)
    file.flush()
    return file


def _lock_of_system(file: TextIO) -> bool:
    """Whether the system gave the lock; False where it has none.

    Raises:
        InputError: another process has it.
    """
    if fcntl is None:
        return False
    try:
        # Not `flock`, which processes that a DataLoader forks would share, and keep if they outlive the run.
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in _NO_LOCKS_HERE:
            return False
        if error.errno not in (errno.EACCES, errno.EAGAIN):
            raise
        raise _in_use(file) from error
    return True


def _refuse_if_alive(file: TextIO) -> None:
    owner = _owner(file)
    if owner and (owner["host"] != socket.gethostname() or psutil.pid_exists(owner["process"])):
        raise _in_use(file)


def _in_use(file: TextIO) -> InputError:
    owner = _owner(file)
    who = f"process {owner['process']} on {owner['host']}" if owner else "another process"
    return InputError(
        f"{Path(file.name).parent}: {who} is at work there: wait for it, or give another --output_dir (if there is no "
        f"such process, remove {file.name})"
    )


def _owner(file: TextIO) -> dict:
    """What the lock file says; empty where a run is just about to write it."""
    file.seek(0)
    try:
        return json.loads(file.read())
    except ValueError:
        return {}


def _is_at(file: TextIO, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False


def _release(file: TextIO, path: Path, made: bool, owner: int) -> None:
    if os.getpid() != owner:  # a process that was forked
        return
    path.unlink(missing_ok=True)
    file.close()
    if made:
        with contextlib.suppress(OSError):  # the run has written something
            path.parent.rmdir()
