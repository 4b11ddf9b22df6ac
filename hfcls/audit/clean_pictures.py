"""Writes a corpus of pictures back, without the rows that an audit found."""

import gzip
import shutil
import struct
from pathlib import Path

import numpy as np

from hfcls.audit.flat import FlatCorpus
from hfcls.audit.sources import prepare

_IDX = {"train": ("train", "validation"), "t10k": ("test",)}  # validation is drawn of train, by the builder


def write_pictures(corpus: FlatCorpus, keep: np.ndarray, data_dir: str | None, target: Path) -> None:
    """Files of pictures are copied, each to its own folder; arrays, of idx files or tensors, become idx files.

    Args:
        corpus: of the builder MNIST; its names are those of the files, or of an array and the row in it.
        keep: (rows,) which rows stay.
        data_dir: the corpus; None for the embedded sample.
        target: an empty folder.
    """
    if data_dir is not None and Path(data_dir, corpus.names[0]).is_file():
        for name in corpus.names[keep]:
            place = target / name
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(Path(data_dir, name), place)
        return
    prepared, _ = prepare("mnist", data_dir)
    for name, splits in _IDX.items():
        images, labels = [], []
        for split in splits:
            place = list(corpus.splits).index(split)
            kept = prepared[split].select(np.flatnonzero(keep[corpus.split_ids == place]))
            images += [np.asarray(image) for image in kept["image"]]
            labels += kept["label"]
        _write_idx(target / f"{name}-images-idx3-ubyte.gz", np.array(images, dtype=np.uint8))
        _write_idx(target / f"{name}-labels-idx1-ubyte.gz", np.array(labels, dtype=np.uint8))


def _write_idx(path: Path, array: np.ndarray) -> None:
    """http://yann.lecun.com/exdb/mnist describes the format."""
    with gzip.open(path, "wb") as file:
        file.write(struct.pack(f">{1 + array.ndim}I", 0x800 + array.ndim, *array.shape) + array.tobytes())
