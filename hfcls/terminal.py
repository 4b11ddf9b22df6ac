"""What is written for people on standard output and error: it never raises, and nothing in it is obeyed.

Texts, labels and names of files are of others: a terminal takes the control characters in them for its own, and may
have no code for their letters.
"""

import io
import logging
import os
import sys
from typing import TextIO

LINE_LIMIT = 600  # characters of an error or a log line; what it quotes may be a file of megabytes

# Control characters but for the tab, what separates lines and paragraphs, and what turns the direction of writing
# around for all that follows.
_OBEYED = [*range(0x20), *range(0x7F, 0xA0), 0x2028, 0x2029, *range(0x202A, 0x202F), *range(0x2066, 0x206A)]
_ESCAPES = {code: chr(code).encode("unicode_escape").decode() for code in _OBEYED if chr(code) != "\t"}
_ESCAPES_IN_LINES = {code: escape for code, escape in _ESCAPES.items() if chr(code) != "\n"}


def prepare_terminal() -> None:
    """Writes letters that the encoding of standard output or error lacks as `\\u80a1` instead of raising, and what
    loggers without a handler have to say as `PrintableFormatter` does. Bars of libraries are for terminals, for what
    takes a while, and gone when it is done.

    Has to be called before tqdm is imported, which reads its defaults from the environment then.
    """
    bars = {"TQDM_DELAY": "2", "TQDM_LEAVE": ""}  # an empty word is false
    if sys.stderr is None or not sys.stderr.isatty():
        bars["TQDM_DISABLE"] = "1"
    for name, value in bars.items():
        os.environ.setdefault(name, value)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a notebook has others, pythonw none
            stream.reconfigure(errors="backslashreplace")
    logging.lastResort.setFormatter(PrintableFormatter())


def printable(text: str) -> str:
    """`text` on one line, with `\\n`, `\\x1b` and the like for what a terminal would obey."""
    return text.translate(_ESCAPES)


def shortened(text: str, limit: int = LINE_LIMIT) -> str:
    """`text`, or its beginning and end where it is longer than `limit` characters."""
    if len(text) <= limit:
        return text
    end = limit // 3
    return f"{text[: limit - end - 3]} … {text[-end:]}"


def print_lines(text: str, *, file: TextIO | None = None) -> None:
    """Prints one or more lines, to standard output unless a `file` is given, each of them as `printable` gives it."""
    print(text.translate(_ESCAPES_IN_LINES), file=file, flush=True)


class PrintableFormatter(logging.Formatter):
    """Messages on one line each, without what a terminal would obey, and not longer than `LINE_LIMIT`."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802, the name that logging calls
        return printable(shortened(super().formatMessage(record)))
