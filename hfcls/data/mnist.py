"""MNIST from its idx files or from tensors, scikit-learn's digits, or anyone's folder of pictures.

The corpus: LeCun, Cortes, Burges, "The MNIST database of handwritten digits". This file needs `datasets` with Pillow,
`builder.py`, `files.py`, `folders.py`, `idx_files.py`, `tensor_files.py`, `picture_folders.py` and `picture_modes.py`
beside it; torch for `.pth` files, scikit-learn for the embedded default.
"""

import hashlib
import os
import random
import shutil
import struct
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import datasets
import numpy as np
from PIL import Image, ImageOps

from . import folders, idx_files, picture_folders, picture_modes, tensor_files
from .builder import CorpusBuilder, CorpusConfig, Reading, fingerprint
from .files import digest
from .folders import note_hidden, visible
from .idx_files import idx_pairs, is_idx, read_idx, write_idx
from .picture_folders import PictureFile, find_pictures
from .picture_modes import RGBLoss
from .tensor_files import TENSORS, read_tensors

__all__ = ["MNIST", "MNISTConfig"]

_DIGITS = [str(digit) for digit in range(10)]
_SIDE = 28
# Of the pixels of MNIST's 10,000 test pictures, in their order.
_MNIST_TEST = "b70ae312f9777b9f7603110bd42e5b1c"
# What Pillow raises for files that are torn or worse.
_UNREADABLE = (OSError, SyntaxError, ValueError, EOFError, struct.error, zlib.error, Image.DecompressionBombError)

_BESIDE = (folders, idx_files, picture_folders, picture_modes, tensor_files)

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
    pictures: list[PictureFile] = field(init=False, repr=False)
    names: list[str] = field(init=False, repr=False)

    def __post_init__(self):
        super().__post_init__()
        self.files, self.pictures, self.names = [], [], _DIGITS
        if self.data_dir is not None:
            path, note = os.path.normpath(self.data_dir), self.notes.append
            self.files = _find_arrays(path, note)
            if not self.files:
                self.pictures = find_pictures(path, note)
                self.files = [picture.path for picture in self.pictures]
                self.names = sorted({picture.label for picture in self.pictures})
            elif is_idx(self.files[0]):
                self.names = _idx_classes(self.files, note)
        contents = ((path.removeprefix(self.data_dir), digest(path)) for path in self.files)
        self.fingerprint = fingerprint([__file__, *(module.__file__ for module in _BESIDE)], contents)


class MNIST(CorpusBuilder):
    """Builds `train`, `validation` and `test` with `id` (string), `image` (Image) and `label` (ClassLabel).

    `MNIST(data_dir=PATH, seed=42)`: `PATH` is a folder with one of these, or one `.pth` file.

    - idx files, `train-images-idx3-ubyte`, `train-labels-idx1-ubyte` and the two of `t10k`, gzipped or not, or those of
      EMNIST. One pair alone is cut in order: four fifths to train, one to test. Labels above 9 make classes that are
      called by their numbers.
    - `.pth` tensors `train_data`, `train_labels`, `test_data`, `test_labels`: one file with a dict of them, or four
      files. Pictures are (N, 28, 28), with or without an axis for the channel, uint8 or floats from 0 to 1.
    - pictures of any size in `<class>/`, or in `train/<class>/` and the same for validation and test.

    Without `data_dir`: the 1,797 digits of scikit-learn, scaled to 28 × 28. Where the files do not say it, test is a
    fifth of each class, and validation a sixth of what is left. An `id` names the file, and the row in it, counted
    from 0.

    Raises:
        ValueError: one line with file and what to do. The constructor raises it where no corpus is found,
            `download_and_prepare` for torn files, wrong magic numbers, counts that differ, pickles that hold more than
            tensors, pictures that cannot be read, classes too small to be split.
    """

    VERSION = datasets.Version("1.1.0")
    BUILDER_CONFIG_CLASS = MNISTConfig

    def _info(self) -> datasets.DatasetInfo:
        label = datasets.ClassLabel(names=self.config.names)
        features = {"id": datasets.Value("string"), "image": datasets.Image(), "label": label}
        return datasets.DatasetInfo(features=datasets.Features(features))

    def read(self, note: _Note) -> Reading:
        root, files, seed = self.config.data_dir, self.config.files, self.config.seed
        validation = None
        if root is None:
            train, test = _draw(_sklearn_digits(), 5, seed, "scikit-learn's digits")
        elif self.config.pictures:
            train, validation, test = _read_folders(os.path.normpath(root), self.config.pictures, seed, note)
        elif is_idx(files[0]):
            train, test = _read_idx_files(files, self.config.names, note)
        else:
            train, test = (_rows(split, *arrays) for split, arrays in read_tensors(files).items())
        title = "scikit-learn digits" if root is None else _title(root, train, test)
        if not validation:
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
            labels = [int(self.config.names[label]) for split in together for label in chosen[split]["label"]]
            write_idx(os.path.join(folder, f"{name}-images-idx3-ubyte.gz"), np.array(images, dtype=np.uint8))
            write_idx(os.path.join(folder, f"{name}-labels-idx1-ubyte.gz"), np.array(labels, dtype=np.uint8))


