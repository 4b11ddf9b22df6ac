"""Pretrained word and character vectors, read for the tokens of one vocabulary."""

from __future__ import annotations

import bz2
import codecs
import gzip
import itertools
import lzma
import os
import re
import tokenize
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from tqdm import tqdm

from hfcls.data.files import regular
from hfcls.errors import InputError
from hfcls.text.vocabulary import padding_and_unknown

_LONGEST_LINE = 2**20  # bytes; a line of 2,000 numbers takes some 20,000
_BAR_FROM = 50 * 10**6  # bytes of file; smaller ones are read in a second
_BAR_EVERY = 10_000  # lines
_HEADER = re.compile(rb"\d{1,12} (?P<dim>\d{1,6})\s*")  # word2vec's first line: number of vectors, dimension
_PACKED = (  # by their first bytes, and what unpacks them
    ("gzip", re.compile(rb"\x1f\x8b"), lambda file: gzip.GzipFile(fileobj=file)),
    ("bz2", re.compile(rb"BZh[1-9](1AY&SY|\x17rE8P\x90)", re.DOTALL), bz2.BZ2File),
    ("xz", re.compile(rb"\xfd7zXZ\x00"), lzma.LZMAFile),
)
_FLOAT32_MAX = float(np.finfo(np.float32).max)


@dataclass(frozen=True)
class Vectors:
    """What `load_vectors` found.

    Attributes:
        matrix: (V, dim) float32, one row a token id; zero at the padding id, random where the file has no vector.
        found: (V,) bool, true where the file has a vector; false at the padding id.
        duplicates: vectors left out because the file had given one for the same token before.
    """

    matrix: np.ndarray
    found: np.ndarray
    duplicates: int = 0

    @property
    def coverage(self) -> float:
        """Share of the vocabulary, padding left out, that the file has vectors for."""
        return float(self.found.sum() / (len(self.found) - 1))


def load_vectors(path: str | Path, vocabulary: dict[str, int], *, dim: int | None = None, seed: int = 0) -> Vectors:
    """Read the vectors of a vocabulary's tokens.

    The format is recognised by content. Text, plain or packed (gz, bz2, xz): one token and its numbers a line, as GloVe
    (Pennington et al., 2014) writes it, with or without word2vec's (Mikolov et al., 2013) first line of two counts. The
    numbers are counted from the right, because some tokens of GloVe 840B contain spaces. The file is read once, line by
    line, and only the numbers of the vocabulary's tokens are parsed; other lines are checked for the encoding of the
    token and the number of fields. Or `.npz`: key `embeddings`, (V, dim), whose rows are the ids of the vocabulary it
    was made with.

    Tokens without a vector get random numbers, normally distributed around 0 with the standard deviation of those
    found.

    Args:
        vocabulary: token to id, 0 to V - 1, with a padding token.
        dim: numbers a token; None takes what the file has.
        seed: of the random rows.

    Raises:
        InputError: with file and line: not UTF-8, too few or too many numbers, not a number, not finite, another
            dimension than `dim`; an `.npz` of another number of rows; no token of the vocabulary in the file.
    """
    path = Path(path)
    padding = vocabulary[padding_and_unknown(vocabulary)[0]]
    try:
        with open(regular(path), "rb") as file:
            first = file.read(10)
            file.seek(0)
            if first.startswith(b"PK"):
                return _load_npz(path, file, len(vocabulary), padding, dim)
            packed = next(((kind, unpack) for kind, start, unpack in _PACKED if start.match(first)), None)
            kind, lines = ("text", file) if packed is None else (packed[0], packed[1](file))
            matrix, found, duplicates = _load_text(path, lines, file, vocabulary, dim)
    except (EOFError, zlib.error, lzma.LZMAError) as error:
        raise InputError(f"{path}: damaged {kind} file ({error}); fetch it again") from error
    except OSError as error:
        if error.strerror is None:  # of gzip and bz2 themselves
            raise InputError(f"{path}: damaged {kind} file ({error}); fetch it again") from error
        raise InputError(f"{path}: {error.strerror}; give a file of vectors") from error

    found[padding] = False
    if not found.any():
        raise InputError(f"{path}: has none of the vocabulary's {len(vocabulary)} tokens; check its language and case")
    missing = np.flatnonzero(~found)
    noise = np.random.default_rng(seed).standard_normal((len(missing), matrix.shape[1]), dtype=np.float32)
    matrix[missing] = noise * matrix[found].std()
    matrix[padding] = 0
    return Vectors(matrix, found, duplicates)


