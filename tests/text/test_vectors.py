import bz2
import gzip
import io
import lzma
import pickle
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

from hfcls.errors import InputError
from hfcls.text import vectors as embeddings
from hfcls.text.vectors import load_vectors
from hfcls.text.vocabulary import load_vocabulary

ROOT = Path(__file__).parents[2]
SHARED = ROOT / ".." / "shared"

WORDS = ["the", "of", "中", "文", ",", "naïve", "\u3000", "x"]
NUMBERS = np.random.default_rng(3).standard_normal((len(WORDS), 6)).round(5)
VOCABULARY = {"文": 0, "absent": 1, "[PAD]": 2, "the": 3, ",": 4, "\u3000": 5, "[UNK]": 6, "naïve": 7}


def text_file(header: bool = False, newline: str = "\n", trailing: str = "") -> bytes:
    lines = [f"{len(WORDS)} {NUMBERS.shape[1]}"] if header else []
    lines += [f"{word} {' '.join(map(str, row))}{trailing}" for word, row in zip(WORDS, NUMBERS, strict=True)]
    return newline.join([*lines, ""]).encode()


def write(folder: Path, content: bytes, name: str = "vectors.txt") -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


def refusal(path: Path, vocabulary: dict[str, int] = VOCABULARY, **options) -> str:
    with pytest.raises(InputError) as caught:
        load_vectors(path, vocabulary, **options)
    message = str(caught.value)
    assert message.startswith(str(path)) and "\n" not in message
    return message.removeprefix(str(path))


def test_equals_numpy_loadtxt(tmp_path):
    path = write(tmp_path, text_file())
    reference = np.loadtxt(path, usecols=range(1, 7), dtype=np.float32, encoding="utf-8", comments=None, delimiter=" ")
    vectors = load_vectors(path, VOCABULARY)
    assert vectors.matrix.shape == (8, 6) and vectors.matrix.dtype == np.float32
    for word, row in VOCABULARY.items():
        assert vectors.found[row] == (word in WORDS)
        if word in WORDS:
            np.testing.assert_array_equal(vectors.matrix[row], reference[WORDS.index(word)])
    assert vectors.coverage == 5 / 7 and vectors.duplicates == 0
    assert not vectors.matrix[VOCABULARY["[PAD]"]].any()


@pytest.mark.parametrize("pack", [bytes, gzip.compress, bz2.compress, lzma.compress])
@pytest.mark.parametrize(
    "content",
    [
        text_file(header=True),
        text_file(newline="\r\n"),
        text_file(header=True, newline="\r\n", trailing=" "),  # word2vec's own program ends lines with a space
        b"\xef\xbb\xbf" + text_file(header=True),
        b"\xef\xbb\xbf" + text_file(),
        text_file().removesuffix(b"\n"),
    ],
)
def test_variants_of_the_format_give_the_same(tmp_path, content, pack):
    expected = load_vectors(write(tmp_path, text_file(), "plain"), VOCABULARY)
    vectors = load_vectors(write(tmp_path, pack(content), "variant"), VOCABULARY, dim=6)
    np.testing.assert_array_equal(vectors.matrix, expected.matrix)
    np.testing.assert_array_equal(vectors.found, expected.found)


def test_random_rows(tmp_path):
    vocabulary = {**VOCABULARY, **{f"absent{i}": i for i in range(8, 3000)}}
    path = write(tmp_path, text_file())
    vectors = load_vectors(path, vocabulary, seed=1)
    missing = ~vectors.found & (np.arange(3000) != vocabulary["[PAD]"])
    found_std = NUMBERS[[WORDS.index(word) for word in VOCABULARY if word in WORDS]].std()
    assert vectors.matrix[missing].std() == pytest.approx(found_std, rel=0.02)
    assert abs(vectors.matrix[missing].mean()) < 0.02
    np.testing.assert_array_equal(vectors.matrix, load_vectors(path, vocabulary, seed=1).matrix)
    assert (vectors.matrix[missing] != load_vectors(path, vocabulary, seed=2).matrix[missing]).all()


def test_tokens_that_contain_spaces(tmp_path):
    lines = [b"the 1 2 3", b". . . 4 5 6", b"at name@domain.com 7 8 9", b"  10 11 12", b"at 13 14 15"]
    vocabulary = {"[PAD]": 0, "[UNK]": 1, "at": 2, ".": 3, " ": 4, "the": 5, ". . .": 6}
    vectors = load_vectors(write(tmp_path, b"\n".join(lines)), vocabulary)
    assert vectors.found.tolist() == [False, False, True, False, True, True, True]
    np.testing.assert_array_equal(vectors.matrix[[2, 4, 5, 6]], [[13, 14, 15], [10, 11, 12], [1, 2, 3], [4, 5, 6]])


