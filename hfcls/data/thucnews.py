"""THUCNews: Chinese news documents or headlines, in the file layouts in which the corpus is passed around.

The corpus: Sun, Li, Guo, Zhao, Zheng, Si, Liu: "THUCTC: An Efficient Chinese Text Classifier", 2016,
http://thuctc.thunlp.org/. This file needs `datasets` and the standard library only.
"""

import csv
import hashlib
import logging
import os
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import datasets

__all__ = ["THUCNews", "THUCNewsConfig"]

_SAMPLE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "samples", "thucnews")
_CNEWS = {"train": ["cnews.train.txt"], "validation": ["cnews.val.txt"], "test": ["cnews.test.txt"]}
_HEADLINES = {"train": ["train.txt"], "validation": ["dev.txt"], "test": ["test.txt"], "class": ["class.txt"]}
_ONE_HOT = {"train": ["train.csv"], "validation": ["val.csv", "dev.csv", "validation.csv"], "test": ["test.csv"]}
_MAX_LABELS = 1000

# (file, encoding, class names) -> (line number, text, class index) of every row
_Reader = Callable[[str, str, list[str]], Iterator[tuple[int, str, int]]]


@dataclass
class _Corpus:
    """What is known before the first row is generated."""

    read: _Reader
    files: dict[str, list[str]]  # by split; everything is "train" where the corpus brings no splits
    gb18030: set[str]  # the files in this encoding; all others are UTF-8
    labels: list[str]
    fingerprint: str

    def rows(self, path: str) -> Iterator[tuple[int, str, int]]:
        return self.read(path, "gb18030" if path in self.gb18030 else "utf-8-sig", self.labels)


@dataclass
class THUCNewsConfig(datasets.BuilderConfig):
    """`seed` draws the splits that the corpus does not bring. Class names and cache key follow from the files."""

    seed: int = 42
    corpus: _Corpus = field(init=False, repr=False)

    def __post_init__(self):
        super().__post_init__()
        self.corpus = _scan(_SAMPLE if self.data_dir is None else os.path.normpath(self.data_dir))

    def create_config_id(self, config_kwargs: dict, custom_features: datasets.Features | None = None) -> str:
        return super().create_config_id(config_kwargs | {"fingerprint": self.corpus.fingerprint}, custom_features)


class THUCNews(datasets.GeneratorBasedBuilder):
    """Builds `train`, `validation` and `test` with `text` (string) and `label` (ClassLabel).

    `THUCNews(data_dir=DIR, seed=42)` takes the first of these that `DIR` holds; without `data_dir`, a sample of 1,000
    invented headlines.

    1. `cnews.{train,val,test}.txt`: `label<TAB>content`. The classes are those of the training file, sorted.
    2. `{train,dev,test}.txt`: `headline<TAB>class index`, and `class.txt`: one class name a line.
    3. `train.csv`, `val.csv` (or `dev.csv`, `validation.csv`), `test.csv`: one 0/1 column a class, then `content`.
       A single CSV file of any name is split 80/10/10.
    4. `<class>/<document>.txt`, split 80/10/10. The classes are the folders, sorted.

    Where only the validation file is missing, it is a tenth of the training rows. Splits made here are drawn class by
    class from `seed`. Rows keep the order of their file; documents of a folder tree come shuffled from `seed`.
    Memory: one document; a few bytes a row more where splits are drawn.

    Raises:
        ValueError: one line with file, line and what to do. The constructor raises it for missing files, bytes that are
            neither UTF-8 nor GB18030 and unusable class names, `download_and_prepare` for a bad row.
    """

    VERSION = datasets.Version("1.0.0")
    BUILDER_CONFIG_CLASS = THUCNewsConfig

    def _info(self) -> datasets.DatasetInfo:
        label = datasets.ClassLabel(names=self.config.corpus.labels)
        return datasets.DatasetInfo(features=datasets.Features({"text": datasets.Value("string"), "label": label}))

    def download_and_prepare(self, *args, **kwargs):
        try:
            super().download_and_prepare(*args, **kwargs)
        except datasets.exceptions.DatasetGenerationError as error:
            if isinstance(error.__cause__, ValueError):  # a bad row: its one line says more than the wrapper
                raise error.__cause__ from None
            raise

    def _split_generators(self, dl_manager) -> list[datasets.SplitGenerator]:
        corpus, seed = self.config.corpus, self.config.seed
        train, splits = corpus.files["train"], ["train", "validation", "test"]
        sources = {split: {"files": paths, "keep": None} for split, paths in corpus.files.items()}
        missing = [split for split in splits if split not in sources]
        if corpus.read is _read_document:
            drawn = _stratify([_folder_of(path) for path in train], splits, seed, self.config.data_dir)
            sources = {split: {"files": [train[i] for i in rows], "keep": None} for split, rows in drawn.items()}
        elif missing:
            labels = [corpus.labels[label] for _, _, label in corpus.rows(train[0])]
            drawn = _stratify(labels, ["train", *missing], seed, train[0])
            sources |= {split: {"files": train, "keep": set(rows)} for split, rows in drawn.items()}
        return [datasets.SplitGenerator(split, sources[split]) for split in splits]

    def _generate_examples(self, files: list[str], keep: set[int] | None):
        """`keep`: the rows of a shared file that belong to this split, None for all."""
        row = -1
        for path in files:
            for line, text, label in self.config.corpus.rows(path):
                if not text:
                    raise ValueError(f"{path}:{line}: the text is empty; fill it in or remove the row")
                row += 1
                if keep is None or row in keep:
                    yield row, {"text": text, "label": label}
        if row < 0:
            raise ValueError(f"{files[0]}:1: no rows; every split needs some")


