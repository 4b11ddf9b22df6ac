"""Pipes, sockets and devices where files are expected: opening one would wait, or read without end."""

import io
import os
import signal
import socket
from pathlib import Path

import pytest
from PIL import Image

from hfcls.audit.sources import load_tables
from hfcls.data.ccf_sentiment import CCFSentiment
from hfcls.data.files import regular
from hfcls.data.imdb import IMDB
from hfcls.data.mnist import MNIST
from hfcls.data.muge import MUGE
from hfcls.data.table import Table
from hfcls.data.tensor_files import read_tensors
from hfcls.data.thucnews import THUCNews
from hfcls.errors import InputError
from hfcls.images.decoding import decode
from hfcls.inference.text_files import TextFile
from hfcls.text.vectors import load_vectors
from hfcls.text.vocabulary import load_vocabulary


@pytest.fixture(autouse=True)
def impatience():
    """What waits for a pipe fails after some seconds."""

    def fail(number, frame):
        raise TimeoutError("waits for a pipe")

    before = signal.signal(signal.SIGALRM, fail)
    signal.alarm(60)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


def _make(path: Path, kind: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "device":
        path.symlink_to("/dev/zero")
    else:
        with socket.socket(socket.AF_UNIX) as bound:
            bound.bind(os.path.relpath(path))  # the name of a socket has an end
    return path


@pytest.mark.parametrize("kind", ["pipe", "device", "socket"])
def test_what_is_no_file_is_refused(kind, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = _make(tmp_path / "x", kind)
    with pytest.raises(OSError, match="a pipe, socket or device, not a file"):
        regular(path)
    (tmp_path / "file").write_text("")
    assert regular(tmp_path / "file") == tmp_path / "file"
    assert regular("absent") == "absent"


@pytest.mark.parametrize(
    "name",
    ["rows.csv", "rows.tsv", "rows.jsonl", "rows.parquet", "rows.xlsx", "folder/train.csv", "folder/train.parquet"],
)
@pytest.mark.parametrize("reader", [lambda path: Table(data_dir=path), lambda path: load_tables(path, **COLUMNS)])
def test_tables(name, reader, tmp_path):
    path = _make(tmp_path / name, "pipe")
    with pytest.raises(ValueError) as caught:
        reader(str(path.parent if "/" in name else path))
    assert str(caught.value).startswith(str(tmp_path)) and "\n" not in str(caught.value)
    assert "a pipe, socket or device, not a file" in str(caught.value) or "/" in name  # which no split is looked for in


COLUMNS = {"text_column": "text", "label_column": "label"}
CORPORA = {
    "IMDB": (IMDB, ["train/neg/1_1.txt", "train/pos", "test/neg", "test/pos"], "train/pos/1_7.txt"),
    "IMDB archive": (IMDB, [], "aclImdb.tar.gz"),
    "THUCNews documents": (THUCNews, ["体育/1.txt", "财经/2.txt"], "财经/3.txt"),
    "MNIST": (MNIST, [], "train-images-idx3-ubyte"),
    "pictures": (MNIST, ["0/1.png", "1/1.png"], "1/2.png"),
    "tensors": (MNIST, [], "mnist.pth"),
    "MUGE": (MUGE, [], "train_imgs.tsv"),
    "CCF": (CCFSentiment, [], "Train_DataSet.csv"),
}


@pytest.mark.parametrize(("builder", "files", "pipe"), CORPORA.values(), ids=CORPORA)
def test_corpora(builder, files, pipe, tmp_path):
    """A corpus with a pipe in the place of a file is read without it, or refused in one line."""
    picture = io.BytesIO()
    Image.new("L", (28, 28)).save(picture, "png")
    for name in files:
        path = tmp_path / "corpus" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix:
            path.write_bytes(picture.getvalue() if path.suffix == ".png" else "一 text".encode())
        else:
            path.mkdir()
    _make(tmp_path / "corpus" / pipe, "pipe")
    with pytest.raises((ValueError, OSError)) as caught:
        prepared = builder(data_dir=str(tmp_path / "corpus"), cache_dir=str(tmp_path / "cache"))
        prepared.download_and_prepare()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "reader",
    [
        lambda path: load_vocabulary(path),
        lambda path: load_vectors(path, {"[PAD]": 0, "[UNK]": 1}),
        lambda path: TextFile(f"{path}.csv"),
        lambda path: decode(path, f"{path}:"),
        lambda path: read_tensors([str(path)]),
    ],
)
def test_files_that_flags_name(reader, tmp_path):
    path = _make(tmp_path / "x", "pipe")
    (tmp_path / "x.csv").symlink_to(path)
    with pytest.raises((InputError, ValueError)) as caught:
        reader(path)
    assert str(caught.value).startswith(str(path)) and "\n" not in str(caught.value)