def test_the_first_of_two_vectors_counts(tmp_path):
    vectors = load_vectors(write(tmp_path, b"the 1 2\nx 3 4\nthe 5 6\nx 7 8\nthe 9 9\n"), VOCABULARY)
    np.testing.assert_array_equal(vectors.matrix[VOCABULARY["the"]], [1, 2])
    assert vectors.duplicates == 2


@pytest.mark.parametrize(
    ("content", "where"),
    [
        (b"the 1 2\nof 3\n", ":2: 1 numbers, 2 expected"),  # of another token: counted all the same
        (b"the 1 2\n, 3\n", ":2: 1 numbers, 2 expected"),
        (b"the 1 2\n, 3 \n", ":2: 1 numbers, 2 expected"),
        (b"x 1 2\n\nthe 1 2\n", ":2: 0 numbers, 2 expected"),
        (b"x 1 2\nthe 1 2 3\n", ":2: 3 numbers, 2 expected"),
        (b"x 1 2\nthe 1 two\n", ":2: could not convert string to float: b'two'"),
        (b"x 1 2\nthe 1 nan\n", ":2: a number that is not finite"),
        (b"x 1 2\nthe 1 -inf\n", ":2: a number that is not finite"),
        (b"x 1 2\nthe 1 1e39\n", ":2: a number that is not finite"),
        ("x 1 2\n中 1 2\n".encode("gb18030"), ":2: not UTF-8"),
        (b"2 2\nx 1 2\nthe 1\n", ":3: 1 numbers, 2 expected"),
        (b"2 5\nx 1 2\nthe 1 2\n", ":2: no vector of 5 numbers"),
        (b"2 0\nx\n", ":2: no vector of 1 numbers"),
        (b"900000000000 900000\nthe 1 2\n", ":2: no vector of 900000 numbers"),
        (b"2 2\n", ":2: no vector of 2 numbers"),
        (b"", ":1: no vector of 1 numbers"),
        (b"the\n", ":1: no vector of 1 numbers"),
        (b"the 1 2\n" + b"x" * 2**21, ":2: a line of a megabyte"),
        (b"x 1 2\ny 1 2\n", ": has none of the vocabulary's 8 tokens"),
        (gzip.compress(text_file(), mtime=0)[:-20], ": damaged gzip file"),
        (gzip.compress(text_file(), mtime=0)[:15] + b"\xff" * 40, ": damaged gzip file"),
        (b"\x1f\x8b" + b"no gzip at all", ": damaged gzip file"),
        (bz2.compress(text_file())[:-20], ": damaged bz2 file"),
        (bz2.compress(text_file())[:15] + b"\xff" * 40, ": damaged bz2 file"),
        (lzma.compress(text_file())[:-20], ": damaged xz file"),
        (lzma.compress(text_file())[:15] + b"\xff" * 40, ": damaged xz file"),
    ],
)
def test_unusable_text_names_file_and_line(tmp_path, content, where):
    assert refusal(write(tmp_path, content)).startswith(where)


def test_another_dimension_than_asked_for(tmp_path):
    assert refusal(write(tmp_path, text_file(header=True)), dim=5).startswith(":1: vectors of 6 numbers, 5 asked for")
    assert refusal(write(tmp_path, text_file()), dim=7).startswith(":1: no vector of 7 numbers")
    assert refusal(write(tmp_path, text_file()), dim=5).startswith(":1: 6 numbers, 5 expected")


def test_no_file(tmp_path):
    assert "No such file" in refusal(tmp_path / "absent.txt")


def npz_of_terabytes() -> bytes:
    """An archive whose header promises more than any memory holds."""
    array, archive = io.BytesIO(), io.BytesIO()
    header = {"descr": "<f8", "fortran_order": False, "shape": (8, 10**13)}
    np.lib.format.write_array_header_1_0(array, header)
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("embeddings.npy", array.getvalue())
    return archive.getvalue()


def npz(**arrays) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


def test_npz_rows_are_those_of_the_vocabulary(tmp_path):
    rows = np.random.default_rng(0).standard_normal((8, 5))
    vectors = load_vectors(write(tmp_path, npz(embeddings=rows), "vectors.npz"), VOCABULARY)
    expected = rows.astype(np.float32)
    expected[VOCABULARY["[PAD]"]] = 0
    np.testing.assert_array_equal(vectors.matrix, expected)
    assert vectors.coverage == 1 and vectors.found.sum() == 7


class Payload:
    def __init__(self, marker: Path):
        self.marker = marker

    def __reduce__(self):
        return Path.touch, (self.marker,)


