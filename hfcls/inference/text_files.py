"""Files of texts to classify, read once in constant memory, and the CSV file that their answers are added to."""

import codecs
import csv
import difflib
import io
import os
import sys
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import BinaryIO

from hfcls.data.encodings import check_name
from hfcls.data.files import UTF_8, csv_reader, decoded_lines, regular
from hfcls.data.split_files import FORMATS, file_format, files_by_split
from hfcls.data.table_files import open_records, text_cell, written
from hfcls.errors import InputError
from hfcls.runs import lock

_WITH_COLUMNS = (".csv", ".tsv", ".xlsx")  # whose other columns are kept beside the answers
_STANDARD_INPUT = "standard input"
_READABLE = "give a file that can be read"


class TextFile:
    """The rows of a file in any format that training reads; `-` is standard input, with one text a line.

    A folder is what `files_by_split` finds there: its test split, or the one that there is. Iterating gives each row as
    a list of cells, one for each of `columns`. Empty lines are skipped, but in a text file, where they are empty texts.

    Attributes:
        columns: names of the cells: those of CSV, TSV and Excel, otherwise the text columns alone.
        text: which of them holds the text.
        pair: which of them holds a second text, or None.
        notes: what was guessed, one line each.
        size: bytes of the files; None for standard input.

    Raises:
        InputError: on opening, no such file or format, nothing in it, no known encoding, no such column; on reading, a
            row that does not fit. The message names file and line.
    """

    def __init__(
        self, path: str, text_column: str = "text", pair_column: str | None = None, encoding: str | None = None
    ):
        self.path, self.notes, self.size, self._read, self._file = path, [], None, 0, None
        self._wanted = [text_column] if pair_column is None else [text_column, pair_column]
        self._encoding = encoding
        try:
            if encoding is not None:
                check_name(encoding)
            if path == "-":
                self.path, paths = _STANDARD_INPUT, [_STANDARD_INPUT]
            else:
                paths = _paths(path)
                self.size = sum(os.path.getsize(path) for path in paths)
            kind = ".txt" if path == "-" else file_format(paths[0])
            if pair_column is not None and kind == ".txt":
                raise InputError(f"{path}: a text file has one text a line: --text_pair_column needs columns")
            self._keeps_columns = kind in _WITH_COLUMNS
            self.columns = self._wanted
            rows = chain.from_iterable(map(self._rows, paths))
            first = next(rows, None)  # now, so that a file that cannot be read says so before a model is loaded
        except OSError as error:
            raise InputError(f"{error.filename or path}: {error.strerror or error}; {_READABLE}") from error
        except ValueError as error:
            raise InputError(str(error)) from error
        if first is None and not (self._keeps_columns and self.columns):
            raise InputError(f"{self.path}: is empty, there is nothing to classify; give a file with texts")
        self._all = chain([] if first is None else [first], rows)
        self.text = self.columns.index(text_column)
        self.pair = None if pair_column is None else self.columns.index(pair_column)

    def __iter__(self) -> Iterator[list[str]]:
        try:
            yield from self._all
        except OSError as error:
            raise InputError(f"{error.filename or self.path}: {error.strerror or error}; {_READABLE}") from error
        except ValueError as error:
            raise InputError(str(error)) from error

    @property
    def bytes_read(self) -> int:
        """How far reading has come; 0 of standard input."""
        return self._read + (self._file.tell() if self._file is not None and not self._file.closed else 0)

    def _rows(self, path: str) -> Iterator[list[str]]:
        """The rows of one file."""
        if self.path == _STANDARD_INPUT:
            lines = decoded_lines(sys.stdin.buffer, path, self._encoding or UTF_8)
            yield from ([text.rstrip("\r\n")] for _, text in lines)
            return
        with open(regular(path), "rb") as self._file:
            yield from self._cells(path, self._file)
        self._read += os.path.getsize(path)

    def _cells(self, path: str, file: BinaryIO) -> Iterator[list[str]]:
        columns, records = open_records(file, path, self.notes.append, encoding=self._encoding)
        if file_format(path) == ".txt":
            yield from ([record["text"]] for _, record in records)
            return
        if columns:
            self._check_columns(columns, f"{path}:1")
        if self._keeps_columns:
            if self.columns not in (self._wanted, columns):
                raise InputError(f"{path}:1: other columns than in the file before: name one file")
            self.columns = columns
        for line, record in records:
            where = f"{path}:{line}"
            if columns is None:
                self._check_columns(list(record), where)
            texts = {name: text_cell(record.get(name), where) for name in self._wanted}
            yield [texts[name] if name in texts else written(record.get(name)) for name in self.columns]

    def _check_columns(self, columns: list[str], where: str) -> None:
        for name in self._wanted:
            if name not in columns:
                near = difflib.get_close_matches(name, columns, n=1)
                hint = f"did you mean --text_column {near[0]}?" if near else "name one with --text_column"
                found = ", ".join(columns[:20]) or "an empty line"
                raise InputError(f"{where}: no column {name}, only {found}: {hint}")


