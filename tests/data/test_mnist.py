import gzip
import logging
import os
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from hfcls.data.corpora import CORPORA
from hfcls.data.mnist import MNIST
from tests.warm import run_apart

ROOT = Path(__file__).parents[2]
SHARED = ROOT / ".." / "shared" / "data" / "mnist"
SPLITS = ("train", "validation", "test")


def pictures(rows, side=6):
    return np.arange(rows * side * side).reshape(rows, side, side).astype(np.uint8)


def labels(rows):
    return (np.arange(rows) % 10).astype(np.uint8)


def idx(array, magic=None):
    header = struct.pack(f">{1 + array.ndim}I", magic or 0x800 + array.ndim, *array.shape)
    return header + array.tobytes()


def write_pair(folder, name, rows, suffix=""):
    packed = gzip.compress if suffix else bytes
    (folder / f"{name}-images-idx3-ubyte{suffix}").write_bytes(packed(idx(pictures(rows))))
    (folder / f"{name}-labels-idx1-ubyte{suffix}").write_bytes(packed(idx(labels(rows))))


def build(data_dir, tmp_path):
    builder = MNIST(data_dir=None if data_dir is None else str(data_dir), cache_dir=str(tmp_path / "cache"))
    builder.download_and_prepare()
    return builder.as_dataset()


def content(splits):
    """All rows by id: picture and label."""
    return {row["id"]: (np.asarray(row["image"]), row["label"]) for name in SPLITS for row in splits[name]}


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_both_pairs(suffix, tmp_path):
    write_pair(tmp_path, "train", 120, suffix)
    write_pair(tmp_path, "t10k", 30, suffix)
    splits = build(tmp_path, tmp_path)
    assert [len(splits[name]) for name in SPLITS] == [100, 20, 30]
    assert splits["train"].features["label"].names == [str(digit) for digit in range(10)]
    assert np.bincount(splits["validation"]["label"][:]).tolist() == [2] * 10
    assert splits["test"]["id"][:] == [f"t10k-images:{row}" for row in range(30)]
    rows = content(splits)
    assert len(rows) == 150
    for row in (0, 7, 119):
        image, label = rows[f"train-images:{row}"]
        np.testing.assert_array_equal(image, pictures(120)[row])
        assert label == row % 10


def test_one_pair_is_cut_in_order(tmp_path, caplog):
    write_pair(tmp_path, "t10k", 200)
    with caplog.at_level(logging.WARNING):
        splits = build(tmp_path, tmp_path)
    assert splits["test"]["id"][:] == [f"t10k-images:{row}" for row in range(160, 200)]
    assert len(splits["train"]) + len(splits["validation"]) == 160
    assert "cut in order, 160 rows to train, 40 to test" in caplog.text


def tensors(form):
    make = {
        "uint8": lambda images: torch.from_numpy(images),
        "channel first": lambda images: torch.from_numpy(images)[:, None],
        "channel last": lambda images: torch.from_numpy(images)[..., None],
        "float to 1": lambda images: torch.from_numpy(images).float() / 255,
        "float to 255": lambda images: torch.from_numpy(images).double(),
    }[form]
    content = {}
    for split, rows in (("train", 60), ("test", 20)):
        content[f"{split}_data"] = make(pictures(rows))
        content[f"{split}_labels"] = torch.from_numpy(labels(rows)).long()
    return content


@pytest.mark.parametrize("form", ["uint8", "channel first", "channel last", "float to 1", "float to 255"])
@pytest.mark.parametrize("files", [1, 4])
def test_tensors(form, files, tmp_path):
    folder = tmp_path / "mnist"
    folder.mkdir()
    if files == 1:
        torch.save(tensors(form), folder / "mnist.pth")
    else:
        for name, tensor in tensors(form).items():
            torch.save(tensor, folder / f"{name}.pth")
    rows = content(build(folder / "mnist.pth" if files == 1 else folder, tmp_path))
    for split, count in (("train", 60), ("test", 20)):
        for row in range(count):
            np.testing.assert_array_equal(rows[f"{split}:{row}"][0], pictures(count)[row])
            assert rows[f"{split}:{row}"][1] == row % 10


