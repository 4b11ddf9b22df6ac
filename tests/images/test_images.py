"""Pictures: rows, augmentation, and the recipe from training to a model that others use."""

import base64
import csv
import io
import json

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from transformers import (
    AutoModelForImageClassification,
    ResNetConfig,
    ViTConfig,
    ViTImageProcessorPil,
    pipeline,
)
from transformers.image_utils import load_image

from hfcls.cli import main
from hfcls.errors import InputError
from hfcls.images.arguments import ImageArguments
from hfcls.images.augmentation import DRAWS, transform_affine
from hfcls.images.decoding import decode
from hfcls.images.rows import ImageCollator, ImageRows, pixel_values_by
from hfcls.models.image_cnn import ImageCNNImageProcessor
from hfcls.runs.hub import files_to_push
from hfcls.runs.thumbnails import thumbnail
from hfcls.training.arguments import parse
from tests.hub_server import serve_hub
from tests.images.kinds import KINDS, save_kinds
from tests.text.test_baselines import run
from tests.warm import run_apart


def digit(side=28):
    """A slanted stroke, white on black."""
    image = np.zeros((side, side), np.uint8)
    for row in range(side // 5, side - side // 5):
        image[row, side // 2 + row // 8 : side // 2 + row // 8 + max(1, side // 9)] = 255
    return image


def test_recipe(tmp_path, monkeypatch, capsys):
    flags = "--max_train_samples 400 --num_train_epochs 2 --per_device_train_batch_size 32"
    results = run("mnist_cnn.py", flags, tmp_path / "out", monkeypatch)
    assert results["test_accuracy"] > 0.6
    assert "reloaded from" in capsys.readouterr().out
    about = json.loads((tmp_path / "out" / "run.json").read_text())
    assert about["pipeline_tag"] == "image-classification" and about["language"] is None
    card = (tmp_path / "out" / "README.md").read_text(encoding="utf-8")
    assert 'pipeline("image-classification", model="out", trust_remote_code=True)' in card
    assert "pipeline_tag: image-classification" in card

    measured = run("mnist_cnn.py", f"--evaluate_only {tmp_path / 'out'}", tmp_path / "measured", monkeypatch)
    assert measured["test_accuracy"] == results["test_accuracy"]

    # Pushed, and loaded from there by a process that cannot import hfcls, for a picture of another size and mode.
    Image.fromarray(digit(100)).convert("RGBA").save(tmp_path / "seven.png")
    expected = pipeline("image-classification", model=str(tmp_path / "out"))(str(tmp_path / "seven.png"), top_k=10)
    push = (
        "from hfcls.runs import hub; hub.check_hub('tester/cnn'); "
        f"hub.push_folder({str(tmp_path / 'out')!r}, 'tester/cnn')"
    )
    classify = (
        "import json, sys; sys.modules['hfcls'] = sys.modules['torchvision'] = None\n"
        "from transformers import pipeline\n"
        "classify = pipeline('image-classification', model='tester/cnn', trust_remote_code=True)\n"
        f"print(json.dumps(classify({str(tmp_path / 'seven.png')!r}, top_k=10)))"
    )
    with serve_hub() as hub:
        environments = hub.environment(tmp_path / "author"), hub.environment(tmp_path / "stranger", HF_TOKEN=None)
        for script, environment in zip((push, classify), environments, strict=True):
            done = run_apart("-c", script, environment=environment, check=True)
    answer = json.loads(done.stdout.splitlines()[-1])
    assert [one["label"] for one in answer] == [one["label"] for one in expected]
    np.testing.assert_allclose([one["score"] for one in answer], [one["score"] for one in expected], rtol=0, atol=1e-6)

    pytest.importorskip("captum", reason="pip install 'hfcls[explain]'")
    with pytest.raises(SystemExit) as ended:
        main(["explain", str(tmp_path / "out")])
    assert ended.value.code == 0
    assert "what spoke for" in (tmp_path / "out" / "report.html").read_text(encoding="utf-8")


def test_calibrated(tmp_path, monkeypatch):
    flags = "--max_train_samples 200 --max_eval_samples 60 --max_test_samples 20 --num_train_epochs 1 --calibrate"
    run("mnist_cnn.py", flags, tmp_path / "out", monkeypatch)
    temperature = json.loads((tmp_path / "out" / "run.json").read_text())["temperature"]
    config = json.loads((tmp_path / "out" / "config.json").read_text())
    assert config["calibrated_temperature"] == temperature != 1


def test_pictures_of_every_kind_become_what_a_pipeline_makes_of_them(tmp_path):
    """In the processor of the CNN, in what retrieval reads, and in the thumbnails of a report."""
    grey, coloured = ImageCNNImageProcessor(), ImageCNNImageProcessor(num_channels=3, image_size=32)
    upright = []
    for kind, path in save_kinds(tmp_path / "pictures", seed=0).items():
        expected = load_image(str(path))
        assert expected.mode == "RGB", kind
        with Image.open(path) as picture:
            assert kind in (picture.mode, "P transparent") or kind.startswith("orientation")
            for processor in (grey, coloured):
                pixels = processor.pixels(picture)
                assert pixels.shape == (processor.num_channels, processor.image_size, processor.image_size)
                np.testing.assert_array_equal(pixels, processor.pixels(expected), err_msg=kind)
            shown = Image.open(io.BytesIO(base64.b64decode(thumbnail(picture))))
        np.testing.assert_array_equal(np.asarray(decode(path, "it")), np.asarray(expected), err_msg=kind)
        np.testing.assert_array_equal(np.asarray(shown), np.asarray(expected), err_msg=kind)
        if kind.startswith("orientation"):
            upright.append(expected.size)
    assert upright == [(24, 32)] * 4 + [(32, 24)] * 4


CLASSIFY = """
import json, sys
sys.modules["hfcls"] = None
from transformers import pipeline
classify = pipeline("image-classification", model=sys.argv[1], trust_remote_code=True)
scores = [{one["label"]: one["score"] for one in classify(path, top_k=2)} for path in sys.argv[2:]]
print(json.dumps(scores))
"""


@pytest.mark.parametrize("vision_model", ["cnn", "vit"], indirect=True)
def test_what_is_measured_of_every_kind_is_what_the_saved_pipeline_answers(vision_model, tmp_path, monkeypatch):
    for seed, name in enumerate(("train/a", "train/b", "test/a", "test/b")):
        save_kinds(tmp_path / "pictures" / name, seed)
    flags = (
        f"--data_dir {tmp_path / 'pictures'} --num_train_epochs 1 --per_device_train_batch_size 4 --learning_rate 1e-4"
    )
    if vision_model is not None:
        flags += f" --model_name_or_path {vision_model}"
    run("mnist_cnn.py", flags, tmp_path / "out", monkeypatch)
    with (tmp_path / "out" / "predictions.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 2 * len(KINDS)
    paths = [str(tmp_path / "pictures" / row["id"]) for row in rows]
    done = run_apart("-c", CLASSIFY, tmp_path / "out", *paths, check=True)
    for row, scores in zip(rows, json.loads(done.stdout.splitlines()[-1]), strict=True):
        assert float(row["a"]) == pytest.approx(scores["a"], abs=1e-4), row["id"]
    assert len({round(float(row["a"]), 4) for row in rows}) > len(KINDS)  # the model sees differences


def test_processor_gives_what_training_saw():
    processor = ImageCNNImageProcessor()
    array = digit()
    expected = (torch.tensor(array) / 255 - 0.1307) / 0.3081
    for image in (Image.fromarray(array), array, torch.tensor(array)[None]):
        pixel_values = processor(image, return_tensors="pt")["pixel_values"]
        torch.testing.assert_close(pixel_values, expected[None, None])
    rows = ImageRows(array[None, None], np.array([7]))
    for batch in (rows.__getitems__([0]), [rows[0]]):  # as a DataLoader asks, and as anyone does
        collated = ImageCollator(pixel_values_by(processor))(batch)
        torch.testing.assert_close(collated["pixel_values"], expected[None, None])
        assert collated["labels"].tolist() == [7]


def test_no_draws_leave_a_picture_as_it_is():
    pixel_values = torch.randn(3, 2, 20, 31)
    torch.testing.assert_close(transform_affine(pixel_values, torch.zeros(3, DRAWS)), pixel_values, atol=1e-5, rtol=0)


@pytest.mark.parametrize("size", [(80, 80), (60, 100)])
def test_rotation_and_shift_against_pillow(size):
    height, width = size
    y, x = np.mgrid[:height, :width]
    image = (255 * np.exp(-((y - height * 0.45) ** 2 / 90 + (x - width * 0.55) ** 2 / 200))).astype(np.uint8)
    pixel_values = torch.from_numpy(image).float()[None, None]
    rotated = transform_affine(pixel_values, torch.tensor([[1.0, 0, 0, 0, 0, 0]]))[0, 0]
    expected = Image.fromarray(image).rotate(12, Image.Resampling.BILINEAR)
    assert np.abs(rotated.numpy() - np.asarray(expected, dtype=float))[8:-8, 8:-8].max() < 6
    shifted = transform_affine(pixel_values, torch.tensor([[0, 1.0, 0, 0, 0, 0]]))[0, 0]
    pixels = 0.08 * width
    expected = Image.fromarray(image).transform(
        (width, height), Image.Transform.AFFINE, (1, 0, pixels, 0, 1, 0), Image.Resampling.BILINEAR
    )
    assert np.abs(shifted.numpy() - np.asarray(expected, dtype=float))[8:-8, 8:-8].max() < 6


def test_augmentation_follows_from_seed_and_epoch():
    rows = [ImageRows(np.zeros((10, 1, 4, 4), np.uint8), np.zeros(10), seed=seed) for seed in (1, 1, 2)]
    for each in rows:
        each.set_epoch(3)
    first = rows[0][4]["draws"]
    np.testing.assert_array_equal(first, rows[1].__getitems__([2, 4])[1]["draws"])
    assert not np.allclose(first, rows[1][2]["draws"]) and not np.allclose(first, rows[2][4]["draws"])
    rows[0].set_epoch(4)
    assert not np.allclose(first, rows[0][4]["draws"])
    assert np.abs(first).max() <= 1 and first.shape == (DRAWS,)
    assert "draws" not in ImageRows(np.zeros((1, 1, 4, 4)), np.zeros(1))[0]


def test_augmentation_refuses_workers_that_never_hear_of_an_epoch(tmp_path):
    flags = ["--output_dir", str(tmp_path / "out"), "--dataloader_persistent_workers", "True"]
    with pytest.raises(InputError, match="leave --dataloader_persistent_workers out"):
        parse(ImageArguments, task="mnist_cnn", description="", defaults=lambda given: {}, argv=flags)
    still = [*flags, "--augment", "False", "--dataloader_num_workers", "1"]
    parse(ImageArguments, task="mnist_cnn", description="", defaults=lambda given: {}, argv=still)


def test_resumed_inside_an_epoch_ends_in_the_same_weights(tmp_path, monkeypatch):
    flags = (
        "--max_train_samples 96 --max_eval_samples 20 --num_train_epochs 2 --per_device_train_batch_size 16 "
        "--eval_strategy steps --eval_steps 4 --save_total_limit 9 --load_best_model_at_end False --schedule step"
    )
    run("mnist_cnn.py", flags, tmp_path / "out", monkeypatch)
    whole = load_file(tmp_path / "out" / "model.safetensors")
    checkpoint = tmp_path / "out" / "checkpoint-8"  # two steps into the second epoch of six
    run("mnist_cnn.py", f"{flags} --resume_from_checkpoint {checkpoint}", tmp_path / "resumed", monkeypatch)
    resumed = load_file(tmp_path / "resumed" / "model.safetensors")
    for name, tensor in whole.items():
        torch.testing.assert_close(resumed[name], tensor, atol=0, rtol=0)


@pytest.fixture
def vision_model(tmp_path, request):
    """A tiny model of transformers with random weights and a head for three classes of its own; None for the CNN."""
    if request.param == "cnn":
        return None
    if request.param == "vit":
        config = ViTConfig(
            hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16, image_size=32,
            patch_size=8, num_labels=3,
        )  # fmt: skip
    else:
        config = ResNetConfig(embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1], layer_type="basic", num_labels=3)
    AutoModelForImageClassification.from_config(config).save_pretrained(tmp_path / "base")
    ViTImageProcessorPil(size={"height": 32, "width": 32}).save_pretrained(tmp_path / "base")
    return tmp_path / "base"


@pytest.mark.parametrize("vision_model", ["vit", "resnet"], indirect=True)
def test_models_of_transformers(vision_model, tmp_path, monkeypatch):
    (tmp_path / "pictures").mkdir()
    for label, colour in (("red", (200, 20, 20)), ("green", (20, 200, 20))):
        (tmp_path / "pictures" / label).mkdir()
        for number in range(24):
            Image.new("RGB", (20 + number, 30), tuple(c + number for c in colour)).save(
                tmp_path / "pictures" / label / f"{number}.png"
            )
    flags = (
        f"--data_dir {tmp_path / 'pictures'} --model_name_or_path {vision_model} --num_train_epochs 4 "
        "--per_device_train_batch_size 8 --learning_rate 1e-2"
    )
    results = run("mnist_cnn.py", flags, tmp_path / "out", monkeypatch)
    assert results["test_accuracy"] > 0.8
    about = json.loads((tmp_path / "out" / "run.json").read_text())
    assert about["data"]["name"] == "pictures" and about["labels"] == ["green", "red"]
    line = "its head is of other classes, the new one starts from random weights"
    assert about["model"]["loading"] == [line]
    assert f"Of the weights of the base model: {line}." in (tmp_path / "out" / "report.html").read_text()
    (answer,) = pipeline("image-classification", model=str(tmp_path / "out"))(Image.new("RGB", (9, 9), "red"), top_k=1)
    assert answer["label"] == "red"
    measured = run(
        "mnist_cnn.py",
        f"--data_dir {tmp_path / 'pictures'} --evaluate_only {tmp_path / 'out'}",
        tmp_path / "measured",
        monkeypatch,
    )
    assert measured["test_accuracy"] == results["test_accuracy"]


def test_mistakes_are_shown(tmp_path, monkeypatch):
    flags = "--max_train_samples 32 --num_train_epochs 1 --max_eval_samples 30 --max_test_samples 60"
    run("mnist_cnn.py", flags, tmp_path / "out", monkeypatch)
    wrong = round(60 * (1 - json.loads((tmp_path / "out" / "all_results.json").read_text())["test_accuracy"]))
    assert wrong > 0
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert page.count('<img src="data:image/png;base64,') == min(wrong, 48)
    assert "img-src data:" in page
    assert [path.name for path in files_to_push(tmp_path / "out")] == [
        *("README.md", "all_results.json", "config.json", "image_cnn.py"),
        *("model.safetensors", "preprocessor_config.json"),
    ]
