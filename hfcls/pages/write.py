"""A page, or what else is asked for by `--output`, into its file."""

from pathlib import Path

from hfcls.errors import InputError


def write(content: str, path: str | Path) -> Path:
    """Writes the file, in folders that are made for it, and returns its path. Half a surrogate pair is written out.

    Raises:
        InputError: it cannot be written.
    """
    path = Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8", errors="backslashreplace")
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}; give an --output that can be written to") from error
    return path