def _load_text(
    path: Path, stream: BinaryIO, file: BinaryIO, vocabulary: dict[str, int], dim: int | None
) -> tuple[np.ndarray, np.ndarray, int]:
    """`stream` gives the unpacked lines of `file`. Returns matrix (V, dim), found (V,) and the number of duplicates."""
    lines = _numbered_lines(path, stream, file)
    at, first = next(lines, (1, b""))
    first = first.removeprefix(codecs.BOM_UTF8)
    if header := _HEADER.fullmatch(first):
        width = int(header["dim"])
        if dim not in (None, width):
            raise InputError(f"{path}:1: vectors of {width} numbers, {dim} asked for; change one of the two")
        at, first = next(lines, (2, b""))
    else:
        width = len(first.split()) - 1 if dim is None else dim
    if not 0 < width <= first.count(b" "):
        raise InputError(f"{path}:{at}: no vector of {max(width, 1)} numbers; each line is a token and its numbers")

    matrix = np.zeros((len(vocabulary), width), dtype=np.float32)
    found = np.zeros(len(vocabulary), dtype=bool)
    duplicates = 0
    for number, line in itertools.chain([(at, first)], lines):
        if line.count(b" ") < width:
            raise _wrong_width(path, number, max(len(line.split()) - 1, 0), width)
        start = _decode(path, number, line[: line.find(b" ")])
        if start and start not in vocabulary:  # nearly every line of a large file ends here
            continue
        token, *numbers = line.rstrip().rsplit(b" ", width)
        row = vocabulary.get(_decode(path, number, token))
        if row is None:
            rest = token.split(b" ")[1:]
            if rest and all(map(_is_number, rest)):
                raise _wrong_width(path, number, len(rest) + width, width)
        elif found[row]:
            duplicates += 1
        else:
            matrix[row] = _parse(path, number, numbers, width)
            found[row] = True
    return matrix, found, duplicates


def _numbered_lines(path: Path, stream: BinaryIO, file: BinaryIO) -> Iterator[tuple[int, bytes]]:
    size = os.fstat(file.fileno()).st_size
    hidden = True if size < _BAR_FROM else None  # None: hidden unless standard error is a terminal
    with tqdm(total=size, unit="B", unit_scale=True, desc=path.name, disable=hidden) as bar:
        number = 0
        while line := stream.readline(_LONGEST_LINE):
            number += 1
            if len(line) == _LONGEST_LINE:
                raise InputError(f"{path}:{number}: a line of a megabyte; give a text file of vectors")
            if number % _BAR_EVERY == 0:
                bar.update(file.tell() - bar.n)
            yield number, line
        bar.update(size - bar.n)


def _decode(path: Path, number: int, token: bytes) -> str:
    try:
        return token.decode()
    except UnicodeDecodeError as error:
        raise InputError(f"{path}:{number}: not UTF-8 but binary or another encoding; convert the file") from error


def _parse(path: Path, number: int, numbers: list[bytes], width: int) -> np.ndarray:
    if len(numbers) != width:
        raise _wrong_width(path, number, len(numbers), width)
    try:
        vector = np.array(list(map(float, numbers)))
    except ValueError as error:
        raise InputError(f"{path}:{number}: {error}; remove the line") from error
    if not _is_finite(vector):
        raise InputError(f"{path}:{number}: a number that is not finite; remove the line")
    return vector


def _is_finite(numbers: np.ndarray) -> bool:
    """Whether float32 can hold them all; written so that nan fails too."""
    return bool((np.abs(numbers) < _FLOAT32_MAX).all())


def _is_number(text: bytes) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _wrong_width(path: Path, number: int, width: int, expected: int) -> InputError:
    return InputError(f"{path}:{number}: {width} numbers, {expected} expected; the line is torn or the dimension wrong")


def _load_npz(path: Path, file: BinaryIO, rows: int, padding: int, dim: int | None) -> Vectors:
    try:
        with np.load(file, allow_pickle=False) as archive:
            matrix = archive["embeddings"]
    except KeyError as error:
        raise InputError(f"{path}: no array named embeddings; unpack a zipped text file first") from error
    except (ValueError, EOFError, MemoryError, tokenize.TokenError, zipfile.BadZipFile, zlib.error) as error:
        reason = str(error).partition("\n")[0]
        raise InputError(f"{path}: cannot be read as npz ({reason}); fetch or save it again") from error
    if not isinstance(matrix, np.ndarray) or matrix.ndim != 2 or matrix.dtype.kind != "f":
        raise InputError(f"{path}: embeddings is not a matrix of floating-point numbers; save one row a token")
    if len(matrix) != rows:
        raise InputError(
            f"{path}: {len(matrix)} rows for a vocabulary of {rows} tokens; rows of an npz carry no tokens, so give "
            "the vocabulary that it was made with (--vocab)"
        )
    if dim not in (None, matrix.shape[1]):
        raise InputError(f"{path}: vectors of {matrix.shape[1]} numbers, {dim} asked for; change one of the two")
    if not _is_finite(matrix):
        raise InputError(f"{path}: holds numbers that are not finite; make the file again")
    matrix = matrix.astype(np.float32)
    matrix[padding] = 0
    found = np.ones(rows, dtype=bool)
    found[padding] = False
    return Vectors(matrix, found)
