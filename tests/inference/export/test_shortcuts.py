"""What is left of the graph of an encoder after its shortcuts, and that it answers as the model does."""

from pathlib import Path

import numpy as np
import pytest
import torch

from hfcls.inference.classifier import Classifier

onnx_ir = pytest.importorskip("onnx_ir", reason="pip install 'hfcls[export]'")
pytest.importorskip("onnxruntime", reason="pip install 'hfcls[export]'")

from hfcls.inference.onnx_classifier import open_session  # noqa: E402

SAVED = Path(__file__).parents[2] / "saved_models" / "bert_pair"


@pytest.fixture
def graph(exported_folder):
    return exported_folder(SAVED.name) / "model.onnx"


@pytest.mark.parametrize("padded", [0, 5, 13])
def test_the_answers_stay(graph, padded):
    classifier = Classifier(str(SAVED), device="cpu")
    ids = torch.randint(5, classifier.config.vocab_size, (4, 14)).numpy()
    mask = np.ones_like(ids)
    mask[:2, ids.shape[1] - padded :] = 0
    inputs = {"input_ids": ids, "attention_mask": mask, "token_type_ids": (ids % 2)}
    found = open_session(graph).run(["logits"], inputs)[0]
    np.testing.assert_allclose(found, classifier.logits(inputs), atol=1e-5)


def test_what_is_not_needed_is_gone(graph):
    layers = Classifier(str(SAVED), device="cpu").config.num_hidden_layers
    nodes = list(onnx_ir.load(graph).graph)
    assert {"Attention", "Transpose", "Erf"}.isdisjoint(node.op_type for node in nodes)
    branches = [node.attributes[name].value for node in nodes if node.op_type == "If" for name in node.attributes]
    assert [[node.op_type for node in branch] for branch in branches] == [["Attention"]] * layers * 2
    # In the last layer keys and values are computed of each token, all else of the first one.
    lengths = [node.outputs[0].shape[1] for node in nodes if node.op_type == "MatMul"]
    assert (len(lengths), lengths.count(1)) == (6 * layers, 4)
    before_norms = [node.inputs[0].producer().op_type for node in nodes if node.op_type == "LayerNormalization"]
    assert before_norms == ["Sum"] * (2 * layers + 1)
