"""IMDB: the Large Movie Review Dataset, from its folder or straight from its archive.

The corpus: Maas, Daly, Pham, Huang, Ng, Potts: "Learning Word Vectors for Sentiment Analysis", ACL 2011,
https://ai.stanford.edu/~amaas/data/sentiment/. This file needs `datasets`, and `builder.py`, `files.py`,
`folders.py` and `tar_files.py` beside it.
"""

import html
import os
import random
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import datasets

from . import folders, tar_files
from .builder import CorpusBuilder, CorpusConfig, Reading, fingerprint
from .files import digest, offenders, shuffled_by_class
from .folders import note_hidden
from .tar_files import tar_contents

__all__ = ["IMDB", "IMDBConfig"]

_SAMPLE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "samples", "imdb")
_ARCHIVES = (".tar.gz", ".tar.xz", ".tar")
_MEMBER = re.compile(r"(?:\./)?aclImdb/((?:train|test)/(?:neg|pos)/[^/]+)")
_FOLDERS = ("train/neg", "train/pos", "test/neg", "test/pos")
_FILE_NAME = re.compile(r"[0-9]+_([0-9]{1,2})\.txt")
_RATINGS = {"neg": (1, 2, 3, 4), "pos": (7, 8, 9, 10)}
_NAMES = {"sentiment": ["neg", "pos"], "rating": ["1", "2", "3", "4", "7", "8", "9", "10"]}
_MAX_BYTES = 1 << 20  # of one review in an archive; the longest in the corpus has 14 kB

_BREAK = re.compile(r"<\s*(?:br|p|hr)\s*/?\s*>", re.IGNORECASE)
_FORMATTING = re.compile(r"</?(?:b|i|u|em|strong|p)>", re.IGNORECASE)
_ENTITY = re.compile(r"&#?\w+;")
_C1 = re.compile("[\x80-\x9f]")

_Review = tuple[str, int]  # text and rating
_Note = Callable[[str], None]


@dataclass
class IMDBConfig(CorpusConfig):
    """Finds the corpus and fingerprints its bytes for the cache key.

    Args:
        labels: `sentiment` for `neg`, `pos`; `rating` for the eight ratings 1 to 4 and 7 to 10.
        seed: draws the validation rows and the order of all rows.
    """

    labels: str = "sentiment"
    seed: int = 42
    source: str = field(init=False, repr=False)

    def __post_init__(self):
        super().__post_init__()
        if self.labels not in _NAMES:
            raise ValueError(f"labels={self.labels!r} is not known; use {' or '.join(_NAMES)}")
        self.source = _SAMPLE if self.data_dir is None else _find(os.path.normpath(self.data_dir))
        contents = ((path.removeprefix(self.source), digest(path)) for path in _files(self.source))
        self.fingerprint = fingerprint([__file__, folders.__file__, tar_files.__file__], contents)


class IMDB(CorpusBuilder):
    """Builds `train`, `validation` and `test` with `text` (string) and `label` (ClassLabel).

    `IMDB(data_dir=PATH, labels="sentiment", seed=42)`: `PATH` is the folder `aclImdb` with its
    `{train,test}/{neg,pos}/<id>_<rating>.txt`, or the folder around it, or the archive of it (`.tar.gz`, `.tar.xz`,
    `.tar`), or a folder with one archive `aclImdb*`. An archive is read in one pass and nothing is unpacked to disk.
    Reviews in `unsup` are ignored. Without `data_dir`, a sample of 1,000 invented reviews.

    Validation is a tenth of the training reviews of each rating, the same for both kinds of labels. Rows come shuffled:
    their order follows from `seed` and the file names.

    Text: `<br />`, `<p>` and `<hr>` become line breaks, formatting tags (`<i>`) go, entities (`&#8217;`) and stray
    Windows-1252 bytes (U+0096 for a dash) become the character they stand for. Anything else in angle brackets
    (`<sigh>`) is the reviewer's own.

    Raises:
        ValueError: one line with file and what to do. The constructor raises it where no corpus is found,
            `download_and_prepare` for a torn archive, a file name without rating, other encodings, an empty split.
    """

    VERSION = datasets.Version("1.0.0")
    BUILDER_CONFIG_CLASS = IMDBConfig

    def _info(self) -> datasets.DatasetInfo:
        label = datasets.ClassLabel(names=_NAMES[self.config.labels])
        return datasets.DatasetInfo(features=datasets.Features({"text": datasets.Value("string"), "label": label}))

    def read(self, note: _Note) -> Reading:
        source, seed = self.config.source, self.config.seed
        reviews = _read_sample() if source == _SAMPLE else _read(source, note)
        train, validation = _hold_out(reviews["train"], seed, source)
        test = reviews["test"]
        for rows in (train, validation, test):
            random.Random(seed).shuffle(rows)
        splits = {"train": train, "validation": validation, "test": test}
        return Reading({split: {"reviews": rows} for split, rows in splits.items()})

    def _generate_examples(self, reviews: list[_Review]):
        for row, (text, rating) in enumerate(reviews):
            label = str(rating) if self.config.labels == "rating" else "pos" if rating > 5 else "neg"
            yield row, {"text": text, "label": label}

    def write_back(self, kept: dict[str, list[int]], folder: str) -> None:
        """The folder `aclImdb`, with line breaks for `<br />`; validation rows go to train, as they are drawn of it."""
        # The ratings in the names of the files: the rows have the same order for either kind of label.
        rated = IMDB(data_dir=self.config.data_dir, labels="rating", seed=self.config.seed)
        rated.download_and_prepare()
        number = 0
        for split, rows in kept.items():
            for row in rated.as_dataset(split=split).select(rows):
                rating = _NAMES["rating"][row["label"]]
                label = "pos" if int(rating) > 5 else "neg"
                place = os.path.join(folder, "aclImdb", "test" if split == "test" else "train", label)
                os.makedirs(place, exist_ok=True)
                with open(os.path.join(place, f"{number}_{rating}.txt"), "w", encoding="utf-8", newline="") as file:
                    file.write(row["text"])
                number += 1


