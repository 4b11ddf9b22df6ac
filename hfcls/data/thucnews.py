"""THUCNews: Chinese news documents or headlines, in the file layouts in which the corpus is passed around.

The corpus: Sun, Li, Guo, Zhao, Zheng, Si, Liu: "THUCTC: An Efficient Chinese Text Classifier", 2016,
http://thuctc.thunlp.org/. This file needs `datasets` and `builder.py`, `encodings.py`, `files.py` and `folders.py`
beside it.
"""

import os
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import datasets

from . import folders
from .builder import CorpusBuilder, CorpusConfig, Reading, fingerprint
from .encodings import check_name, scan
from .files import GB18030, csv_records, csv_write, digest, numbered_lines, shuffled_by_class
from .folders import class_folders, visible

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
    encodings: dict[str, str]  # of each file
    labels: list[str]

    def rows(self, path: str) -> Iterator[tuple[int, str, int]]:
        return self.read(path, self.encodings[path], self.labels)


@dataclass
class THUCNewsConfig(CorpusConfig):
    """`seed` draws the splits that the corpus does not bring; class names and cache key follow from the files.

    `encoding` is that of all files; None: UTF-8 or GB18030.
    """

    seed: int = 42
    encoding: str | None = None
    corpus: _Corpus = field(init=False, repr=False)

    def __post_init__(self):
        super().__post_init__()
        folder = _SAMPLE if self.data_dir is None else os.path.normpath(self.data_dir)
        self.corpus, self.fingerprint = _scan(folder, self.encoding, self.notes.append)
        files = [path for path, encoding in self.corpus.encodings.items() if encoding == GB18030]
        if files and self.encoding is None:
            self.notes.append(f"{min(files)}: not UTF-8, read as GB18030 (files of this kind: {len(files)})")


class THUCNews(CorpusBuilder):
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

    def read(self, note: Callable[[str], None]) -> Reading:
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
        return Reading({split: sources[split] for split in splits})

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
            raise ValueError(f"{files[0]}:1: no rows; add some")

    def write_back(self, kept: dict[str, list[int]], folder: str) -> None:
        """Headlines and cnews documents in their layout; all else as one-hot tables, which hold any text."""
        names, splits = self.config.corpus.labels, self.as_dataset()
        layout = {_read_headlines: _HEADLINES, _read_cnews: _CNEWS}.get(self.config.corpus.read, _ONE_HOT)
        if layout is _HEADLINES:
            with open(os.path.join(folder, layout["class"][0]), "w", encoding="utf-8") as file:
                file.writelines(f"{name}\n" for name in names)
        for split, rows in kept.items():
            with open(os.path.join(folder, layout[split][0]), "w", encoding="utf-8", newline="") as file:
                if layout is _ONE_HOT:
                    csv_write(file, [[*names, "content"]])
                for row in splits[split].select(rows):
                    text, label = row["text"], row["label"]
                    if layout is _HEADLINES:
                        file.write(f"{text}\t{label}\n")
                    elif layout is _CNEWS:
                        file.write(f"{names[label]}\t{text}\n")
                    else:
                        csv_write(file, [[*(int(i == label) for i in range(len(names))), text]])


def _scan(folder: str, encoding: str | None, note: Callable[[str], None]) -> tuple[_Corpus, str]:
    """Finds the layout and reads every file of it for encoding, class names and fingerprint, which comes second."""
    read, files = _find(folder, note)
    encodings, contents = {}, []
    for split, paths in files.items():
        for path in paths:
            encodings[path], content = scan(path) if encoding is None else (check_name(encoding), digest(path))
            contents.append((f"{split}\0{path[len(folder) :]}", content))
    naming = files.get("class", files["train"])[0]  # the file that names the classes
    encoding = encodings[naming]
    if read is _read_cnews:
        labels = _line_labels(naming, encoding)
    elif read is _read_headlines:
        labels = [line.strip() for _, line in _lines(naming, encoding)]
    elif read is _read_one_hot:
        labels = _class_columns(naming, encoding)
    else:
        labels = sorted({_folder_of(path) for path in files["train"]})
    if len(labels) < 2 or len(set(labels)) < len(labels) or not all(x and x.isprintable() for x in labels):
        raise ValueError(f"{naming}:1: found the classes {labels}; name two or more, each of its own")
    return _Corpus(read, files, encodings, labels), fingerprint([__file__, folders.__file__], contents)


