"""Pictures: rows, augmentation, and the recipe from training to a model that others use."""

import json
import subprocess
import sys

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import pipeline

from hfcls.images import DRAWS, ImageCollator, ImageRows, move
from hfcls.models.image_cnn import ImageCNNImageProcessor
from tests.test_baselines import run


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

    # A process that cannot import hfcls, with a picture of another size and mode.
    Image.fromarray(digit(100)).convert("RGBA").save(tmp_path / "seven.png")
    expected = pipeline("image-classification", model=str(tmp_path / "out"))(str(tmp_path / "seven.png"), top_k=1)
    script = (
        "import sys; sys.modules['hfcls'] = sys.modules['torchvision'] = None\n"
        "from transformers import pipeline\n"
        f"classify = pipeline('image-classification', model={str(tmp_path / 'out')!r}, trust_remote_code=True)\n"
        f"print(classify({str(tmp_path / 'seven.png')!r}, top_k=1))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={"HF_HOME": str(tmp_path / "hf"), "PATH": "/usr/bin:/bin", "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr
    assert expected[0]["label"] in done.stdout and f"{expected[0]['score']:.4f}"[:5] in done.stdout


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16", "F"])
def test_processor_takes_any_picture(mode):
    processor = ImageCNNImageProcessor()
    deep = Image.fromarray(digit().astype(np.uint16) * 257)
    picture = deep if mode == "I;16" else Image.fromarray(digit()).convert(mode)
    assert picture.mode == mode
    pixels = processor.pixels(picture)
    assert pixels.shape == (1, 28, 28) and pixels.dtype == np.uint8
    np.testing.assert_allclose(pixels[0].astype(int), digit(), atol=2)


def test_transparent_is_black():
    picture = Image.new("RGBA", (28, 28), (255, 255, 255, 0))
    assert ImageCNNImageProcessor().pixels(picture).max() == 0


def test_processor_gives_what_training_saw():
    processor = ImageCNNImageProcessor()
    array = digit()
    expected = (torch.tensor(array) / 255 - 0.1307) / 0.3081
    for image in (Image.fromarray(array), array, torch.tensor(array)[None]):
        pixel_values = processor(image, return_tensors="pt")["pixel_values"]
        torch.testing.assert_close(pixel_values, expected[None, None])
    rows = ImageRows(array[None, None], np.array([7]))
    batch = ImageCollator(processor.normalize_pixels)(rows.__getitems__([0]))
    torch.testing.assert_close(batch["pixel_values"], expected[None, None])


def test_no_draws_leave_a_picture_as_it_is():
    pixel_values = torch.randn(3, 2, 20, 31)
    torch.testing.assert_close(move(pixel_values, torch.zeros(3, DRAWS)), pixel_values, atol=1e-5, rtol=0)


@pytest.mark.parametrize("size", [(80, 80), (60, 100)])
def test_rotation_and_shift_against_pillow(size):
    height, width = size
    y, x = np.mgrid[:height, :width]
    image = (255 * np.exp(-((y - height * 0.45) ** 2 / 90 + (x - width * 0.55) ** 2 / 200))).astype(np.uint8)
    pixel_values = torch.from_numpy(image).float()[None, None]
    rotated = move(pixel_values, torch.tensor([[1.0, 0, 0, 0, 0, 0]]))[0, 0]
    expected = Image.fromarray(image).rotate(12, Image.Resampling.BILINEAR)
    assert np.abs(rotated.numpy() - np.asarray(expected, dtype=float))[8:-8, 8:-8].max() < 6
    shifted = move(pixel_values, torch.tensor([[0, 1.0, 0, 0, 0, 0]]))[0, 0]
    pixels = 0.08 * width
    expected = Image.fromarray(image).transform(
        (width, height), Image.Transform.AFFINE, (1, 0, pixels, 0, 1, 0), Image.Resampling.BILINEAR
    )
    assert np.abs(shifted.numpy() - np.asarray(expected, dtype=float))[8:-8, 8:-8].max() < 6


def test_augmentation_follows_from_seed_and_epoch():
    rows = [ImageRows(np.zeros((10, 1, 4, 4), np.uint8), np.zeros(10), seed=seed) for seed in (1, 1, 2)]
    for each in rows:
        each.set_epoch(3)
    first = rows[0].__getitems__([4, 2])["draws"]
    np.testing.assert_array_equal(first, rows[1].__getitems__([2, 4])["draws"][::-1])
    assert not np.allclose(first, rows[2].__getitems__([4, 2])["draws"])
    rows[0].set_epoch(4)
    assert not np.allclose(first, rows[0].__getitems__([4, 2])["draws"])
    assert np.abs(first).max() <= 1 and first.shape == (2, DRAWS)
    assert "draws" not in ImageRows(np.zeros((1, 1, 4, 4)), np.zeros(1)).__getitems__([0])