@pytest.mark.parametrize(
    ("arrays", "where"),
    [
        ({"embeddings": np.zeros((9, 5))}, ": 9 rows for a vocabulary of 8 tokens"),
        ({"vectors": np.zeros((8, 5))}, ": no array named embeddings"),
        ({"embeddings": np.zeros(8)}, ": embeddings is not a matrix"),
        ({"embeddings": np.full((8, 5), "x")}, ": embeddings is not a matrix"),
        ({"embeddings": np.full((8, 5), np.nan)}, ": holds numbers that are not finite"),
        ({"embeddings": np.full((8, 5), 1e39)}, ": holds numbers that are not finite"),
    ],
)
def test_unusable_npz(tmp_path, arrays, where):
    assert refusal(write(tmp_path, npz(**arrays))).startswith(where)


def test_torn_and_misshapen_npz(tmp_path):
    whole = npz(embeddings=np.zeros((8, 500)))
    assert refusal(write(tmp_path, whole[:-100])).startswith(": cannot be read as npz")
    for shape in (b"(8, 500(", b"(8, 501)"):
        assert refusal(write(tmp_path, whole.replace(b"(8, 500)", shape))).startswith(": cannot be read as npz")
    long_header = npz(embeddings=np.zeros(1, dtype=[(f"field{i}", "f8") for i in range(2000)]))
    assert refusal(write(tmp_path, long_header)).startswith(": cannot be read as npz (Header info length")
    assert refusal(write(tmp_path, npz_of_terabytes())).startswith(": cannot be read as npz")
    assert refusal(write(tmp_path, npz(embeddings=np.zeros((8, 5)))), dim=4).startswith(
        ": vectors of 5 numbers, 4 asked"
    )


def test_npz_with_code_does_not_run(tmp_path):
    marker = tmp_path / "ran"
    content = npz(embeddings=np.array([Payload(marker)], dtype=object))
    assert refusal(write(tmp_path, content)).startswith(": cannot be read as npz")
    assert not marker.exists()
    pickle.loads(pickle.dumps(Payload(marker)))
    assert marker.exists()  # the payload itself works


def test_progress_bar_of_large_files(tmp_path, monkeypatch):
    bars = []

    class Bar(embeddings.tqdm):
        def __init__(self, **options):
            super().__init__(**{**options, "disable": False, "file": io.StringIO()})
            bars.append((self, options["disable"]))

    monkeypatch.setattr(embeddings, "tqdm", Bar)
    path = write(tmp_path, gzip.compress(text_file(), mtime=0))
    load_vectors(path, VOCABULARY)
    monkeypatch.setattr(embeddings, "_BAR_FROM", 10)
    load_vectors(path, VOCABULARY)
    assert [disable for _, disable in bars] == [True, None]
    assert all(bar.n == bar.total == path.stat().st_size for bar, _ in bars)


MEASURE = """
import resource, sys, time
from hfcls.text.vectors import load_vectors

vocabulary = {"[PAD]": 0, "[UNK]": 1, **{f"w{i * 50}": i + 2 for i in range(20_000)}}
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
start = time.process_time()
vectors = load_vectors(sys.argv[1], vocabulary)
seconds = time.process_time() - start
after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(after - before, seconds, vectors.found.sum(), *vectors.matrix[vocabulary["w999950"]])
"""


def test_a_million_rows_take_the_memory_of_those_kept(tmp_path):
    numbers = np.random.default_rng(0).standard_normal((1000, 10)).round(4)
    tails = [b" " + " ".join(map(str, row)).encode() + b"\n" for row in numbers]
    path = write(tmp_path, b"".join([b"w%d%s" % (i, tails[i % 1000]) for i in range(1_000_000)]))
    assert path.stat().st_size > 70e6
    process = subprocess.run(
        [sys.executable, "-c", MEASURE, str(path)], capture_output=True, text=True, cwd=ROOT, check=True
    )
    kilobytes, seconds, found, *row = process.stdout.split()
    assert int(kilobytes) < 24_000  # matrix 0.8 MB, the file 75 MB
    assert float(seconds) < 8
    assert int(found) == 20_000
    np.testing.assert_array_equal(np.array(row, dtype=np.float32), numbers[950].astype(np.float32))


@pytest.mark.skipif(not SHARED.exists(), reason="needs the shared corpora")
def test_tencent_vectors_of_thucnews():
    folder = SHARED / "data/thucnews_titles"
    vocabulary = load_vocabulary(folder / "vocab.pkl")
    vectors = load_vectors(folder / "embedding_Tencent.npz", vocabulary)
    reference = np.load(folder / "embedding_Tencent.npz")["embeddings"]
    np.testing.assert_array_equal(vectors.matrix[:-1], reference[:-1].astype(np.float32))
    assert vectors.coverage == 1 and not vectors.matrix[vocabulary["<PAD>"]].any()
    assert ": 4762 rows for a vocabulary of 2 tokens" in refusal(
        folder / "embedding_Tencent.npz", {"[PAD]": 0, "[UNK]": 1}
    )