@pytest.mark.parametrize("parts", [[""], ["train", "test"]])
def test_folders_of_pictures(parts, tmp_path, caplog):
    root = tmp_path / "pictures"
    for part in parts:
        for name in ("cat", "猫 <b>"):
            (root / part / name).mkdir(parents=True)
            for number in range(12):
                array = np.full((5, 4 + number, 3), number * 9, np.uint8)
                Image.fromarray(array).save(root / part / name / f"{number}.png")
    (root / parts[0] / "cat" / "notes.txt").write_text("no picture")
    with caplog.at_level(logging.WARNING):
        splits = build(root, tmp_path)
    assert "1 files that are no pictures" in caplog.text
    assert splits["train"].features["label"].names == ["cat", "猫 <b>"]
    assert [len(splits[name]) for name in SPLITS] == ([16, 4, 4] if parts == [""] else [20, 4, 24])
    rows = content(splits)
    image, label = rows[str(Path(parts[0], "猫 <b>", "3.png"))]
    assert label == 1 and image.shape == (5, 7, 3) and (image == 27).all()


def test_digits_without_files(tmp_path):
    splits = build(None, tmp_path)
    assert [len(splits[name]) for name in SPLITS] == [1199, 239, 359]
    assert splits["train"][0]["image"].size == (28, 28)
    assert len(content(splits)) == 1797


def test_changed_files_are_read_again(tmp_path):
    write_pair(tmp_path, "t10k", 100)
    before = content(build(tmp_path, tmp_path))
    (tmp_path / "t10k-labels-idx1-ubyte").write_bytes(idx(labels(100)[::-1]))
    assert content(build(tmp_path, tmp_path))["t10k-images:0"][1] != before["t10k-images:0"][1]


class Bomb:
    def __reduce__(self):
        return os.system, ("touch /tmp/hfcls-bomb-went-off",)


def save(path, changed=None):
    torch.save(tensors("uint8") | (changed or {}), path)


def torn(content):
    return lambda path: path.write_bytes(content)


def png_of_gigabytes() -> bytes:
    """A megabyte of zeros in a kilobyte, under a header that promises 60,000 times 60,000 colours."""
    header = b"IHDR" + struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    chunks = [header, b"IDAT" + zlib.compress(bytes(2**20)), b"IEND"]
    framed = [struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk)) for chunk in chunks]
    return b"\x89PNG\r\n\x1a\n" + b"".join(framed)


