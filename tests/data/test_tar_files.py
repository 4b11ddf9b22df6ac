"""Archives whose headers ask for more than they may have; what is in them is tested with the IMDB builder."""

import gzip
import io
import lzma
import tarfile
import tracemalloc
from pathlib import Path

import pytest

from hfcls.data.tar_files import tar_contents

NAME = "a/1_7.txt"


def _pack(path, members, opened=gzip.open, headers=None) -> str:
    """An archive of `members`, name → content or a TarInfo without one, with such extended headers."""
    with opened(path, "wb") as file, tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, content in members:
            info = tarfile.TarInfo(name)
            info.size, info.pax_headers = len(content), headers or {}
            archive.addfile(info, io.BytesIO(content))
    return str(path)


def _read(path) -> list:
    return list(tar_contents(path, lambda name: name.removeprefix("./").startswith("a/"), most_bytes=1000))


@pytest.mark.parametrize("opened", [gzip.open, lzma.open, open])
def test_what_is_wanted_is_read(opened, tmp_path):
    long = f"a/{'x' * 300}.txt"
    members = [(NAME, b"one"), ("b/2.txt", b"two" * 10_000), (long, b"three")]
    path = _pack(tmp_path / "x.tar", members, opened, headers={"comment": "x" * 3000})
    assert _read(path) == [(NAME, b"one"), (long, b"three")]


@pytest.mark.parametrize("where", [0, 20])
@pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK])
def test_long_headers_are_not_read(kind, where, tmp_path):
    """64 MB of a header, which pack to 64 kB; tarfile would take several times as much memory."""
    info = tarfile.TarInfo("long")
    info.type, info.size = kind, 1 << 26
    header = info.tobuf(tarfile.USTAR_FORMAT) + b"9999999 k=" + b"x" * (info.size - 10)
    before = _pack(tmp_path / "before.tar", [(f"a/{n}", b"x") for n in range(where)], open)
    with open(before, "rb") as file, gzip.open(tmp_path / "x.tar.gz", "wb") as packed:
        packed.write(file.read()[: where * 1024] + header)
    del header
    tracemalloc.start()
    with pytest.raises(ValueError, match=r"x.tar.gz: a member with a header of kilobytes"):
        _read(str(tmp_path / "x.tar.gz"))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4 << 20


def test_many_headers_take_no_memory(tmp_path):
    members = [(f"b/{number}", b"") for number in range(1000)]  # 15 MB, if they were kept
    path = _pack(tmp_path / "x.tar.gz", members, headers={f"k{n}": "x" * 100 for n in range(100)})
    tracemalloc.start()
    assert _read(path) == []
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4 << 20


@pytest.mark.parametrize("first", [b"999999999999\n" + b"1\n" * 10**6, b"x\n" * 9, b"x" * 10**6])
def test_a_map_of_a_sparse_file_is_not_read_to_its_end(first, tmp_path):
    info = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.name": NAME, "GNU.sparse.realsize": "9"}
    path = _pack(tmp_path / "x.tar.gz", [(NAME, first)], headers=info)
    with pytest.raises(ValueError, match=r"x.tar.gz: (a member with a header of kilobytes|the archive is torn)"):
        _read(path)


@pytest.mark.parametrize("again", [NAME, f"./{NAME}"])
def test_a_member_that_is_there_twice_is_told(again, tmp_path):
    path = _pack(tmp_path / "x.tar", [(NAME, b"one"), ("b/2", b""), (again, b"other")], open)
    with pytest.raises(ValueError, match=rf"x.tar: {NAME}: is there twice; fetch the original archive"):
        _read(path)


@pytest.mark.parametrize("opened", [gzip.open, lzma.open, open])
@pytest.mark.parametrize("harm", ["checksum", "cut", "cut within", "no end"])
def test_a_bad_last_header_is_told(harm, opened, tmp_path):
    """Of an empty file, or where the archive is cut off behind it, so that nothing follows that is no zero."""
    content = Path(_pack(tmp_path / "whole.tar", [(NAME, b"one"), ("a/2_7.txt", b"")], open)).read_bytes()
    bad = bytearray(content)
    bad[1024 + 150] ^= 1
    harmed = {"checksum": bad, "cut": bad[:1536], "cut within": content[:1100], "no end": content[:1536]}[harm]
    with opened(tmp_path / "x.tar", "wb") as file:
        file.write(harmed)
    with pytest.raises(ValueError, match=r"x.tar: the archive is torn"):
        _read(str(tmp_path / "x.tar"))
