"""Files of texts to classify, read once in constant memory, and the CSV file that their answers are added to."""

import csv
import difflib
import io
import json
import os
import sys
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

from hfcls.data.files import csv_reader, find_encoding
from hfcls.errors import InputError

FORMATS = (".csv", ".jsonl", ".txt")


class TextFile:
    """The rows of a CSV file with a header, a JSON Lines file or a file with one text a line; `-` is standard input.

    Iterating gives each row as a list of fields, one for each of `columns`. CSV fields may span lines; empty lines are
    skipped in CSV and JSON Lines, and are empty texts in a text file.

    Attributes:
        columns: names of the fields: those of the CSV header, otherwise the text column alone.
        text: which of them holds the text.
        pair: which of them holds a second text, or None.
        encoding: `utf-8` or `gb18030`, found by reading the whole file; standard input must be UTF-8.
        size: bytes of the file; None for standard input.
        bytes_read: how far reading has come.

    Raises:
        InputError: on opening, no such file or format, nothing in it, neither encoding, no such column; on reading, a
            row that does not fit. The message names file and line.
    """

    def __init__(self, path: str, text_column: str = "text", pair_column: str | None = None):
        self.path, self.bytes_read, self.size, self.encoding = path, 0, None, "utf-8"
        suffix = ".txt" if path == "-" else Path(path).suffix.lower()
        if suffix not in FORMATS:
            raise InputError(f"{path}: what is in it must show in its name: {', '.join(FORMATS)}")
        if path == "-":
            self.path, file = "standard input", sys.stdin.buffer
        else:
            file = _open(path)
            self.size, self.encoding = os.fstat(file.fileno()).st_size, _find_encoding(path)

        lines = self._lines(file)
        wanted = [text_column] if pair_column is None else [text_column, pair_column]
        if suffix == ".csv":
            reader = csv_reader(lines)
            first = self._next(reader)
            self._rows = self._csv_rows(reader)
        else:
            if pair_column is not None and suffix != ".jsonl":
                raise InputError(f"{path}: a text file has one text a line: --text_pair_column needs .csv or .jsonl")
            rows = self._json_rows(lines, wanted) if suffix == ".jsonl" else self._line_rows(lines)
            first = next(rows, None)  # now, so that a file that cannot be read says so before a model is loaded
            self._rows = chain([first], rows)
        if first is None:
            raise InputError(f"{self.path}: is empty, there is nothing to classify")
        self.columns = first if suffix == ".csv" else wanted
        self.text = self._find_column(text_column, self.columns, line=1)
        self.pair = None if pair_column is None else self._find_column(pair_column, self.columns, line=1)

    def __iter__(self) -> Iterator[list[str]]:
        return self._rows

    def _lines(self, file) -> Iterator[str]:
        for number, line in enumerate(file, start=1):
            self.bytes_read += len(line)
            try:
                text = line.decode(self.encoding)
            except UnicodeDecodeError as error:
                raise InputError(
                    f"{self.path}:{number}: not in UTF-8; convert it: iconv -f GB18030 -t UTF-8"
                ) from error
            yield text.removeprefix("\ufeff") if number == 1 else text

    def _next(self, reader) -> list[str] | None:
        try:
            return next(reader, None)
        except csv.Error as error:
            raise InputError(
                f"{self.path}:{reader.line_num}: not CSV ({error}): is a quote not closed or not doubled?"
            ) from error

    def _line_rows(self, lines: Iterator[str]) -> Iterator[list[str]]:
        for line in lines:
            yield [line.removesuffix("\n").removesuffix("\r")]

    def _csv_rows(self, reader) -> Iterator[list[str]]:
        while (row := self._next(reader)) is not None:
            if len(row) == len(self.columns):
                yield row
            elif row:
                raise InputError(
                    f"{self.path}:{reader.line_num}: {len(row)} fields instead of {len(self.columns)}: "
                    "quote a field that holds a comma"
                )

    def _json_rows(self, lines: Iterator[str], columns: list[str]) -> Iterator[list[str]]:
        for number, line in enumerate(lines, start=1):
            if line.isspace():
                continue
            try:
                content = json.loads(line)
            except (ValueError, RecursionError) as error:
                raise InputError(f"{self.path}:{number}: not JSON ({error}): one object a line") from error
            if not isinstance(content, dict):
                raise InputError(f'{self.path}:{number}: not a JSON object like {{"{columns[0]}": "…"}}')
            for column in columns:
                self._find_column(column, list(content), line=number)
                if not isinstance(content[column], str):
                    raise InputError(
                        f"{self.path}:{number}: {column} is {json.dumps(content[column])[:60]}, not a text"
                    )
                if not _is_unicode(content[column]):
                    raise InputError(
                        f"{self.path}:{number}: {column} holds half a surrogate pair: write the whole character"
                    )
            yield [content[column] for column in columns]

    def _find_column(self, name: str, columns: list[str], line: int) -> int:
        if name in columns:
            return columns.index(name)
        near = difflib.get_close_matches(name, columns, n=1)
        hint = f"did you mean --text_column {near[0]}?" if near else "name one with --text_column"
        raise InputError(f"{self.path}:{line}: no column {name}, only {', '.join(columns) or 'an empty line'}: {hint}")


