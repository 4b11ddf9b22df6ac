"""Exported classifiers of texts, held to what commit 3ebe4c0 answered, in processes that have no torch."""

import json
import pickle
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas
import pytest

from hfcls.cli import main
from hfcls.errors import InputError
from hfcls.inference.classifier import Classifier

pytest.importorskip("onnxscript", reason="pip install 'hfcls[export]'")
pytest.importorskip("onnxruntime", reason="pip install 'hfcls[export]'")

from hfcls.inference.export import check  # noqa: E402
from hfcls.inference.export.export import Wanted, export  # noqa: E402
from hfcls.inference.onnx_classifier import OnnxClassifier  # noqa: E402

SAVED = Path(__file__).parents[2] / "saved_models"
BARE = """
import importlib.abc, json, runpy, sys

class NotInstalled(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("torch", "transformers", "hfcls", "onnx", "onnxscript", "scipy", "pandas"):
            raise ImportError(name)

sys.meta_path.insert(0, NotInstalled())
script = runpy.run_path(sys.argv[1])
texts, pairs = json.load(sys.stdin)
logits, probabilities, chosen = script["answer"](texts, pairs)
json.dump([probabilities.tolist(), chosen.tolist(), sorted(sys.modules)], sys.stdout)
"""


@pytest.fixture(params=["bert_pair", "dpcnn", "jieba", "ngram_linear_multi_label"])
def exported(request, exported_folder):
    """A saved model, and the folder that it was exported to."""
    return SAVED / request.param, exported_folder(request.param)


def test_it_answers_as_before_without_torch(exported, tmp_path):
    saved, folder = exported
    expected = json.loads((saved / "expected.json").read_text())
    moved = shutil.copytree(folder, tmp_path / "moved")
    found = subprocess.run(
        [sys.executable, "-c", BARE, str(moved / "predict.py")],
        input=json.dumps([expected["texts"], expected["pairs"]]),
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={"PATH": "/usr/bin:/bin"},
    )
    assert found.returncode == 0, found.stderr
    probabilities, chosen, modules = json.loads(found.stdout)
    np.testing.assert_allclose(probabilities, expected["probabilities"], atol=1e-5)
    assert {"torch", "transformers", "hfcls"}.isdisjoint(modules)
    labels = json.loads((folder / "labels.json").read_text())
    assert labels["labels"] == expected["labels"]
    limits = labels["thresholds"]
    if limits is None:
        assert np.argmax(chosen, axis=1).tolist() == np.argmax(probabilities, axis=1).tolist()
        assert np.sum(chosen, axis=1).tolist() == [1] * len(chosen)
    else:
        assert (np.array(chosen) == (np.float32(probabilities) >= np.float32(limits))).all()


def test_onnx_classifier_is_asked_as_a_classifier(exported):
    saved, folder = exported
    expected = json.loads((saved / "expected.json").read_text())
    onnx, model = pickle.loads(pickle.dumps(OnnxClassifier(folder))), Classifier(str(saved))
    texts = [*expected["texts"], "", "好 good " * 300]
    pairs = None if expected["pairs"] is None else [*expected["pairs"], "", "二 two " * 400]
    np.testing.assert_allclose(
        onnx.probabilities(texts, pairs=pairs), model.probabilities(texts, pairs=pairs), atol=1e-5
    )
    np.testing.assert_allclose(onnx.probabilities([""]), model.probabilities([""]), atol=1e-5)
    assert onnx.labels == model.labels and onnx(texts[0]).labels.keys() == model(texts[0]).labels.keys()
    np.testing.assert_array_equal(onnx.truncated(texts, pairs), model.truncated(texts, pairs))
    assert (onnx.thresholds is None) == (model.thresholds is None)
    if onnx.thresholds is not None:
        np.testing.assert_array_equal(onnx.thresholds, model.thresholds)


def test_an_export_that_disagrees_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(check, "TOLERANCE", -1.0)
    with pytest.raises(InputError, match="the exported model disagrees: row .* logits that differ by"):
        export(str(SAVED / "jieba"), str(tmp_path / "out"), Wanted(rows=5))
    assert list(tmp_path.iterdir()) == []  # no half of it either


def test_folders_that_are_no_place_for_an_export_and_models_that_are_none(exported_folder):
    with pytest.raises(InputError, match="is there already"):
        export(str(SAVED / "jieba"), str(exported_folder("jieba")), Wanted(rows=5))
    with pytest.raises(InputError, match="jieba/onnx, which hfcls push"):
        export(str(SAVED / "jieba"), str(SAVED / "jieba"), Wanted(rows=5))
    with pytest.raises(InputError, match="holds no exported model"):
        OnnxClassifier(SAVED / "jieba")


def test_predict_takes_an_exported_folder(exported_folder, tmp_path, capsys):
    (tmp_path / "in.csv").write_text("text,second\ngreat value,good\n,\n二 two,\n", encoding="utf-8")
    answers = []
    for number, model in enumerate([SAVED / "bert_pair", exported_folder("bert_pair")]):
        output = tmp_path / f"{number}.csv"
        flags = ["--input", str(tmp_path / "in.csv"), "--output", str(output), "--text_pair_column", "second"]
        with pytest.raises(SystemExit) as ended:
            main(["predict", str(model), *flags, "--all_probabilities"])
        assert ended.value.code == 0, capsys.readouterr().err
        answers.append(pandas.read_csv(output))
    pandas.testing.assert_frame_equal(*answers, atol=1e-5)
    assert len(answers[0]) == 3


def test_another_label_is_refused():
    logits = np.array([[1.0, 2.0], [2.0, 1.0]])
    chosen = np.array([[False, True], [True, False]])
    assert str(check.compare(logits, chosen, (logits, chosen), "rows")).startswith("2 rows: logits equal to 0.0e+00")
    with pytest.raises(InputError, match="1 of 2 rows have another label"):
        check.compare(logits, chosen, (logits, np.array([[True, False], [True, False]])), "rows")
    with pytest.raises(InputError, match="row 2 of 2 rows has logits that differ by nan"):
        check.compare(logits, chosen, (np.array([[1.0, 2.0], [np.nan, 1.0]]), chosen), "rows")
