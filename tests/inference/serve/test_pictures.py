"""A classifier of pictures, served: the pipeline's answers, and files that are no pictures."""

import base64
import io
import struct
import zlib

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import pipeline

from hfcls.inference.loading import register_models
from hfcls.models.image_cnn import ImageCNNConfig, ImageCNNForImageClassification, ImageCNNImageProcessor
from tests.browser import Browser
from tests.inference.serve.running import LABELS, serving


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cnn")
    torch.manual_seed(0)
    config = ImageCNNConfig(image_size=12, num_channels=3, id2label=dict(enumerate(LABELS)))
    ImageCNNForImageClassification(config).save_pretrained(folder)
    ImageCNNImageProcessor(image_size=12, num_channels=3, image_mean=0.5, image_std=0.5).save_pretrained(folder)
    with serving(folder, body=100_000) as client:
        client.folder = folder
        yield client


def _picture(seed: int, size=(40, 30), kind: str = "PNG") -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 256, (*size[::-1], 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, kind)
    return file.getvalue()


def test_the_answers_are_those_of_the_pipeline(server):
    register_models()
    classify = pipeline("image-classification", model=str(server.folder), device="cpu")
    files = [_picture(0), _picture(1, kind="JPEG"), _picture(2, size=(9, 50), kind="WEBP")]
    expected = [classify(Image.open(io.BytesIO(file)), top_k=None) for file in files]
    one = server.post("/predict", content=files[1], headers={"content-type": "image/jpeg"}).json()
    batch = server.predict([base64.b64encode(file).decode() for file in files])
    again = server.predict("data:image/png;base64," + base64.b64encode(files[0]).decode())
    for answer, row in zip([*batch, one, again], [*expected, expected[1], expected[0]], strict=True):
        assert [found["label"] for found in answer] == [wanted["label"] for wanted in row]
        np.testing.assert_allclose([f["score"] for f in answer], [w["score"] for w in row], atol=1e-6)
    assert server.get("/info").json()["input"] == "image"


def _huge() -> bytes:
    """A PNG of some bytes whose header promises 10^10 pixels."""
    header = struct.pack(">IIBBBBB", 100_000, 100_000, 8, 2, 0, 0, 0)
    chunk = struct.pack(">I", len(header)) + b"IHDR" + header + struct.pack(">I", zlib.crc32(b"IHDR" + header))
    return b"\x89PNG\r\n\x1a\n" + chunk


@pytest.mark.parametrize(
    ("content", "media_type", "status"),
    [
        (b"", "image/png", 422),
        (b"no picture", "image/png", 422),
        (_picture(0)[:600], "image/png", 422),
        (_huge(), "image/png", (413, 422)),
        (b"<svg/>", "image/svg+xml", 415),
        (b'{"inputs": "no base64!"}', "application/json", 422),
        (b'{"inputs": []}', "application/json", 422),
        (b'{"inputs": [1]}', "application/json", 422),
        (b'{"inputs": "' + b"a" * 21_000_000 + b'"}', "application/json", 413),
    ],
)
def test_what_is_no_picture(server, content, media_type, status):
    answer = server.post("/predict", content=content, headers={"content-type": media_type})
    assert answer.status_code in (status if isinstance(status, tuple) else (status,)), answer.text
    assert answer.json()["error"]


def test_a_picture_on_the_page(server, tmp_path):
    (tmp_path / "a.png").write_bytes(_picture(5))
    with Browser(width=400) as browser:
        browser.open(str(server.base_url))
        browser.until("info !== null")
        browser.upload("#file", tmp_path / "a.png")
        browser.until(
            "document.querySelectorAll('.bars li').length === 3 && document.querySelector('.seen').naturalWidth"
        )
        expected = server.predict(base64.b64encode(_picture(5)).decode())
        assert browser.evaluate("document.querySelector('.verdict').innerText").startswith(expected[0]["label"])
        assert browser.evaluate("document.documentElement.scrollWidth") <= 400
        assert browser.complaints() == []
