"""What the server answers, against `Classifier` and the pipeline; and what it refuses."""

import json
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from transformers import BertForSequenceClassification, pipeline

from hfcls.inference.classifier import Classifier
from hfcls.inference.serve.models import load
from tests.inference.serve.running import LABELS, TEXTS, save_bert, serving


def scores(answer, labels=LABELS):
    """The scores of one input in the order of the classes."""
    found = {one["label"]: one["score"] for one in answer}
    return [found[label] for label in labels]


def test_inputs_as_text_embeddings_inference_takes_them(server, bert):
    expected = [
        {one["label"]: one["score"] for one in row}
        for row in pipeline("text-classification", model=str(bert), device="cpu")(
            TEXTS, top_k=None, truncation=True, max_length=24
        )
    ]
    one = server.predict(TEXTS[0])
    assert [row["label"] for row in one] == sorted(expected[0], key=expected[0].get, reverse=True)
    assert all(set(row) == {"score", "label"} for row in one)
    for batch in (server.predict([[text] for text in TEXTS]), server.predict(TEXTS)):  # the second: no pairs here
        for answer, row in zip(batch, expected, strict=True):
            np.testing.assert_allclose(scores(answer), [row[label] for label in LABELS], atol=1e-6)
    assert np.ptp([scores(answer) for answer in batch]) > 0.1


def test_raw_scores_are_logits(server):
    logits = np.array(scores(server.predict(TEXTS[1], raw_scores=True)))
    shares = np.exp(logits) / np.exp(logits).sum()
    np.testing.assert_allclose(scores(server.predict(TEXTS[1])), shares, atol=1e-6)


def test_many_clients_get_the_answers_that_each_would_get_alone(server, bert):
    texts = [" ".join(TEXTS[place % 5] for place in range(number % 7)) for number in range(120)]
    expected = Classifier(bert).probabilities(texts)
    with ThreadPoolExecutor(24) as pool:
        found = list(pool.map(server.predict, texts))
    np.testing.assert_allclose([scores(answer) for answer in found], expected, atol=1e-6)
    batches = float(server.get("/metrics").text.split("hfcls_batch_rows_count ")[1].split()[0])
    rows = float(server.get("/metrics").text.split("hfcls_batch_rows_sum ")[1].split()[0])
    assert rows > batches  # some were computed together


@pytest.mark.parametrize("keep", ["head", "tail", "head_tail"])
def test_long_texts_are_cut_as_they_were_in_training(tmp_path, keep):
    folder = save_bert(tmp_path, keep=keep, max_length=8)
    text = "股 市 大 涨 球 队 赢 得 比 赛 冠 军 一 二 三 四"
    with serving(folder) as client:
        np.testing.assert_allclose(scores(client.predict(text)), Classifier(folder).probabilities([text])[0], atol=1e-6)
        refused = client.post("/predict", json={"inputs": text, "truncate": False})
        assert refused.status_code == 413 and "longer" in refused.json()["error"]
        assert client.predict("股 市", truncate=False) == client.predict("股 市", truncate=True)
        answer = client.post("/read", json={"text": text}).json()
        assert answer["predictions"] == client.predict(text)
        start, end = answer["unread"]
        # Six tokens beside [CLS] and [SEP] are read; of 510, head_tail keeps 128 from the beginning: of six, one.
        cut = {"head": "赢 得 比 赛 冠 军 一 二 三 四", "tail": "股 市 大 涨 球 队 赢 得 比 赛"}
        assert text[start:end] == cut.get(keep, "市 大 涨 球 队 赢 得 比 赛 冠")
        assert client.post("/read", json={"text": "股 市"}).json()["unread"] == [0, 0]


def test_several_labels_with_their_thresholds(tmp_path):
    folder = save_bert(tmp_path, problem_type="multi_label_classification", decision_thresholds=[0.3, 0.5, 0.7])
    classifier = Classifier(folder)
    with serving(folder) as client:
        assert client.get("/info").json()["thresholds"] == [0.3, 0.5, 0.7]
        for text, answer in zip(TEXTS, client.predict([[text] for text in TEXTS]), strict=True):
            np.testing.assert_allclose(scores(answer), classifier.probabilities([text])[0], atol=1e-6)
            assert {one["label"] for one in answer if one["predicted"]} == set(classifier(text).labels)
            np.testing.assert_allclose(
                [one["score"] for one in client.predict(text, raw_scores=True)],
                [np.log(one["score"] / (1 - one["score"])) for one in answer],
                atol=1e-4,
            )


def test_pairs(tmp_path):
    folder = save_bert(tmp_path, pairs=True)
    expected = Classifier(folder).probabilities(["股市", "股市"], pairs=["大涨", ""])
    with serving(folder) as client:
        assert client.get("/info").json()["takes_pairs"] is True
        np.testing.assert_allclose(scores(client.predict(["股市", "大涨"])), expected[0], atol=1e-6)
        batch = client.predict([["股市", "大涨"], ["股市"]])
        np.testing.assert_allclose([scores(answer) for answer in batch], expected, atol=1e-6)
        assert abs(expected[0] - expected[1]).max() > 1e-3
        assert client.post("/predict", json={"inputs": ["a", "b", "c"]}).status_code == 422
        start, end = client.post("/read", json={"text": "股市 " * 9, "pair": "大涨 " * 9}).json()["unread"]
        assert 28 < start < end == 54  # of the second text, which begins behind a line end


