"""A finished model's answers against the pipeline of transformers: texts, pairs, tables, copies in other processes."""

import csv
import json
import math
import pickle

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

from hfcls import Classifier
from hfcls.errors import InputError
from hfcls.inference.prediction import predict_file
from hfcls.inference.text_files import TextFile
from hfcls.models.attention import use_given_masks
from hfcls.models.bert import bert_from_scratch
from hfcls.models.text_rnn import TextRNNConfig, TextRNNForSequenceClassification
from hfcls.text.tokenization import train_tokenizer, train_wordpiece_tokenizer
from tests.odd_texts import TEXTS
from tests.warm import run_apart

LABELS = ["财经", "体育", "games, etc."]


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
    classifier = Classifier(str(folder))
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
    for answer, row in zip(classifier(TEXTS), expected, strict=True):
        several = problem == "multi_label_classification"
        assert list(answer.labels) == (
            [label for label in LABELS if row[label] >= 0.5] if several else [max(row, key=row.get)]
        )
        for label, probability in answer.labels.items():
            assert probability == pytest.approx(row[label], rel=2e-6, abs=1e-6)


def test_what_a_gpu_is_given_has_the_same_answers(bert, monkeypatch):
    """Larger batches by two threads, and no masks where no text is padded: on a CPU, which copies no pinned memory."""
    usual = Classifier(str(bert), device="cpu")
    classifier = Classifier(str(bert), device="cpu")
    classifier.on_gpu, classifier._takes_given_masks = True, use_given_masks(classifier.model)
    monkeypatch.setattr(Classifier, "_on_device", lambda self, tensor: tensor)
    rows = []
    classifier.model.register_forward_hook(lambda model, args, given, out: rows.append(given), with_kwargs=True)
    texts = [*TEXTS * 50, "aa", "bb"]
    assert classifier.batch_size == 512 and usual.batch_size == 64
    expected = usual.probabilities(texts)
    for batch_size in (None, 2):
        np.testing.assert_allclose(classifier.probabilities(texts, batch_size), expected, atol=1e-6)
    assert max(len(given["input_ids"]) for given in rows) == min(512, len(texts))
    padded = [bool((given["input_ids"] == classifier.tokenizer.pad_token_id).any()) for given in rows]
    assert padded == ["attention_mask" in given for given in rows] and len(set(padded)) == 2


def test_a_single_output_is_a_sigmoid(bert, tmp_path):
    torch.manual_seed(0)
    model = BertForSequenceClassification.from_pretrained(bert, num_labels=1, ignore_mismatched_sizes=True)
    folder = _saved(model, AutoTokenizer.from_pretrained(bert), tmp_path)
    found = Classifier(str(folder)).probabilities(TEXTS)
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
    classifier = Classifier(str(folder))
    assert classifier.max_length == 19
    texts = [text for text in TEXTS if text]
    expected = pipeline("text-classification", model=str(folder), device="cpu")(texts, truncation=True, max_length=19)
    for answer, row in zip(classifier(texts), expected, strict=True):
        assert answer.labels == {row["label"]: pytest.approx(row["score"], abs=1e-6)}


@pytest.mark.parametrize("special", [{"pad_token": "[PAD]", "padding_side": "left"}, {"pad_token": "[PAD]"}, {}])
def test_a_decoder_with_and_without_padding(tmp_path, special):
    tokenizer = _char_tokenizer(**special)
    config = GPT2Config(
        vocab_size=len(tokenizer), n_positions=99, n_embd=16, n_layer=1, n_head=2, id2label=dict(enumerate(LABELS))
    )
    folder = _saved(_sharpen(GPT2ForSequenceClassification(config)), tokenizer, tmp_path)
    texts = [text for text in TEXTS if text]
    expected = pipeline("text-classification", model=str(folder), device="cpu")(texts)
    answers = Classifier(str(folder))(texts)
    assert [answer.label for answer in answers] == [row["label"] for row in expected]
    # GPT-2 counts positions from the first column: padding on the left would move them.
    np.testing.assert_allclose(
        [answer.probability for answer in answers], [row["score"] for row in expected], atol=1e-6
    )


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
    found = Classifier(str(_saved(model, tokenizer, tmp_path))).probabilities(TEXTS)
    for text, row in zip(TEXTS, found, strict=True):
        ids = torch.tensor([tokenizer(text)["input_ids"][:30]], dtype=torch.int64)
        with torch.no_grad():
            expected = model(ids, attention_mask=torch.ones_like(ids)).logits.softmax(dim=1)
        np.testing.assert_allclose(row, expected[0], atol=1e-6)


def test_logits_that_are_not_finite_are_no_prediction(bert, tmp_path):
    model = BertForSequenceClassification.from_pretrained(bert)
    torch.nn.init.constant_(model.classifier.bias, math.inf)
    classifier = Classifier(str(_saved(model, AutoTokenizer.from_pretrained(bert), tmp_path / "model")))
    for answer in classifier(TEXTS):
        assert (answer.labels, answer.label, math.isnan(answer.probability)) == ({}, None, True)
    assert classifier({"text": ["a"]})["prediction"] == [None]


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
        Classifier(str(tmp_path))
    assert not (tmp_path / "ran").exists()


