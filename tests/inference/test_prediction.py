"""Predictions against the pipeline of transformers, files of every kind, and runs that end half-way."""

import csv
import json
import math
import resource
import tracemalloc

import huggingface_hub
import numpy as np
import pandas
import pytest
import torch
from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    BertForSequenceClassification,
    GPT2Config,
    GPT2ForSequenceClassification,
    PreTrainedTokenizerFast,
    RobertaConfig,
    RobertaForSequenceClassification,
    pipeline,
)

from hfcls.errors import InputError
from hfcls.inference import prediction
from hfcls.inference.prediction import load_classifier, predict_file, predict_texts
from hfcls.inference.text_files import TextFile
from hfcls.models.bert import bert_from_scratch
from hfcls.models.text_rnn import TextRNNConfig, TextRNNForSequenceClassification
from hfcls.text.tokenization import train_tokenizer, train_wordpiece_tokenizer

LABELS = ["财经", "体育", "games, etc."]
TEXTS = [
    "股市 大涨",
    "a",
    "",
    "球队赢得 比赛 冠军 " * 9,
    "游戏 games",
    '"引号", 逗号',
    "第一行\n第二行",
    "涨 " * 3,
    "球 " * 4,
]


def _sharpen(model):
    """Random heads answer nearly the same for every text; this one does not."""
    torch.manual_seed(0)
    for parameter in model.parameters():
        if parameter.dim() > 1:
            torch.nn.init.normal_(parameter, std=0.1)
    return model


@pytest.fixture(scope="module")
def bert(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bert")
    tokenizer = train_wordpiece_tokenizer(TEXTS * 2, max_length=24)
    tokenizer.save_pretrained(folder)
    _sharpen(bert_from_scratch("tiny", tokenizer, LABELS, 24)).save_pretrained(folder)
    return folder


def _saved(model, tokenizer, folder):
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def _rows_of_pipeline(folder, max_length, **model):
    classify = pipeline("text-classification", model=str(folder), device="cpu", **model)
    answers = classify(TEXTS, top_k=None, truncation=True, max_length=max_length)
    return [{answer["label"]: answer["score"] for answer in row} for row in answers]


@pytest.mark.parametrize("problem", [None, "multi_label_classification", "regression"])
@pytest.mark.parametrize("threads", [1, 2])
def test_the_answers_are_those_of_the_pipeline(bert, tmp_path, problem, threads):
    model = BertForSequenceClassification.from_pretrained(bert)
    model.config.problem_type = problem
    folder = _saved(model, AutoTokenizer.from_pretrained(bert), tmp_path)
    classifier = load_classifier(str(folder))
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        found = classifier.probabilities(TEXTS, batch_size=2)
        assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)
    expected = _rows_of_pipeline(folder, 24)
    assert np.ptp(found[:, 0]) > 0.05
    assert classifier.max_length == 24
    np.testing.assert_allclose(found, [[row[name] for name in LABELS] for row in expected], rtol=2e-6, atol=1e-6)
    for answers, row in zip(predict_texts(classifier, TEXTS), expected, strict=True):
        several = problem == "multi_label_classification"
        assert [label for label, _ in answers] == (
            [label for label in LABELS if row[label] >= 0.5] if several else [max(row, key=row.get)]
        )
        for label, probability in answers:
            assert probability == pytest.approx(row[label], rel=2e-6, abs=1e-6)


def test_a_single_output_is_a_sigmoid(bert, tmp_path):
    torch.manual_seed(0)
    model = BertForSequenceClassification.from_pretrained(bert, num_labels=1, ignore_mismatched_sizes=True)
    folder = _saved(model, AutoTokenizer.from_pretrained(bert), tmp_path)
    found = load_classifier(str(folder)).probabilities(TEXTS)
    expected = [list(row.values()) for row in _rows_of_pipeline(folder, 24)]
    np.testing.assert_allclose(found, expected, atol=1e-6)


def _char_tokenizer(**special):
    tokenizer = train_tokenizer(TEXTS, level="char", vocab_size=None, max_length=10**30)
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer.backend_tokenizer, unk_token="[UNK]", **special)


def test_roberta_counts_its_positions_from_behind_the_padding(tmp_path):
    tokenizer = _char_tokenizer(pad_token="[PAD]")
    config = RobertaConfig(
        vocab_size=len(tokenizer),
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        max_position_embeddings=20,
        pad_token_id=tokenizer.pad_token_id,
        id2label=dict(enumerate(LABELS)),
    )
    folder = _saved(_sharpen(RobertaForSequenceClassification(config)), tokenizer, tmp_path)
    classifier = load_classifier(str(folder))
    assert classifier.max_length == 19
    texts = [text for text in TEXTS if text]
    expected = pipeline("text-classification", model=str(folder), device="cpu")(texts, truncation=True, max_length=19)
    for [(label, probability)], row in zip(predict_texts(classifier, texts), expected, strict=True):
        assert (label, probability) == (row["label"], pytest.approx(row["score"], abs=1e-6))


@pytest.mark.parametrize("special", [{"pad_token": "[PAD]", "padding_side": "left"}, {"pad_token": "[PAD]"}, {}])
def test_a_decoder_with_and_without_padding(tmp_path, special):
    tokenizer = _char_tokenizer(**special)
    config = GPT2Config(
        vocab_size=len(tokenizer), n_positions=99, n_embd=16, n_layer=1, n_head=2, id2label=dict(enumerate(LABELS))
    )
    folder = _saved(_sharpen(GPT2ForSequenceClassification(config)), tokenizer, tmp_path)
    texts = [text for text in TEXTS if text]
    expected = pipeline("text-classification", model=str(folder), device="cpu")(texts)
    answers = predict_texts(load_classifier(str(folder)), texts)
    assert [label for [(label, _)] in answers] == [row["label"] for row in expected]
    # GPT-2 counts positions from the first column: padding on the left would move them.
    np.testing.assert_allclose([p for [(_, p)] in answers], [row["score"] for row in expected], atol=1e-6)


