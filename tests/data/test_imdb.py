import collections
import io
import os
import tarfile
from pathlib import Path

import datasets
import pytest

from hfcls.data import imdb
from hfcls.data.imdb import IMDB

SHARED = Path(__file__).parents[2] / ".." / "shared"
ARCHIVE = SHARED / "data" / "aclImdb.tar.xz"
SOURCE = Path(imdb.__file__)
SPLITS = ("train", "validation", "test")
RATINGS = {"neg": (1, 2, 3, 4), "pos": (7, 8, 9, 10)}


def reviews(train=10, test=2):
    """Files of a corpus with so many reviews a rating."""
    return {
        f"aclImdb/{split}/{folder}/{i}_{rating}.txt": f"{split} review {i}, rated {rating}".encode()
        for split, count in (("train", train), ("test", test))
        for folder, ratings in RATINGS.items()
        for rating in ratings
        for i in range(count)
    }


def unpack(folder, files):
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def pack(path, files, mode="w:xz", extra=()):
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, mode) as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
        for member in extra:
            archive.addfile(member)
    return path


def prepare(path, cache, **options):
    builder = IMDB(data_dir=path and str(path), cache_dir=str(cache), **options)
    builder.download_and_prepare()
    return builder.as_dataset()


def rows(corpus):
    """By split: (text, class name) of every row."""
    return {s: [(r["text"], corpus[s].features["label"].int2str(r["label"])) for r in corpus[s]] for s in SPLITS}


@pytest.fixture(autouse=True)
def _quiet():
    datasets.disable_progress_bars()


@pytest.fixture(scope="module")
def expected(tmp_path_factory):
    """What every form of the small corpus must give."""
    datasets.disable_progress_bars()
    path = tmp_path_factory.mktemp("imdb")
    return rows(prepare(unpack(path / "corpus", reviews()), path / "cache"))


def test_rows_are_those_of_the_files(tmp_path, expected):
    found = sorted(expected["train"] + expected["validation"]), sorted(expected["test"])
    for split, pairs in zip(("train", "test"), found, strict=True):
        files = {name: text for name, text in reviews().items() if f"/{split}/" in name}
        assert pairs == sorted((text.decode(), name.split("/")[2]) for name, text in files.items())
    corpus = prepare(unpack(tmp_path / "corpus", reviews()), tmp_path / "cache")
    label = datasets.ClassLabel(names=["neg", "pos"])
    assert list(corpus) == list(SPLITS)
    assert corpus["test"].features == datasets.Features({"text": datasets.Value("string"), "label": label})


@pytest.mark.parametrize(
    "mode, name", [("w:gz", "aclImdb_v1.tar.gz"), ("w:xz", "aclImdb.tar.xz"), ("w", "aclImdb.tar")], ids=lambda x: x
)
def test_archives_give_the_same_rows_and_are_not_unpacked(tmp_path, expected, mode, name):
    readme = {"aclImdb/README": b"notes", "aclImdb/imdb.vocab": b"the\n", "aclImdb/train/unsup/0_0.txt": b"unlabelled"}
    backwards = dict(reversed((readme | reviews()).items()))
    path = pack(tmp_path / "corpus" / name, {f"./{n}" if mode == "w" else n: c for n, c in backwards.items()}, mode)
    assert rows(prepare(path, tmp_path / "cache")) == expected
    assert rows(prepare(path.parent, tmp_path / "cache")) == expected
    assert os.listdir(path.parent) == [name]


def test_folders_give_the_same_rows_whatever_the_file_system_order(tmp_path, expected, monkeypatch):
    folder = unpack(tmp_path / "corpus", dict(reversed(reviews().items())))
    unpack(folder, {"aclImdb/train/unsup/0_0.txt": b"unlabelled", "aclImdb/train/pos/.DS_Store": b"\xff"})
    key = IMDB(data_dir=str(folder)).config_id
    scandir = os.scandir
    monkeypatch.setattr(imdb.os, "scandir", lambda path: sorted(scandir(path), key=lambda e: e.name, reverse=True))
    assert IMDB(data_dir=str(folder)).config_id == key
    assert rows(prepare(folder, tmp_path / "cache")) == expected
    assert rows(prepare(folder / "aclImdb", tmp_path / "cache")) == expected


