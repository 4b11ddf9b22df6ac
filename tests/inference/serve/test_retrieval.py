"""A Chinese-CLIP, served: its features as transformers gives them, and a folder that is searched."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn.functional import normalize

from hfcls.errors import InputError
from hfcls.inference.loading import load_chinese_clip
from hfcls.inference.serve.models import load
from tests.browser import Browser
from tests.inference.serve.running import serving

MODEL = Path(__file__).parents[2] / "saved_models" / "chinese_clip"
TEXTS = ["左边是一", "右边是二，左边是三", "数字" * 99]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pictures")
    (folder / "deep").mkdir()
    for number in range(5):
        pixels = np.random.default_rng(number).integers(0, 256, (30, 60, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / ("deep" if number % 2 else "") / f"{number}.png")
    return folder


@pytest.fixture(scope="module")
def server(folder):
    with serving(load(str(MODEL), pictures_dir=str(folder))) as client:
        yield client


def _expected(folder):
    processor, model = load_chinese_clip(str(MODEL))
    model.eval()
    paths = sorted(folder.rglob("*.png"))
    with torch.no_grad():
        texts = processor.tokenizer(TEXTS, padding=True, truncation=True, return_tensors="pt")
        pictures = processor.image_processor([Image.open(path) for path in paths], return_tensors="pt")
        return (
            paths,
            normalize(model.get_text_features(**texts).pooler_output, dim=-1).numpy(),
            normalize(model.get_image_features(**pictures).pooler_output, dim=-1).numpy(),
        )


def test_embeddings_and_search_are_those_of_transformers(server, folder):
    paths, texts, pictures = _expected(folder)
    np.testing.assert_allclose(server.post("/embed", json={"inputs": TEXTS}).json(), texts, atol=1e-5)
    for path, vector in zip(paths, pictures, strict=True):
        sent = server.post("/embed", content=path.read_bytes(), headers={"content-type": "image/png"})
        np.testing.assert_allclose(sent.json(), [vector], atol=1e-5)
    for text, vector in zip(TEXTS, texts, strict=True):
        similarity = pictures @ vector
        found = server.post("/search?top_k=3", json={"query": text}).json()
        np.testing.assert_allclose([one["score"] for one in found], np.sort(similarity)[::-1][:3], atol=1e-5)
        assert found[0]["picture"] == paths[similarity.argmax()].relative_to(folder).as_posix()
        assert server.get(f"/pictures/{found[0]['index']}").content == paths[similarity.argmax()].read_bytes()
    found = server.post("/search", content=paths[2].read_bytes(), headers={"content-type": "image/png"}).json()
    assert found[0]["index"] == 2 and found[0]["score"] == pytest.approx(1, abs=1e-5)


def test_what_is_refused(server, folder, tmp_path):
    for path in ("/pictures/5", "/pictures/-1"):
        assert server.get(path).status_code == 404
    for path in ("/pictures/..%2f..%2fetc%2fpasswd", "/pictures/0.png"):
        assert server.get(path).status_code in (404, 422)
    assert server.post("/search", json={"query": 1}).status_code == 422
    assert server.post("/search?top_k=0", json={"query": "a"}).status_code == 422
    assert server.post("/search?top_k=x", json={"query": "a"}).status_code == 422
    assert server.post("/embed", json={"inputs": []}).status_code == 422
    with pytest.raises(InputError, match="no pictures"):
        load(str(MODEL), pictures_dir=str(tmp_path))
    (tmp_path / "a.png").write_bytes(b"none")
    with pytest.raises(InputError, match="a.png: no picture"):
        load(str(MODEL), pictures_dir=str(tmp_path))


def test_a_search_on_the_page(server):
    with Browser(width=400) as browser:
        browser.open(str(server.base_url))
        browser.until("document.activeElement.id === 'query'")
        browser.type(TEXTS[0])
        browser.press("Enter", code=13, text="\r")
        browser.until(
            "[...document.querySelectorAll('.results img')].filter((one) => one.naturalWidth === 60).length === 5"
        )
        best = server.post("/search", json={"query": TEXTS[0]}).json()[0]
        assert best["picture"] in browser.evaluate("document.querySelector('.results li').innerText")
        assert browser.complaints() == []
