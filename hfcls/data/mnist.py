"""MNIST from its idx files or from tensors, scikit-learn's digits, or anyone's folder of pictures.

The corpus: LeCun, Cortes, Burges, "The MNIST database of handwritten digits". This file needs `datasets` with Pillow,
`builder.py`, `files.py` and `idx_files.py` beside it; torch for `.pth` files, scikit-learn for the embedded default.
"""

import hashlib
import os
import pickle
import random
import shutil
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field

import datasets
import numpy as np
from PIL import Image

from .builder import CorpusBuilder, CorpusConfig, Reading, fingerprint
from .files import digest
from .idx_files import idx_pairs, is_idx, read_idx, write_idx

__all__ = ["MNIST", "MNISTConfig"]

_DIGITS = [str(digit) for digit in range(10)]
_SIDE = 28
_TENSORS = ["train_data", "train_labels", "test_data", "test_labels"]
_PICTURES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff")
# Of the pixels of MNIST's 10,000 test pictures, in their order.
_MNIST_TEST = "b70ae312f9777b9f7603110bd42e5b1c"
# What Pillow raises for files that are torn or worse.
_UNREADABLE = (OSError, SyntaxError, ValueError, EOFError, struct.error, zlib.error, Image.DecompressionBombError)

_Row = tuple[str, np.ndarray | str, str]  # id, picture or the path of one, class
_Note = Callable[[str], None]


@dataclass
class MNISTConfig(CorpusConfig):
    """Finds the corpus and fingerprints its bytes for the cache key.

    Args:
        seed: draws the validation rows, and the test rows where the files do not say which they are.
    """

    seed: int = 42
    files: list[str] = field(init=False, repr=False)
    names: list[str] = field(init=False, repr=False)

    def __post_init__(self):
        super().__post_init__()
        self.files, self.names = [], _DIGITS
        if self.data_dir is not None:
            self.files, self.names = _find(os.path.normpath(self.data_dir), self.notes.append)
        contents = ((path.removeprefix(self.data_dir), digest(path)) for path in self.files)
        self.fingerprint = fingerprint([__file__], contents)


class MNIST(CorpusBuilder):
    """Builds `train`, `validation` and `test` with `id` (string), `image` (Image) and `label` (ClassLabel).

    `MNIST(data_dir=PATH, seed=42)`: `PATH` is a folder with one of these, or one `.pth` file.

    - idx files, `train-images-idx3-ubyte`, `train-labels-idx1-ubyte` and the two of `t10k`, gzipped or not. One pair
      alone is cut in order: four fifths to train, one to test.
    - `.pth` tensors `train_data`, `train_labels`, `test_data`, `test_labels`: one file with a dict of them, or four
      files. Pictures are (N, 28, 28), with or without an axis for the channel, uint8 or floats from 0 to 1.
    - pictures of any size in `<class>/`, of which a fifth of each class is drawn for test; or in `train/<class>/` and
      `test/<class>/`.

    Without `data_dir`: the 1,797 digits of scikit-learn, scaled to 28 × 28. Validation is a sixth of the training rows
    of each class. An `id` names the file, and the row in it, counted from 0.

    Raises:
        ValueError: one line with file and what to do. The constructor raises it where no corpus is found,
            `download_and_prepare` for torn files, wrong magic numbers, counts that differ, pickles that hold more than
            tensors, pictures that cannot be read, classes too small to be split.
    """

    VERSION = datasets.Version("1.0.0")
    BUILDER_CONFIG_CLASS = MNISTConfig

    def _info(self) -> datasets.DatasetInfo:
        label = datasets.ClassLabel(names=self.config.names)
        features = {"id": datasets.Value("string"), "image": datasets.Image(), "label": label}
        return datasets.DatasetInfo(features=datasets.Features(features))

    def read(self, note: _Note) -> Reading:
        root, files, seed = self.config.data_dir, self.config.files, self.config.seed
        if not files:
            train, test = _draw(_sklearn_digits(), 5, seed, "scikit-learn's digits")
        elif files[0].endswith((".pth", ".pt")):
            train, test = _read_tensors(files)
        elif is_idx(files[0]):
            train, test = _read_idx_files(files, note)
        else:
            train, test = _read_folders(os.path.normpath(root), files, seed)
        title = "scikit-learn digits" if not files else _title(root, train, test)
        train, validation = _draw(train, 6, seed, root)
        splits = {"train": train, "validation": validation, "test": test}
        return Reading({split: {"rows": rows} for split, rows in splits.items()}, title)

    def _generate_examples(self, rows: list[_Row]):
        for number, (name, image, label) in enumerate(rows):
            yield number, {"id": name, "image": image, "label": label}

    def write_back(self, kept: dict[str, list[int]], folder: str) -> None:
        """Files of pictures are copied, each to a folder as its own; arrays, of idx files or tensors, become idx files.

        Validation rows go to train, as they are drawn of it.
        """
        root, splits = self.config.data_dir, self.as_dataset()
        chosen = {name: splits[name].select(rows) for name, rows in kept.items()}
        if root is not None and os.path.isfile(os.path.join(root, splits["train"][0]["id"])):
            for name in (name for rows in chosen.values() for name in rows["id"]):
                os.makedirs(os.path.dirname(os.path.join(folder, name)), exist_ok=True)
                shutil.copyfile(os.path.join(root, name), os.path.join(folder, name))
            return
        for name, together in (("train", ("train", "validation")), ("t10k", ("test",))):
            images = [np.asarray(image) for split in together for image in chosen[split]["image"]]
            labels = [label for split in together for label in chosen[split]["label"]]
            write_idx(os.path.join(folder, f"{name}-images-idx3-ubyte.gz"), np.array(images, dtype=np.uint8))
            write_idx(os.path.join(folder, f"{name}-labels-idx1-ubyte.gz"), np.array(labels, dtype=np.uint8))