def test_validation_is_a_tenth_of_each_rating_and_the_same_for_both_labels(tmp_path, expected):
    path = pack(tmp_path / "aclImdb.tar.xz", reviews(train=30, test=1))
    sentiment, rating = (rows(prepare(path, tmp_path / "cache", labels=x)) for x in ("sentiment", "rating"))
    names = ["1", "2", "3", "4", "7", "8", "9", "10"]
    assert IMDB(data_dir=str(path), labels="rating").info.features["label"].names == names
    assert collections.Counter(name for _, name in rating["validation"]) == dict.fromkeys(names, 3)
    assert collections.Counter(name for _, name in rating["train"]) == dict.fromkeys(names, 27)
    assert all(text.endswith(f"rated {name}") for split in SPLITS for text, name in rating[split])
    for split in SPLITS:
        assert [text for text, _ in sentiment[split]] == [text for text, _ in rating[split]]
    other = rows(prepare(path, tmp_path / "cache", seed=7))
    assert set(other["validation"]) != set(sentiment["validation"])


def test_rows_come_shuffled(expected):
    names = [name for _, name in expected["test"]]
    assert sorted(names) != names and sorted(names, reverse=True) != names


@pytest.mark.parametrize(
    "raw, text",
    [
        ("Good.<br /><br />Really<BR>good.", "Good.\n\nReally\ngood."),
        ("<p>One<hr/>two</p>", "One\ntwo"),
        ("an <i>old</i> <b>film</b>", "an old film"),
        ("<sigh> I <3 it, 1 < 2 > 0", "<sigh> I <3 it, 1 < 2 > 0"),
        ("it&#8217;s R&amp;B, Q&A; &notanentity", "it’s R&B, Q&A; &notanentity"),
        ("dull \x96 no, bad\x85 it\x92s", "dull – no, bad… it’s"),
        ("\ufeff caf\u00e9 \n", "café"),
    ],
)
def test_markup(tmp_path, raw, text):
    files = reviews(train=2, test=1) | {"aclImdb/test/pos/9_9.txt": raw.encode()}
    assert text in prepare(unpack(tmp_path / "corpus", files), tmp_path / "cache")["test"]["text"][:]


def member(name, kind=tarfile.REGTYPE, target=""):
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


def test_hostile_members_are_not_followed(tmp_path, expected):
    secret = tmp_path / "secret.txt"
    secret.write_text("not yours")
    hostile = [
        member("../escaped.txt"),
        member("aclImdb/train/pos/../../../escaped_10.txt"),
        member(f"{tmp_path}/absolute.txt"),
        member("aclImdb/link.txt", tarfile.SYMTYPE, str(secret)),
        member("aclImdb/train/unsup", tarfile.SYMTYPE, "/"),
        member("aclImdb/pipe", tarfile.FIFOTYPE),
        member("aclImdb/train/pos", tarfile.DIRTYPE),
    ]
    path = pack(tmp_path / "corpus" / "aclImdb.tar.gz", reviews(), "w:gz", hostile)
    before = sorted(tmp_path.rglob("*"))
    assert rows(prepare(path, tmp_path / "cache")) == expected
    assert sorted(p for p in tmp_path.rglob("*") if "cache" not in p.parts) == before


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE])
def test_a_link_in_the_place_of_a_review_is_refused(tmp_path, kind):
    name = "aclImdb/train/pos/77_9.txt"
    path = pack(tmp_path / "aclImdb.tar", reviews(), "w", [member(name, kind, "/etc/hostname")])
    with pytest.raises(ValueError, match=f"aclImdb.tar: {name}: not a plain file"):
        prepare(path, tmp_path / "cache")


def test_a_review_of_a_gigabyte_is_refused_unread(tmp_path):
    path = pack(tmp_path / "aclImdb.tar", reviews(), "w")
    huge = member("aclImdb/train/pos/77_9.txt")
    huge.size = 1 << 30
    content = path.read_bytes().rstrip(b"\0")
    path.write_bytes(content + bytes(-len(content) % 512) + huge.tobuf())
    with pytest.raises(ValueError, match="77_9.txt: not a plain file up to 1048576 bytes"):
        prepare(path, tmp_path / "cache")