def _scan(folder: str) -> _Corpus:
    """Finds the layout and reads every file of it once, for encoding, class names and fingerprint."""
    read, files = _find(folder)
    naming = files.get("class", files["train"])[0]  # the file that names the classes
    digest = hashlib.blake2b(_digest(__file__)[1], digest_size=16)  # what older code prepared is stale as well
    gb18030: set[str] = set()
    names: set[bytes] = set()
    for split, paths in files.items():
        for path in paths:
            encoding, content = _digest(path, names if read is _read_cnews and path == naming else None)
            digest.update(f"{split}\0{path[len(folder) :]}\0".encode("utf-8", "surrogateescape") + content)
            if encoding == "gb18030":
                gb18030.add(path)
    if gb18030:
        what = f"{min(gb18030)}: not UTF-8, read as GB18030 (files of this kind: {len(gb18030)})"
        logging.getLogger(__name__).warning(what)

    encoding = "gb18030" if naming in gb18030 else "utf-8-sig"
    if read is _read_cnews:
        labels = sorted({name.decode(encoding).strip() for name in names})
    elif read is _read_headlines:
        labels = [line.strip() for _, line in _lines(naming, encoding)]
    elif read is _read_one_hot:
        labels = _class_columns(naming, encoding)
    else:
        labels = sorted({_folder_of(path) for path in files["train"]})
    if len(labels) < 2 or len(set(labels)) < len(labels) or not all(x and x.isprintable() for x in labels):
        raise ValueError(f"{naming}:1: found the classes {labels}; two or more, each with its own name, are needed")
    return _Corpus(read, files, gb18030, labels, digest.hexdigest())


def _find(folder: str) -> tuple[_Reader, dict[str, list[str]]]:
    """The layout that `folder` holds: its reader, and its files by split."""
    try:
        entries = {entry.name: entry for entry in os.scandir(folder)}
    except OSError as error:
        raise ValueError(f"{folder}: {error.strerror}; give the folder that holds the corpus") from None
    csv_files = [name for name in entries if name.endswith(".csv")]
    one_hot = {"train": csv_files} if len(csv_files) == 1 else _ONE_HOT
    for read, layout in ((_read_cnews, _CNEWS), (_read_headlines, _HEADLINES), (_read_one_hot, one_hot)):
        files = {split: [entries[name].path for name in names if name in entries] for split, names in layout.items()}
        if not any(files.values()):
            continue
        for split, paths in files.items():
            if not paths and split != "validation":
                raise ValueError(f"{folder}/{layout[split][0]}: missing beside the other files of the corpus; add it")
            if len(paths) > 1:
                raise ValueError(f"{paths[0]}: {os.path.basename(paths[1])} is there as well; keep one of them")
        return read, {split: paths for split, paths in files.items() if paths}

    folders = sorted(entry.path for entry in entries.values() if entry.is_dir() and not entry.name.startswith("."))
    documents = {path: sorted(e.path for e in os.scandir(path) if e.name.endswith(".txt")) for path in folders}
    if not any(documents.values()):
        expected = "cnews.train.txt, train.txt with class.txt, train.csv, or a folder of .txt documents a class"
        raise ValueError(f"{folder}: no corpus; expected {expected}")
    for path, found in documents.items():
        if not found:
            raise ValueError(f"{path}: no .txt document; fill the folder or remove it")
    return _read_document, {"train": [path for found in documents.values() for path in found]}


def _digest(path: str, names: set[bytes] | None = None) -> tuple[str, bytes]:
    """Encoding and digest of a file; adds what stands before the first tab of each line to `names`, if given."""
    digest = hashlib.blake2b(digest_size=16)
    encodings = {"utf-8", "gb18030"}  # bytes can be cut at \n and \t: neither uses them inside a character
    with open(path, "rb") as file:
        for number, line in enumerate(file, 1):
            digest.update(line)
            for encoding in tuple(encodings):
                try:
                    line.decode(encoding)
                except UnicodeDecodeError:
                    encodings.remove(encoding)
            if not encodings:
                raise ValueError(f"{path}:{number}: neither UTF-8 nor GB18030; repair the line and save as UTF-8")
            if names is not None and b"\t" in line:
                names.add(line.removeprefix(b"\xef\xbb\xbf").split(b"\t", 1)[0])
                if len(names) > _MAX_LABELS:
                    raise ValueError(f"{path}:{number}: over {_MAX_LABELS} labels; each line must be label<TAB>content")
    return "utf-8" if "utf-8" in encodings else "gb18030", digest.digest()