def _find(path: str, note: _Note) -> tuple[list[str], list[str]]:
    """The files of the corpus in a fixed order, and the names of its classes."""
    if os.path.isfile(path):
        if path.endswith((".pth", ".pt")):
            return [path], _DIGITS
        raise ValueError(f"{path}: not a folder and no .pth file; give the folder of the corpus")
    try:
        entries = sorted(entry for entry in os.listdir(path) if not entry.startswith("."))
    except OSError as error:
        raise ValueError(f"{path}: {error.strerror}; give the folder of the corpus") from None
    idx = [f"{path}/{name}" for name in entries if is_idx(name)]
    if idx:
        return idx, _DIGITS
    tensors = [f"{path}/{name}" for name in entries if name.endswith((".pth", ".pt"))]
    four = [f"{path}/{name}.pth" for name in _TENSORS]
    if set(four) <= set(tensors):
        return four, _DIGITS
    if tensors:
        if len(tensors) > 1:
            raise ValueError(f"{path}: {len(tensors)} .pth files; name one of them, or the four {', '.join(_TENSORS)}")
        return tensors, _DIGITS

    folders = [name for name in entries if os.path.isdir(f"{path}/{name}")]
    parts = ["train/", "test/"] if {"train", "test"} <= set(folders) else [""]
    names = sorted({name for part in parts for name in _folders(f"{path}/{part}")})
    if len(names) < 2:
        raise ValueError(f"{path}: no corpus; expected idx files, .pth tensors, or a folder of pictures for each class")
    files = [file for part in parts for name in names for file in _pictures(f"{path}/{part}{name}", note)]
    if not files:
        raise ValueError(f"{path}: no pictures in its folders {', '.join(names[:10])}; known are {' '.join(_PICTURES)}")
    return files, names


def _title(root: str, train: list[_Row], test: list[_Row]) -> str:
    """MNIST where its test pictures are there, as the test split or as all there is; else the folder's name."""
    for rows in (test, train + test):
        if len(rows) == 10_000 and not isinstance(rows[0][1], str):
            pixels = hashlib.blake2b(b"".join(image.tobytes() for _, image, _ in rows), digest_size=16)
            if pixels.hexdigest() == _MNIST_TEST:
                return "MNIST"
    return os.path.basename(os.path.realpath(root))


def _folders(path: str) -> list[str]:
    return [entry.name for entry in os.scandir(path) if entry.is_dir() and not entry.name.startswith(".")]


def _pictures(folder: str, note: _Note) -> list[str]:
    if not os.path.isdir(folder):
        return []
    names = sorted(name for name in os.listdir(folder) if not name.startswith("."))
    pictures = [f"{folder}/{name}" for name in names if name.lower().endswith(_PICTURES)]
    if len(pictures) < len(names):
        note(f"{folder}: {len(names) - len(pictures)} files that are no pictures are left out")
    return pictures


def _read_idx_files(files: list[str], note: _Note) -> tuple[list[_Row], list[_Row]]:
    read = {}
    for name, pair in idx_pairs(files).items():
        images, labels = read_idx(pair["images"], 3), read_idx(pair["labels"], 1)
        read[name] = _digit_rows(f"{name}-images", images, labels, pair["images"], pair["labels"])
    if len(read) == 1:
        ((name, rows),) = read.items()
        cut = len(rows) * 4 // 5
        note(f"{name} alone is there: cut in order, {cut} rows to train, {len(rows) - cut} to test")
        return rows[:cut], rows[cut:]
    tests = [name for name in read if name != "train"]
    if "train" not in read or len(tests) != 1:
        raise ValueError(f"{files[0]}: beside it {len(read)} pairs of idx files; expected train and one for test")
    return read["train"], read[tests[0]]


