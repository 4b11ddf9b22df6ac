"""MUGE and other Chinese text-image retrieval corpora in the layout of Chinese-CLIP (Flickr30k-CN, COCO-CN).

The layout: https://github.com/OFA-Sys/Chinese-CLIP, "Data preparation". This file needs `datasets` and
`builder.py` and `files.py` beside it; the generated sample needs scikit-learn and Pillow as well.
"""

import base64
import io
import os
import random
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import datasets

from .builder import CorpusBuilder, CorpusConfig, Reading, fingerprint
from .files import json_object, numbered_lines
from .table_files import text_cell

__all__ = ["MUGE", "MUGEConfig"]

_SPLITS = {"train": "train", "validation": "valid", "test": "test"}
_FEATURES = {
    "images": datasets.Features(
        {"id": datasets.Value("int64"), "image": datasets.Value("binary"), "line": datasets.Value("int32")}
    ),
    "texts": datasets.Features(
        {
            "id": datasets.Value("int64"),
            "text": datasets.Value("string"),
            "image_ids": datasets.List(datasets.Value("int64")),
        }
    ),
}
_BASE64 = re.compile(r"[A-Za-z0-9+/_-]+={0,2}")
_NUMERALS = "零一二三四五六七八九"
_SAMPLE_IMAGES = {"train": 1500, "validation": 200, "test": 200}
_SAMPLE_DIGITS = {"train": (0, 1200), "validation": (1200, 1500), "test": (1500, 1797)}  # no digit is in two splits


@dataclass
class MUGEConfig(CorpusConfig):
    """`name` is "images" or "texts". The cache key follows from names, sizes and times of the files."""

    files: dict[str, dict[str, str]] = field(init=False, repr=False)

    def __post_init__(self):
        super().__post_init__()
        self.files = {} if self.data_dir is None else _find(os.path.normpath(self.data_dir))
        stats = ((path, os.stat(path)) for files in self.files.values() for path in files.values())
        contents = ((os.path.basename(p), b"%d %d" % (stat.st_size, stat.st_mtime_ns)) for p, stat in stats)
        self.fingerprint = fingerprint([__file__], contents)


class MUGE(CorpusBuilder):
    """Builds `train`, `validation` and `test`, of pictures or of texts.

    `MUGE("images", data_dir=DIR)` reads `{train,valid,test}_imgs.tsv`, `id<TAB>base64` a line, to `id` (int64), `image`
    (the bytes of the picture's file, decoded by whoever needs the pixels) and `line` (its number, from 1).
    `MUGE("texts", data_dir=DIR)` reads `{train,valid,test}_texts.jsonl` to `id`, `text` and `image_ids`, the pictures
    of the same split that the text describes; only those of the test split may be unknown, which is an empty list.
    Without `data_dir`: pictures of two digits from scikit-learn side by side, one text for each number.

    Rows keep the order of their file; blank lines are skipped. Memory: one picture, and the ids of a split.

    Raises:
        ValueError: one line with file, line and what to do: the constructor for missing files, `download_and_prepare`
            for a bad row.
    """

    VERSION = datasets.Version("1.1.0")
    BUILDER_CONFIG_CLASS = MUGEConfig
    BUILDER_CONFIGS = []

    def __init__(self, config_name: str = "texts", **options):
        if config_name not in _FEATURES:
            raise ValueError(f"{config_name}: not a part of the corpus; give images or texts")
        super().__init__(config_name=config_name, **options)

    def _info(self) -> datasets.DatasetInfo:
        return datasets.DatasetInfo(features=_FEATURES[self.config.name])

    def read(self, note: Callable[[str], None]) -> Reading:
        title = os.path.basename(os.path.realpath(self.config.data_dir)) if self.config.files else "digits in pairs"
        return Reading({split: {"split": split} for split in _SPLITS}, title)

    def _generate_examples(self, split: str):
        if not self.config.files:
            images, texts = _sample(split)
            rows = iter(images if self.config.name == "images" else texts)
        else:
            files = self.config.files[split]
            if self.config.name == "images":
                rows = _read_images(files["imgs"])
            else:
                known = {image_id for _, image_id, _ in _image_lines(files["imgs"])}
                rows = _read_texts(files["texts"], known, os.path.basename(files["imgs"]), split == "test")
        yield from enumerate(rows)


def _find(folder: str) -> dict[str, dict[str, str]]:
    """By split: the paths of `imgs` and `texts`."""
    files = {}
    for split, name in _SPLITS.items():
        names = {"imgs": f"{name}_imgs.tsv", "texts": f"{name}_texts.jsonl"}
        files[split] = {kind: os.path.join(folder, file) for kind, file in names.items()}
        for path in files[split].values():
            if not os.path.isfile(path):
                raise ValueError(f"{path}: no such file; give a folder with {' and '.join(names.values())}")
    return files