IMAGES, LABELS = "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"
HOSTILE = {
    "torn header": (IMAGES, torn(idx(pictures(50))[:9]), "torn within its header"),
    "torn pictures": (IMAGES, torn(idx(pictures(50))[:-1]), "promises 1816 bytes, it has 1815"),
    "too long": (LABELS, torn(idx(labels(50)) + b"x"), "promises 58 bytes, it has 59"),
    "wrong magic": (IMAGES, torn(idx(pictures(50), magic=0x803FF)), "its magic number is 0x000803ff"),
    "labels for pictures": (IMAGES, torn(idx(labels(50)) + bytes(8)), "its magic number is 0x00000801"),
    "counts differ": (LABELS, torn(idx(labels(49))), "49 labels for the 50 pictures"),
    "a class of one": (
        LABELS, torn(idx(np.where(np.arange(50) == 7, 57, labels(50)).astype(np.uint8))), "class 57 is too few"
    ),
    "no digit": (
        "a.pth", lambda path: save(path, {"test_labels": torch.full((20,), 10)}), "label 10 of row 0 is no digit"
    ),
    "no rows": (IMAGES, torn(idx(pictures(0))), "promises 16 bytes, it has 16"),
    "no labels": (LABELS, lambda path: path.unlink(), "its file of labels is missing"),
    "torn gzip": (f"{IMAGES}.gz", torn(gzip.compress(idx(pictures(50)))[:40]), "fetch it again"),
    "no gzip": (f"{IMAGES}.gz", torn(idx(pictures(50))), "Not a gzipped file"),
    "a pickle with code": ("a.pth", lambda path: torch.save(Bomb(), path), "more in it than tensors"),
    "text as .pth": ("a.pth", torn(b"not a tensor"), "more in it than tensors"),
    "torn .pth": ("a.pth", lambda path: (save(path), path.write_bytes(path.read_bytes()[:900])), "torn"),
    "a list": ("a.pth", lambda path: torch.save([torch.zeros(2)], path), "holds no dict"),
    "one tensor missing": (
        "a.pth", lambda path: torch.save({"train_data": torch.zeros(2, 2, 2)}, path), "train_labels is missing"
    ),
    "one is no tensor": (
        "a.pth", lambda path: save(path, {"test_data": "x"}), "test_data is missing or no tensor"
    ),
    "normalised": (
        "a.pth", lambda path: save(path, {"test_data": torch.randn(20, 6, 6)}), "outside 0 to 255"
    ),
    "flat": ("a.pth", lambda path: save(path, {"test_data": torch.zeros(20, 36)}), r"\(20, 36\)"),
    "NaN labels": (
        "a.pth", lambda path: save(path, {"test_labels": torch.full((20,), torch.nan)}),
        "test_labels must be",
    ),
    "unreadable picture": ("cat/3.png", torn(b"\x89PNG\r\n\x1a\n torn"), "no picture that can be read"),
    "half a picture": (
        "cat/3.png",
        lambda path: (Image.effect_noise((64, 64), 50).save(path), path.write_bytes(path.read_bytes()[:900])),
        "no picture that can be read",
    ),
    "a picture of gigabytes": ("cat/3.png", torn(png_of_gigabytes()), "exceeds limit of .* pixels"),
    "an empty picture": ("dog/1.jpg", torn(b""), "no picture that can be read"),
    "one picture of a class": ("bird/1.png", lambda path: Image.new("L", (3, 3)).save(path), "class bird is too few"),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_files(name, tmp_path):
    file, harm, message = HOSTILE[name]
    path = tmp_path / "corpus" / file
    path.parent.mkdir(parents=True)
    if file.endswith((".png", ".jpg")):
        for animal in ("cat", "dog"):
            (path.parents[1] / animal).mkdir(exist_ok=True)
            for number in range(6):
                Image.new("L", (3, 3)).save(path.parents[1] / animal / f"{number}.png")
    elif not file.endswith(".pth"):
        write_pair(path.parent, "t10k", 50)
        if file.endswith(".gz"):
            path.with_suffix("").unlink()
    harm(path)
    with pytest.raises(ValueError, match=message) as caught:
        build(tmp_path / "corpus", tmp_path)
    said = str(caught.value)
    assert "\n" not in said and str(tmp_path / "corpus") in said
    assert not Path("/tmp/hfcls-bomb-went-off").exists()


def test_no_corpus(tmp_path):
    for path in (tmp_path, tmp_path / "absent"):
        with pytest.raises(ValueError, match=str(path)):
            MNIST(data_dir=str(path))


def test_one_line_and_exit_code_2(tmp_path):
    write_pair(tmp_path, "t10k", 50)
    (tmp_path / IMAGES).write_bytes(b"\0\0")
    command = [ROOT / "recipes" / "mnist_cnn.py", "--data_dir", tmp_path, "--use_cpu", "--output_dir", tmp_path / "out"]
    env = {**os.environ, "HF_HOME": str(tmp_path / "hf"), "PYTHONPATH": str(ROOT)}
    done = run_apart(*command, environment=env, folder=tmp_path)
    assert done.returncode == 2
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("error: ") and IMAGES in last and "torn within its header" in last
    assert "Traceback" not in done.stderr


@pytest.mark.skipif(not SHARED.exists(), reason="needs ../shared")
def test_real_files(tmp_path):
    splits = build(SHARED, tmp_path)
    assert [len(splits[name]) for name in SPLITS] == [6667, 1333, 2000]
    assert splits["test"][0]["image"].size == (28, 28)


def test_only_mnist_is_called_so(tmp_path):
    """Other idx files with ten labels are what their folder is called; the true ones are known by their pixels."""
    (tmp_path / "fashion").mkdir()
    write_pair(tmp_path / "fashion", "train", 200)
    write_pair(tmp_path / "fashion", "t10k", 100)
    fashion = CORPORA["mnist"].prepare(str(tmp_path / "fashion"), cache_dir=str(tmp_path / "cache"))
    assert fashion.splits["train"].features["label"].names == [str(digit) for digit in range(10)]
    assert fashion.title == "fashion"
    sample = CORPORA["mnist"].prepare(None, cache_dir=str(tmp_path / "cache"))
    assert sample.title == "scikit-learn digits"


@pytest.mark.skipif(not SHARED.exists(), reason="needs ../shared")
def test_mnist_is_known_by_its_test_pictures(tmp_path):
    for _ in range(2):  # from a warm cache, too
        assert CORPORA["mnist"].prepare(str(SHARED), cache_dir=str(tmp_path)).title == "MNIST"


@pytest.mark.parametrize("picture", ["2021/7.png", "7.ppm", "7.png/7.png"])
def test_folders_without_pictures_are_no_digits(picture, tmp_path):
    """Nothing is trained on scikit-learn's digits under the name of someone's folder."""
    for label in range(10):
        (tmp_path / str(label) / picture).parent.mkdir(parents=True)
        Image.new("L", (3, 3)).save(tmp_path / str(label) / picture)
    with pytest.raises(ValueError, match="no pictures in its folders 0, 1, 2"):
        MNIST(data_dir=str(tmp_path), cache_dir=str(tmp_path / "cache"))
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="no corpus"):
        MNIST(data_dir=str(tmp_path / "empty"), cache_dir=str(tmp_path / "cache"))