@pytest.mark.parametrize(
    ("body", "status", "message"),
    [
        ({"inputs": [["a", "b"]]}, 422, "a pair of texts, and the model was trained on single ones"),
        ({"inputs": []}, 422, "inputs: an empty list"),
        ({"inputs": [[]]}, 422, "inputs: give a text, a pair [text, text], or a batch [[text], …]"),
        ({"inputs": [["a", "b", "c"]]}, 422, "inputs: give a text"),
        ({"inputs": None}, 422, "inputs: give a text"),
        ({"inputs": ["a", 1]}, 422, "inputs: give a text"),
        ({}, 422, "inputs: Field required"),
        ([], 422, "the body: "),
        ({"inputs": "a", "raw_scores": "yes"}, 422, "raw_scores: Input should be a valid boolean"),
        ({"inputs": "a", "top_k": 1}, 422, "top_k: Extra inputs are not permitted"),
        ({"inputs": [["a"]] * 33}, 413, "inputs: 33 of them, at most 32 in one request"),
        ({"inputs": "a" * 100_000}, 413, "the body is longer than 100,000 bytes"),
    ],
)
def test_what_is_refused(server, body, status, message):
    answer = server.post("/predict", json=body)
    assert (answer.status_code, answer.json()["error"][: len(message)]) == (status, message)


def test_what_is_no_request_for_a_prediction(server):
    assert server.get("/nothing").status_code == 404
    assert server.get("/predict").status_code == 405
    assert server.post("/predict", content="{}", headers={"content-type": "text/plain"}).status_code == 415
    assert server.post("/predict", content='{"inputs": "a"}').status_code == 415


def test_what_the_server_says_of_itself(server):
    assert server.get("/health").json() == {"status": "ok"}
    info = server.get("/info").json()
    assert info["model_type"]["classifier"]["id2label"] == dict(zip("012", LABELS, strict=True))
    assert (info["max_input_length"], info["takes_pairs"], info["max_client_batch_size"]) == (24, False, 32)
    schema = server.get("/openapi.json").json()
    assert set(schema["paths"]) == {"/predict", "/predict_file", "/read", "/explain", "/health", "/info", "/metrics"}
    asked = schema["paths"]["/predict"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert set(asked["properties"]) == {"inputs", "raw_scores", "truncate"}
    assert 'hfcls_requests_total{path="/health",status="200"} ' in server.get("/metrics").text


def test_a_key_is_asked_for_everywhere_but_on_the_page(bert):
    with serving(bert, api_key="秘密".encode().hex()) as client:
        for path in ("/info", "/metrics", "/openapi.json", "/nothing"):
            assert client.get(path).status_code == 401
        assert client.get("/health").status_code == client.get("/").status_code == 200
        for key in ("", "Bearer", "Bearer wrong", "Bearer 秘密".encode(), "秘密".encode().hex()):
            asked = client.post("/predict", json={"inputs": "a"}, headers={"authorization": key})
            assert asked.status_code == 401 and asked.headers["www-authenticate"] == "Bearer"
        client.headers["authorization"] = f"Bearer {'秘密'.encode().hex()}"
        assert client.predict("a")


def test_an_explanation_sums_up_to_the_logit(server, bert):
    pytest.importorskip("captum")
    text, label = TEXTS[1], LABELS[2]
    answer = server.post("/explain", json={"text": text, "label": label}).json()
    logits = dict(zip(LABELS, scores(server.predict(text, raw_scores=True)), strict=True))
    assert answer["logit"] == pytest.approx(logits[label], abs=1e-4)
    change = answer["logit"] - answer["rest"]
    assert sum(mark["weight"] for mark in answer["marks"]) == pytest.approx(change, abs=0.05 * abs(change) + 1e-3)
    assert "".join(text[mark["begin"] : mark["end"]] for mark in answer["marks"]) == text.replace(" ", "")
    assert server.post("/explain", json={"text": text, "label": "none"}).status_code == 422


def test_logits_that_are_not_finite_are_no_answer(tmp_path):
    folder = save_bert(tmp_path)
    model = BertForSequenceClassification.from_pretrained(folder)
    torch.nn.init.constant_(model.classifier.bias, torch.inf)
    model.save_pretrained(folder)
    with serving(folder) as client:
        assert client.predict("a") == []
        sent = client.post("/predict_file", content='{"text": "a"}', headers={"content-type": "application/jsonl"})
        assert json.loads(sent.text) == {"text": "a", "prediction": None, "probability": None}


def test_an_exported_model_gives_the_same_answers(bert, tmp_path):
    pytest.importorskip("onnxscript", reason="pip install 'hfcls[export]'")
    from hfcls.inference.export.export import Wanted, export

    export(str(bert), str(tmp_path / "onnx"), Wanted(rows=5))
    expected = Classifier(bert).probabilities(TEXTS)
    with serving(load(str(tmp_path / "onnx"), onnx=True)) as client:
        found = client.predict([[text] for text in TEXTS])
        np.testing.assert_allclose([scores(answer) for answer in found], expected, atol=1e-5)
        assert client.get("/info").json()["explains"] is False
        assert client.post("/read", json={"text": "股市 " * 40}).json()["unread"][1] == 119
