"""What the builders share: encodings, lines and records with their numbers, draws, cache keys and notes.

This file needs `datasets` and the standard library only; Excel needs openpyxl.
"""

import csv
import hashlib
import json
import logging
import random
import zipfile
from collections.abc import Callable, Hashable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import TextIO

import datasets

__all__ = [
    "GB18030",
    "UTF_8",
    "CorpusBuilder",
    "CorpusConfig",
    "Reading",
    "csv_reader",
    "csv_records",
    "csv_write",
    "digest",
    "excel_records",
    "find_encoding",
    "fingerprint",
    "json_object",
    "numbered_lines",
    "offenders",
    "scan",
    "shuffled_by_class",
]

UTF_8, GB18030 = "utf-8-sig", "gb18030"
_NAMES = {UTF_8: "UTF-8", GB18030: "GB18030"}
# Characters of a CSV cell: longer than any document, and a quote that is never closed does not read gigabytes into one.
CELL_LIMIT = 2**24
_EXAMPLES = 3  # offenders named in a message


def scan(path: str, encodings: tuple[str, ...] = (UTF_8, GB18030)) -> tuple[str, bytes]:
    """The first of `encodings` that all of a file is in, and the digest of its bytes; the file is read once.

    Raises:
        ValueError: it is in none of them; the message names the line.
    """
    found, possible = hashlib.blake2b(digest_size=16), list(encodings)
    with open(path, "rb") as file:
        for number, line in enumerate(file, 1):  # neither encoding uses the byte of a line end inside a character
            found.update(line)
            for encoding in tuple(possible):
                try:
                    line.decode(encoding)
                except UnicodeDecodeError:
                    possible.remove(encoding)
            if not possible:
                names = [_NAMES[encoding] for encoding in encodings]
                what = f"not {names[0]}" if len(names) == 1 else f"neither {' nor '.join(names)}"
                raise ValueError(f"{path}:{number}: {what}; repair the line and save as UTF-8")
    return possible[0], found.digest()


def find_encoding(path: str, encodings: tuple[str, ...] = (UTF_8, GB18030)) -> str:
    """The first of `encodings` that all of a file is in.

    Raises:
        ValueError: as `scan`.
    """
    return scan(path, encodings)[0]


def numbered_lines(path: str, encoding: str = UTF_8, *, errors: str = "strict") -> Iterator[tuple[int, str]]:
    """The lines of a file without their ends, each with its number, from 1; `errors` as in `csv_records`.

    Raises:
        ValueError: a line is in another encoding.
    """
    with open(path, "rb") as file:
        for number, line in enumerate(file, 1):
            try:
                text = line.decode(encoding if number == 1 else encoding.removesuffix("-sig"), errors)
            except UnicodeDecodeError:
                raise ValueError(f"{path}:{number}: not {_NAMES[encoding]}; save the file as UTF-8") from None
            yield number, text.rstrip("\r\n")


def csv_reader(lines: Iterable[str], delimiter: str = ","):
    """The one `csv.reader` of files of data: strict, and with room for documents in a cell."""
    csv.field_size_limit(CELL_LIMIT)
    return csv.reader((line.replace("\0", "\ufffd") for line in lines), delimiter=delimiter, strict=True)


def csv_records(
    path: str, encoding: str, delimiter: str = ",", *, errors: str = "strict"
) -> Iterator[tuple[int, list[str]]]:
    """The header of a CSV file, then its rows, as (line that it starts in, cells). Empty lines are skipped.

    `errors` is what `open` knows by that name: "replace" puts U+FFFD for bytes of another encoding.

    Raises:
        ValueError: one line with file and line: a row has not as many cells as the header, or a quote is not closed.
    """
    start, width = 1, None
    with open(path, encoding=encoding, errors=errors, newline="") as file:
        reader = csv_reader(file, delimiter)
        try:
            for cells in reader:
                width = width or len(cells)
                if cells and len(cells) != width:
                    raise ValueError(
                        f"{path}:{start}: {len(cells)} cells, the header has {width}; quote cells that hold "
                        f"{delimiter!r}"
                    )
                if cells:
                    yield start, cells
                start = reader.line_num + 1
        except csv.Error as error:
            raise ValueError(f"{path}:{start}: {error}; check that every quote is closed") from None


def csv_write(file: TextIO, rows: Iterable[Iterable], delimiter: str = ",") -> None:
    """Adds rows to a CSV file, which was opened with `newline=""`."""
    csv.writer(file, delimiter=delimiter).writerows(rows)


def json_object(text: str, where: str) -> dict:
    """A line of JSON Lines; `where` is file and line.

    Raises:
        ValueError: it is no JSON, or no object.
    """
    try:
        record = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{where}: no JSON ({error}); write one object a line") from None
    if not isinstance(record, dict):
        raise ValueError(f"{where}: no object; write {{…}} on each line")
    return record