def _lines(path: str, encoding: str) -> Iterator[tuple[int, str]]:
    """Numbered lines that are not blank."""
    with open(path, encoding=encoding, newline="\n") as file:
        for number, line in enumerate(file, 1):
            if line.strip():
                yield number, line.rstrip("\r\n")


def _read_cnews(path: str, encoding: str, labels: list[str]) -> Iterator[tuple[int, str, int]]:
    index = {label: i for i, label in enumerate(labels)}
    for number, line in _lines(path, encoding):
        label, tab, content = line.partition("\t")
        label = label.strip()
        if not tab:
            raise ValueError(f"{path}:{number}: no tab; write label<TAB>content")
        if label not in index:
            raise ValueError(f"{path}:{number}: label {label[:40]!r} is not in the training file; correct it")
        yield number, content.strip(), index[label]


def _read_headlines(path: str, encoding: str, labels: list[str]) -> Iterator[tuple[int, str, int]]:
    index = {str(i): i for i in range(len(labels))}
    for number, line in _lines(path, encoding):
        text, tab, label = line.rpartition("\t")
        label = label.strip()
        if not tab:
            raise ValueError(f"{path}:{number}: no tab; write headline<TAB>class index")
        if label not in index:
            raise ValueError(f"{path}:{number}: {label[:40]!r} is no class index; use 0 to {len(labels) - 1}")
        yield number, text.strip(), index[label]


def _records(path: str, encoding: str) -> Iterator[tuple[int, list[str]]]:
    """CSV records that are not blank, each with the line it starts in."""
    with open(path, encoding=encoding, newline="\n") as file:
        reader = csv.reader(file, strict=True)
        start = 1
        try:
            for cells in reader:
                if cells:
                    yield start, cells
                start = reader.line_num + 1
        except csv.Error as error:
            raise ValueError(f"{path}:{start}: {error}; check that every quote is closed") from None


def _class_columns(path: str, encoding: str) -> list[str]:
    for number, header in _records(path, encoding):
        if header[-1].strip() != "content":
            raise ValueError(f"{path}:{number}: the last column must be content, after one 0/1 column a class")
        return [name.strip() for name in header[:-1]]
    raise ValueError(f"{path}:1: no header; write one column a class, then content")


def _read_one_hot(path: str, encoding: str, labels: list[str]) -> Iterator[tuple[int, str, int]]:
    if _class_columns(path, encoding) != labels:
        raise ValueError(f"{path}:1: the class columns differ from those of the training file; expected {labels}")
    records = _records(path, encoding)
    next(records)
    for number, cells in records:
        if len(cells) != len(labels) + 1:
            raise ValueError(f"{path}:{number}: {len(cells)} cells, the header has {len(labels) + 1}; check the quotes")
        hot = [cell.strip() for cell in cells[:-1]]
        if hot.count("1") != 1 or hot.count("0") != len(labels) - 1:
            raise ValueError(f"{path}:{number}: {','.join(hot)[:80]}; one class column must be 1, all others 0")
        yield number, cells[-1].strip(), hot.index("1")


def _folder_of(path: str) -> str:
    return path.split(os.sep)[-2]


def _read_document(path: str, encoding: str, labels: list[str]) -> Iterator[tuple[int, str, int]]:
    with open(path, encoding=encoding) as file:
        yield 1, file.read().strip(), labels.index(_folder_of(path))


def _stratify(labels: list[str], splits: list[str], seed: int, where: str) -> dict[str, list[int]]:
    """Row numbers by split, shuffled: of each class a tenth for each split but the first, which gets the rest."""
    classes: dict[str, list[int]] = {}
    for row, label in enumerate(labels):
        classes.setdefault(label, []).append(row)
    drawn: dict[str, list[int]] = {split: [] for split in splits}
    for label, rows in classes.items():
        if len(rows) < len(splits):
            raise ValueError(
                f"{where}: {len(rows)} of class {label!r} are too few to draw {', '.join(splits)}; add some"
            )
        random.Random(f"{seed} {label}").shuffle(rows)  # by class: a new row leaves the draw of other classes alone
        tenth = max(1, round(len(rows) / 10))
        for split in splits[1:]:
            drawn[split] += rows[:tenth]
            rows = rows[tenth:]
        drawn[splits[0]] += rows
    for split, rows in drawn.items():
        random.Random(f"{seed} {split}").shuffle(rows)
    return drawn