@pytest.mark.parametrize("mode, suffix", [("w:gz", ".tar.gz"), ("w:xz", ".tar.xz"), ("w", ".tar")], ids=lambda x: x)
@pytest.mark.parametrize("damage", ["cut early", "cut before a member", "cut late", "one byte", "no archive", "empty"])
def test_torn_archives_are_refused(tmp_path, mode, suffix, damage):
    content = pack(tmp_path / "whole", reviews(), mode).read_bytes()
    # a member takes a header and one block, 1,024 bytes; the last 16 are the test split, so that no class goes missing
    header = 1024 * 95 if mode == "w" else len(content) // 2
    checksum = header + 150
    content = {
        "cut early": content[: len(content) // 3],
        "cut before a member": content[:header],
        "cut late": content[:-12] if mode != "w" else content.rstrip(b"\0"),
        "one byte": content[:checksum] + bytes([content[checksum] ^ 0xFF]) + content[checksum + 1 :],
        "no archive": b"hello" * 1000,
        "empty": b"",
    }[damage]
    path = tmp_path / f"aclImdb{suffix}"
    path.write_bytes(content)
    with pytest.raises(ValueError) as caught:
        prepare(path, tmp_path / "cache")
    assert str(caught.value) == f"{path}: the archive is torn, or not a tar archive; fetch it again"


@pytest.mark.parametrize("form", ["folder", "archive"])
def test_hidden_files_are_left_out_and_told(tmp_path, expected, form, caplog):
    hidden = {f"aclImdb/{name}": b"\0\5\x16\7" for name in ("train/pos/._1_9.txt", "test/neg/.DS_Store")}
    files = reviews() | hidden | {"__MACOSX/aclImdb/train/pos/._1_9.txt": b"\0\5\x16\7"}
    path = unpack(tmp_path / "c", files) if form == "folder" else pack(tmp_path / "aclImdb.tar.gz", files, "w:gz")
    assert rows(prepare(path, tmp_path / "cache")) == expected
    assert "2 hidden files" in caplog.text


BAD = {  # files put in or (None) taken out, what is named, what is said
    "no rating": (
        {"train/pos/7.txt": b"x"},
        "aclImdb/train/pos/7.txt",
        "expected <id>_<rating>.txt with a rating of 7 8",
    ),
    "rating 5": ({"test/neg/7_5.txt": b"x"}, "aclImdb/test/neg/7_5.txt", "with a rating of 1 2 3 4"),
    "wrong side": ({"train/neg/7_10.txt": b"x"}, "aclImdb/train/neg/7_10.txt", "with a rating of 1 2 3 4"),
    "Thai digits": ({"train/pos/7_๙.txt": b"x"}, "aclImdb/train/pos/7_๙.txt", "with a rating of 7 8 9 10"),
    "Latin-1": ({"train/pos/7_9.txt": b"caf\xe9"}, "aclImdb/train/pos/7_9.txt", "not UTF-8"),
    "empty": ({"test/pos/7_9.txt": b"<br />\n"}, "aclImdb/test/pos/7_9.txt", "the review is empty"),
}


@pytest.mark.parametrize("form", ["folder", "archive"])
@pytest.mark.parametrize("files, where, what", BAD.values(), ids=BAD)
def test_bad_reviews_are_named(tmp_path, form, files, where, what):
    files = reviews() | {f"aclImdb/{name}": content for name, content in files.items()}
    folder = tmp_path / "corpus"
    path = unpack(folder, files) if form == "folder" else pack(folder / "aclImdb.tar.gz", files, "w:gz")
    with pytest.raises(ValueError) as caught:
        prepare(path, tmp_path / "cache")
    message = str(caught.value)
    assert what in message and "\n" not in message
    assert message.startswith(f"{path}/{where}: " if form == "folder" else f"{path}: {where}: ")


def test_empty_splits(tmp_path):
    for split in ("train", "test"):
        files = {name: content for name, content in reviews().items() if f"{split}/pos" not in name}
        path = pack(tmp_path / split / "aclImdb.tar.gz", files, "w:gz")
        with pytest.raises(ValueError, match=f"aclImdb.tar.gz: no reviews in aclImdb/{split}/pos; fetch the whole"):
            prepare(path, tmp_path / "cache")
        folder = unpack(tmp_path / split / "folder", files)
        with pytest.raises(ValueError, match=f"aclImdb/{split}/pos: No such file or directory; unpack the whole"):
            IMDB(data_dir=str(folder))
        (folder / "aclImdb" / split / "pos").mkdir()
        with pytest.raises(ValueError, match=f"aclImdb: no reviews in aclImdb/{split}/pos"):
            prepare(folder, tmp_path / "cache")
    with pytest.raises(ValueError, match="corpus: one training review rated 1 is too few to draw validation"):
        prepare(unpack(tmp_path / "corpus", {n[8:]: c for n, c in reviews(train=1).items()}), tmp_path / "cache")


def test_unusable_arguments(tmp_path):
    unpack(tmp_path, {"a/aclImdb.tar.gz": b"", "a/aclImdb_v1.tar.gz": b"", "b/notes.txt": b""})
    for path, what in {
        "absent": "No such file or directory; give the archive or the folder",
        "a": "aclImdb.tar.gz and aclImdb_v1.tar.gz are both there; name one of them",
        "b": "no corpus; give a folder with aclImdb/",
        "b/notes.txt": "not a .tar.gz, .tar.xz, .tar archive",
    }.items():
        with pytest.raises(ValueError) as caught:
            IMDB(data_dir=str(tmp_path / path))
        assert str(caught.value).startswith(f"{tmp_path / path}: {what}")
    with pytest.raises(ValueError, match="labels='stars' is not known; use sentiment or rating"):
        IMDB(labels="stars")


@pytest.mark.parametrize("form", ["folder", "archive"])
def test_an_edit_that_keeps_size_and_time_is_not_served_stale(tmp_path, form):
    files = reviews(train=2, test=1)
    path = unpack(tmp_path / "corpus", files) if form == "folder" else pack(tmp_path / "aclImdb.tar", files, "w")
    first = rows(prepare(path, tmp_path / "cache"))
    edited = path / "aclImdb/test/pos/0_9.txt" if form == "folder" else path
    before = edited.stat()
    edited.write_bytes(edited.read_bytes().replace(b"test review 0, rated 9", b"test review 0, RATED 9"))
    os.utime(edited, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert (edited.stat().st_size, edited.stat().st_mtime_ns) == (before.st_size, before.st_mtime_ns)
    second = rows(prepare(path, tmp_path / "cache"))
    assert {s: set(second[s]) - set(first[s]) for s in SPLITS} == {
        "train": set(),
        "validation": set(),
        "test": {("test review 0, RATED 9", "pos")},
    }


def test_a_renamed_or_deleted_review_changes_the_cache_key(tmp_path):
    folder = unpack(tmp_path / "corpus", reviews())
    keys = [IMDB(data_dir=str(folder)).config_id]
    (folder / "aclImdb/test/pos/0_9.txt").rename(folder / "aclImdb/test/pos/99_9.txt")
    keys.append(IMDB(data_dir=str(folder)).config_id)
    (folder / "aclImdb/test/pos/99_9.txt").unlink()
    keys.append(IMDB(data_dir=str(folder)).config_id)
    assert len(set(keys)) == 3


def test_sample_is_balanced_varied_and_neither_trivial_nor_noise(tmp_path):
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.svm import LinearSVC

    corpus = prepare(None, tmp_path)
    assert {s: len(corpus[s]) for s in SPLITS} == {"train": 720, "validation": 80, "test": 200}
    assert len({text for s in SPLITS for text in corpus[s]["text"]}) == 1000
    assert all(collections.Counter(corpus[s]["label"]) == dict.fromkeys((0, 1), len(corpus[s]) // 2) for s in SPLITS)
    vectorizer = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True)
    model = LinearSVC().fit(vectorizer.fit_transform(corpus["train"]["text"]), corpus["train"]["label"])
    assert 0.7 < model.score(vectorizer.transform(corpus["test"]["text"]), corpus["test"]["label"]) < 1
    rating = prepare(None, tmp_path, labels="rating")
    assert collections.Counter(rating["test"]["label"]) == dict.fromkeys(range(8), 25)


@pytest.mark.skipif(not ARCHIVE.exists(), reason="the archive of the Large Movie Review Dataset is not there")
def test_real_archive(tmp_path):
    corpus = prepare(ARCHIVE, tmp_path, labels="rating")
    assert {s: len(corpus[s]) for s in SPLITS} == {"train": 22500, "validation": 2500, "test": 25000}
    count = {s: collections.Counter(corpus[s]["label"]) for s in SPLITS}
    # the published numbers of reviews a rating: 1, 2, 3, 4, 7, 8, 9, 10
    train, test = (5100, 2284, 2420, 2696, 2496, 3009, 2263, 4732), (5022, 2302, 2541, 2635, 2307, 2850, 2344, 4999)
    assert count["train"] + count["validation"] == dict(enumerate(train)) and count["test"] == dict(enumerate(test))
    assert count["validation"] == {label: round(number / 10) for label, number in enumerate(train)}
    texts = [text for s in SPLITS for text in corpus[s]["text"]]
    assert all(texts) and not any("<br" in text or "\x96" in text for text in texts)