@pytest.mark.parametrize("level", ["char", "jieba"])
def test_models_and_tokenizers_of_hfcls_need_no_remote_code(tmp_path, level):
    tokenizer = train_tokenizer(TEXTS, level=level, vocab_size=None, max_length=30)
    config = TextRNNConfig(
        vocab_size=len(tokenizer),
        embedding_dim=8,
        hidden_size=8,
        pad_token_id=tokenizer.pad_token_id,
        id2label=dict(enumerate(LABELS)),
    )
    model = _sharpen(TextRNNForSequenceClassification(config)).eval()
    found = load_classifier(str(_saved(model, tokenizer, tmp_path))).probabilities(TEXTS)
    for text, row in zip(TEXTS, found, strict=True):
        ids = torch.tensor([tokenizer(text)["input_ids"][:30]], dtype=torch.int64)
        with torch.no_grad():
            expected = model(ids, attention_mask=torch.ones_like(ids)).logits.softmax(dim=1)
        np.testing.assert_allclose(row, expected[0], atol=1e-6)


def test_logits_that_are_not_finite_are_no_prediction(bert, tmp_path):
    model = BertForSequenceClassification.from_pretrained(bert)
    torch.nn.init.constant_(model.classifier.bias, math.inf)
    classifier = load_classifier(str(_saved(model, AutoTokenizer.from_pretrained(bert), tmp_path / "model")))
    assert predict_texts(classifier, TEXTS) == [[]] * len(TEXTS)
    (tmp_path / "in.txt").write_text("一\n")
    predict_file(classifier, TextFile(str(tmp_path / "in.txt")), str(tmp_path / "out.csv"), all_probabilities=True)
    assert (tmp_path / "out.csv").read_text().splitlines()[1] == "一,,,,,"


def test_code_of_a_model_runs_only_when_it_is_trusted(bert, tmp_path):
    config = json.loads((bert / "config.json").read_text())
    config |= {
        "model_type": "stranger",
        "auto_map": {"AutoConfig": "code.C", "AutoModelForSequenceClassification": "code.M"},
    }
    (tmp_path / "config.json").write_text(json.dumps(config))
    (tmp_path / "code.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\n")
    AutoTokenizer.from_pretrained(bert).save_pretrained(tmp_path)
    with pytest.raises(InputError, match="--trust_remote_code"):
        load_classifier(str(tmp_path))
    assert not (tmp_path / "ran").exists()


def test_models_that_are_none(bert, tmp_path, monkeypatch):
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    _saved(
        AutoModelForSequenceClassification.from_pretrained(bert).bert,
        AutoTokenizer.from_pretrained(bert),
        tmp_path / "a",
    )
    with pytest.raises(InputError, match="no trained classifier, classifier.bias, classifier.weight are missing"):
        load_classifier(str(tmp_path / "a"))
    weights = tmp_path / "a" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    with pytest.raises(InputError, match="a: cannot be loaded"):
        load_classifier(str(tmp_path / "a"))
    with pytest.raises(InputError, match="no config.json"):
        load_classifier(str(tmp_path))
    with pytest.raises(InputError, match=r"nowhere/nothing: cannot be loaded \(.*\): name the folder"):
        load_classifier("nowhere/nothing")


class Counting:
    """Stands for a classifier: knows a text by its length, and says how it was called."""

    labels = ["even", "odd"]
    thresholds = None

    def __init__(self, fail_after: int | None = None):
        self.calls, self.fail_after = [], fail_after

    def probabilities(self, texts, batch_size, progress, pairs=None):
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


@pytest.mark.parametrize("separator", ["[SEP]", None], ids=["pair", "joined"])
def test_second_texts_are_read_as_in_training(separator, bert, tmp_path):
    """A tokenizer with a separator encodes a pair, any other gets one text; an empty second text is none."""
    if separator is None:
        tokenizer = train_tokenizer(TEXTS, level="char", vocab_size=None, max_length=30)
        config = TextRNNConfig(vocab_size=len(tokenizer), embedding_dim=8, hidden_size=8, pad_token_id=0)
        folder = _saved(_sharpen(TextRNNForSequenceClassification(config)), tokenizer, tmp_path / "model")
        inputs = ["股市大涨\n球队", "球队"]
    else:
        folder, inputs = bert, [{"text": "股市大涨", "text_pair": "球队"}, {"text": "球队"}]
    expected = pipeline("text-classification", model=str(folder), device="cpu")(inputs, truncation=True)
    (tmp_path / "in.jsonl").write_text('{"a": "股市大涨", "b": "球队"}\n{"a": "球队", "b": ""}\n', encoding="utf-8")
    texts = TextFile(str(tmp_path / "in.jsonl"), "a", "b")
    predict_file(load_classifier(str(folder)), texts, str(tmp_path / "out.csv"))
    header, *rows = _read(tmp_path / "out.csv")
    assert header == ["a", "b", "prediction", "probability"]
    for (_, _, label, probability), answer in zip(rows, expected, strict=True):
        assert label == answer["label"] and float(probability) == pytest.approx(answer["score"], abs=1e-6)
    (tmp_path / "in.txt").write_text("a\n")
    with pytest.raises(InputError, match="--text_pair_column needs"):
        TextFile(str(tmp_path / "in.txt"), "a", "b")