def _find(folder: str, note: Callable[[str], None]) -> tuple[_Reader, dict[str, list[str]]]:
    """The layout that `folder` holds: its reader, and its files by split."""
    try:
        entries = {name: f"{folder}/{name}" for name in visible(folder)}
    except OSError as error:
        raise ValueError(f"{folder}: {error.strerror}; give the folder that holds the corpus") from None
    csv_files = [name for name in entries if name.endswith(".csv")]
    one_hot = {"train": csv_files} if len(csv_files) == 1 else _ONE_HOT
    for read, layout in ((_read_cnews, _CNEWS), (_read_headlines, _HEADLINES), (_read_one_hot, one_hot)):
        files = {split: [entries[name] for name in names if name in entries] for split, names in layout.items()}
        if not any(files.values()):
            continue
        for split, paths in files.items():
            if not paths and split != "validation":
                raise ValueError(f"{folder}/{layout[split][0]}: missing beside the other files of the corpus; add it")
            if len(paths) > 1:
                raise ValueError(f"{paths[0]}: {os.path.basename(paths[1])} is there as well; keep one of them")
        return read, {split: paths for split, paths in files.items() if paths}

    documents = class_folders(folder, (".txt",), "document", note)
    if not documents:
        expected = "cnews.train.txt, train.txt with class.txt, train.csv, or a folder of .txt documents a class"
        raise ValueError(f"{folder}: no corpus; give a folder with {expected}")
    return _read_document, {"train": [path for found in documents.values() for path in found]}


def _lines(path: str, encoding: str) -> Iterator[tuple[int, str]]:
    """Numbered lines that are not blank."""
    return ((number, line) for number, line in numbered_lines(path, encoding) if line.strip())


def _line_labels(path: str, encoding: str) -> list[str]:
    """What stands before the first tab of the lines, sorted."""
    labels = set()
    for number, line in _lines(path, encoding):
        label, tab, _ = line.partition("\t")
        if tab:
            labels.add(label.strip())
        if len(labels) > _MAX_LABELS:
            raise ValueError(f"{path}:{number}: over {_MAX_LABELS} labels; each line must be label<TAB>content")
    return sorted(labels)


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


def _class_columns(path: str, encoding: str) -> list[str]:
    for number, header in csv_records(path, encoding):
        if header[-1].strip() != "content":
            raise ValueError(f"{path}:{number}: the last column must be content, after one 0/1 column a class")
        return [name.strip() for name in header[:-1]]
    raise ValueError(f"{path}:1: no header; write one column a class, then content")


def _read_one_hot(path: str, encoding: str, labels: list[str]) -> Iterator[tuple[int, str, int]]:
    if _class_columns(path, encoding) != labels:
        raise ValueError(f"{path}:1: the class columns differ from those of the training file; expected {labels}")
    records = csv_records(path, encoding)
    next(records)
    for number, cells in records:
        hot = [cell.strip() for cell in cells[:-1]]
        if hot.count("1") != 1 or hot.count("0") != len(labels) - 1:
            raise ValueError(f"{path}:{number}: {','.join(hot)[:80]}; one class column must be 1, all others 0")
        yield number, cells[-1].strip(), hot.index("1")


def _folder_of(path: str) -> str:
    return path.split(os.sep)[-2]


def _read_document(path: str, encoding: str, labels: list[str]) -> Iterator[tuple[int, str, int]]:
    lines = (line for _, line in numbered_lines(path, encoding))
    yield 1, "\n".join(lines).strip(), labels.index(_folder_of(path))


def _stratify(labels: list[str], splits: list[str], seed: int, where: str) -> dict[str, list[int]]:
    """Row numbers by split, shuffled: of each class a tenth for each split but the first, which gets the rest."""
    drawn: dict[str, list[int]] = {split: [] for split in splits}
    classes = dict(shuffled_by_class(labels, seed))
    rare = [f"{len(rows)} of class {label!r}" for label, rows in classes.items() if len(rows) < len(splits)]
    if rare:
        raise ValueError(f"{where}: {', '.join(rare)} are too few to draw {', '.join(splits)}; add some")
    for rows in classes.values():
        tenth = max(1, round(len(rows) / 10))
        for split in splits[1:]:
            drawn[split] += rows[:tenth]
            rows = rows[tenth:]
        drawn[splits[0]] += rows
    for split, rows in drawn.items():
        random.Random(f"{seed} {split}").shuffle(rows)
    return drawn