def write_classes(folder, count, names=("cat", "dog"), save=lambda path: Image.new("L", (3, 3)).save(path)):
    for name in names:
        (folder / name).mkdir(parents=True)
        for number in range(count):
            save(folder / name / f"{number}.png")


@pytest.mark.parametrize("validation", ["val", "valid", "validation", "dev", "Val", None])
@pytest.mark.parametrize("test", ["test", None])
def test_folders_of_splits(validation, test, tmp_path, caplog):
    """Each row is where its folder says, whatever the folder of validation is called; what is missing is drawn."""
    root = tmp_path / "pictures"
    for name, count in (("train", 30), (validation, 5), (test, 4)):
        if name is not None:
            write_classes(root / name, count)
    with caplog.at_level(logging.WARNING):
        splits = build(root, tmp_path)
    assert splits["train"].features["label"].names == ["cat", "dog"]
    found = {name: {Path(row["id"]).parts[0] for row in splits[name]} for name in SPLITS}
    assert found == {"train": {"train"}, "validation": {validation or "train"}, "test": {test or "train"}}
    tests = 8 if test else 12
    validations = 10 if validation else (60 if test else 48) // 6
    sizes = [60 - (not validation) * validations - (not test) * tests, validations, tests]
    assert [len(splits[name]) for name in SPLITS] == sizes
    assert len(content(splits)) == sum(sizes)
    assert ("no test folder; a fifth" in caplog.text) == (test is None)


def test_folders_of_splits_that_are_no_whole(tmp_path):
    write_classes(tmp_path / "pictures" / "test", 4)
    write_classes(tmp_path / "pictures" / "val", 4)
    with pytest.raises(ValueError, match="test, val without train"):
        build(tmp_path / "pictures", tmp_path)
    write_classes(tmp_path / "pictures" / "train", 4)
    write_classes(tmp_path / "pictures" / "dev", 4)
    with pytest.raises(ValueError, match="dev and val are the same split"):
        build(tmp_path / "pictures", tmp_path)


