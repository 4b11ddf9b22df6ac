"""The one exception that reaches a user as a single line."""

import os
import sys
from contextlib import contextmanager


class InputError(ValueError):
    """What the user gave cannot be used.

    The message is one line that names the file, line or flag and says what to do about it; the command line prints it
    on standard error and exits with code 2.
    """


@contextmanager
def one_line_errors():
    """Turns an InputError into one line on standard error and exit code 2; with `HFCLS_DEBUG=1` into a traceback."""
    try:
        yield
    except InputError as error:
        if os.environ.get("HFCLS_DEBUG") == "1":
            raise
        _end_progress_bars()
        print(f"error: {_own_line(error)}", file=sys.stderr)
        sys.exit(2)


def _own_line(error: InputError) -> str:
    """The message, also of what a DataLoader's worker raised: that comes as a traceback that ends with the message."""
    return str(error).rpartition(f"{InputError.__module__}.{InputError.__qualname__}: ")[2].strip()


def _end_progress_bars() -> None:
    """Trainer leaves its bar open when it is interrupted: the line would stand behind it."""
    if "tqdm" in sys.modules:
        from tqdm import tqdm

        # Private, read in tqdm 4.70; tests/test_private_api.py fails when it moves. `tqdm.write` would draw the bars
        # anew behind the line.
        for bar in list(tqdm._instances):
            bar.close()