def test_models_that_are_none(bert, tmp_path, monkeypatch):
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    _saved(
        AutoModelForSequenceClassification.from_pretrained(bert).bert,
        AutoTokenizer.from_pretrained(bert),
        tmp_path / "a",
    )
    with pytest.raises(InputError, match="no trained classifier, classifier.bias, classifier.weight are missing"):
        Classifier(str(tmp_path / "a"))
    weights = tmp_path / "a" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    with pytest.raises(InputError, match="a: cannot be loaded"):
        Classifier(str(tmp_path / "a"))
    with pytest.raises(InputError, match="no config.json"):
        Classifier(str(tmp_path))
    with pytest.raises(
        InputError, match="nowhere/nothing: HF_HUB_OFFLINE is set, and .* does not hold it: without the Hub"
    ):
        Classifier("nowhere/nothing")


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
    classifier = Classifier(folder)
    answers = classifier(["股市大涨", "球队"], ["球队", ""])
    for found, answer in zip(answers, expected, strict=True):
        assert found.labels == {answer["label"]: pytest.approx(answer["score"], abs=1e-6)}
    alone = [classifier("股市大涨", "球队"), classifier("球队")]
    for found, answer in zip(alone, answers, strict=True):
        assert found.labels == pytest.approx(answer.labels, abs=1e-6)
    (tmp_path / "in.jsonl").write_text('{"a": "股市大涨", "b": "球队"}\n{"a": "球队", "b": ""}\n', encoding="utf-8")
    predict_file(classifier, TextFile(str(tmp_path / "in.jsonl"), "a", "b"), str(tmp_path / "out.csv"))
    with open(tmp_path / "out.csv", encoding="utf-8", newline="") as file:
        header, *rows = csv.reader(file)
    assert header == ["a", "b", "prediction", "probability"]
    for (_, _, label, probability), found in zip(rows, answers, strict=True):
        assert {label: float(probability)} == pytest.approx(found.labels, abs=1e-6)
    table = {"a": ["股市大涨", "球队"], "b": ["球队", ""]}
    with_answers = classifier(table, text_column="a", text_pair_column="b")
    assert with_answers["probability"] == pytest.approx([found.probability for found in answers], abs=1e-6)


@pytest.fixture(scope="module")
def several(bert, tmp_path_factory):
    """A classifier of label sets, whose thresholds are its own."""
    model = BertForSequenceClassification.from_pretrained(bert)
    model.config.problem_type = "multi_label_classification"
    model.config.decision_thresholds = [0.4, 0.6, 0.5]
    return _saved(model, AutoTokenizer.from_pretrained(bert), tmp_path_factory.mktemp("several"))


@pytest.mark.parametrize("name", ["bert", "several"])
@pytest.mark.parametrize("kind", [list, np.array, pandas.DataFrame])
def test_a_table_comes_back_with_answers(name, kind, request):
    classifier = Classifier(request.getfixturevalue(name))
    texts = [*TEXTS, "涨" * 22, "涨" * 23]  # 24 tokens with those at both ends, and one too many
    columns = {"id": list(range(len(texts))), "标题": texts}
    table = kind(columns) if kind is pandas.DataFrame else {name: kind(values) for name, values in columns.items()}
    before = pickle.dumps(table)
    found = classifier(table, text_column="标题")
    assert pickle.dumps(table) == before
    assert type(found) is type(table) and list(found) == ["id", "标题", "prediction", "probability", "truncated"]
    assert list(found["id"]) == columns["id"] and list(found["标题"]) == texts
    answers = classifier(texts)
    if name == "several":
        assert list(found["prediction"]) == [list(answer.labels) for answer in answers]
        assert list(found["probability"]) == [list(answer.labels.values()) for answer in answers]
        assert 0 < sum(map(len, found["prediction"])) < 3 * len(texts)
    else:
        assert list(found["prediction"]) == [answer.label for answer in answers]
        assert list(found["probability"]) == [answer.probability for answer in answers]
    longer = [len(classifier.tokenizer(text, truncation=False)["input_ids"]) > 24 for text in texts]
    assert list(found["truncated"]) == longer and longer[-2:] == [False, True]


def test_tables_and_texts_that_are_none(bert):
    classifier = Classifier(bert)
    for arguments, message in (
        (([None],), "texts, row 0: is None; give each row one text"),
        ((["a", 7],), "texts, row 1: is 7"),
        ((["a", "b"], ["c"]), "pairs: 1 for 2 texts"),
        (({"title": ["a"]},), "no column text, only title: name one as text_column"),
        (({"text": ["a"], "truncated": [1]},), "has a column truncated already"),
        ((pandas.DataFrame({"text": ["a", None]}),), "column text, row 1: is"),
    ):
        with pytest.raises(InputError, match=message):
            classifier(*arguments)
    assert classifier([]) == [] and classifier({"text": []})["prediction"] == []


def test_no_text_is_truncated_by_a_model_without_a_limit(tmp_path):
    tokenizer = _char_tokenizer(pad_token="[PAD]")
    config = TextRNNConfig(vocab_size=len(tokenizer), embedding_dim=8, hidden_size=8, pad_token_id=0)
    classifier = Classifier(_saved(_sharpen(TextRNNForSequenceClassification(config)), tokenizer, tmp_path))
    assert classifier.max_length is None and not classifier.truncated(["涨" * 5000]).any()


def test_what_is_pickled_is_the_name(bert, monkeypatch):
    monkeypatch.chdir(bert.parent)
    classifier = Classifier(bert.name, device="cpu")
    pickled = pickle.dumps(classifier)
    assert len(pickled) < 1000
    program = "import pickle, sys; print(pickle.load(sys.stdin.buffer)(sys.argv[1]).labels)"
    done = run_apart("-c", program, TEXTS[0], given=pickled, folder="/", check=True)
    assert done.stdout.strip() == str(classifier(TEXTS[0]).labels)
