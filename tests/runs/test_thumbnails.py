import base64
import csv
import io
import json

import numpy as np
import pytest
from PIL import Image

from hfcls.errors import InputError
from hfcls.metrics.one_label import OneLabel
from hfcls.runs.thumbnails import MARKED, MOST, SIDE, read_thumbnails, write_marked, write_thumbnails

PIXEL = base64.b64encode(b"\x89PNG\r\n\x1a\n...").decode()


def write_predictions(folder, rows):
    """`rows` wrong answers, each surer than the one before, and between them as many right ones."""
    with open(folder / "predictions.csv", "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "label", "prediction", "a", "b"])
        for row in range(rows):
            share = 0.5 + 0.4 * row / rows
            writer.writerow([f"x:{row}", "b", "a", share, 1 - share])
            writer.writerow([f"y:{row}", "a", "a", 0.99, 0.01])


def test_the_most_confident_mistakes_are_kept(tmp_path):
    write_predictions(tmp_path, 60)
    images = [Image.fromarray(np.full((7, 9), row, np.uint8)) for row in range(120)]
    write_thumbnails(tmp_path, images, OneLabel(["a", "b"]))
    kept = read_thumbnails(tmp_path)
    write_marked(tmp_path, {119: PIXEL})
    assert read_thumbnails(tmp_path, MARKED) == {119: PIXEL}
    write_thumbnails(tmp_path, images, OneLabel(["a", "b"]))  # measured again: what was marked is of other answers
    assert read_thumbnails(tmp_path, MARKED) == {}
    assert list(kept) == [2 * row + 1 for row in range(59, 59 - MOST, -1)]
    for row, picture in kept.items():
        image = Image.open(io.BytesIO(base64.b64decode(picture)))
        assert image.size == (9, 7) and image.getpixel((3, 3)) == (row - 1,) * 3


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "CMYK", "P"])
def test_large_pictures_become_small(mode, tmp_path):
    write_predictions(tmp_path, 1)
    write_thumbnails(tmp_path, [Image.new(mode, (900, 300))] * 2, OneLabel(["a", "b"]))
    (picture,) = read_thumbnails(tmp_path).values()
    assert Image.open(io.BytesIO(base64.b64decode(picture))).size == (SIDE, SIDE // 3)


@pytest.mark.parametrize(
    "content",
    [
        "[1]",
        "{",
        '{"1": 2}',
        '{"1": "\\"><script>alert(1)</script>"}',
        json.dumps({"x": PIXEL}),
        '{"1": "aGVsbG8="}',
        "é",
    ],
    ids=["list", "torn", "number", "html", "row", "no png", "not ascii"],
)
def test_what_is_no_picture_is_refused(content, tmp_path):
    (tmp_path / "mistakes.json").write_text(content, encoding="latin-1")
    with pytest.raises(InputError, match="mistakes.json"):
        read_thumbnails(tmp_path)


def test_runs_without_pictures(tmp_path):
    assert read_thumbnails(tmp_path) == {}
    (tmp_path / "mistakes.json").write_text(json.dumps({"3": PIXEL}))
    assert read_thumbnails(tmp_path) == {3: PIXEL}
