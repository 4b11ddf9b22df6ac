"""/predict_file: the answers of `hfcls predict --input`, and files that cannot be read."""

import csv
import io
import json
import tempfile

import numpy as np
import pytest

from hfcls.inference.classifier import Classifier
from hfcls.inference.prediction import predict_file
from hfcls.inference.text_files import TextFile
from tests.inference.serve.running import LABELS, TEXTS

ROWS = [[str(number), TEXTS[number % 5] * (number % 4), 'x "y"'] for number in range(70)]


def _table(rows, delimiter=",", encoding="utf-8"):
    text = io.StringIO(newline="")
    csv.writer(text, delimiter=delimiter).writerows(rows)
    return text.getvalue().encode(encoding)


@pytest.mark.parametrize(
    ("media_type", "name", "delimiter", "encoding"),
    [
        ("text/csv", "in.csv", ",", "utf-8-sig"),
        ("text/csv; charset=binary", "in.csv", ",", "gb18030"),
        ("text/tab-separated-values", "in.tsv", "\t", "utf-8"),
    ],
)
def test_a_table_comes_back_as_predict_writes_it(server, bert, tmp_path, media_type, name, delimiter, encoding):
    content = _table([["id", "标题", "note"], *ROWS], delimiter, encoding)
    (tmp_path / name).write_bytes(content)
    predict_file(
        Classifier(bert), TextFile(str(tmp_path / name), "标题"), str(tmp_path / "out.csv"), all_probabilities=True
    )
    expected = list(csv.reader(io.StringIO((tmp_path / "out.csv").read_text("utf-8"), newline="")))
    answer = server.post(
        "/predict_file",
        params={"text_column": "标题", "all_probabilities": True},
        content=content,
        headers={"content-type": media_type},
    )
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/csv; charset=utf-8")
    found = list(csv.reader(io.StringIO(answer.content.decode(), newline="")))
    assert [row[:4] for row in found] == [row[:4] for row in expected]
    numbers = [[[float(cell) for cell in row[4:]] for row in table[1:]] for table in (found, expected)]
    np.testing.assert_allclose(*numbers, atol=1e-6)


def test_json_lines_and_lines_of_text(server, bert):
    expected = Classifier(bert).probabilities(TEXTS)
    lines = "\n".join(json.dumps({"text": text, "id": 1}) for text in TEXTS)
    answer = server.post(
        "/predict_file?all_probabilities=1", content=lines, headers={"content-type": "application/x-ndjson"}
    )
    found = [json.loads(line) for line in answer.text.splitlines()]
    assert [row["text"] for row in found] == TEXTS
    np.testing.assert_allclose([list(row["probabilities"].values()) for row in found], expected, atol=1e-6)
    assert [row["prediction"] for row in found] == [LABELS[row.argmax()] for row in expected]
    np.testing.assert_allclose([row["probability"] for row in found], expected.max(axis=1), atol=1e-6)
    answer = server.post("/predict_file", content="\n".join(TEXTS), headers={"content-type": "text/plain"})
    found = list(csv.DictReader(io.StringIO(answer.text, newline="")))
    assert [row["prediction"] for row in found] == [LABELS[row.argmax()] for row in expected]


@pytest.mark.parametrize(
    ("media_type", "content", "status", "message"),
    [
        ("text/csv", b"", 422, "file.csv: is empty"),
        ("text/csv", b"id,tekst\n1,a\n", 422, "file.csv:1: no column text, only id, tekst: did you mean"),
        ("text/csv", b"text\n" + b"a\n" * 400 + b'"b', 422, "file.csv:402: unexpected end of data"),
        ("text/csv", b"text,prediction\na,b\n", 422, "file.csv:1: has a column prediction already"),
        ("text/csv", b"text\n\xff\xfe\xff\n", 422, "file.csv:2: neither UTF-8 nor GB18030"),
        ("application/jsonl", b'{"text": "a"}\n{"text": "\\ud800"}', 422, "file.jsonl:2: the text holds half"),
        ("application/jsonl", b"[" * 50_000, 422, "file.jsonl:1: no JSON"),
        ("text/csv", b"text\n" + b"a" * 100_000, 413, "the body is longer than 100,000 bytes"),
        ("application/pdf", b"%PDF", 415, "content-type: send text/csv or text/tab-separated-values or"),
    ],
)
def test_files_that_are_refused_before_a_row_is_answered(server, media_type, content, status, message):
    answer = server.post("/predict_file", content=content, headers={"content-type": media_type})
    assert (answer.status_code, answer.json()["error"][: len(message)]) == (status, message)
    assert tempfile.gettempdir() not in answer.text


def test_nothing_of_a_file_stays(server, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    for content in (b"text\na\n", b"", b"text\n" + b"a" * 100_000):
        server.post("/predict_file", content=content, headers={"content-type": "text/csv"})
    assert list(tmp_path.iterdir()) == []
