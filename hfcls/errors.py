"""The one exception that reaches a user as a single line, and how a program ends early."""

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from hfcls.terminal import prepare_terminal, print_lines, printable, shortened

PR_SET_PDEATHSIG = 1  # of Linux's prctl
GO_ON = "the same command with --resume_from_checkpoint auto goes on from the last checkpoint"


class InputError(ValueError):
    """What the user gave cannot be used.

    The message is one line that names the file, line or flag and says what to do about it; the command line prints it
    on standard error and exits with code 2.
    """


class Terminated(KeyboardInterrupt):
    """SIGTERM, which ends a program as Ctrl-C does."""


@contextmanager
def one_line_errors(go_on: str = GO_ON) -> Iterator[None]:
    """Ends the program with one line on standard error instead of a traceback, unless `HFCLS_DEBUG=1` is set.

    An InputError gives exit code 2, Ctrl-C 130 and SIGTERM 143, as in a shell. From the first interruption on, the next
    one ends the program at once.

    Args:
        go_on: what is said after an interruption.
    """
    prepare_terminal()
    _end_with_launcher()
    try:
        with _terminated_by_exception():
            yield
    except InputError as error:
        if _debugging():
            raise
        _end_progress_bars()
        print_lines(f"error: {printable(shortened(_own_line(error)))}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt as interruption:
        if _debugging():
            raise
        _end_at_once_from_here_on()
        _end_progress_bars()
        if os.environ.get("RANK", "0") == "0":  # of several processes of a run, one says it
            print_lines(f"interrupted: {go_on}", file=sys.stderr)
        sys.exit(143 if isinstance(interruption, Terminated) else 130)


def _debugging() -> bool:
    return os.environ.get("HFCLS_DEBUG") == "1"


def _own_line(error: InputError) -> str:
    """The message, also of what a DataLoader's worker raised: that comes as a traceback that ends with the message."""
    return str(error).rpartition(f"{InputError.__module__}.{InputError.__qualname__}: ")[2].strip()


@contextmanager
def _terminated_by_exception() -> Iterator[None]:
    """SIGTERM raises `Terminated` inside, so that what is open is closed, unless the program does otherwise already."""
    ours = threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
    if not ours:
        yield
        return
    signal.signal(signal.SIGTERM, _raise_terminated)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _raise_terminated(number, frame):
    raise Terminated


def _end_with_launcher() -> None:
    """SIGTERM for this process when `accelerate launch` dies, which leaves what it launched alone (read in 1.15)."""
    if sys.platform == "linux" and "ACCELERATE_MIXED_PRECISION" in os.environ:  # which it sets
        import ctypes

        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def _end_at_once_from_here_on() -> None:
    """While the interpreter ends, another Ctrl-C would print a traceback."""
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, signal.SIG_DFL)


def _end_progress_bars() -> None:
    """Trainer leaves its bar open when it is interrupted: the line would stand behind it."""
    if "tqdm" in sys.modules:
        from tqdm import tqdm

        # Private, read in tqdm 4.70; tests/test_private_api.py fails when it moves. `tqdm.write` would draw the bars
        # anew behind the line.
        for bar in list(tqdm._instances):
            bar.close()
