"""From the folder of a model to the folder of its export: written, checked, and only then in its place."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from hfcls.errors import InputError
from hfcls.inference.classifier import Classifier
from hfcls.inference.export.cards import check_cards, load_cards, write_cards
from hfcls.inference.export.check import Agreement
from hfcls.inference.export.graph import optimize
from hfcls.inference.export.images import check_images, write_images
from hfcls.inference.export.openvino_graph import to_openvino
from hfcls.inference.export.pictures import pictures_of, random_pictures
from hfcls.inference.export.readme import write_readme
from hfcls.inference.export.retrieval import check_retrieval, write_retrieval
from hfcls.inference.export.rows import random_texts, rows_of_file, rows_of_run
from hfcls.inference.export.texts import check_texts, quantize_texts, text_logits, write_texts
from hfcls.inference.kind import kind_of
from hfcls.inference.loading import load_chinese_clip, load_image_classifier
from hfcls.models.ngram_linear import NgramLinearConfig
from hfcls.runs.hub import clean_local_paths


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What is asked of an export besides the float32 graph.

    Attributes:
        rows: most rows that it is checked and measured on.
        check_on: a file of texts, or a folder of pictures, to check on; None for the rows of the run, or for generated
            ones where it keeps none.
        optimize: operators fused for onnxruntime, before anything is checked.
        int8: an int8 graph as well, which then is the one that answers.
        force: keep an int8 graph that answers otherwise than the model.
        format: onnx, or openvino for graphs that OpenVINO reads.
    """

    rows: int
    check_on: str | None = None
    optimize: bool = False
    int8: bool = False
    force: bool = False
    format: str = "onnx"


def export(model: str, out: str, wanted: Wanted, *, trust_remote_code: bool = False) -> list[str]:
    """Writes the model into the new folder `out`; returns what was found out about it, a line each.

    Args:
        model: the folder of a finished run, or a Hub name.

    Raises:
        InputError: the model cannot be loaded or exported, `out` is there already, or the export disagrees.
    """
    # Before a folder is made, which may lie in that of a model that is not there.
    kind = kind_of(model, trust_remote_code)
    with _in_place_when_whole(out, wanted.format) as folder:
        if kind == "texts":
            lines = _export_texts(model, folder, wanted, trust_remote_code)
        elif wanted.int8:
            raise InputError(f"--int8: is of classifiers of texts, and {model} reads {kind}: leave it out")
        else:
            write = {"images": _export_images, "pairs": _export_pairs, "cards": _export_cards}[kind]
            lines = [str(write(model, folder, wanted))]
        write_readme(folder)
        clean_local_paths(folder)
        return lines


def _export_texts(model: str, folder: Path, wanted: Wanted, trust_remote_code: bool) -> list[str]:
    classifier = Classifier(model, device="cpu", trust_remote_code=trust_remote_code)
    if classifier.config.model_type == NgramLinearConfig.model_type:
        _check_64_bits(model, wanted)
    if wanted.check_on is None:
        rows = rows_of_run(Path(model), classifier, wanted.rows)
    else:
        rows = rows_of_file(wanted.check_on, wanted.rows)
    if wanted.int8 and rows.labels is None:
        raise InputError(f"--int8: is measured on test rows with labels, and these are {rows.what}: export a run")
    write_texts(classifier, folder)
    _finish(folder, wanted)
    expected = text_logits(classifier, rows)
    lines = [str(check_texts(classifier, folder, rows, expected))]
    if wanted.int8:
        measured = quantize_texts(classifier, folder, rows, expected)
        measured.check(wanted.force)
        lines.insert(0, str(measured))
    return lines


def _export_images(model: str, folder: Path, wanted: Wanted) -> Agreement:
    processor, classifier = load_image_classifier(model)
    classifier.eval()
    write_images(processor, classifier, folder)
    _finish(folder, wanted)
    return check_images(processor, classifier, folder, *_pictures(wanted))


def _export_pairs(model: str, folder: Path, wanted: Wanted) -> Agreement:
    processor, towers = load_chinese_clip(model)
    towers.eval()
    write_retrieval(processor, towers, folder)
    _finish(folder, wanted)
    pictures, what = _pictures(wanted)
    return check_retrieval(
        processor, towers, folder, random_texts(processor.tokenizer), pictures, f"texts of random tokens and {what}"
    )


def _export_cards(model: str, folder: Path, wanted: Wanted) -> Agreement:
    if wanted.check_on is not None:
        raise InputError(f"--check_on: is of texts and pictures, and {model} reads cards: leave it out")
    _check_64_bits(model, wanted)
    tokenizer, classifier = load_cards(model)
    write_cards(tokenizer, classifier, folder)
    _finish(folder, wanted)
    return check_cards(tokenizer, classifier, folder)


def _finish(folder: Path, wanted: Wanted) -> None:
    """Makes of the graphs in `folder` what is asked for."""
    for graph in folder.glob("*.onnx") if wanted.optimize else ():
        optimize(graph)
    if wanted.format == "openvino":
        to_openvino(folder)


def _check_64_bits(model: str, wanted: Wanted) -> None:
    if wanted.format == "openvino":
        raise InputError(
            f"--format openvino: {model} knows n-grams by 64-bit hashes, and OpenVINO computes integers in 32 bits "
            "on a CPU: take --format onnx"
        )


def _pictures(wanted: Wanted) -> tuple[list, str]:
    """Pictures to check on, and what they are."""
    if wanted.check_on is None:
        return random_pictures(), "generated pictures (--check_on DIR checks on your own)"
    return pictures_of(wanted.check_on, wanted.rows), f"pictures of {Path(wanted.check_on).name}"


@contextmanager
def _in_place_when_whole(out: str, name: str) -> Iterator[Path]:
    """A folder that becomes `out` if the block ends well, and is deleted otherwise.

    Raises:
        InputError: `out` is there and not empty, or cannot be written.
    """
    target = Path(out)
    if (target / "config.json").is_file():
        raise InputError(f"{out}: holds a model itself; give {target / name}, which hfcls push takes along")
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise InputError(f"{out}: is there already; remove it, or give another folder")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        partial = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    except OSError as error:
        raise InputError(f"{out}: {error.strerror}; give a folder that can be written to") from error
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
