"""From the folder of a model to the folder of its export: written, checked, and only then in its place."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hfcls.errors import InputError
from hfcls.inference.classifier import Classifier
from hfcls.inference.export.check import Agreement
from hfcls.inference.export.rows import rows_of_file, rows_of_run
from hfcls.inference.export.texts import check_texts, text_logits, write_texts


def export(
    model: str, out: str, *, rows: int, check_on: str | None = None, trust_remote_code: bool = False
) -> Agreement:
    """Writes the model into the new folder `out`.

    Args:
        model: the folder of a finished run, or a Hub name.
        rows: most rows that the export is checked on.
        check_on: a file of texts to check on; None for the rows of the run.

    Raises:
        InputError: the model cannot be loaded or exported, `out` is there already, or the export disagrees.
    """
    with _in_place_when_whole(out) as folder:
        classifier = Classifier(model, device="cpu", trust_remote_code=trust_remote_code)
        write_texts(classifier, folder)
        texts = rows_of_run(Path(model), classifier, rows) if check_on is None else rows_of_file(check_on, rows)
        return check_texts(classifier, folder, texts, text_logits(classifier, texts))


@contextmanager
def _in_place_when_whole(out: str) -> Iterator[Path]:
    """A folder that becomes `out` if the block ends well, and is deleted otherwise.

    Raises:
        InputError: `out` is there and not empty, or cannot be written.
    """
    target = Path(out)
    if (target / "config.json").is_file():
        raise InputError(f"{out}: holds a model itself; give {target / 'onnx'}, which hfcls push takes along")
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise InputError(f"{out}: is there already; remove it, or give another folder")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        partial = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    except OSError as error:
        raise InputError(f"{out}: {error.strerror}") from error
    try:
        yield partial
        partial.chmod(0o777 & ~_umask())
        if target.exists():
            target.rmdir()
        partial.replace(target)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