class AnswerFile:
    """A CSV file in UTF-8 that grows by whole rows, so that a killed run can go on where it ends.

    Raises:
        InputError: the file is no regular file or cannot be opened.
    """

    def __init__(self, path: str, header: list[str]):
        self.path, self.header, self.rows, self._end = path, header, 0, 0
        if os.path.exists(path) and not os.path.isfile(path):
            raise InputError(f"{path}: not a file that answers could be added to")
        try:
            Path(path).parent.mkdir(parents=True, exist_ok=True)
            # Unbuffered, so that an error names the rows it concerns, and closing writes nothing.
            self._file = os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o666), "r+b", buffering=0)
        except OSError as error:
            raise InputError(f"{path}: {error.strerror}") from error

    def __enter__(self) -> "AnswerFile":
        return self

    def __exit__(self, *exception) -> None:
        self._file.close()

    def skip_answered(self, rows: Iterator[list[str]]) -> int:
        """Takes those of `rows` that the file has answers for, and cuts off a row that a kill left half written.

        Returns:
            How many there are.

        Raises:
            InputError: the file has another header, or its rows are not those of the input.
        """
        lines = _Lines(self.path)
        reader = csv_reader(lines)
        try:
            for record in reader:
                if self._end == 0:
                    self._check_header(record)
                else:
                    self._check_row(record, next(rows, None), reader.line_num)
                    self.rows += 1
                self._end = lines.bytes_read
        except csv.Error as error:
            if not lines.at_end:  # at the end it is a quoted field that a kill left open
                raise InputError(f"{self.path}:{reader.line_num}: not CSV ({error}): give another --output") from error
        if self._end == 0 and not _encode([self.header]).startswith(self._file.read(2**16)):
            raise InputError(f"{self.path}: holds something that is not of this run: give another --output")
        self._file.truncate(self._end)
        self._file.seek(self._end)
        if self._end == 0:
            self._append([self.header])
        return self.rows

    def append(self, records: list[list[str]]) -> None:
        """Adds whole rows, all of them or none.

        Raises:
            InputError: they could not be written; what was there before stays valid.
        """
        self._append(records)
        self.rows += len(records)

    def _append(self, records: list[list[str]]) -> None:
        content = memoryview(_encode(records))
        end = self._end + len(content)
        try:
            while content:
                content = content[self._file.write(content) :]
        except OSError as error:
            self._file.truncate(self._end)
            raise InputError(
                f"{self.path}: {error.strerror}; its {self.rows:,} rows are whole: make room, then give the same "
                "command again to go on"
            ) from error
        self._end = end

    def _check_header(self, record: list[str]) -> None:
        if record != self.header:
            raise InputError(
                f"{self.path}:1: has the columns {', '.join(record)}, not {', '.join(self.header)}: it is not of this "
                "run, give another --output"
            )

    def _check_row(self, record: list[str], row: list[str] | None, line: int) -> None:
        if row is None or len(record) != len(self.header) or record[: len(row)] != row:
            raise InputError(
                f"{self.path}:{line}: is not the answer to row {self.rows + 1:,} of the input: give another --output"
            )


def _encode(records: list[list[str]]) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text).writerows(records)
    return text.getvalue().encode("utf-8")


class _Lines:
    """The whole lines of a file as text; `bytes_read` counts them, `at_end` is true after the last."""

    def __init__(self, path: str):
        self._path, self._file = path, _open(path)
        self.bytes_read, self.at_end = 0, False

    def __iter__(self) -> "_Lines":
        return self

    def __next__(self) -> str:
        line = self._file.readline()
        if not line.endswith(b"\n"):
            self.at_end = True
            self._file.close()
            raise StopIteration
        self.bytes_read += len(line)
        try:
            return line.decode("utf-8")
        except UnicodeDecodeError as error:
            raise InputError(f"{self._path}: not in UTF-8, so not of this run: give another --output") from error


def _open(path: str):
    try:
        return open(path, "rb")
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}") from error


def _find_encoding(path: str) -> str:
    """`utf-8` or `gb18030`, whichever the whole of a file is in."""
    try:
        return find_encoding(path).removesuffix("-sig")
    except ValueError as error:
        raise InputError(str(error)) from error


def _is_unicode(text: str) -> bool:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True
