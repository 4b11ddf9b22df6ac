"""Pictures explained: what is marked moves the answer more than anything else of the same size."""

import base64
import io
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.datasets import load_digits

from hfcls.cli import main
from hfcls.inference.explain.picture_page import drawn
from hfcls.inference.explain.picture_run import mark_mistakes
from hfcls.inference.explain.pictures import (
    explain_caption,
    explain_label,
    explain_picture,
    one_colour,
    patch_side,
    to_patches,
)
from hfcls.inference.loading import load_chinese_clip, load_image_classifier
from hfcls.runs.thumbnails import thumbnail

SAVED = Path(__file__).parents[2] / "saved_models"
pytest.importorskip("captum", reason="pip install 'hfcls[explain]'")


def erased(pixels, patches, count):
    """`pixels` (C, H, W), the first `count` of `patches` painted over; those are numbers in the order of reading."""
    pixels, side = torch.from_numpy(pixels).clone(), patch_side(*pixels.shape[1:])
    colour, columns = one_colour(pixels), -(-pixels.shape[2] // side)
    for row, column in (divmod(int(patch), columns) for patch in patches[:count]):
        place = slice(row * side, (row + 1) * side), slice(column * side, (column + 1) * side)
        pixels[:, *place] = colour[:, *place]
    return pixels


def assert_marks_matter(explained, score, rows):
    """Painting over the fifth of the patches that weighs most costs more than over as many others, paired."""
    draw, differences = np.random.default_rng(0), []
    for one in explained:
        count = max(1, one.weights.size // 5)
        marked = erased(one.pixels, np.argsort(-one.weights, axis=None), count)
        others = erased(one.pixels, draw.permutation(one.weights.size), count)
        with torch.no_grad():
            found = score(torch.stack([marked, others]), one.answer)
        differences.append(float(found[1] - found[0]))
        assert one.gap <= 0.05 or abs(one.weights.sum()) < 1e-2
    assert len(differences) == rows
    assert np.mean(differences) > 3 * np.std(differences) / rows**0.5


def test_deleting_what_is_marked_moves_the_label(tmp_path):
    processor, model = load_image_classifier(str(SAVED / "image_cnn"))
    model.eval()
    explained = []
    for number, image in enumerate(load_digits().images[:200]):
        path = tmp_path / f"{number}.png"
        Image.fromarray(np.round(image * (255 / 16)).astype(np.uint8)).save(path)
        explained.append(explain_label(processor, model, str(path)))

    def share(batch, label):
        return model(pixel_values=batch).logits.softmax(1)[:, model.config.label2id[label]]

    assert_marks_matter(explained, share, 200)


def test_deleting_what_is_marked_moves_the_cosine_of_a_caption(tmp_path):
    processor, model = load_chinese_clip(str(SAVED / "chinese_clip"))
    model.eval()
    draw, explained = np.random.default_rng(0), []
    for number in range(200):
        path = tmp_path / f"{number}.png"
        Image.fromarray(draw.integers(0, 256, (32, 32, 3), dtype=np.uint8)).save(path)
        explained.append(explain_caption(processor, model, str(path), "两个数字 12"))

    def cosines(batch, caption):
        tokens = processor.tokenizer([caption], return_tensors="pt")
        texts = model.get_text_features(**tokens).pooler_output
        images = model.get_image_features(pixel_values=batch).pooler_output
        return torch.nn.functional.cosine_similarity(images, texts)

    assert_marks_matter(explained, cosines, 200)


def test_mistakes_of_a_run_are_marked():
    processor, model = load_image_classifier(str(SAVED / "image_cnn"))
    picture = Image.fromarray(np.round(load_digits().images[0] * (255 / 16)).astype(np.uint8))
    classes = [str(model.config.id2label[number]) for number in range(model.config.num_labels)]
    answered = SimpleNamespace(predicted=np.array([0, 3]))
    run = SimpleNamespace(thumbnails={2: thumbnail(picture)}, classes=classes, predictions=answered)
    (content,) = mark_mistakes(processor, model.eval(), run).values()
    expected = drawn(explain_picture(processor, model, picture, "row 2", classes[3]))[1]
    found = Image.open(io.BytesIO(base64.b64decode(content)))
    assert found.mode == "RGB" and np.array_equal(np.asarray(found), np.asarray(expected))


def test_patches_sum_up_to_the_pixels():
    weights = np.arange(30.0 * 17).reshape(30, 17)
    patches = to_patches(weights)
    assert patches.shape == (10, 6) and patches.sum() == weights.sum()
    assert patches[0, 0] == weights[:3, :3].sum() and patches[9, 5] == weights[27:, 15:].sum()


def test_on_the_command_line(tmp_path, capsys):
    picture, page = tmp_path / "<b>.png", tmp_path / "page.html"
    Image.fromarray(np.full((8, 8), 200, np.uint8)).save(picture)

    def explained(*words):
        with pytest.raises(SystemExit) as ended:
            main(["explain", *map(str, words), "--output", str(page)])
        return ended.value.code, capsys.readouterr()

    assert explained(SAVED / "image_cnn", picture, picture)[0] == 0
    html = page.read_text(encoding="utf-8")
    assert html.count("data:image/png;base64,") == 4 and "<b>.png" not in html
    code, printed = explained(SAVED / "chinese_clip", "一个数字", "--picture", picture)
    assert code == 0 and "一个数字" in printed.out
    for model, words, told in [
        ("image_cnn", ["nowhere.png"], "nowhere.png: is no picture"),
        ("image_cnn", [picture, "--label", "cat"], "--label cat"),
        ("chinese_clip", ["一个数字"], "TEXT and --picture FILE"),
    ]:
        code, printed = explained(SAVED / model, *words)
        assert code == 2 and told in printed.err and printed.err.count("\n") == 1