def test_a_class_may_be_called_as_a_split(tmp_path):
    write_classes(tmp_path / "pictures", 8, ["train", "car", "plane"])
    assert build(tmp_path / "pictures", tmp_path)["test"].features["label"].names == ["car", "plane", "train"]


@pytest.mark.parametrize("part", ["", "train"])
def test_what_is_no_picture_of_a_class_is_left_out_and_told(part, tmp_path, caplog):
    """What a Mac packs beside the files, empty folders and folders within folders make no classes."""
    root = tmp_path / "pictures"
    write_classes(root / part, 12)
    for name in ("__MACOSX", ".cache", "empty", "nested/2021"):
        (root / part / name).mkdir(parents=True)
    for hidden in ("__MACOSX/._1.png", ".cache/1.png", "cat/._1.png", "cat/.DS_Store", "._dog"):
        (root / part / hidden).write_bytes(b"\0\5\x16\7")
    os.mkfifo(root / part / "cat" / "pipe.png")
    for nested in ("nested/2021/1.png", "dog/1.jpg/1.png"):
        (root / part / nested).parent.mkdir(exist_ok=True)
        Image.new("L", (3, 3)).save(root / part / nested)
    with caplog.at_level(logging.WARNING):
        splits = build(root, tmp_path)
    assert splits["train"].features["label"].names == ["cat", "dog"]
    assert sum(len(splits[name]) for name in SPLITS) == 24
    assert "pictures/train: 5 hidden files" in caplog.text if part else "pictures: 5 hidden files" in caplog.text
    assert "2 folders without a picture are no classes (empty, nested)" in caplog.text
    assert "dog: 1 folders within it are left out" in caplog.text
    assert "cat: 1 files that are no pictures are left out" in caplog.text


def test_pictures_that_lose_something_as_rgb_are_told(tmp_path, caplog):
    deep = Image.fromarray(np.full((3, 3), 900, np.uint16))
    write_classes(tmp_path / "pictures", 6, ["a", "b"], deep.save)
    write_classes(tmp_path / "pictures", 6, ["c"], Image.new("LA", (3, 3)).save)
    write_classes(tmp_path / "pictures", 6, ["d"], Image.new("P", (3, 3)).save)
    with caplog.at_level(logging.WARNING):
        build(tmp_path / "pictures", tmp_path)
    assert "12 pictures have more than 8 bits a channel" in caplog.text
    assert "6 pictures have transparent parts" in caplog.text


@pytest.mark.parametrize("names", [("train", "t10k"), ("emnist-letters-train", "emnist-letters-test")])
def test_more_classes_than_digits(names, tmp_path, caplog):
    """The letters of EMNIST have the labels 1 to 26; what is cleaned and written back has them, too."""
    root, letters = tmp_path / "letters", 1 + np.arange(260) % 26
    root.mkdir()
    for name in names:
        (root / f"{name}-images-idx3-ubyte").write_bytes(idx(pictures(260)))
        (root / f"{name}-labels-idx1-ubyte").write_bytes(idx(letters.astype(np.uint8)))
    with caplog.at_level(logging.WARNING):
        splits = build(root, tmp_path)
    assert "labels from 1 to 26" in caplog.text
    assert splits["test"].features["label"].names == [str(number) for number in range(1, 27)]
    for row, number in enumerate(letters[:30]):
        assert content(splits)[f"{names[1]}-images:{row}"][1] == number - 1
    builder = MNIST(data_dir=str(root), cache_dir=str(tmp_path / "cache"))
    builder.download_and_prepare()
    (tmp_path / "clean").mkdir()
    builder.write_back({name: list(range(len(splits[name]))) for name in SPLITS}, str(tmp_path / "clean"))
    clean = build(tmp_path / "clean", tmp_path)
    assert clean["test"]["label"][:] == splits["test"]["label"][:]
    assert clean["test"].features == splits["test"].features
