"""Weights of pieces of a text: they add up to the logit, equal a second computation, and say what matters."""

import json
import re
import runpy
import shutil
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import BertConfig, BertForSequenceClassification, RobertaConfig, RobertaForSequenceClassification

from hfcls.cli import main
from hfcls.errors import InputError
from hfcls.inference.classifier import Classifier
from hfcls.inference.explain.explanation import explain
from hfcls.inference.explain.gradients import token_weights
from hfcls.inference.explain.tokens import Tokens, read_tokens

ROOT = Path(__file__).parents[3]
SAVED = ROOT / "tests" / "saved_models"
SAMPLE = ROOT / "hfcls" / "data" / "samples" / "thucnews" / "test.txt"
TEXTS = ["明湖保险推出新型分红险 门槛500万", "流浪狗守候医院门口等主人", "THE iPhone 4S 售价 $199 :-)", "股市", "a"]
GRADIENTS = ["text_cnn", "text_rnn", "dpcnn", "jieba", "bert", "bert_calibrated"]
SMALL = "--embedding_dim 32 --hidden_size 16 --num_layers 1 --learning_rate 5e-3 --max_length 24"
TRAINED = {
    "ngram_linear": "",
    "text_cnn": SMALL,
    "text_rnn": SMALL,
}

needs_captum = pytest.mark.skipif(find_spec("captum") is None, reason="captum is not installed")


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Runs of small models on the embedded sample, by architecture, made when they are asked for."""
    runs = {}

    def train(architecture: str) -> Path:
        if architecture not in runs:
            folder = tmp_path_factory.mktemp(architecture) / "run"
            with pytest.MonkeyPatch.context() as patched:
                flags = f"--architecture {architecture} {TRAINED[architecture]} --output_dir {folder}".split()
                patched.setattr(sys, "argv", ["thucnews_rnn.py", *flags])
                runpy.run_path(str(ROOT / "recipes" / "thucnews_rnn.py"), run_name="__main__")
            runs[architecture] = folder
        return runs[architecture]

    return train


def test_contributions_of_ngrams_sum_to_the_logit(trained):
    for name in (trained("ngram_linear"), SAVED / "ngram_linear", SAVED / "ngram_linear_multi_label"):
        classifier = Classifier(str(name))
        for text in TEXTS:
            for label in classifier.labels:
                one, gap = explain(classifier, text, label=label)
                assert gap == 0
                assert sum(mark.weight for mark in one.marks) + one.rest == pytest.approx(one.logit, abs=1e-5)


def test_a_weight_is_that_of_the_ngrams_a_token_is_in():
    classifier = Classifier(str(SAVED / "ngram_linear"))
    model, text = classifier.model, "老戏骨长沙开唱老"
    tokens = read_tokens(classifier, text)
    ids = torch.tensor([tokens.inputs["input_ids"]])
    ngrams = model.ngrams_in_order(ids, torch.ones_like(ids))[0]
    # Only the bigram of 长 and 沙 counts from here on, which stand at steps 4 and 5 behind the boundary.
    feature = model.features_of(ngrams[1, 4])
    assert feature != model.config.num_features
    with torch.no_grad():
        weight = model.weight[feature].clone()
        model.weight.zero_()
        model.weight[feature] = weight
    one, _ = explain(classifier, text, label=classifier.labels[0])
    weights = [mark.weight for mark in one.marks]
    assert np.flatnonzero(weights).tolist() == [3, 4]
    assert weights[3] == pytest.approx(weights[4])
    number = len({int(feature) for feature in model.features_of(ngrams).flatten()} - {model.config.num_features})
    product = float(weight[0] * model.ratios[feature, 0])
    assert sum(weights) == pytest.approx(product * model.config.logit_scale / number**0.5, rel=1e-5)


@needs_captum
@pytest.mark.parametrize("name", GRADIENTS)
def test_integrated_gradients_are_complete(name):
    classifier = Classifier(str(SAVED / name))
    for text in TEXTS[:3]:
        one, gap = explain(classifier, text)
        assert gap <= 0.05
        explained = sum(mark.weight for mark in one.marks) + one.rest
        assert abs(explained - one.logit) <= 0.05 * abs(one.logit - one.rest) + 1e-5
        assert one.marks


@needs_captum
@pytest.mark.parametrize("kind", ["bert", "roberta"])
def test_they_equal_an_integral_of_our_own(kind):
    sizes = {"vocab_size": 32, "hidden_size": 16, "num_attention_heads": 2, "intermediate_size": 32}
    config, model_class = BertConfig(**sizes, num_hidden_layers=2, pad_token_id=0), BertForSequenceClassification
    if kind == "roberta":  # whose positions start behind the number of the padding
        config = RobertaConfig(**sizes, num_hidden_layers=2, pad_token_id=1, max_position_embeddings=66)
        model_class = RobertaForSequenceClassification
    torch.manual_seed(0)
    model = model_class(config).eval()
    with torch.no_grad():
        model.get_input_embeddings().weight.mul_(20)  # far enough from zero for a path to be curved
    ids = [token + 5 for token in range(7)]
    spans = [(0, 0), *((place, place + 1) for place in range(5)), (0, 0)]
    tokens = Tokens("五个汉字啊", {"input_ids": ids, "attention_mask": [1] * 7}, spans, unread=(0, 0))
    weights, rest, gap = token_weights(model, tokens, 1)
    assert gap <= 0.05
    with pytest.raises(InputError, match="7 tokens are read of it, more than the 6 of which"):
        token_weights(model, tokens, 1, most_tokens=32 * 7 - 1)

    vectors = model.get_input_embeddings().weight[torch.tensor(ids)].detach()
    baseline = vectors * torch.tensor([begin == end for begin, end in spans])[:, None]
    steps, total = 2000, torch.zeros_like(vectors)
    positions = {"position_ids": torch.arange(2, 9)[None]} if kind == "roberta" else {}
    for share in (torch.arange(steps) + 0.5) / steps:
        point = (baseline + share * (vectors - baseline)).requires_grad_()
        logit = model(inputs_embeds=point[None], **positions).logits[0, 1]
        total += torch.autograd.grad(logit, point)[0]
    expected = ((vectors - baseline) * total / steps).sum(1)
    assert weights[[0, -1]].tolist() == [0, 0]
    np.testing.assert_allclose(weights, expected, atol=0.05 * abs(expected).max())
    assert rest == pytest.approx(model(inputs_embeds=baseline[None], **positions).logits[0, 1].item(), abs=1e-5)


@needs_captum
@pytest.mark.parametrize("name", TRAINED)
def test_what_is_marked_matters_more_than_what_is_not(name, trained):
    """Deleting the marked fifth of a text moves its probability more than deleting another fifth, over 200 rows."""
    classifier = Classifier(str(trained(name)))
    draws = np.random.default_rng(0)
    texts = [line.partition("\t")[0] for line in SAMPLE.read_text(encoding="utf-8").splitlines()]
    texts = [texts[row % len(texts)] for row in range(200)]
    marked, other, labels = [], [], []
    for text in texts:
        one, _ = explain(classifier, text)
        number = max(1, len(one.marks) // 5)
        order = sorted(one.marks, key=lambda mark: -mark.weight)
        marked.append(without(text, order[:number]))
        other.append(without(text, [one.marks[place] for place in draws.permutation(len(order))[:number]]))
        labels.append(classifier.labels.index(one.label))
    rows = np.arange(len(texts))
    whole, less, random = (classifier.probabilities(some)[rows, labels] for some in (texts, marked, other))
    differences = (whole - less) - (whole - random)
    assert differences.mean() > 2 * differences.std() / len(rows) ** 0.5


def without(text, marks):
    for mark in sorted(marks, key=lambda mark: -mark.begin):
        text = text[: mark.begin] + text[mark.end :]
    return text


def test_what_is_not_read_is_told(trained):
    classifier = Classifier(str(trained("ngram_linear")))
    text = "股" * classifier.truncation.max_length + "市场上涨"
    one, _ = explain(classifier, text)
    assert text[slice(*one.unread)] == "市场上涨"
    assert [piece for piece, _, read in one.pieces() if not read] == ["市场上涨"]
    assert "".join(piece for piece, _, _ in one.pieces()) == text


@needs_captum
def test_second_texts():
    classifier = Classifier(str(SAVED / "bert_pair"))
    one, _ = explain(classifier, "股市", "球队<b>赢得冠军")
    assert one.text == "股市\n球队<b>赢得冠军"
    assert {one.text[mark.begin : mark.end] for mark in one.marks} >= {"股", "市", "球", "冠"}


def explained(*words) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["explain", *map(str, words)])
    assert ended.value.code == 0


def test_on_the_command_line(trained, tmp_path, capsys):
    model = trained("ngram_linear")
    capsys.readouterr()
    page = tmp_path / "page.html"
    explained(model, TEXTS[0], "--output", page)
    printed = capsys.readouterr().out
    assert TEXTS[0] in printed and re.search(r"\+\d\.\d\d", printed)
    assert page.read_text(encoding="utf-8").count("<mark") > 3
    table = tmp_path / "texts.csv"
    table.write_text("id,text\n1,<script>alert(1)</script>股市\n2,流浪狗\n", encoding="utf-8")
    explained(model, "--input", table, "--output", page)
    html = page.read_text(encoding="utf-8")
    assert "<script" not in html and html.count("<li>") == 2
    with pytest.raises(SystemExit) as ended:
        main(["explain", str(model), "股市", "--label", "weather"])
    assert ended.value.code == 2 and "--label weather" in capsys.readouterr().err


def test_in_the_report_of_a_run(trained, tmp_path, capsys):
    run = shutil.copytree(trained("ngram_linear"), tmp_path / "run")
    assert (run / "explanations.json").is_file()  # a linear model explains itself
    written = (run / "explanations.json").read_bytes()
    (run / "explanations.json").unlink()
    explained(run)
    assert (run / "explanations.json").read_bytes() == written
    report = (run / "report.html").read_text(encoding="utf-8")
    assert 'id="why"' in report and "strongest n-grams" in report and report.count("<mark") > 20
    content = json.loads((run / "explanations.json").read_text(encoding="utf-8"))
    assert len(content["random"]) == 20 and all(one["ngrams"] for one in content["strong"])
    content["random"][0]["text"] = "another text"
    (run / "explanations.json").write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(SystemExit) as ended:
        main(["report", str(run)])
    assert ended.value.code == 2 and "explanations.json is of other predictions" in capsys.readouterr().err