def _find(path: str) -> str:
    """The folder `aclImdb` or the archive that `path` means."""
    if os.path.isfile(path):
        if path.endswith(_ARCHIVES):
            return path
        raise ValueError(f"{path}: not a {', '.join(_ARCHIVES)} archive; give the archive or the folder of the corpus")
    try:
        entries = {entry.name: entry.path for entry in os.scandir(path)}
    except OSError as error:
        raise ValueError(f"{path}: {error.strerror}; give the archive or the folder of the corpus") from None
    if "aclImdb" in entries:
        return entries["aclImdb"]
    if "train" in entries and "test" in entries:
        return path
    archives = sorted(name for name in entries if name.startswith("aclImdb") and name.endswith(_ARCHIVES))
    if len(archives) > 1:
        raise ValueError(f"{path}: {' and '.join(archives)} are both there; name one of them")
    if not archives:
        raise ValueError(
            f"{path}: no corpus; give a folder with aclImdb/, or train/ and test/, or an archive aclImdb*.tar.gz"
        )
    return entries[archives[0]]


def _files(source: str) -> list[str]:
    """The files that make up the corpus, in an order that does not depend on the file system."""
    if source == _SAMPLE:
        return [f"{_SAMPLE}/train.txt", f"{_SAMPLE}/test.txt"]
    if os.path.isfile(source):
        return [source]
    files = []
    for folder in _FOLDERS:
        try:
            files += sorted(
                entry.path for entry in os.scandir(f"{source}/{folder}") if entry.is_file() and entry.name[0] != "."
            )
        except OSError as error:
            raise ValueError(f"{source}/{folder}: {error.strerror}; unpack the whole archive again") from None
    return files


def _read_sample() -> dict[str, list[_Review]]:
    reviews = {}
    for path, split in zip(_files(_SAMPLE), ("train", "test"), strict=True):
        with open(path, encoding="utf-8") as file:
            pairs = [line.rstrip("\n").split("\t") for line in file]
        reviews[split] = [(text, int(rating)) for text, rating in pairs]
    return reviews


def _read(source: str, note: _Note) -> dict[str, list[_Review]]:
    """(text, rating) of all reviews by split, sorted by class and file name."""
    found: dict[tuple[str, str], dict[str, _Review]] = {(s, c): {} for s in ("train", "test") for c in _RATINGS}
    for where, name, content in (_unpack if os.path.isfile(source) else _walk)(source, note):
        split, folder, file_name = name.split("/")
        parts = _FILE_NAME.fullmatch(file_name)
        if not parts or int(parts[1]) not in _RATINGS[folder]:
            allowed = " ".join(map(str, _RATINGS[folder]))
            raise ValueError(f"{where}: expected <id>_<rating>.txt with a rating of {allowed}; rename or remove it")
        try:
            text = _clean(content.decode("utf-8-sig"))
        except UnicodeDecodeError:
            raise ValueError(f"{where}: not UTF-8; save it as UTF-8") from None
        if not text:
            raise ValueError(f"{where}: the review is empty; remove it")
        found[split, folder][file_name] = text, int(parts[1])
    for (split, folder), reviews in found.items():
        if not reviews:
            raise ValueError(f"{source}: no reviews in aclImdb/{split}/{folder}; fetch the whole corpus")
    return {s: [review for c in _RATINGS for _, review in sorted(found[s, c].items())] for s in ("train", "test")}


def _walk(source: str, note: _Note) -> Iterator[tuple[str, str, bytes]]:
    note_hidden(source, note, *(f"{source}/{folder}" for folder in _FOLDERS))
    for path in _files(source):
        with open(path, "rb") as file:
            yield path, path.removeprefix(f"{source}/"), file.read()


def _unpack(source: str, note: _Note) -> Iterator[tuple[str, str, bytes]]:
    """Reviews of an archive in one pass."""
    hidden = []

    def is_review(name: str) -> bool:
        path = _MEMBER.fullmatch(name)
        if path is not None and path[1].rpartition("/")[2].startswith("."):
            hidden.append(path[1])
            return False
        return path is not None

    for name, content in tar_contents(source, is_review, most_bytes=_MAX_BYTES):
        yield f"{source}: {name}", _MEMBER.fullmatch(name)[1], content
    if hidden:
        note(f"{source}: {len(hidden)} hidden files are left out ({offenders(hidden)})")


def _clean(text: str) -> str:
    text = _FORMATTING.sub("", _BREAK.sub("\n", text))
    text = _ENTITY.sub(lambda entity: html.unescape(entity[0]), text)
    return _C1.sub(lambda char: char[0].encode("latin-1").decode("cp1252", "ignore"), text).strip()


def _hold_out(reviews: list[_Review], seed: int, source: str) -> tuple[list[_Review], list[_Review]]:
    """The reviews without, and the reviews of, a validation split: a tenth of each rating."""
    train, validation = [], []
    for rating, rows in shuffled_by_class([review[1] for review in reviews], seed):
        if len(rows) < 2:
            raise ValueError(f"{source}: one training review rated {rating} is too few to draw validation; add some")
        tenth = max(1, round(len(rows) / 10))
        validation += [reviews[row] for row in rows[:tenth]]
        train += [reviews[row] for row in rows[tenth:]]
    return train, validation
