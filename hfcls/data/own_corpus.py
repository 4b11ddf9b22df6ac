"""A corpus that someone brings a builder for: a class of `datasets` in a Python file of their own."""

import hashlib
import logging
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import datasets

from hfcls import own_code
from hfcls.data.builder import CorpusBuilder, fingerprint
from hfcls.data.drawn_splits import draw
from hfcls.data.files import digest
from hfcls.data.prepare import Prepared
from hfcls.data.split_files import SPLIT_OF, SPLITS
from hfcls.errors import InputError

logger = logging.getLogger(__name__)

COLUMNS = ("id", "text", "text_pair", "group", "label")  # what is taken of a split; the others are left out
UNLABELLED = "unlabelled"
SEED = 42  # of the draw of missing splits, as for tables


@dataclass(frozen=True)
class OwnCorpus:
    """The corpus of `path.py`, or `path.py:Class` where there are several classes in the file.

    The file is run: whoever names it on a command line wants that. No name that comes from elsewhere, a model's folder
    or the Hub, may get here.
    """

    name: str
    language: str | None = None

    def prepare(self, data_dir: str | None) -> Prepared:
        """The splits that the builder makes; validation and test, where it makes none, are drawn as those of a table.

        The cache's key follows from the bytes of the Python file and of all files in `data_dir`; without one, from
        names, sizes and times of the files that lie beside the Python file.

        Raises:
            InputError: one line: there is no such file or class, its code raises something, or its rows do not fit.
        """
        path = str(own_code.path_of(self.name))
        builder = own_code.load_class(self.name, datasets.DatasetBuilder, flag="--dataset")
        options = {"hash": _cache_key(path, data_dir)} | ({} if data_dir is None else {"data_dir": data_dir})
        with own_code.errors_in(path):
            try:
                prepared = builder(**options)
                prepared.download_and_prepare()
                splits = prepared.as_dataset()
            except datasets.exceptions.DatasetGenerationError as error:
                raise (error.__cause__ or error) from None  # what the code raised says more than the wrapper
        notes = list(prepared.notes) if isinstance(prepared, CorpusBuilder) else []
        splits, own_notes = complete_splits(splits, path)
        for note in own_notes:
            logger.warning("%s", note)
        source = Path(path if data_dir is None else data_dir).resolve().name
        return Prepared(prepared, Path(path).stem, source, self.language, splits, notes + own_notes)


def _cache_key(path: str, data_dir: str | None) -> str:
    if data_dir is None:
        return fingerprint([path], _stats(os.path.dirname(os.path.abspath(path))))
    if not os.path.exists(data_dir):
        raise InputError(f"--data_dir {data_dir}: no such file or folder; give the one that the corpus reads")
    return fingerprint([path], _digests(data_dir))


def _digests(data_dir: str) -> Iterator[tuple[str, bytes]]:
    if os.path.isfile(data_dir):
        yield os.path.basename(data_dir), digest(data_dir)
    for folder, folders, names in os.walk(data_dir):
        folders.sort()
        for name in sorted(names):
            file = os.path.join(folder, name)
            if os.path.isfile(file):
                yield os.path.relpath(file, data_dir), digest(file)


def _stats(folder: str) -> Iterator[tuple[str, bytes]]:
    for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
        if entry.is_file():
            stat = entry.stat()
            yield entry.name, hashlib.sha256(b"%d %d" % (stat.st_size, stat.st_mtime_ns)).digest()


def complete_splits(splits: datasets.DatasetDict, path: str) -> tuple[datasets.DatasetDict, list[str]]:
    """The splits train, validation and test of what a builder made, and notes on what is drawn or left out.

    Raises:
        InputError: no training rows, or columns that do not fit; `path` is for the message.
    """
    names = SPLIT_OF | {UNLABELLED: UNLABELLED}
    found, given_as = {}, {}
    for given, rows in splits.items():
        if given in names and len(rows):
            if names[given] in found:
                raise InputError(f"{path}: {given_as[names[given]]} and {given} are the same split; keep one of them")
            found[names[given]], given_as[names[given]] = rows, given
    file = Path(path).name  # notes are shown in report and card, where its folder is nobody's business
    notes = [f"{file}: the split {given} is left out" for given in splits if given not in names]
    if "train" not in found:
        raise InputError(f"{path}: no rows in a split train (there are {', '.join(splits) or 'no splits'}); add some")
    for split, rows in found.items():
        _check_columns(rows, split, path)
        found[split] = rows.select_columns([name for name in COLUMNS if name in rows.column_names])
    missing = [split for split in SPLITS if split not in found]
    if missing:
        notes.append(f"{file}: no split {' nor '.join(missing)}: a tenth of train is drawn for each, class by class")
        try:
            labels, groups = _to_draw(found["train"])
            drawn = draw(labels, ["train", *missing], SEED, path, notes.append, groups)
        except ValueError as error:
            raise InputError(str(error)) from error
        train = found["train"]
        found |= {split: train.select(rows) for split, rows in drawn.items()}
    return datasets.DatasetDict({split: found[split] for split in [*SPLITS, UNLABELLED] if split in found}), notes


def _to_draw(train: datasets.Dataset) -> tuple[list[list[str]], list[str] | None]:
    """The names of the labels of each row, and its group if there are any, as `draw` takes them."""
    feature = train.features["label"]
    several = isinstance(feature, datasets.List)
    names = (feature.feature if several else feature).names
    labels = [[names[i] for i in (label if several else [label])] for label in train["label"]]
    return labels, [str(group) for group in train["group"]] if "group" in train.column_names else None


def _check_columns(rows: datasets.Dataset, split: str, path: str) -> None:
    """Raises InputError where the columns of a split are not those of a corpus of texts."""
    features = rows.features
    for name in ("text", "text_pair"):
        feature = features.get(name)
        if name in features and getattr(feature, "dtype", None) not in ("string", "large_string"):
            raise InputError(f"{path}: {name} is {feature}; make it datasets.Value('string')")
    if "text" not in features:
        raise InputError(f"{path}: {split} has the columns {', '.join(features) or 'none'}; text is missing: add it")
    label = features.get("label")
    label = label.feature if isinstance(label, datasets.List) else label
    if not isinstance(label, datasets.ClassLabel):
        raise InputError(
            f"{path}: label is {features.get('label', 'missing')}; make it datasets.ClassLabel(names=[…]), or a "
            "datasets.List of that"
        )
    if None in rows["text"]:
        raise InputError(f"{path}: the text of row {list(rows['text']).index(None)} of {split} is missing; fill it in")
    if split != UNLABELLED and not isinstance(features["label"], datasets.List):
        unknown = [number for number, value in enumerate(rows["label"]) if value is None or value < 0]
        if split == "test" and len(unknown) == len(rows):
            raise InputError(f"{path}: test has no labels; call it {UNLABELLED}, with an id, and it is predicted")
        if unknown:
            raise InputError(f"{path}: row {unknown[0]} of {split} has no label; leave it out")