def _read_tensors(files: list[str]) -> tuple[list[_Row], list[_Row]]:
    import torch

    tensors, sources = {}, {}
    for path in files:
        try:
            content = torch.load(path, map_location="cpu", weights_only=True)
        except (OSError, EOFError, RuntimeError, ValueError, KeyError, AttributeError, pickle.UnpicklingError):
            # torch's own message is a page about how to run the code that the pickle brings.
            raise ValueError(
                f"{path}: torn, or a pickle with more in it than tensors; save tensors with torch.save"
            ) from None
        if len(files) > 1:
            content = {os.path.basename(path).removesuffix(".pth"): content}
        if not isinstance(content, dict) or not set(_TENSORS) & set(content):
            raise ValueError(f"{path}: holds no dict of {', '.join(_TENSORS)}; save them as one")
        tensors |= content
        sources |= dict.fromkeys(content, path)
    for name in _TENSORS:
        if not isinstance(tensors.get(name), torch.Tensor) or tensors[name].layout != torch.strided:
            raise ValueError(f"{sources.get(name, files[0])}: {name} is missing or no tensor; save it as one")
    splits = []
    for split in ("train", "test"):
        data, labels = f"{split}_data", f"{split}_labels"
        images = _as_pictures(tensors[data].numpy(force=True), f"{sources[data]}: {data}")
        numbers = tensors[labels].numpy(force=True)
        if numbers.ndim != 1 or not np.isfinite(numbers).all() or (numbers != np.round(numbers)).any():
            raise ValueError(f"{sources[labels]}: {labels} must be (N,) whole numbers from 0 to 9; save them so")
        where = [f"{sources[name]}: {name}" for name in (data, labels)]
        splits.append(_digit_rows(split, images, numbers, *where))
    return splits[0], splits[1]


def _as_pictures(images: np.ndarray, where: str) -> np.ndarray:
    """(N, height, width) uint8 of a tensor with or without a channel axis, first or last, of bytes or floats."""
    shape = images.shape
    if images.ndim == 4 and 1 in (images.shape[1], images.shape[3]):
        images = images.squeeze(1 if images.shape[1] == 1 else 3)
    if images.ndim != 3 or 0 in images.shape:
        raise ValueError(f"{where} is {shape}; save pictures as (N, height, width) or (N, 1, height, width)")
    if images.dtype == np.uint8:
        return images
    if not np.isfinite(images).all() or images.min() < 0 or images.max() > 255:
        raise ValueError(f"{where} has values outside 0 to 255, or not finite; save pictures that are not normalised")
    scale = 255 if images.max() <= 1 else 1
    return np.round(images * scale).astype(np.uint8)


def _digit_rows(name: str, images: np.ndarray, labels: np.ndarray, images_at: str, labels_at: str) -> list[_Row]:
    if len(images) != len(labels):
        raise ValueError(f"{labels_at}: {len(labels)} labels for the {len(images)} pictures of {images_at}; fetch both")
    wrong = np.flatnonzero((labels < 0) | (labels > 9))
    if len(wrong):
        raise ValueError(f"{labels_at}: label {labels[wrong[0]]} of row {wrong[0]} is no digit; fetch it again")
    return [(f"{name}:{row}", image, _DIGITS[int(labels[row])]) for row, image in enumerate(images)]


def _sklearn_digits() -> list[_Row]:
    from sklearn.datasets import load_digits

    digits = load_digits()
    rows = []
    for row, (image, label) in enumerate(zip(digits.images, digits.target, strict=True)):
        small = Image.fromarray(np.round(image * (255 / 16)).astype(np.uint8))
        large = np.asarray(small.resize((_SIDE, _SIDE), Image.Resampling.BICUBIC))
        rows.append((f"digits:{row}", large, _DIGITS[label]))
    return rows


def _read_folders(root: str, files: list[str], seed: int) -> tuple[list[_Row], list[_Row]]:
    splits: dict[str, list[_Row]] = {"": [], "train": [], "test": []}
    for path in files:
        try:
            with Image.open(path) as image:
                image.load()
        except _UNREADABLE as error:
            reason = " ".join(str(error).replace(path, "it").split()) or type(error).__name__
            raise ValueError(f"{path}: no picture that can be read ({reason:.80}); replace or remove it") from None
        name = path.removeprefix(f"{root}/")
        *split, label, _ = name.split("/")
        splits[split[0] if split else ""].append((name, path, label))
    if splits[""]:
        return _draw(splits[""], 5, seed, root)
    if not splits["train"] or not splits["test"]:
        raise ValueError(f"{root}: train/ or test/ holds no pictures; add some")
    return splits["train"], splits["test"]


def _draw(rows: list[_Row], share: int, seed: int, source: str) -> tuple[list[_Row], list[_Row]]:
    """`rows` without, and those of, one part in `share` of each class, both in their order."""
    classes: dict[str, list[_Row]] = {}
    for row in rows:
        classes.setdefault(row[2], []).append(row)
    drawn = set()
    for label, members in classes.items():
        if len(members) < 2:
            raise ValueError(f"{source}: one picture of class {label} is too few to split; add some")
        count = max(1, round(len(members) / share))
        drawn.update(row[0] for row in random.Random(f"{seed} {share} {label}").sample(members, count))
    return [row for row in rows if row[0] not in drawn], [row for row in rows if row[0] in drawn]
