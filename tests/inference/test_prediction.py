"""Files of every kind, classified by a stand-in, and runs that end half-way."""

import csv
import resource
import subprocess
import sys
import tracemalloc

import numpy as np
import pandas
import pytest

from hfcls.cli import main
from hfcls.errors import InputError
from hfcls.inference import prediction
from hfcls.inference.prediction import predict_file
from hfcls.inference.text_files import TextFile
from tests.odd_texts import TEXTS


class Counting:
    """Stands for a classifier: knows a text by its length, and says how it was called."""

    labels = ["even", "odd"]
    thresholds = None

    def __init__(self, fail_after: int | None = None):
        self.calls, self.fail_after = [], fail_after

    def encode(self, texts, pairs=None):
        return {"texts": texts}

    def encoded_probabilities(self, encoded, batch_size, progress):
        texts = encoded["texts"]
        if self.fail_after is not None and len(self.calls) == self.fail_after:
            raise KeyboardInterrupt
        self.calls.append(len(texts))
        progress(len(texts))
        odd = np.array([len(text) % 2 for text in texts], dtype=np.float32)
        return np.stack([0.75 - odd / 2, 0.25 + odd / 2], axis=1)


def _read(path):
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.reader(file))


def _answers(text):
    return [["even", "0.75", "0.75", "0.25"], ["odd", "0.75", "0.25", "0.75"]][len(text) % 2]


def test_csv_keeps_its_columns_and_its_order(tmp_path):
    rows = [[str(number), text, "x"] for number, text in enumerate([*TEXTS, "回车\r\n换行", "\r"])]
    with open(tmp_path / "in.csv", "w", encoding="utf-8-sig", newline="") as file:
        csv.writer(file).writerows([["id", "标题", "text"], *rows])
        file.write("\r\n")
    texts = TextFile(str(tmp_path / "in.csv"), "标题")
    assert predict_file(Counting(), texts, str(tmp_path / "deep" / "out.csv"), all_probabilities=True) == len(rows)
    header, *found = _read(tmp_path / "deep" / "out.csv")
    assert header == ["id", "标题", "text", "prediction", "probability", "even", "odd"]
    assert found == [[*row, *_answers(row[1])] for row in rows]


def test_classes_that_are_called_as_columns(tmp_path):
    class Named(Counting):
        labels = ["text", "prediction"]

    (tmp_path / "in.txt").write_text("一\n", "utf-8")
    predict_file(Named(), TextFile(str(tmp_path / "in.txt")), str(tmp_path / "out.csv"), all_probabilities=True)
    assert _read(tmp_path / "out.csv")[0] == ["text", "prediction", "probability", "class_text", "class_prediction"]


def test_a_table_of_excel_keeps_its_columns_and_parquet_its_texts(tmp_path):
    frame = pandas.DataFrame({"id": [1, 2], "text": ["一", "二 "]})
    frame.to_excel(tmp_path / "in.xlsx", index=False)
    frame.to_parquet(tmp_path / "in.parquet")
    for name, expected in (
        ("in.xlsx", [["id", "text"], ["1", "一"], ["2", "二 "]]),
        ("in.parquet", [["text"], ["一"], ["二 "]]),
    ):
        predict_file(Counting(), TextFile(str(tmp_path / name)), str(tmp_path / f"{name}.csv"))
        assert [row[:-2] for row in _read(tmp_path / f"{name}.csv")] == expected


@pytest.mark.parametrize(
    ("name", "content", "encoding"),
    [
        ("in.txt", "\ufeff一二\r\n\r\n三\u2028四\x85五\n", "utf-8"),
        ("in.txt", "一二\n\n三\u2028四\x85五", "gb18030"),
        ("in.jsonl", '{"a": 1, "text": "一二"}\n\n {"text": ""}\n{"text": "三\\u2028四\\u0085五"}', "utf-8"),
        ("in.CSV", 'text\n一二\n""\n三\u2028四\x85五\n', "gb18030"),
    ],
)
def test_other_files(tmp_path, name, content, encoding):
    (tmp_path / name).write_bytes(content.encode(encoding))
    texts = TextFile(str(tmp_path / name))
    assert [encoding.upper() in note for note in texts.notes] == [True] * (encoding != "utf-8")
    assert predict_file(Counting(), texts, str(tmp_path / "out.csv")) == 3
    assert [row[0] for row in _read(tmp_path / "out.csv")] == ["text", "一二", "", "三\u2028四\x85五"]
    assert texts.bytes_read == texts.size


