"""Files of this machine and, by fsspec, of everything that it opens: s3://, hf://, gs:// and others."""

import glob
import os
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import fsspec

from hfcls.data.split_files import FORMATS, file_format
from hfcls.errors import InputError

PART = ".part"  # ends the name of a file that is being written


def is_remote(path: str) -> bool:
    return "://" in path


def find_files(pattern: str) -> list[str]:
    """The files that `pattern` names, in the order of their names: a file, a folder with all in it, or with * in it.

    Files of other formats than those of hfcls, and those whose name begins with a dot, are left out of a folder.

    Raises:
        InputError: there is none, or one is of a format that is not read.
    """
    if is_remote(pattern):
        found = _find_remote(pattern)
    elif os.path.isdir(pattern):
        found = [str(path) for path in Path(pattern).rglob("*") if path.is_file() and _is_listed(path, pattern)]
    else:
        found = glob.glob(pattern, recursive=True) if glob.has_magic(pattern) else [pattern]
        found = [path for path in found if not os.path.isdir(path)]
    if not found or not (is_remote(found[0]) or os.path.exists(found[0])):
        raise InputError(f"{pattern}: no such file; name a file, a folder, or a pattern such as 'DIR/*.parquet'")
    for path in found:
        if file_format(path) is None:
            raise InputError(f"{path}: what is in it must show in its name: {', '.join(FORMATS)}")
    return sorted(found)


def _is_listed(path: Path, folder: str) -> bool:
    hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
    return not hidden and file_format(str(path)) is not None


def _find_remote(pattern: str) -> list[str]:
    system, path = file_system(pattern)
    if glob.has_magic(path):
        found = system.glob(path)
    elif system.isdir(path):
        found = [name for name in system.find(path) if file_format(name) is not None]
    else:
        found = [path] if system.exists(path) else []
    return [system.unstrip_protocol(name) for name in found if not os.path.basename(name).startswith(".")]


def file_system(path: str) -> tuple[fsspec.AbstractFileSystem, str]:
    """The file system that `path` is of, and what the path is called there.

    Raises:
        InputError: fsspec knows none of this name, or it needs a package that is missing.
    """
    try:
        return fsspec.core.url_to_fs(path)
    except (ImportError, ValueError) as error:
        raise InputError(f"{path}: cannot be opened ({error}); give a path, or an address that fsspec knows") from error


@contextmanager
def local_copy(path: str) -> Iterator[str]:
    """The file as one of this machine: itself, or a copy that is removed afterwards."""
    if not is_remote(path):
        yield path
        return
    system, name = file_system(path)
    with tempfile.TemporaryDirectory(prefix="hfcls-") as folder:
        copy = os.path.join(folder, os.path.basename(name))
        system.get_file(name, copy)
        yield copy


@contextmanager
def written_whole(path: str) -> Iterator[str]:
    """A file to write in place of `path`, which takes its name when it is whole: `path` is complete or not there.

    Each writer has a file of its own: a worker that is taken for dead may be at work on the same path still.
    """
    if is_remote(path):
        system, name = file_system(path)
        with tempfile.TemporaryDirectory(prefix="hfcls-") as folder:
            part = os.path.join(folder, "part")
            yield part
            system.makedirs(os.path.dirname(name), exist_ok=True)
            system.put_file(part, name)
        return
    folder, name = os.path.split(path)
    os.makedirs(folder or ".", exist_ok=True)
    part = os.path.join(folder, f".{name}.{uuid.uuid4().hex}{PART}")
    try:
        yield part
        os.replace(part, path)
    finally:
        if os.path.exists(part):
            os.unlink(part)


def remove_parts(folder: str) -> None:
    """Removes what killed writers have left in `folder` and below it; elsewhere they leave nothing.

    A worker that outlives the process that it works for loses what it is writing.
    """
    for root, _, names in os.walk(folder):
        for name in names:
            if name.startswith(".") and name.endswith(PART):
                os.unlink(os.path.join(root, name))


def written_names(folder: str) -> set[str]:
    """What the files in `folder` and below it are called, as `name_of` says it: one listing, however many there are."""
    if not is_remote(folder):
        return {os.path.normpath(os.path.join(root, name)) for root, _, names in os.walk(folder) for name in names}
    system, name = file_system(folder)
    return set(system.find(name)) if system.exists(name) else set()


def name_of(path: str) -> str:
    """What a file is called in its file system."""
    return file_system(path)[1] if is_remote(path) else os.path.normpath(path)


def exists(path: str) -> bool:
    if not is_remote(path):
        return os.path.exists(path)
    system, name = file_system(path)
    return system.exists(name)