def _lines(path: str) -> Iterator[tuple[int, str]]:
    """The lines that are not blank, with their numbers."""
    rows = 0
    for number, line in numbered_lines(path):
        if line.strip():
            rows += 1
            yield number, line
    if rows == 0:
        raise ValueError(f"{path}:1: no rows; add some")


def _image_lines(path: str) -> Iterator[tuple[int, int, str]]:
    """Line number, id and base64 of every picture."""
    first_line, before = {}, None
    for number, line in _lines(path):
        name, tab, content = line.partition("\t")
        if not tab and before is not None and _BASE64.fullmatch(line.strip()):
            raise ValueError(
                f"{path}:{number}: no id and no tab, as if the base64 of line {before} were wrapped; write each "
                f"picture on one line (base64 -w 0)"
            )
        if not tab or not name.isascii() or not name.isdecimal():
            raise ValueError(f"{path}:{number}: {name!r:.40} is no id; write a whole number, a tab and base64")
        image_id = int(name)
        if image_id >= 2**63:
            raise ValueError(f"{path}:{number}: the id {name:.40} is too large; give one below 2^63")
        if image_id in first_line:
            raise ValueError(f"{path}:{number}: the id {image_id} is that of line {first_line[image_id]}; remove one")
        first_line[image_id] = before = number
        yield number, image_id, content.strip()


def _read_images(path: str) -> Iterator[dict]:
    for number, image_id, content in _image_lines(path):
        url_safe = b"-_" if "-" in content or "_" in content else None  # Chinese-CLIP's own reader takes both alphabets
        content += "=" * (-len(content) % 4)  # which some write without
        try:
            image = base64.b64decode(content, altchars=url_safe, validate=True)
        except ValueError as error:
            raise ValueError(f"{path}:{number}: torn base64 ({error}); copy the file again") from error
        if not image:
            raise ValueError(f"{path}:{number}: no picture after the id; remove the line or copy the file again")
        yield {"id": image_id, "image": image, "line": number}


def _read_texts(path: str, known: set[int], images: str, may_be_unknown: bool) -> Iterator[dict]:
    first_line = {}
    for number, line in _lines(path):
        where = f"{path}:{number}"
        row = json_object(line, where)
        text_id, text, image_ids = row.get("text_id"), row.get("text"), row.get("image_ids", [])
        if not _is_id(text_id):
            raise ValueError(f"{where}: text_id {text_id!r:.40} is no whole number; number the texts")
        if text_id in first_line:
            raise ValueError(f"{where}: the text_id {text_id} is that of line {first_line[text_id]}; remove one")
        first_line[text_id] = number
        if not isinstance(text, str) or not text_cell(text, where).strip():
            raise ValueError(f"{where}: the text is missing or empty; fill it in or remove the line")
        if not isinstance(image_ids, list) or not all(map(_is_id, image_ids)):
            raise ValueError(f"{where}: image_ids are no list of whole numbers; write one, such as [17, 42]")
        for image_id in image_ids:
            if image_id not in known:
                raise ValueError(f"{where}: image {image_id} is not in {images}; add it there or remove the id here")
        if not image_ids and not may_be_unknown:
            raise ValueError(f"{where}: no image_ids, which only test may lack; add some or remove the line")
        yield {"id": text_id, "text": text, "image_ids": sorted(set(image_ids))}


def _is_id(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**63


def _sample(split: str) -> tuple[list[dict], list[dict]]:
    """Pictures, 32 x 16 pixels, and texts of a split."""
    from PIL import Image
    from sklearn.datasets import load_digits

    digits = load_digits()
    draw = random.Random(split)
    low, high = _SAMPLE_DIGITS[split]
    images, ids_of = [], {}
    for image_id in range(_SAMPLE_IMAGES[split]):
        pair = [draw.randrange(low, high) for _ in range(2)]
        canvas = Image.new("L", (16, 8))
        for position, row in enumerate(pair):
            pixels = bytes(min(255, int(value) * 16) for value in digits.data[row])
            canvas.paste(Image.frombytes("L", (8, 8), pixels), (8 * position, 0))
        content = io.BytesIO()
        canvas.resize((32, 16), Image.Resampling.BILINEAR).save(content, "PNG")
        images.append({"id": image_id, "image": content.getvalue(), "line": image_id + 1})
        ids_of.setdefault(tuple(int(digits.target[row]) for row in pair), []).append(image_id)
    texts = [
        {"id": 10 * left + right, "text": f"图片里写着{_NUMERALS[left]}和{_NUMERALS[right]}", "image_ids": ids}
        for (left, right), ids in sorted(ids_of.items())
    ]
    return images, texts