def _paths(path: str) -> list[str]:
    """The files of an input: itself, or those of the split in a folder."""
    if not os.path.isdir(path):
        os.stat(path)
        if file_format(path) is None:
            raise InputError(f"{path}: what is in it must show in its name: {', '.join(FORMATS)}")
        return [path]
    files = files_by_split(path)
    if not files:
        raise InputError(f"{path}: no test{'|'.join(FORMATS)} in it; name a file")
    if "test" not in files and len(files) > 1:
        raise InputError(f"{path}: holds the splits {', '.join(files)}; name a file")
    return files["test"] if "test" in files else next(iter(files.values()))


class AnswerFile:
    """A CSV file in UTF-8 that grows by whole rows, so that a killed run can go on where it ends.

    With `excel` it begins with a byte order mark, without which Excel takes it for the encoding of the machine.

    Raises:
        InputError: the file is no regular file, cannot be opened, or another process is writing it.
    """

    def __init__(self, path: str, header: list[str], excel: bool = False):
        self.path, self.header, self.rows, self._end = path, header, 0, 0
        self._begin = codecs.BOM_UTF8 if excel else b""
        if os.path.exists(path) and not os.path.isfile(path):
            raise InputError(f"{path}: not a file that answers could be added to; give another --output")
        try:
            Path(path).parent.mkdir(parents=True, exist_ok=True)
            # Unbuffered, so that an error names the rows it concerns, and closing writes nothing.
            self._file = os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o666), "r+b", buffering=0)
            self._unlock = lock.acquire(Path(f"{path}.lock"), path, "--output")
        except OSError as error:
            raise InputError(f"{path}: {error.strerror}; give an --output that can be written to") from error

    def __enter__(self) -> "AnswerFile":
        return self

    def __exit__(self, *exception) -> None:
        self._file.close()
        self._unlock()

    def skip_answered(self, rows: Iterator[list[str]]) -> int:
        """Takes those of `rows` that the file has answers for, and cuts off a row that a kill left half written.

        Returns:
            How many there are.

        Raises:
            InputError: the file has another header or beginning, or its rows are not those of the input.
        """
        lines = _Lines(self.path)
        reader = csv_reader(lines)
        try:
            for record in reader:
                if self._end == 0:
                    self._check_header(record, lines.has_bom)
                else:
                    self._check_row(record, next(rows, None), reader.line_num)
                    self.rows += 1
                self._end = lines.bytes_read
        except csv.Error as error:
            if not lines.at_end:  # at the end it is a quoted field that a kill left open
                raise InputError(f"{self.path}:{reader.line_num}: not CSV ({error}): give another --output") from error
        beginning = self._begin + _encode([self.header])
        if self._end == 0 and not beginning.startswith(self._file.read(2**16)):
            raise InputError(f"{self.path}: holds something that is not of this run: give another --output")
        self._file.truncate(self._end)
        self._file.seek(self._end)
        if self._end == 0:
            self._append(beginning)
        return self.rows

    def append(self, records: list[list[str]]) -> None:
        """Adds whole rows, all of them or none.

        Raises:
            InputError: they could not be written; what was there before stays valid.
        """
        self._append(_encode(records))
        self.rows += len(records)

    def _append(self, content: bytes) -> None:
        content = memoryview(content)
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

    def _check_header(self, record: list[str], has_bom: bool) -> None:
        if record != self.header:
            raise InputError(
                f"{self.path}:1: has the columns {', '.join(record)}, not {', '.join(self.header)}: it is not of this "
                "run, give another --output"
            )
        if has_bom != bool(self._begin):
            how = "with --excel: give it again" if has_bom else "without --excel: leave it out"
            raise InputError(f"{self.path}: was begun {how}, or give another --output")

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
    """The whole lines of a file as text, without a byte order mark; `has_bom` says whether there is one.

    `bytes_read` counts them, `at_end` is true after the last.
    """

    def __init__(self, path: str):
        self._path, self._file = path, _open(path)
        self.bytes_read, self.at_end, self.has_bom = 0, False, False

    def __iter__(self) -> "_Lines":
        return self

    def __next__(self) -> str:
        line = self._file.readline()
        if not line.endswith(b"\n"):
            self.at_end = True
            self._file.close()
            raise StopIteration
        self.has_bom = self.has_bom or (self.bytes_read == 0 and line.startswith(codecs.BOM_UTF8))
        line_without = line.removeprefix(codecs.BOM_UTF8) if self.bytes_read == 0 else line
        self.bytes_read += len(line)
        try:
            return line_without.decode("utf-8")
        except UnicodeDecodeError as error:
            raise InputError(f"{self._path}: not in UTF-8, so not of this run: give another --output") from error


def _open(path: str):
    try:
        return open(regular(path), "rb")
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}; give another --output") from error
