"""Files in tar archives, of which neither size nor number nor headers are believed.

This file needs the standard library only.
"""

import gzip
import lzma
import tarfile
import zlib
from collections.abc import Callable, Iterator
from typing import BinaryIO

__all__ = ["tar_contents"]

_MOST_MEMBERS = 1_000_000
# Bytes of the headers of a member, and of all members. A path has 4,096 at most; but what else a header says may be of
# any length, and tarfile keeps it in memory.
_MOST_OF_HEADER, _MOST_OF_HEADERS = 1 << 14, 1 << 28


def tar_contents(path: str, wanted: Callable[[str], bool], *, most_bytes: int) -> Iterator[tuple[str, bytes]]:
    """Name and content of the files in an archive whose name is `wanted`: plain, or packed by gzip or xz.

    It is read in one pass. Nothing is written, links are not followed, folders and other members are passed over.

    Raises:
        ValueError: one line: the archive is torn, what is wanted is no plain file of `most_bytes`, or is there twice,
            or headers are longer than names are.
    """
    found = set()
    try:
        with _unpacked(path) as file, _archive(file, path) as archive:
            for member in _members(archive, path):
                if not wanted(member.name) or member.isdir():
                    continue
                if not member.isreg() or member.size > most_bytes:
                    raise ValueError(
                        f"{path}: {member.name}: not a plain file up to {most_bytes} bytes; fetch the original archive"
                    )
                name = member.name.removeprefix("./")
                if name in found:
                    raise ValueError(f"{path}: {name}: is there twice; fetch the original archive")
                found.add(name)
                archive.fileobj.left = member.size
                yield member.name, archive.extractfile(member).read()
            _check_end(archive, file, path)
    except (tarfile.TarError, EOFError, lzma.LZMAError, zlib.error, gzip.BadGzipFile):
        raise _torn(path) from None
    except _TooMuch:
        raise ValueError(f"{path}: a member with a header of kilobytes; fetch the original archive") from None


def _archive(file: BinaryIO, path: str) -> tarfile.TarFile:
    try:
        return tarfile.open(fileobj=_Bounded(file, _MOST_OF_HEADER), mode="r:")  # reads the first header
    except ValueError:
        raise _torn(path) from None


def _members(archive: tarfile.TarFile, path: str) -> Iterator[tarfile.TarInfo]:
    left = _MOST_OF_HEADERS
    for _ in range(_MOST_MEMBERS):
        allowed = archive.fileobj.left = min(_MOST_OF_HEADER, left)
        try:
            member = archive.next()
        except ValueError:  # numbers of a sparse file that are none
            raise _torn(path) from None
        left -= allowed - archive.fileobj.left
        archive.members.clear()  # tarfile keeps them, for looking names up
        if member is None:
            return
        yield member
    raise ValueError(f"{path}: more than {_MOST_MEMBERS:,} members; fetch the original archive")


def _check_end(archive: tarfile.TarFile, file: BinaryIO, path: str) -> None:
    """Makes sure that the reading ended at a block of zeros, and that no others follow: a whole archive ends so.

    tarfile stops without a word at a header it cannot read, and where a file is cut off between two members. Reading to
    the end also verifies the checksum of the packed file.
    """
    if archive.fileobj.last != bytes(tarfile.BLOCKSIZE):
        raise _torn(path)
    while chunk := file.read(1 << 20):
        if chunk.strip(b"\0"):
            raise _torn(path)


def _torn(path: str) -> ValueError:
    return ValueError(f"{path}: the archive is torn, or not a tar archive; fetch it again")


def _unpacked(path: str) -> BinaryIO:
    with open(path, "rb") as file:
        magic = file.read(6)
    if magic.startswith(b"\x1f\x8b"):
        return gzip.open(path)
    return lzma.open(path) if magic.startswith(b"\xfd7zXZ\0") else open(path, "rb")


class _TooMuch(Exception):
    """An archive asks for more of itself than it is given."""


class _Bounded:
    """A file of which `left` bytes may be read; passing over some is free. It has what tarfile calls, and `last`, what
    was read last.
    """

    def __init__(self, file: BinaryIO, left: int):
        self._file, self.left, self.last = file, left, b""
        self.seek, self.tell, self.close = file.seek, file.tell, file.close

    def read(self, size: int) -> bytes:
        self.left -= size
        if self.left < 0:
            raise _TooMuch
        self.last = self._file.read(size)
        return self.last
