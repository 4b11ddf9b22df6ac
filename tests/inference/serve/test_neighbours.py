"""Neighbours of a text among labelled rows, held to what transformers and the n-grams themselves say."""

from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from hfcls.cli import main
from hfcls.errors import InputError
from hfcls.inference.classifier import Classifier
from hfcls.inference.pooled_states import PooledStates, similarities
from hfcls.inference.serve import neighbours
from hfcls.inference.serve.models import LabelledTexts, load
from tests.browser import Browser
from tests.inference.serve.running import TEXTS, save_bert, serving

SAVED = Path(__file__).parents[2] / "saved_models"
ROWS = [
    ("体育", "球队 赢得 比赛"),
    ("财经", "股市"),
    ("财经", "股市 大涨"),
    ("<b>x</b>", "<img src=x onerror=alert(1)> 游戏"),
    ("空", ""),
]


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    path = tmp_path_factory.mktemp("table") / "train.csv"
    path.write_text("label,text\n" + "".join(f"{label},{text}\n" for label, text in ROWS), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def client(bert, table):
    with serving(load(str(bert), labelled_texts=LabelledTexts(str(table)))) as client:
        yield client


def test_they_are_nearest_by_the_pooled_states(bert, client):
    tokenizer = AutoTokenizer.from_pretrained(bert)
    model = AutoModelForSequenceClassification.from_pretrained(bert).eval()

    def pooled(text: str) -> np.ndarray:
        with torch.no_grad():
            state = model.bert(**tokenizer(text, return_tensors="pt")).pooler_output[0].numpy()
        return state / np.linalg.norm(state)

    for text in ["股市 大涨", "游戏", *TEXTS[:2]]:
        found = client.post("/neighbours", json={"text": text, "count": 4}).json()
        expected = np.array([pooled(text) @ pooled(row) for _, row in ROWS])
        assert [one["row"] for one in found] == np.argsort(-expected)[:4].tolist()
        np.testing.assert_allclose([one["similarity"] for one in found], np.sort(expected)[::-1][:4], atol=1e-5)
        assert all((one["label"], one["text"]) == ROWS[one["row"]] for one in found)
    assert len(client.post("/neighbours", json={"text": "股市"}).json()) == 5
    assert client.get("/info").json()["neighbours"] == len(ROWS)
    assert "/neighbours" in client.get("/openapi.json").json()["paths"]
    for wrong in ({"text": "a", "count": 0}, {"text": ["a"]}, {"inputs": "a"}):
        assert client.post("/neighbours", json=wrong).status_code == 422


def test_of_ngrams_they_share_the_most():
    classifier = Classifier(str(SAVED / "ngram_linear"))
    model, states = classifier.model, PooledStates(classifier)
    texts = ["great value", "bad value", "great great value for me", "zzz", ""]
    encoded = classifier.encode(texts)
    sets = []
    for ids in encoded["input_ids"]:
        row = torch.tensor([ids], dtype=torch.int64)
        numbers = model.features_of(model.hash_ngrams(row, torch.ones_like(row)))[0].tolist()
        sets.append(set(numbers) - {model.config.num_features})
    found = similarities(states.of(encoded), states.of(classifier.encode(texts[:1])))
    expected = [len(one & sets[0]) / max(1, len(one) * len(sets[0])) ** 0.5 for one in sets]
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert found[0] == pytest.approx(1) and 0 < found[1] < 1 and len(sets[0]) > 1


@pytest.mark.parametrize("name", ["text_cnn", "text_rnn", "dpcnn"])
def test_every_text_is_nearest_to_itself(name):
    classifier = Classifier(str(SAVED / name))
    texts = [" ".join(["great value", "never again", "good"][:n]) for n in (1, 2, 3)] * 15
    vectors = PooledStates(classifier).of(classifier.encode(texts))
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    own = similarities(vectors, PooledStates(classifier).of(classifier.encode(texts[1:2])))
    np.testing.assert_allclose(own[1::3], 1, atol=1e-5)


@pytest.mark.parametrize(
    ("model", "content", "message"),
    [
        ("text_cnn", "label,text\n" + "a,b\n" * 6, "more than 5 rows"),
        ("text_cnn", "label,tekst\na,b\n", "no column text, only label, tekst: name one by --text_column"),
        ("text_cnn", None, "No such file"),
        ("image_cnn", "label,text\na,b\n", "is of classifiers of texts"),
    ],
)
def test_what_cannot_be_is_one_line(tmp_path, monkeypatch, capsys, model, content, message):
    monkeypatch.setattr(neighbours, "MOST_ROWS", 5)
    if content is not None:
        (tmp_path / "rows.csv").write_text(content)
    with pytest.raises(SystemExit) as ended:
        main(["serve", str(SAVED / model), "--port", "0", "--neighbours", str(tmp_path / "rows.csv")])
    said = capsys.readouterr().err.strip().splitlines()
    assert ended.value.code == 2 and message in said[-1] and said[-1].startswith("error: --neighbours")


def test_pairs_have_none(tmp_path, table):
    folder = save_bert(tmp_path, pairs=True)
    with pytest.raises(InputError, match="--neighbours: are those of single texts, and .* reads pairs"):
        load(str(folder), labelled_texts=LabelledTexts(str(table)))


@pytest.mark.parametrize(("language", "width"), [("en-US", 1280), ("zh-CN", 400)])
def test_the_page_shows_them(client, language, width):
    with Browser(language=language, width=width) as browser:
        browser.open(str(client.base_url))
        browser.until("document.activeElement.id === 'text'")
        browser.type("游戏 比赛")
        browser.evaluate("document.getElementById('classify').click()")
        browser.until("document.querySelectorAll('.neighbours li').length === 5")
        found = client.post("/neighbours", json={"text": "游戏 比赛"}).json()
        texts = browser.evaluate("[...document.querySelectorAll('.neighbours p')].map((one) => one.textContent)")
        assert texts == [one["text"] for one in found] and any("<img" in text for text in texts)
        labels = browser.evaluate("[...document.querySelectorAll('.neighbours .label')].map((one) => one.textContent)")
        assert labels == [one["label"] for one in found]
        assert browser.evaluate("document.querySelectorAll('.neighbours img, .neighbours b').length") == 0
        assert browser.evaluate("document.documentElement.scrollWidth") <= width
        assert browser.complaints() == []
