import base64
import io
import json
from pathlib import Path

import pytest
from PIL import Image

from hfcls.data.muge import MUGE

SHARED = Path(__file__).parents[2] / ".." / "shared" / "data" / "muge_two_digits"
SPLITS = {"train": "train", "validation": "valid", "test": "test"}


def png(grey):
    content = io.BytesIO()
    Image.new("L", (4, 2), grey).save(content, "PNG")
    return content.getvalue()


PICTURES = {7: png(10), 9: png(200)}
IMAGES = "".join(f"{key}\t{base64.b64encode(value).decode()}\n" for key, value in PICTURES.items())
WRAPPED = "".join(f"{key}\t{base64.encodebytes(value).decode()}" for key, value in PICTURES.items())
TEXTS = [
    {"text_id": 1, "text": "深色的图片", "image_ids": [7]},
    {"text_id": 2, "text": "一张图片", "image_ids": [9, 7]},
]


def jsonl(rows):
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


@pytest.fixture
def folder(tmp_path):
    for name in SPLITS.values():
        (tmp_path / f"{name}_imgs.tsv").write_text(IMAGES)
        (tmp_path / f"{name}_texts.jsonl").write_text(jsonl(TEXTS), encoding="utf-8")
    return tmp_path


def prepare(part, folder, cache):
    builder = MUGE(part, data_dir=folder and str(folder), cache_dir=str(cache))
    builder.download_and_prepare()
    return builder.as_dataset()


def test_pictures_stay_the_bytes_of_their_files_and_rows_keep_their_order(folder, tmp_path):
    images = prepare("images", folder, tmp_path / "cache")
    texts = prepare("texts", folder, tmp_path / "cache")
    for split in SPLITS:
        assert {row["id"]: row["image"] for row in images[split]} == PICTURES
        assert images[split]["line"][:] == [1, 2]
        assert [row["text"] for row in texts[split]] == ["深色的图片", "一张图片"]
        assert [row["image_ids"] for row in texts[split]] == [[7], [7, 9]]  # several texts of 7, several images of 2


def test_only_the_test_split_may_lack_answers(folder, tmp_path):
    unknown = jsonl([{"text_id": 1, "text": "图片", "image_ids": []}, {"text_id": 2, "text": "图片"}])
    (folder / "test_texts.jsonl").write_text(unknown, encoding="utf-8")
    assert prepare("texts", folder, tmp_path / "cache")["test"]["image_ids"][:] == [[], []]
    (folder / "valid_texts.jsonl").write_text(unknown, encoding="utf-8")
    with pytest.raises(ValueError, match=r"valid_texts.jsonl:1: no image_ids"):
        prepare("texts", folder, tmp_path / "cache")


def test_url_safe_base64_is_read(folder, tmp_path):
    content = bytes([251, 255, 190, 250])
    (folder / "train_imgs.tsv").write_text(f"7\t{base64.urlsafe_b64encode(content).decode()}\n")
    assert prepare("images", folder, tmp_path / "cache")["train"]["image"][:] == [content]


def test_blank_lines_are_skipped_and_missing_padding_is_added(folder, tmp_path):
    contents = {7: b"1", 9: b"12", 11: b"123"}
    lines = [f"{key}\t{base64.b64encode(value).decode().rstrip('=')}" for key, value in contents.items()]
    (folder / "train_imgs.tsv").write_text("\n" + "\r\n\r\n \t\r\n".join(lines) + " \n\n", newline="")
    (folder / "train_texts.jsonl").write_text("\n" + jsonl(TEXTS).replace("\n", "\n\n"), encoding="utf-8")
    images = prepare("images", folder, tmp_path / "cache")["train"]
    assert {row["id"]: row["image"] for row in images} == contents
    assert images["line"][:] == [2, 5, 8]
    assert [row["id"] for row in prepare("texts", folder, tmp_path / "cache")["train"]] == [1, 2]