def _find_arrays(path: str, note: _Note) -> list[str]:
    """The idx files or the files of tensors at `path` in a fixed order; none in a folder of other files."""
    if os.path.isfile(path):
        if path.endswith((".pth", ".pt")):
            return [path]
        raise ValueError(f"{path}: not a folder and no .pth file; give the folder of the corpus")
    try:
        entries = visible(path)
    except OSError as error:
        raise ValueError(f"{path}: {error.strerror}; give the folder of the corpus") from None
    idx = [f"{path}/{name}" for name in entries if is_idx(name)]
    tensors = [f"{path}/{name}" for name in entries if name.endswith((".pth", ".pt"))]
    if idx or tensors:
        note_hidden(path, note)
    if idx:
        return idx
    four = [f"{path}/{name}.pth" for name in TENSORS]
    if set(four) <= set(tensors):
        return four
    if len(tensors) > 1:
        raise ValueError(f"{path}: {len(tensors)} .pth files; name one of them, or the four {', '.join(TENSORS)}")
    return tensors


def _idx_classes(files: list[str], note: _Note) -> list[str]:
    """The ten digits; or, where labels exceed 9 as those of EMNIST do, the numbers that occur."""
    labels = np.unique(np.concatenate([read_idx(pair["labels"], 1) for pair in idx_pairs(files).values()]))
    if labels.max() <= 9:
        return _DIGITS
    note(f"{os.path.dirname(files[0])}: labels from {labels.min()} to {labels.max()}; classes are called by numbers")
    return [str(label) for label in labels]


def _title(root: str, train: list[_Row], test: list[_Row]) -> str:
    """MNIST where its test pictures are there, as the test split or as all there is; else the folder's name."""
    for rows in (test, train + test):
        if len(rows) == 10_000 and not isinstance(rows[0][1], str):
            pixels = hashlib.blake2b(b"".join(image.tobytes() for _, image, _ in rows), digest_size=16)
            if pixels.hexdigest() == _MNIST_TEST:
                return "MNIST"
    return os.path.basename(os.path.realpath(root))


def _read_idx_files(files: list[str], names: list[str], note: _Note) -> tuple[list[_Row], list[_Row]]:
    read = {}
    for name, pair in idx_pairs(files).items():
        images, labels = read_idx(pair["images"], 3), read_idx(pair["labels"], 1)
        read[name] = _rows(f"{name}-images", images, labels, pair["images"], pair["labels"], names)
    if len(read) == 1:
        ((name, rows),) = read.items()
        cut = len(rows) * 4 // 5
        note(f"{name} alone is there: cut in order, {cut} rows to train, {len(rows) - cut} to test")
        return rows[:cut], rows[cut:]
    trains = [name for name in read if name.endswith("train")]  # emnist-letters-train
    if len(trains) != 1 or len(read) != 2:
        raise ValueError(f"{files[0]}: beside it {len(read)} pairs of idx files; keep train and one for test")
    train = read.pop(trains[0])
    return train, *read.values()


def _rows(
    name: str,
    images: np.ndarray,
    labels: np.ndarray,
    images_at: str,
    labels_at: str,
    names: Sequence[str] = _DIGITS,
) -> list[_Row]:
    if len(images) != len(labels):
        raise ValueError(f"{labels_at}: {len(labels)} labels for the {len(images)} pictures of {images_at}; fetch both")
    classes = [str(int(label)) for label in labels]
    unknown = next((row for row, label in enumerate(classes) if label not in names), None)
    if unknown is not None:
        raise ValueError(
            f"{labels_at}: label {classes[unknown]} of row {unknown} is no digit; save more classes than ten as idx "
            f"files, or as <class>/<picture>"
        )
    return [(f"{name}:{row}", image, label) for row, (image, label) in enumerate(zip(images, classes, strict=True))]


def _sklearn_digits() -> list[_Row]:
    from sklearn.datasets import load_digits

    digits = load_digits()
    rows = []
    for row, (image, label) in enumerate(zip(digits.images, digits.target, strict=True)):
        small = Image.fromarray(np.round(image * (255 / 16)).astype(np.uint8))
        large = np.asarray(small.resize((_SIDE, _SIDE), Image.Resampling.BICUBIC))
        rows.append((f"digits:{row}", large, _DIGITS[label]))
    return rows


def _read_folders(
    root: str, pictures: list[PictureFile], seed: int, note: _Note
) -> tuple[list[_Row], list[_Row], list[_Row]]:
    """Train, validation and test; validation is empty where it is to be drawn."""
    splits: dict[str, list[_Row]] = {"": [], "train": [], "validation": [], "test": []}
    loss = RGBLoss()
    for picture in pictures:
        try:
            with Image.open(picture.path) as image:
                loss.add(image)
                ImageOps.exif_transpose(image).convert("RGB")  # as whoever reads it will do
        except _UNREADABLE as error:
            reason = " ".join(str(error).replace(picture.path, "it").split()) or type(error).__name__
            raise ValueError(
                f"{picture.path}: no picture that can be read ({reason:.80}); replace or remove it"
            ) from None
        splits[picture.split].append((picture.path.removeprefix(f"{root}/"), picture.path, picture.label))
    for line in loss.notes(root):
        note(line)
    train, test = splits["train"], splits["test"]
    if not train:
        train, test = _draw(splits[""], 5, seed, root)
    elif not test:
        train, test = _draw(train, 5, seed, root)
        note(f"{root}: no test folder; a fifth of each class of train, {len(test)} pictures, is drawn for test")
    return train, splits["validation"], test


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
