import os
import pickle
from pathlib import Path

import pytest

from hfcls.errors import InputError
from hfcls.text.vocabulary import load_vocabulary, padding_and_unknown

SHARED = Path(__file__).parents[2] / ".." / "shared"
VOCABULARY = {" ": 0, "中": 1, "\u2028": 2, "A": 3, "<UNK>": 4, "<PAD>": 5}


def refusal(path: Path) -> str:
    with pytest.raises(InputError) as caught:
        load_vocabulary(path)
    message = str(caught.value)
    assert message.startswith(str(path)) and "\n" not in message
    return message.removeprefix(str(path))


@pytest.mark.parametrize(("protocol", "size"), [*((protocol, 300) for protocol in range(6)), (4, 70_000)])
def test_pickled_dict_of_every_protocol(tmp_path, protocol, size):
    large = {chr(0x20000 + i): i for i in range(size)}  # ids of one, two and four bytes
    vocabulary = {**large, "<PAD>": size, "<UNK>": size + 1}
    path = tmp_path / "vocab.pkl"
    path.write_bytes(pickle.dumps(vocabulary, protocol=protocol))
    assert load_vocabulary(path) == vocabulary


def test_pickle_is_recognised_by_its_bytes(tmp_path):
    path = tmp_path / "vocab.txt"
    path.write_bytes(pickle.dumps(VOCABULARY))
    assert load_vocabulary(path) == VOCABULARY


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize("end", [True, False])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_text(tmp_path, newline, end, encoding):
    path = tmp_path / "vocab.txt"
    path.write_bytes((newline.join(VOCABULARY) + newline * end).encode(encoding))
    assert load_vocabulary(path) == VOCABULARY


class Payload:
    def __init__(self, marker: Path):
        self.marker = marker

    def __reduce__(self):
        return os.system, (f"touch {self.marker}",)


def hostile_pickles(marker: Path) -> dict[str, bytes]:
    command = f"touch {marker}"
    return {
        **{f"reduce, protocol {n}": pickle.dumps({"a": Payload(marker)}, protocol=n) for n in range(6)},
        "payload as key": pickle.dumps({Payload(marker): 0}),
        "protocol 0 by hand": f"cos\nsystem\n(S'{command}'\ntR.".encode(),
        "inst": f"(S'{command}'\nios\nsystem\n.".encode(),
        "obj": f"(cos\nsystem\nS'{command}'\no.".encode(),
        "extension": b"\x80\x02\x82\x01.",
        "persistent id": b"Pmarker\n.",
        "memo of 4 billion": b"\x80\x02}r\xff\xff\xff\xff.",
        "string of 2 exabytes": b"\x80\x04}\x8d\xff\xff\xff\xff\xff\xff\xff\x1f.",
        "nested 100,000 deep": b"\x80\x02" + b"]" * 100_000 + b"a" * 99_999 + b".",
        "list": pickle.dumps(["[PAD]", "[UNK]"]),
        "nested dict": pickle.dumps({"[PAD]": 0, "[UNK]": {"x": 1}}),
        "float ids": pickle.dumps({"[PAD]": 0.0, "[UNK]": 1.0}),
        "bool ids": pickle.dumps({"[PAD]": False, "[UNK]": True}, protocol=0),
        "bytes tokens": pickle.dumps({b"[PAD]": 0, b"[UNK]": 1}),
        "id twice": pickle.dumps({"[PAD]": 0, "[UNK]": 0}),
        "id left out": pickle.dumps({"[PAD]": 0, "[UNK]": 2}),
        "negative id": pickle.dumps({"[PAD]": -1, "[UNK]": 0}),
        "huge id": pickle.dumps({"[PAD]": 0, "[UNK]": 10**300}),
        "digits without end": b"(dI0\nI" + b"9" * 5000 + b"\ns.",
        "half a character": pickle.dumps({"[PAD]": 0, "[UNK]": 1, "\ud800": 2}),
        "empty token": pickle.dumps({"[PAD]": 0, "[UNK]": 1, "": 2}),
        "torn": pickle.dumps(VOCABULARY)[:-9],
        "empty": b"",
        "noise": bytes(range(256)),
    }


@pytest.mark.parametrize("name", hostile_pickles(Path()))
def test_hostile_pickle_is_refused_and_not_run(tmp_path, name):
    marker = tmp_path / "ran"
    path = tmp_path / "vocab.pkl"
    path.write_bytes(hostile_pickles(marker)[name])
    refusal(path)
    assert not marker.exists()


def test_the_payload_would_run_in_a_plain_unpickler(tmp_path):
    marker = tmp_path / "ran"
    pickle.loads(hostile_pickles(marker)["protocol 0 by hand"])
    assert marker.exists()


@pytest.mark.parametrize(
    ("content", "where"),
    [
        ("[PAD]\n中\n[UNK]\n".encode("gb18030"), ":2: not UTF-8"),
        (b"[PAD]\n\n[UNK]\n", ":2: empty line"),
        (b"[PAD]\n[UNK]\nthe\t1061396\n", ":3: a tab"),
        (b"[PAD]\n[UNK]\na\nb\na\n", ":5: 'a' stands in line 3 already"),
        (b"", ":1: empty line"),
        (b"a\nb\n[UNK]\n", ": no padding token"),
        (b"[PAD]\na\n", ": no unknown token"),
    ],
)
def test_unusable_text_names_file_and_line(tmp_path, content, where):
    path = tmp_path / "vocab.txt"
    path.write_bytes(content)
    assert refusal(path).startswith(where)


def test_no_file(tmp_path):
    assert "No such file" in refusal(tmp_path / "absent.txt")
    assert "directory" in refusal(tmp_path)


def test_file_too_large(tmp_path):
    path = tmp_path / "vocab.txt"
    with path.open("wb") as file:
        file.truncate(2**26 + 1)
    assert "larger than 64 MiB" in refusal(path)


def test_padding_and_unknown():
    assert padding_and_unknown(VOCABULARY) == ("<PAD>", "<UNK>")
    assert padding_and_unknown({"[UNK]": 0, "<pad>": 1}) == ("<pad>", "[UNK]")
    with pytest.raises(InputError, match="vocab.txt: no padding token; add one of"):
        padding_and_unknown({"[UNK]": 0}, name="vocab.txt")


@pytest.mark.skipif(not SHARED.exists(), reason="needs the shared corpora")
def test_thucnews_vocabulary():
    path = SHARED / "data/thucnews_titles/vocab.pkl"
    assert load_vocabulary(path) == pickle.loads(path.read_bytes())
