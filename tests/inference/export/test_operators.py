"""What torch.onnx.export has no operators for, computed by onnxruntime and by torch."""

import numpy as np
import pytest
import torch

pytest.importorskip("onnxscript", reason="pip install 'hfcls[export]'")
onnxruntime = pytest.importorskip("onnxruntime", reason="pip install 'hfcls[export]'")

from hfcls.inference.export.graph import write_graph  # noqa: E402
from hfcls.inference.onnx_classifier import open_session  # noqa: E402
from hfcls.models.text_rnn import TextRNNConfig, TextRNNForSequenceClassification  # noqa: E402


class Called(torch.nn.Module):
    """A function of two tensors."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, *tensors):
        return self.function(*tensors)


def test_search_and_stable_sort(tmp_path):
    table = torch.tensor([-(2**62), -5, 0, 3, 3, 2**40, 2**63 - 1])
    asked = torch.tensor([-(2**63), -(2**62), -6, -5, -1, 0, 1, 3, 4, 2**40 - 1, 2**40, 2**63 - 2, 2**63 - 1])

    def search_and_sort(numbers, flags):
        places = torch.searchsorted(table, numbers)
        return places, flags.argsort(dim=0, stable=True), flags.bool().sort(dim=0, descending=True, stable=True)[1]

    flags = torch.tensor([1, 0, 1, 1, 0, 0, 1, 0, 2])
    path = tmp_path / "g.onnx"
    write_graph(
        Called(search_and_sort),
        {"one": asked[:4], "two": flags[:5]},
        ["places", "up", "down"],
        path,
        {"one": {0: "n"}, "two": {0: "m"}},
    )
    found = open_session(path).run(None, {"one": asked.numpy(), "two": flags.numpy()})
    for values, expected in zip(found, search_and_sort(asked, flags), strict=True):
        np.testing.assert_array_equal(values, expected.numpy())


CELLS = [("gru", "rcnn"), ("rnn", "last"), ("lstm_by_hand", "attention")]


class Logits(torch.nn.Module):
    """Of several models, one after the other."""

    def __init__(self, models):
        super().__init__()
        self.models = torch.nn.ModuleList(models)

    def forward(self, *tensors):
        return tuple(model(input_ids=tensors[0], attention_mask=tensors[1]).logits for model in self.models)


def test_recurrent_cells(tmp_path):
    torch.manual_seed(0)
    sizes = {"vocab_size": 30, "embedding_dim": 6, "hidden_size": 5, "num_layers": 2, "num_labels": 3}
    configs = [TextRNNConfig(cell=cell, pooling=pooling, **sizes) for cell, pooling in CELLS]
    logits = Logits(TextRNNForSequenceClassification(config) for config in configs).eval()
    ids, mask = torch.ones(2, 8, dtype=torch.int64), torch.tensor([[1] * 8, [1] * 3 + [0] * 5])
    axes = {name: {0: "batch", 1: "sequence"} for name in ("ids", "mask")}
    names = [cell for cell, _ in CELLS]
    write_graph(logits, {"ids": ids, "mask": mask}, names, tmp_path / "g.onnx", axes)
    session = open_session(tmp_path / "g.onnx")
    for rows, width in [(1, 1), (5, 31)]:
        ids = torch.randint(1, 30, (rows, width))
        mask = (torch.arange(width) < torch.randint(0, width + 1, (rows, 1))).long()
        found = session.run(names, {"ids": ids.numpy(), "mask": mask.numpy()})
        with torch.no_grad():
            for answers, expected in zip(found, logits(ids, mask), strict=True):
                np.testing.assert_allclose(answers, expected.numpy(), atol=1e-6)
    # The models themselves stay as they were.
    kinds = [type(model.encoder.layers[0][0]).__name__ for model in logits.models]
    assert kinds == ["GRU", "RNN", "LSTMByHand"]