@pytest.mark.parametrize(
    "file, content, message",
    [
        ("train_imgs.tsv", "7\t" + "A" * 9 + "\n", r"train_imgs.tsv:1: torn base64"),
        ("train_imgs.tsv", WRAPPED, r"train_imgs.tsv:2: no id and no tab, as if the base64 of line 1 were wrapped"),
        ("train_imgs.tsv", "AAAA\n" + IMAGES, r"train_imgs.tsv:1: 'AAAA' is no id"),
        ("train_imgs.tsv", "\n \r\n", r"train_imgs.tsv:1: no rows"),
        ("train_texts.jsonl", "\n\n[]\n", r":3: no object"),
        ("train_imgs.tsv", IMAGES + "9\t!!!!\n", r"train_imgs.tsv:3: the id 9 is that of line 2"),
        ("train_imgs.tsv", IMAGES + "11\t!!!!\n", r"train_imgs.tsv:3: torn base64"),
        ("train_imgs.tsv", IMAGES + "11\t\n", r"train_imgs.tsv:3: no picture"),
        ("train_imgs.tsv", IMAGES + "a.png\tAAAA\n", r"train_imgs.tsv:3: 'a.png' is no id"),
        ("train_imgs.tsv", b"7\t\xff\n", r"train_imgs.tsv:1: not UTF-8"),
        ("train_imgs.tsv", "", r"train_imgs.tsv:1: no rows"),
        ("train_texts.jsonl", jsonl(TEXTS) + '{"text_id": 3, "te\n', r"train_texts.jsonl:3: no JSON"),
        ("train_texts.jsonl", jsonl([*TEXTS, TEXTS[0]]), r"train_texts.jsonl:3: the text_id 1 is that of line 1"),
        ("train_texts.jsonl", jsonl([{**TEXTS[0], "image_ids": [8]}]), r":1: image 8 is not in train_imgs.tsv"),
        ("train_texts.jsonl", jsonl([{**TEXTS[0], "image_ids": "7"}]), r":1: image_ids are no list"),
        ("train_texts.jsonl", jsonl([{**TEXTS[0], "text": " "}]), r":1: the text is missing or empty"),
        ("train_texts.jsonl", jsonl([{**TEXTS[0], "text_id": True}]), r":1: text_id True is no whole number"),
        ("train_texts.jsonl", "[]\n", r":1: no object"),
    ],
    ids=lambda value: value if isinstance(value, str) and value.startswith(("train", r":1")) else "content",
)
def test_a_bad_row_is_one_line_with_file_and_line(file, content, message, folder, tmp_path):
    (folder / file).write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(ValueError, match=message) as error:
        prepare("images" if "imgs" in file else "texts", folder, tmp_path / "cache")
    assert "\n" not in str(error.value)


def test_a_missing_file_is_named(folder):
    (folder / "valid_imgs.tsv").unlink()
    with pytest.raises(ValueError, match=r"valid_imgs.tsv: no such file"):
        MUGE("images", data_dir=str(folder))


def test_edited_files_are_read_anew(folder, tmp_path):
    prepare("texts", folder, tmp_path / "cache")
    (folder / "train_texts.jsonl").write_text(jsonl(TEXTS[:1]), encoding="utf-8")
    assert len(prepare("texts", folder, tmp_path / "cache")["train"]) == 1


def test_the_sample_names_the_digits_of_its_pictures(tmp_path):
    images, texts = (prepare(part, None, tmp_path / "cache") for part in ("images", "texts"))
    assert {split: len(images[split]) for split in SPLITS} == {"train": 1500, "validation": 200, "test": 200}
    for split in SPLITS:
        described = sorted(image_id for row in texts[split] for image_id in row["image_ids"])
        assert described == sorted(images[split]["id"])
    assert Image.open(io.BytesIO(images["test"][0]["image"])).size == (32, 16)
    assert texts["train"][0]["text"] == "图片里写着零和零"


@pytest.mark.skipif(not SHARED.exists(), reason="needs ../shared")
def test_two_digits(tmp_path):
    images, texts = (prepare(part, SHARED, tmp_path / "cache") for part in ("images", "texts"))
    assert {split: len(images[split]) for split in SPLITS} == {"train": 6000, "validation": 600, "test": 600}
    assert {split: len(texts[split]) for split in SPLITS} == {"train": 300, "validation": 99, "test": 100}
