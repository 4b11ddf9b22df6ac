"""TF-IDF and a linear SVM against scikit-learn on tokens cut by hand, and what is chosen by them."""

import unicodedata

import datasets
import numpy as np
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.multiclass import OneVsRestClassifier
from sklearn.svm import LinearSVC

from hfcls.models.ngram_linear import NgramLinearForSequenceClassification
from hfcls.models.text_cnn import TextCNNForSequenceClassification
from hfcls.text import baselines, tfidf
from hfcls.text.arguments import BaselineArguments
from hfcls.training.setup import Corpus

TEXTS = ["股市大涨 A股 up", "球队 wins the cup!", "新 phone 发布", "銀行が利上げ", "ทีมชนะ", "Goal!! 进球"] * 4


def tokens(text: str) -> list[str]:
    """Letters of scripts without spaces one by one, words between, and signs; by their names in Unicode."""
    found, word = [], ""
    for letter in [*text.lower(), " "]:
        unspaced = unicodedata.name(letter, "").startswith(("CJK", "HIRAGANA", "KATAKANA", "THAI"))
        if letter.isalnum() and not unspaced:
            word += letter
            continue
        found += [word] * bool(word) + [letter] * (not letter.isspace())
        word = ""
    return found


def reference(model, texts, labels, asked):
    vectorizer = TfidfVectorizer(tokenizer=tokens, token_pattern=None, ngram_range=(1, 2), sublinear_tf=True)
    return model.fit(vectorizer.fit_transform(texts), labels).predict(vectorizer.transform(asked))


# Of their parts some are in train, none of the compounds is.
COMPOUNDS = ["Tabellenrechner", "Zellenfunktionen", "Textabsätze", "Seitenvorlagen"] * 2


def corpus(train: list[str], train_labels, test: list[str], test_labels, names: list[str]) -> Corpus:
    label = datasets.ClassLabel(names=names)
    label = datasets.List(label) if isinstance(train_labels[0], list) else label
    features = datasets.Features({"text": datasets.Value("string"), "label": label})
    splits = {
        name: datasets.Dataset.from_dict({"text": texts, "label": labels}, features=features)
        for name, (texts, labels) in {
            "train": (train, train_labels),
            "validation": (test, test_labels),
            "test": (test, test_labels),
        }.items()
    }
    return Corpus("made up", "made up", "zh", splits)


def of_compounds() -> Corpus:
    """Words tell nothing of its validation and test rows, parts of words all."""
    train = ["Tabelle rechnen", "Zelle Funktion", "Texte Absatz", "Seite Vorlage"] * 6
    return corpus(train, [0, 0, 1, 1] * 6, COMPOUNDS, [0, 0, 1, 1] * 2, ["calc", "writer"])


def test_one_label_is_that_of_scikit_learn():
    labels = np.array([0, 1, 2, 0, 1, 1] * 4)
    asked = ["A股 大涨", "the cup", "phone", "ทีม", "進球!", "no word of these"]
    distances = tfidf.distances(TEXTS, labels, asked, num_labels=4)  # the last class has no row
    expected = reference(LinearSVC(random_state=0), TEXTS, labels, asked)
    assert distances.argmax(axis=1).tolist() == expected.tolist()
    two = tfidf.distances(TEXTS, (labels == 1).astype(int), asked, num_labels=2)
    assert two.argmax(axis=1).tolist() == reference(LinearSVC(random_state=0), TEXTS, labels == 1, asked).tolist()


def test_several_labels_are_those_of_scikit_learn():
    labels = np.array([[1, 0, 0], [0, 1, 0], [1, 0, 0], [1, 0, 0], [0, 1, 0], [1, 1, 0]] * 4)
    asked = ["A股 大涨", "the cup", "Goal! 股市", "ทีม"]
    distances = tfidf.distances(TEXTS, labels, asked, num_labels=3)
    expected = reference(OneVsRestClassifier(LinearSVC(random_state=0)), TEXTS, labels[:, :2], asked)
    assert (distances[:, :2] > 0).astype(int).tolist() == expected.tolist() and (distances[:, 2] < 0).all()


