"""Models exported for OpenVINO, held to what commit 3ebe4c0 answered, without torch and onnxruntime."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from hfcls.cli import main
from hfcls.errors import InputError

pytest.importorskip("onnxscript", reason="pip install 'hfcls[openvino]'")
pytest.importorskip("openvino", reason="pip install 'hfcls[openvino]'")

from hfcls.inference.export.openvino_graph import to_openvino  # noqa: E402
from hfcls.inference.export.readme import write_readme  # noqa: E402
from hfcls.inference.onnx_classifier import OnnxClassifier  # noqa: E402
from hfcls.runs.hub import files_to_push  # noqa: E402

SAVED = Path(__file__).parents[2] / "saved_models"
BARE = """
import json, runpy, sys
for name in ("torch", "transformers", "hfcls", "onnx", "onnxscript", "onnxruntime"):
    sys.modules[name] = None
script = runpy.run_path(sys.argv[1])
json.dump([values.tolist() for values in script["answer"](*json.load(sys.stdin))], sys.stdout)
"""


@pytest.fixture(scope="module", params=["bert_pair", "dpcnn", "jieba"])
def converted(request, exported_folder, tmp_path_factory):
    """A saved model, and a folder for OpenVINO that was made of it."""
    folder = tmp_path_factory.mktemp("openvino") / "model"
    shutil.copytree(exported_folder(request.param), folder)
    to_openvino(folder)
    write_readme(folder)
    return SAVED / request.param, folder


def test_it_answers_as_before(converted):
    saved, folder = converted
    expected = json.loads((saved / "expected.json").read_text())
    found = subprocess.run(
        [sys.executable, "-c", BARE, str(folder / "predict.py")],
        input=json.dumps([expected["texts"], expected["pairs"]]),
        capture_output=True,
        text=True,
        env={"PATH": "/usr/bin:/bin"},
    )
    assert found.returncode == 0, found.stderr
    logits, probabilities, chosen = json.loads(found.stdout)
    np.testing.assert_allclose(probabilities, expected["probabilities"], atol=1e-5)
    assert np.argmax(chosen, axis=1).tolist() == np.argmax(logits, axis=1).tolist()
    names = {path.name for path in folder.iterdir()}
    assert {"openvino_model.xml", "openvino_model.bin"} <= names and not any("onnx" in name for name in names)
    assert "pip install openvino " in (folder / "README.md").read_text(encoding="utf-8")
    assert "onnxruntime" not in (folder / "predict.py").read_text(encoding="utf-8")


@pytest.mark.parametrize("threads", [1, 2])
def test_predict_and_serve_ask_it_as_they_ask_onnx(converted, threads):
    saved, folder = converted
    expected = json.loads((saved / "expected.json").read_text())
    classifier = OnnxClassifier(folder, threads=threads)
    copies = 40  # more than a batch, so that batches are computed at once
    pairs = None if expected["pairs"] is None else expected["pairs"] * copies
    found = classifier.probabilities(expected["texts"] * copies, pairs=pairs)
    np.testing.assert_allclose(found, expected["probabilities"] * copies, atol=1e-5)
    np.testing.assert_allclose(classifier.probabilities([""]).sum(), 1, atol=1e-5)


def test_pictures_by_the_command_line_and_a_push(tmp_path, capsys):
    model = shutil.copytree(SAVED / "image_cnn", tmp_path / "model")
    with pytest.raises(SystemExit) as ended:
        main(["export", str(model), str(model / "openvino"), "--format", "openvino"])
    assert ended.value.code == 0
    assert "generated pictures" in capsys.readouterr().out
    pushed = {path.relative_to(model).as_posix() for path in files_to_push(model)}
    assert {f"openvino/{name}" for name in ("openvino_model.xml", "openvino_model.bin", "predict.py")} <= pushed


@pytest.mark.parametrize(
    ("model", "flags", "message"),
    [
        ("ngram_linear", [], "64-bit hashes, and OpenVINO computes integers in 32 bits"),
        ("card_ngram_linear", [], "64-bit hashes, and OpenVINO computes integers in 32 bits"),
        ("bert", ["--int8"], "nncf: use --format onnx --int8"),
        ("bert", ["--optimize"], "is for onnxruntime"),
    ],
)
def test_what_is_not_for_openvino_is_one_line(tmp_path, capsys, model, flags, message):
    with pytest.raises(SystemExit) as ended:
        main(["export", str(SAVED / model), str(tmp_path / "out"), "--format", "openvino", *flags])
    assert ended.value.code == 2
    said = capsys.readouterr().err.strip().splitlines()
    assert message in said[-1] and len(said) == 1
    assert not any(tmp_path.iterdir())


def test_a_torn_graph_is_one_line(converted, tmp_path):
    torn = shutil.copytree(converted[1], tmp_path / "torn")
    (torn / "openvino_model.xml").write_text("<net")
    with pytest.raises(InputError, match="openvino_model.xml: OpenVINO cannot read it"):
        OnnxClassifier(torn)
