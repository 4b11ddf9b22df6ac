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
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
