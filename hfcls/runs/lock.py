"""A lock for what one process at a time may write: a run, a sweep, a file of answers.

It is the system's where there is one, so that what a killed process leaves keeps nobody out; elsewhere the process that
the lock file names must be alive.
"""

import errno
import json
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TextIO

import psutil

from hfcls.errors import InputError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

_NO_LOCKS_HERE = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)  # said by some network file systems


def acquire(path: Path, what: str, flag: str) -> Callable[[], None]:
    """Makes and locks the file `path`, which holds this process and host.

    Args:
        what: that is locked, for the message.
        flag: that names another.

    Returns:
        What unlocks and removes it when it is called; the lock ends with it, too.

    Raises:
        InputError: another process has it.
        OSError: the file cannot be written.
    """
    while True:
        file = path.open("a+", encoding="utf-8")
        try:
            if not _lock_of_system(file) and _is_alive(_owner(file)):
                raise BlockingIOError
        except BlockingIOError:
            owner = _owner(file)
            who = f"process {owner['process']} on {owner['host']}" if owner else "another process"
            raise InputError(
                f"{what}: {who} is at work there: wait for it, or give another {flag} (if there is no such process, "
                f"remove {path})"
            ) from None
        if _is_at(file, path):
            break
        file.close()  # a process that came to its end removed it in between
    file.truncate(0)
    json.dump({"process": os.getpid(), "host": socket.gethostname()}, file)
    file.flush()
    return partial(_release, file, path, os.getpid())


@contextmanager
def locked(path: Path, what: str, flag: str) -> Iterator[None]:
    """Holds the lock of `acquire` in the block. Makes its folder if need be; if it cannot, that is an InputError."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        release = acquire(path, what, flag)
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}; give an {flag} that can be written to") from error
    try:
        yield
    finally:
        release()


def _lock_of_system(file: TextIO) -> bool:
    """Whether the system gave the lock; False where it has none.

    Raises:
        BlockingIOError: another process has it.
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
        raise BlockingIOError from error
    return True


def _is_alive(owner: dict) -> bool:
    return bool(owner) and (owner["host"] != socket.gethostname() or psutil.pid_exists(owner["process"]))


def _owner(file: TextIO) -> dict:
    """What the lock file says; empty where a process is just about to write it."""
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


def _release(file: TextIO, path: Path, owner: int) -> None:
    if os.getpid() != owner:  # a process that was forked
        return
    path.unlink(missing_ok=True)
    file.close()
