"""From the folder of a model to the folder of its export: written, checked, and only then in its place."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from transformers import AutoConfig, ChineseCLIPConfig

from hfcls.errors import InputError
from hfcls.inference.classifier import Classifier
from hfcls.inference.export.check import Agreement
from hfcls.inference.export.images import check_images, write_images
from hfcls.inference.export.pictures import pictures_of, random_pictures
from hfcls.inference.export.retrieval import check_retrieval, write_retrieval
from hfcls.inference.export.rows import random_texts, rows_of_file, rows_of_run
from hfcls.inference.export.texts import check_texts, text_logits, write_texts
from hfcls.inference.loading import load_chinese_clip, load_image_classifier, loading_errors


def export(
    model: str, out: str, *, rows: int, check_on: str | None = None, trust_remote_code: bool = False
) -> Agreement:
    """Writes the model into the new folder `out`.

    Args:
        model: the folder of a finished run, or a Hub name.
        rows: most rows that the export is checked on.
        check_on: a file of texts, or a folder of pictures, to check on; None for the rows of the run, or for generated
            ones where it keeps none.

    Raises:
        InputError: the model cannot be loaded or exported, `out` is there already, or the export disagrees.
    """
    with _in_place_when_whole(out) as folder:
        kind = _kind(model, trust_remote_code)
        if kind == "pairs":
            return _export_pairs(model, folder, rows, check_on)
        if kind == "images":
            return _export_images(model, folder, rows, check_on)
        classifier = Classifier(model, device="cpu", trust_remote_code=trust_remote_code)
        write_texts(classifier, folder)
        texts = rows_of_run(Path(model), classifier, rows) if check_on is None else rows_of_file(check_on, rows)
        return check_texts(classifier, folder, texts, text_logits(classifier, texts))


def _kind(model: str, trust_remote_code: bool) -> str:
    """What the model reads: texts, images or pairs."""
    with loading_errors(model):
        config = AutoConfig.from_pretrained(model, trust_remote_code=trust_remote_code)
    if config.model_type == ChineseCLIPConfig.model_type:
        return "pairs"
    named = (config.architectures or [""])[0]
    return "images" if named.endswith("ForImageClassification") else "texts"


def _export_images(model: str, folder: Path, rows: int, check_on: str | None) -> Agreement:
    processor, classifier = load_image_classifier(model)
    classifier.eval()
    write_images(processor, classifier, folder)
    return check_images(processor, classifier, folder, *_pictures(check_on, rows))


def _export_pairs(model: str, folder: Path, rows: int, check_on: str | None) -> Agreement:
    processor, towers = load_chinese_clip(model)
    towers.eval()
    write_retrieval(processor, towers, folder)
    pictures, what = _pictures(check_on, rows)
    return check_retrieval(
        processor, towers, folder, random_texts(processor.tokenizer), pictures, f"texts of random tokens and {what}"
    )


def _pictures(check_on: str | None, rows: int) -> tuple[list, str]:
    """Pictures to check on, and what they are."""
    if check_on is None:
        return random_pictures(), "generated pictures (--check_on DIR checks on your own)"
    return pictures_of(check_on, rows), f"pictures of {Path(check_on).name}"


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