def test_characters_are_those_of_scikit_learn():
    labels = np.array([0, 1, 2, 0, 1, 1] * 4)
    asked = ["A股 大涨", "up the cup", "phones", "ทีม", "進球!"]
    vectorizer = TfidfVectorizer(analyzer="char", ngram_range=(1, 4), sublinear_tf=True)
    expected = LinearSVC(random_state=0).fit(vectorizer.fit_transform(TEXTS), labels)
    found = tfidf.distances(TEXTS, labels, asked, 3, "characters")
    np.testing.assert_allclose(found, expected.decision_function(vectorizer.transform(asked)))


def test_the_kind_with_the_least_loss_is_chosen():
    compared = tfidf.compare(of_compounds())
    assert (compared.best, compared.rows) == ("characters", 8)
    train, asked = of_compounds().splits["train"], of_compounds().splits["test"]
    for kind, settings in (("words", {}), ("characters", {"analyzer": "char", "ngram_range": (1, 4)})):
        vectorizer = TfidfVectorizer(**settings, sublinear_tf=True)
        model = LinearSVC(random_state=0).fit(vectorizer.fit_transform(train["text"]), train["label"])
        found = model.decision_function(vectorizer.transform(asked["text"]))
        sides = 2 * np.array(asked["label"]) - 1  # of the second class; the first has one distance, zero, for all
        assert compared.losses[kind] == pytest.approx(1 + np.mean(np.maximum(0, 1 - sides * found) ** 2), rel=1e-4)
    assert tfidf.Comparison(dict.fromkeys(tfidf.METHODS, 1.0), rows=2).best == "pairs"
    assert tfidf.compare(corpus([" "], [0], ["a"], [0], ["a", "b"])) is None


def test_no_more_than_a_sample_is_compared(monkeypatch):
    monkeypatch.setattr(tfidf, "SAMPLE_CHARACTERS", 60)
    assert tfidf.compare(of_compounds()).rows == 4  # of 11 to 16 characters each


@pytest.mark.parametrize(
    ("flags", "model", "level", "longest"),
    [
        ({}, NgramLinearForSequenceClassification, "char", 5),
        ({"tokens": "word"}, NgramLinearForSequenceClassification, "word", 3),
        ({"ngram_max": 2}, NgramLinearForSequenceClassification, "word", 2),
        ({"tokens": "char", "ngram_max": 2}, NgramLinearForSequenceClassification, "char", 2),
        ({"tokens": "char"}, NgramLinearForSequenceClassification, "char", 5),
        ({"vocab": "vocab.txt"}, NgramLinearForSequenceClassification, "word", 3),
        ({}, TextCNNForSequenceClassification, "word", 3),
    ],
)
def test_tokens_and_orders_of_texts_of_words(flags, model, level, longest):
    arguments, noted = baselines.with_tokens(BaselineArguments(**flags), of_compounds(), model)
    assert (arguments.tokens, arguments.ngram_max) == (level, longest)
    assert len(noted.notes) == ("tokens" not in flags)
    assert not noted.notes or noted.notes[0].startswith(f"tokens {level} (auto): ")


def test_orders_of_texts_without_words_and_of_many(monkeypatch):
    chinese = corpus(["股市大涨", "球队夺冠"] * 3, [0, 1] * 3, ["股市", "球队"], [0, 1], ["财经", "体育"])
    arguments, _ = baselines.with_tokens(BaselineArguments(), chinese, NgramLinearForSequenceClassification)
    assert (arguments.tokens, arguments.ngram_max) == ("char", 3)
    monkeypatch.setattr(tfidf, "MOST_CHARACTERS", 100)
    arguments, _ = baselines.with_tokens(BaselineArguments(), of_compounds(), NgramLinearForSequenceClassification)
    assert (arguments.tokens, arguments.ngram_max) == ("word", 3)


def test_single_words_where_they_are_best(monkeypatch):
    losses = {"words": 0.4, "pairs": 0.5, "characters": 0.6}
    monkeypatch.setattr(baselines, "compare", lambda corpus: tfidf.Comparison(losses, rows=8))
    arguments, noted = baselines.with_tokens(BaselineArguments(), of_compounds(), NgramLinearForSequenceClassification)
    assert (arguments.tokens, arguments.ngram_max) == ("word", 1)
    assert "is 0.400 by words, 0.500 by pairs, 0.600 by characters; n-grams of up to 1; " in noted.notes[0]