def excel_records(path: str) -> Iterator[tuple[int, tuple]]:
    """The rows of the first sheet that are not empty, as (number of the row, values of its cells).

    Raises:
        ValueError: it is no whole Excel file, or openpyxl is missing.
    """
    try:
        import openpyxl
    except ImportError:
        raise ValueError(f"{path}: reading Excel needs an extra: pip install 'hfcls[excel]', or save as CSV") from None
    try:
        sheet = openpyxl.load_workbook(path, read_only=True, data_only=True).worksheets[0]
    except (openpyxl.utils.exceptions.InvalidFileException, zipfile.BadZipFile, KeyError, ValueError):
        raise ValueError(f"{path}: no whole Excel file; save it anew as .xlsx, or as .csv") from None
    for number, row in enumerate(sheet.iter_rows(values_only=True), start=1):
        if any(cell is not None for cell in row):
            yield number, row


def offenders(names: Iterable) -> str:
    """The first few of `names`, for a message."""
    names = [str(name) for name in names]
    return ", ".join(names[:_EXAMPLES]) + (", …" if len(names) > _EXAMPLES else "")


def shuffled_by_class(labels: Iterable[Hashable], seed: int) -> Iterator[tuple[Hashable, list[int]]]:
    """Each class, in the order of their first rows, with the numbers of its rows, shuffled.

    The order follows from seed and class alone: a new row leaves the draw of other classes as it was.
    """
    classes: dict[Hashable, list[int]] = {}
    for row, label in enumerate(labels):
        classes.setdefault(label, []).append(row)
    for label, rows in classes.items():
        random.Random(f"{seed} {label}").shuffle(rows)
        yield label, rows


def digest(path: str) -> bytes:
    """Of the bytes of a file."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).digest()


def fingerprint(code: Iterable[str], contents: Iterable[tuple[str, bytes]]) -> str:
    """The part of a cache's key that follows from the data, and from the code: what older code prepared is stale.

    Args:
        code: the files of a builder; this one is added.
        contents: for each file of the data its name within the corpus, and the digest of its bytes.
    """
    whole = hashlib.blake2b(digest_size=16)
    for path in (__file__, *code):
        whole.update(digest(path))
    for name, content in contents:
        whole.update(f"{name}\0".encode("utf-8", "surrogateescape") + content)
    return whole.hexdigest()


@dataclass
class CorpusConfig(datasets.BuilderConfig):
    """What is known of the files before a row is prepared.

    Attributes:
        fingerprint: of the files; the key of the cache follows from it and from the options.
        notes: what is to be said of the files already.
    """

    fingerprint: str = field(default="", init=False, repr=False)
    notes: list[str] = field(default_factory=list, init=False, repr=False)

    def create_config_id(self, config_kwargs: dict, custom_features: datasets.Features | None = None) -> str:
        return super().create_config_id(config_kwargs | {"fingerprint": self.fingerprint}, custom_features)


@dataclass(frozen=True)
class Reading:
    """What a builder read.

    Attributes:
        splits: of each split, the arguments of `_generate_examples`.
        title: what people call the corpus, where that depends on the files.
    """

    splits: dict[str, dict]
    title: str | None = None


class CorpusBuilder(datasets.GeneratorBasedBuilder):
    """A builder that keeps what it noted beside what it prepared, in `DatasetInfo.description`.

    Its config is a `CorpusConfig`; `read` takes the place of `_split_generators`.
    """

    BUILDER_CONFIG_CLASS = CorpusConfig

    def read(self, note: Callable[[str], None]) -> Reading:
        """Reads the files; `note` takes a line about what is left out or guessed.

        Raises:
            ValueError: one line with file, line and what to do.
        """
        raise NotImplementedError

    def _split_generators(self, dl_manager) -> list[datasets.SplitGenerator]:
        notes = list(self.config.notes)
        found = self.read(notes.append)
        self.info.description = json.dumps({"title": found.title, "notes": notes}, ensure_ascii=False)
        return [datasets.SplitGenerator(split, arguments) for split, arguments in found.splits.items()]

    def download_and_prepare(self, *args, **kwargs):
        """Prepares the corpus if the cache does not hold it, and says what was noted either way."""
        try:
            super().download_and_prepare(*args, **kwargs)
        except datasets.exceptions.DatasetGenerationError as error:
            if isinstance(error.__cause__, ValueError):  # a bad row: its one line says more than the wrapper
                raise error.__cause__ from None
            raise
        for line in self.notes:
            logging.getLogger(type(self).__module__).warning("%s", line)

    def write_back(self, kept: dict[str, list[int]], folder: str) -> None:
        """Writes rows into the empty `folder`, in a layout that this builder reads; the files that were read stay.

        Args:
            kept: of each split that was prepared, the numbers of the rows.

        Raises:
            ValueError: this builder does not write.
        """
        raise ValueError(f"a corpus of {type(self).__name__} is not written back; edit its files")

    @property
    def notes(self) -> list[str]:
        """What was noted when the corpus was prepared, one line each."""
        return json.loads(self.info.description)["notes"]

    @property
    def title(self) -> str | None:
        """What people call the corpus, where that depends on the files."""
        return json.loads(self.info.description)["title"]
