"""Exported models of pictures, of pairs and of dataset cards, in processes without torch; 8 bits; what is pushed."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits
from transformers import ConvNextImageProcessorPil, ViTImageProcessorPil

from hfcls.errors import InputError

pytest.importorskip("onnxscript", reason="pip install 'hfcls[export]'")
onnxruntime = pytest.importorskip("onnxruntime", reason="pip install 'hfcls[export]'")

from hfcls.cli import main  # noqa: E402
from hfcls.inference.export.export import Wanted, export  # noqa: E402
from hfcls.inference.export.pictures import Preparation, random_pictures  # noqa: E402
from hfcls.inference.export.quantization import measure  # noqa: E402
from hfcls.inference.export.standalone.pictures import pixel_values  # noqa: E402
from hfcls.inference.onnx_classifier import OnnxClassifier  # noqa: E402
from hfcls.runs.hub import files_to_push  # noqa: E402

SAVED = Path(__file__).parents[2] / "saved_models"


def ask(folder: Path, *arguments: str) -> str:
    """What predict.py prints in a process that cannot see this project."""
    found = subprocess.run(
        [sys.executable, "-I", "predict.py", *arguments], capture_output=True, text=True, cwd=folder, check=True
    )
    return found.stdout


def test_of_a_model_that_is_not_there_nothing_is_made(tmp_path, capsys):
    for verb in (
        ["export", str(tmp_path / "run"), str(tmp_path / "run" / "onnx")],
        ["explain", str(tmp_path / "run"), "x"],
    ):
        with pytest.raises(SystemExit) as ended:
            main(verb)
        assert ended.value.code == 2 and not any(tmp_path.iterdir())
        assert f"{tmp_path / 'run'}: there is no such folder, and it is no name of a model" in capsys.readouterr().err


def test_pictures_are_answered_as_before(tmp_path):
    expected = json.loads((SAVED / "image_cnn" / "expected.json").read_text())
    images = load_digits().images[expected["rows"]]
    (tmp_path / "pictures").mkdir()
    paths = [str(tmp_path / "pictures" / f"{row}.png") for row in range(len(images))]
    for path, image in zip(paths, images, strict=True):
        Image.fromarray(np.round(image * (255 / 16)).astype(np.uint8)).save(path)
    wanted = Wanted(rows=3, check_on=str(tmp_path / "pictures"), optimize=True)
    lines = export(str(SAVED / "image_cnn"), str(tmp_path / "out"), wanted)
    assert lines[0].startswith("3 pictures of pictures: logits equal")
    answers = [json.loads(line)["labels"] for line in ask(tmp_path / "out", *paths).splitlines()]
    for answer, probabilities in zip(answers, expected["probabilities"], strict=True):
        best = int(np.argmax(probabilities))
        assert answer == {expected["labels"][best]: pytest.approx(probabilities[best], abs=1e-4)}
    with pytest.raises(InputError, match="--int8: is of classifiers of texts"):
        export(str(SAVED / "image_cnn"), str(tmp_path / "int8"), Wanted(rows=3, int8=True))


def test_texts_and_pictures_lie_where_they_lay(tmp_path):
    expected = json.loads((SAVED / "chinese_clip" / "expected.json").read_text())
    y, x = np.mgrid[:8, :16]
    paths = [str(tmp_path / f"{n}.png") for n in range(2)]
    for n, path in enumerate(paths):
        channels = [(x * (11 + 6 * n) + y * (23 - 4 * n) + 40 * c) % 256 for c in range(3)]
        Image.fromarray(np.stack(channels, axis=2).astype(np.uint8)).save(path)
    export(str(SAVED / "chinese_clip"), str(tmp_path / "out"), Wanted(rows=10))
    cosines = np.array(expected["image_embeds"]) @ np.array(expected["text_embeds"]).T
    for place, text in enumerate(expected["texts"]):
        found = dict(reversed(line.split("  ")) for line in ask(tmp_path / "out", text, *paths).splitlines())
        assert [float(found[path]) for path in paths] == pytest.approx(cosines[:, place], abs=1e-4)


@pytest.mark.parametrize(
    "processor",
    [
        ViTImageProcessorPil(size={"height": 32, "width": 24}),
        ConvNextImageProcessorPil(size={"shortest_edge": 48}, crop_pct=0.875),
        ConvNextImageProcessorPil(size={"shortest_edge": 384}, image_mean=[0.1, 0.2, 0.3], image_std=[0.5, 0.6, 0.7]),
    ],
    ids=["vit", "resnet", "resnet_384"],
)
def test_pictures_are_prepared_as_transformers_does(processor):
    prepared = vars(Preparation.of(processor))
    for picture in random_pictures()[:6]:
        expected = np.asarray(processor([picture], return_tensors="np")["pixel_values"][0])
        np.testing.assert_allclose(pixel_values(picture, prepared), expected, atol=1e-5)


def test_a_model_is_pushed_with_its_graphs_and_no_path_of_this_machine(tmp_path, capsys):
    model = shutil.copytree(SAVED / "text_cnn", tmp_path / "model")
    with pytest.raises(SystemExit) as ended:
        main(["export", str(model), str(model / "onnx"), "--int8", "--rows", "30"])
    assert ended.value.code == 0
    printed = capsys.readouterr().out.splitlines()
    assert "int8: accuracy" in printed[0] and "McNemar's p = " in printed[0] and "on 30 rows" in printed[0]
    assert printed[-1].startswith(f"{model / 'onnx'}: 30 rows of predictions.csv: logits equal to ")
    (model / "onnx" / "notes.txt").write_text("mine")
    pushed = {path.relative_to(model).as_posix() for path in files_to_push(model)}
    assert {"onnx/model.onnx", "onnx/model_quantized.onnx", "onnx/labels.json", "onnx/predict.py"} <= pushed
    assert {"config.json", "model.safetensors"} <= pushed and "onnx/notes.txt" not in pushed
    for path in (model / "onnx").iterdir():
        content = path.read_bytes()
        assert b"site-packages" not in content and str(tmp_path).encode() not in content, path.name
    assert json.loads((model / "onnx" / "labels.json").read_text())["graph"] == "model_quantized.onnx"
    assert OnnxClassifier(model / "onnx")("great value").label in OnnxClassifier(model / "onnx").labels


def test_an_int8_model_that_answers_otherwise_is_refused():
    right = np.ones(400, dtype=bool)
    worse = measure(right, np.arange(400) >= 20)
    assert (worse.float32, worse.int8, worse.rows) == (1.0, 0.95, 400) and worse.p < 1e-4
    with pytest.raises(InputError, match="accuracy 0.9500, float32 1.0000 on 400 rows.*nothing was written.*--force"):
        worse.check(force=False)
    worse.check(force=True)
    measure(right, np.arange(400) >= 3).check(force=False)


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        (["--rows", "0"], "--rows 0: give at least 1"),
        (["--force"], "--force is of --int8"),
        (["--check_on", "nowhere.csv"], "nowhere.csv"),
    ],
)
def test_flags_that_cannot_be(flags, told, tmp_path, capsys):
    with pytest.raises(SystemExit) as ended:
        main(["export", str(SAVED / "ngram_linear"), str(tmp_path / "out"), *flags])
    assert ended.value.code == 2
    error = capsys.readouterr().err
    assert told in error and error.count("\n") == 1
    assert not (tmp_path / "out").exists()
