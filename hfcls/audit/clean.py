"""Writes a corpus back in its own format, without the rows that an audit found."""

import csv
import shutil
from pathlib import Path

import numpy as np

from hfcls.audit.audit import Audit
from hfcls.audit.clean_pictures import write_pictures
from hfcls.audit.flat import FlatCorpus
from hfcls.audit.sources import BUILDERS, encoding_of, find_tables, prepare, read_table
from hfcls.errors import InputError


def write_clean(done: Audit, names: list[str], folder: str, *, corpus: str, data_dir: str | None) -> dict[str, int]:
    """Writes the rows without those of the findings `names`; test rows all stay, or results could not be compared.

    Args:
        folder: new, or empty.
        corpus: the name of a builder, or the path of a table, as the audit was asked for; `data_dir` likewise.

    Returns:
        The rows left out of each split.

    Raises:
        InputError: the folder holds something or cannot be written to, or the corpus has no files of its own.
    """
    target = Path(folder)
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise InputError(f"--write_clean {folder}: is there already; give a new folder")
    keep = kept_rows(done, names)
    try:
        target.mkdir(parents=True, exist_ok=True)
        if corpus not in BUILDERS:
            _write_tables(done.corpus, keep, corpus, target)
        elif corpus == "thucnews":
            _write_thucnews(done.corpus, keep, None if data_dir is None else Path(data_dir), target)
        elif corpus == "imdb":
            _write_imdb(done.corpus, keep, data_dir, target)
        elif corpus == "mnist":
            write_pictures(done.corpus, keep, data_dir, target)
        elif corpus == "ccf_sentiment" and data_dir is not None:
            _write_ccf_sentiment(done.corpus, keep, data_dir, target)
        else:
            raise InputError(f"--write_clean: {corpus} is not written back; give the path of its file as the corpus")
    except OSError as error:
        raise InputError(f"{error.filename or target}: {error.strerror}") from error
    dropped = np.bincount(done.corpus.split_ids[~keep], minlength=len(done.corpus.splits)).tolist()
    return dict(zip(done.corpus.splits, dropped, strict=True))


def kept_rows(done: Audit, names: list[str]) -> np.ndarray:
    """(rows,) which rows of the flat corpus stay."""
    keep = np.ones(len(done.corpus.contents), dtype=bool)
    for finding in done.findings:
        if finding.name in names:
            keep[finding.rows] = False
    if "test" in done.corpus.splits:
        keep[done.corpus.split_ids == list(done.corpus.splits).index("test")] = True
    return keep


def _rows(corpus: FlatCorpus, keep: np.ndarray, split: str) -> np.ndarray:
    return np.flatnonzero(keep & (corpus.split_ids == list(corpus.splits).index(split)))


def _write_thucnews(corpus: FlatCorpus, keep: np.ndarray, source: Path | None, target: Path) -> None:
    """The headlines or cnews layout where `source` has it; else the one-hot tables, which hold any text."""
    if source is None or (source / "class.txt").is_file():
        lines = {row: f"{corpus.contents[row]}\t{corpus.labels[row]}\n" for row in np.flatnonzero(keep)}
        names = {"train": "train.txt", "validation": "dev.txt", "test": "test.txt"}
        (target / "class.txt").write_text("".join(f"{name}\n" for name in corpus.classes), encoding="utf-8")
    elif (source / "cnews.train.txt").is_file():
        lines = {row: f"{corpus.classes[corpus.labels[row]]}\t{corpus.contents[row]}\n" for row in np.flatnonzero(keep)}
        names = {"train": "cnews.train.txt", "validation": "cnews.val.txt", "test": "cnews.test.txt"}
    else:
        for split, name in (("train", "train.csv"), ("validation", "val.csv"), ("test", "test.csv")):
            with (target / name).open("w", encoding="utf-8", newline="") as file:
                writer = csv.writer(file)
                writer.writerow([*corpus.classes, "content"])
                for row in _rows(corpus, keep, split):
                    hot = (np.arange(len(corpus.classes)) == corpus.labels[row]).astype(int).tolist()
                    writer.writerow([*hot, corpus.contents[row]])
        return
    for split, name in names.items():
        with (target / name).open("w", encoding="utf-8", newline="") as file:
            file.writelines(lines[row] for row in _rows(corpus, keep, split))


def _write_imdb(corpus: FlatCorpus, keep: np.ndarray, data_dir: str | None, target: Path) -> None:
    """The folder `aclImdb`; validation rows go back to train, of which the builder draws them anew.

    Reviews are those of the builder, with line breaks for `<br />`. The ratings in the file names come from
    the builder, too, which gives the rows in the same order for either kind of label.
    """
    rated, _ = prepare("imdb", data_dir, labels="rating")
    for split in corpus.splits:
        ratings = rated[split].features["label"].int2str(rated[split]["label"][:])
        for row in _rows(corpus, keep, split):
            label = corpus.classes[corpus.labels[row]]
            folder = target / "aclImdb" / ("test" if split == "test" else "train") / label
            folder.mkdir(parents=True, exist_ok=True)
            name = f"{row}_{ratings[row - corpus.first_rows[list(corpus.splits).index(split)]]}.txt"
            (folder / name).write_text(corpus.contents[row], encoding="utf-8", newline="")


def _write_ccf_sentiment(corpus: FlatCorpus, keep: np.ndarray, data_dir: str, target: Path) -> None:
    """The contest's files, without the rows of the ids left out; the builder draws its splits from the others anew."""
    left_out = set(corpus.names[~keep])
    for name in ("Train_DataSet.csv", "Train_DataSet_Label.csv"):
        source = Path(data_dir, name)
        with source.open(encoding=encoding_of(source), newline="") as file:
            rows = [row for row in csv.reader(file) if row and row[0].strip() not in left_out]
        with (target / name).open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows(rows)
    if (unlabelled := Path(data_dir, "Test_DataSet.csv")).is_file():
        shutil.copyfile(unlabelled, target / unlabelled.name)


def _write_tables(corpus: FlatCorpus, keep: np.ndarray, path: str, target: Path) -> None:
    """The files under their own names, with all their columns; JSONL line by line as it was."""
    for split, file in find_tables(path).items():
        kept = keep[corpus.split_ids == list(corpus.splits).index(split)]
        place = target / file.name
        if kept.all():
            shutil.copyfile(file, place)
        elif file.suffix == ".parquet":
            from pyarrow import parquet

            parquet.write_table(parquet.read_table(file).filter(kept), place)
        elif file.suffix == ".jsonl":
            lines = [line for line in file.read_bytes().split(b"\n") if line.strip()]
            place.write_bytes(b"".join(line + b"\n" for line, stays in zip(lines, kept, strict=True) if stays))
        else:
            read_table(file)[kept].to_csv(place, index=False)