def test_a_header_alone_is_an_empty_table(tmp_path):
    (tmp_path / "in.csv").write_text("text\n")
    assert predict_file(Counting(), TextFile(str(tmp_path / "in.csv")), str(tmp_path / "out.csv")) == 0
    assert (tmp_path / "out.csv").read_bytes() == b"text,prediction,probability\r\n"


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("in.txt", b"", "in.txt: is empty"),
        ("in.csv", b"", "in.csv: is empty"),
        ("in.jsonl", b"\n", "in.jsonl: is empty"),
        ("in.xlsx", b"x", "in.xlsx: no whole Excel file"),
        ("in.txt", "一\n".encode() * 3 + b"\xff\n", "in.txt:4: neither UTF-8 nor GB18030"),
        ("in.csv", b"id,tekst\n1,a\n", "in.csv:1: no column text, only id, tekst: did you mean --text_column tekst?"),
        ("in.csv", b"id,zzz\n1,a\n", "in.csv:1: no column text, only id, zzz: name one with --text_column"),
        ("in.docx", b"x", "in its name: .csv, .tsv, .txt, .json, .jsonl, .parquet, .xlsx"),
        ("in.csv", b'text,b\n1,2\n"a\nb",3,4\n', "in.csv:3: 3 cells, the header has 2"),
        ("in.csv", b'text\na\n"b\nc\n', "in.csv:3: unexpected end of data; check that every quote is closed"),
        ("in.csv", b'text\n"a"b\n', "in.csv:2: ',' expected after '\"'"),
        ("in.csv", b"text,prediction\na,b\n", "in.csv:1: has a column prediction already"),
        ("in.jsonl", b'{"text": "a"}\n{"text": "b"\n', "in.jsonl:2: no JSON"),
        ("in.jsonl", b"[" * 100_000, "in.jsonl:1: no JSON"),
        ("in.jsonl", b'"a"\n', "in.jsonl:1: no object"),
        ("in.jsonl", b'{"Text": "a"}\n', "in.jsonl:1: no column text, only Text: did you mean --text_column Text?"),
        ("in.jsonl", b'{"text": ["a"]}\n', "in.jsonl:1: the text is ['a']; give each row one text"),
        ("in.jsonl", b'{"text": "\\ud83d"}\n', "in.jsonl:1: the text holds half a surrogate pair"),
    ],
)
def test_files_that_cannot_be_read(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError) as error:
        predict_file(Counting(), TextFile(str(tmp_path / name)), str(tmp_path / "out.csv"))
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def _write_input(tmp_path):
    with open(tmp_path / "in.csv", "w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([["text", "id"], *([text, number] for number, text in enumerate([*TEXTS, "末"]))])
    return str(tmp_path / "in.csv")


def test_a_run_killed_anywhere_goes_on_to_the_same_file(tmp_path, monkeypatch):
    monkeypatch.setattr(prediction, "WINDOW_ROWS", 4)
    path, output = _write_input(tmp_path), tmp_path / "out.csv"
    predict_file(Counting(), TextFile(path), str(output))
    whole = output.read_bytes()
    ends = [0, *(end for end in range(1, len(whole)) if whole[:end].endswith(b"\r\n"))]
    for cut in range(len(whole)):
        output.write_bytes(whole[:cut])
        classifier = Counting()
        assert predict_file(classifier, TextFile(path), str(output)) == len(TEXTS) + 1
        assert output.read_bytes() == whole, cut
        if cut in ends[2:]:  # a line that ends inside a quoted field is no row
            assert sum(classifier.calls) in (len(TEXTS) + 2 - ends.index(cut), len(TEXTS) + 3 - ends.index(cut))
    finished = Counting()
    predict_file(finished, TextFile(path), str(output))
    assert finished.calls == []


def test_an_interrupted_run_keeps_its_windows(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(prediction, "WINDOW_ROWS", 4)
    path, output = _write_input(tmp_path), tmp_path / "out.csv"
    with pytest.raises(KeyboardInterrupt):
        predict_file(Counting(fail_after=2), TextFile(path), str(output))
    assert len(_read(output)) == 1 + 8
    classifier = Counting()
    predict_file(classifier, TextFile(path), str(output))
    assert classifier.calls == [2]
    assert "out.csv has 8 rows already: going on after them" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("before", "message"),
    [
        ("text,prediction,probability\r\n", "out.csv:1: has the columns text, prediction, probability, not text, id,"),
        (
            "text,id,prediction,probability\r\nanother,0,even,1\r\n",
            "out.csv:2: is not the answer to row 1 of the input",
        ),
        ("a line of notes without an end", "out.csv: holds something that is not of this run"),
        ('"a quote that is not closed\r\n', "out.csv: holds something that is not of this run"),
        ('text,id,prediction,probability\r\n"a"b\r\nx\r\n', "out.csv:2: not CSV"),
    ],
)
def test_output_of_another_run_is_left_alone(tmp_path, before, message):
    output = tmp_path / "out.csv"
    output.write_bytes(before.encode())
    with pytest.raises(InputError, match=message):
        predict_file(Counting(), TextFile(_write_input(tmp_path)), str(output))
    assert output.read_bytes() == before.encode()


def test_more_answers_than_rows(tmp_path):
    path, output = _write_input(tmp_path), str(tmp_path / "out.csv")
    predict_file(Counting(), TextFile(path), output)
    (tmp_path / "in.csv").write_text("text,id\n股市 大涨,0\n", encoding="utf-8")
    with pytest.raises(InputError, match="out.csv:3: is not the answer to row 2 of the input"):
        predict_file(Counting(), TextFile(path), output)


def test_output_that_is_no_file(tmp_path):
    with pytest.raises(InputError, match="not a file that answers could be added to"):
        predict_file(Counting(), TextFile(_write_input(tmp_path)), str(tmp_path))


def test_a_full_disk_leaves_whole_rows(tmp_path, monkeypatch):
    monkeypatch.setattr(prediction, "WINDOW_ROWS", 4)
    path, output = _write_input(tmp_path), tmp_path / "out.csv"
    predict_file(Counting(), TextFile(path), str(output))
    fourth_row_ends = len(b"".join(output.read_bytes().splitlines(keepends=True)[:5]))
    output.unlink()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    # The kernel writes what fits and then refuses, as on a full disk.
    resource.setrlimit(resource.RLIMIT_FSIZE, (fourth_row_ends + 10, hard))
    try:
        with pytest.raises(InputError, match="its 4 rows are whole: make room") as error:
            predict_file(Counting(), TextFile(path), str(output))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert "\n" not in str(error.value)
    assert len(_read(output)) == 1 + 4
    assert predict_file(Counting(), TextFile(path), str(output)) == len(TEXTS) + 1


def test_memory_does_not_grow_with_the_file(tmp_path, monkeypatch):
    monkeypatch.setattr(prediction, "WINDOW_ROWS", 50)

    def peak(rows: int) -> int:
        path = tmp_path / f"{rows}.txt"
        path.write_text(("x" * 1000 + "\n") * rows, encoding="utf-8")
        tracemalloc.start()
        predict_file(Counting(), TextFile(str(path)), str(tmp_path / f"{rows}.csv"))
        predict_file(Counting(), TextFile(str(path)), str(tmp_path / f"{rows}.csv"))  # skipping, too
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    peak(100)
    assert peak(2000) < 1.5 * peak(200)


def test_a_row_without_finite_logits_has_no_answer(tmp_path):
    class Broken(Counting):
        def encoded_probabilities(self, encoded, batch_size, progress):
            return np.full((len(encoded["texts"]), 2), np.nan, dtype=np.float32)

    (tmp_path / "in.txt").write_text("一\n", "utf-8")
    predict_file(Broken(), TextFile(str(tmp_path / "in.txt")), str(tmp_path / "out.csv"), all_probabilities=True)
    assert _read(tmp_path / "out.csv")[1] == ["一", "", "", "", ""]


def test_a_text_file_has_no_second_column(tmp_path):
    (tmp_path / "in.txt").write_text("a\n")
    with pytest.raises(InputError, match="--text_pair_column needs"):
        TextFile(str(tmp_path / "in.txt"), "a", "b")


def test_excel_is_told_that_it_is_utf_8_also_when_a_run_goes_on(tmp_path):
    output = tmp_path / "out.csv"
    (tmp_path / "in.txt").write_text("股市大涨\n球队夺冠\n游戏\n" * 5, encoding="utf-8")

    def answer(**options):
        return predict_file(Counting(), TextFile(str(tmp_path / "in.txt")), str(output), **options)

    answer(excel=True)
    whole = output.read_bytes()
    assert whole.startswith(b"\xef\xbb\xbftext,") and whole.count(b"\xef\xbb\xbf") == 1
    assert pandas.read_csv(output)["text"].tolist() == ["股市大涨", "球队夺冠", "游戏"] * 5
    for end in (0, 2, 3, 10, 60):
        output.write_bytes(whole[:end])
        answer(excel=True)
        assert output.read_bytes() == whole
    with pytest.raises(InputError, match="was begun with --excel: give it again"):
        answer()
    plain = tmp_path / "plain.csv"
    plain.write_bytes(whole[3:])
    with pytest.raises(InputError, match="was begun without --excel: leave it out"):
        predict_file(Counting(), TextFile(str(tmp_path / "in.txt")), str(plain), excel=True)
    assert TextFile(str(output)).columns == ["text", "prediction", "probability"]  # and reads it again


@pytest.mark.parametrize("flags", [["text"], ["--input", "in", "--output", "out", "--engine", "local"]])
def test_excel_is_of_one_file(flags, capsys):
    with pytest.raises(SystemExit, match="2"):
        main(["predict", "model", *flags, "--excel"])
    assert "--excel is of the one CSV file that --output names" in capsys.readouterr().err


def test_two_at_once_do_not_write_one_file(tmp_path):
    output = tmp_path / "out.csv"
    (tmp_path / "in.txt").write_text("a\n", encoding="utf-8")
    code = "import sys; from pathlib import Path; from hfcls.runs import lock; "
    code += "release = lock.acquire(Path(sys.argv[1]), '', ''); print(flush=True); input()"
    command = [sys.executable, "-c", code, f"{output}.lock"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        other.stdout.readline()
        with pytest.raises(InputError, match=f"out.csv: process {other.pid} on .* give another --output"):
            predict_file(Counting(), TextFile(str(tmp_path / "in.txt")), str(output))
        other.kill()
    assert predict_file(Counting(), TextFile(str(tmp_path / "in.txt")), str(output)) == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.txt", "out.csv"]
