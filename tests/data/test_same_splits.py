"""The splits of every builder, row by row, are those that figures were published with: digests of release 0.1.0."""

import csv
import hashlib
import importlib
import io
import json
import random

import datasets
import numpy as np
import pytest
from PIL import Image

CLASSES = ("体育", "财经", "科技")


def tree(folder):
    for label in CLASSES:
        (folder / label).mkdir(parents=True)
        for row in range(40):
            (folder / label / f"{row}.txt").write_text(f"{label}第{row}篇", encoding="utf-8")


def headlines(folder):
    (folder / "class.txt").write_text("\n".join(CLASSES), encoding="utf-8")
    for name, rows in (("train", 90), ("test", 12)):
        lines = "".join(f"{name}标题{row}\t{row % 3}\n" for row in range(rows))
        (folder / f"{name}.txt").write_text(lines, encoding="gb18030")


def one_hot(folder):
    with (folder / "all.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([*CLASSES, "content"])
        for row in range(90):
            writer.writerow([*(int(row % 3 == label) for label in range(3)), f'第{row}篇,\n"好"'])


def table(folder):
    draw = random.Random(0)
    with (folder / "table.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["text", "label", "labels", "group"])
        for row in range(200):
            several = ";".join(draw.sample(CLASSES, draw.randrange(3)))
            writer.writerow([f"text {row}", draw.choice(CLASSES), several, f"g{row % 70}"])


def cards(folder):
    with (folder / "cards.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow("page_link download_time dataset_size dataset_number bclass sclass dataset_viewer".split())
        for row in range(60):
            for task in ("ab", "b")[row % 2]:
                page = f"https://huggingface.co/datasets/u/d{row}"
                writer.writerow([page, row, -1, row * 2, "Audio", task, f"# Card {row}\n\nwith <b>text</b>"])


def pictures(folder):
    draw = np.random.default_rng(0)
    for label in ("cat", "dog"):
        (folder / label).mkdir()
        for row in range(20):
            Image.fromarray(draw.integers(0, 256, (4, 4), dtype=np.uint8)).save(folder / label / f"{row}.png")


CASES = {
    "thucnews": ("thucnews", "THUCNews", None, {}),
    "thucnews tree": ("thucnews", "THUCNews", tree, {}),
    "thucnews headlines": ("thucnews", "THUCNews", headlines, {"seed": 7}),
    "thucnews one-hot": ("thucnews", "THUCNews", one_hot, {}),
    "imdb": ("imdb", "IMDB", None, {}),
    "imdb rating": ("imdb", "IMDB", None, {"labels": "rating", "seed": 3}),
    "ccf_sentiment": ("ccf_sentiment", "CCFSentiment", None, {}),
    "mnist": ("mnist", "MNIST", None, {}),
    "mnist pictures": ("mnist", "MNIST", pictures, {}),
    "dataset_cards": ("dataset_cards", "DatasetCards", cards, {}),
    "dataset_cards coarse": ("dataset_cards", "DatasetCards", cards, {"target": "coarse", "seed": 1}),
    "table": ("table", "Table", table, {}),
    "table groups": ("table", "Table", table, {"group_column": "group"}),
    "table multi_label": (
        "table",
        "Table",
        table,
        {"multi_label": True, "label_column": "labels", "label_separator": ";"},
    ),
    "muge images": ("muge", "MUGE", None, {"config_name": "images"}),
    "muge texts": ("muge", "MUGE", None, {"config_name": "texts"}),
}
DIGESTS = {
    "thucnews": "d630a429d4f87e8a",
    "thucnews tree": "7046cd446ea0c6ba",
    "thucnews headlines": "e0b9ce479a013a75",
    "thucnews one-hot": "7c838546256dbfd6",
    "imdb": "f5009a589f706ea8",
    "imdb rating": "e57d2121fc2d6453",
    "ccf_sentiment": "7c99e3967980e434",
    "mnist": "560d4aaf4dbed7ab",
    "mnist pictures": "afdcb21690293743",
    "dataset_cards": "2fd6c3a7498fa4a9",
    "dataset_cards coarse": "7c72ec606ee33f8a",
    "table": "eb77f4920bfeb14d",
    "table groups": "c1a1b036504b8ce1",
    "table multi_label": "4636fc3f0865ce35",
    "muge images": "3418b57b182d7327",
    "muge texts": "2069ae1396f296f9",
}


def splits_digest(splits: datasets.DatasetDict) -> str:
    """Of names, classes and rows in their order; of pictures, their pixels."""
    whole = hashlib.sha256()
    for name, split in splits.items():
        label = split.features.get("label")
        classes = getattr(getattr(label, "feature", label), "names", None)
        whole.update(f"{name} {sorted(split.column_names)} {classes}\n".encode())
        for row in split:
            if "image" in row:
                picture = Image.open(io.BytesIO(row["image"])) if isinstance(row["image"], bytes) else row["image"]
                row["image"] = np.asarray(picture).tolist()
            whole.update(json.dumps(row, ensure_ascii=False, sort_keys=True).encode() + b"\n")
    return whole.hexdigest()[:16]


@pytest.mark.parametrize("case", CASES)
def test_splits_are_those_of_the_first_release(case, tmp_path):
    module, name, write, options = CASES[case]
    folder = None
    if write is not None:
        folder = tmp_path / "corpus"
        folder.mkdir()
        write(folder)
        folder = folder / "table.csv" if module == "table" else folder
    builder = getattr(importlib.import_module(f"hfcls.data.{module}"), name)
    builder = builder(data_dir=None if folder is None else str(folder), cache_dir=str(tmp_path / "cache"), **options)
    builder.download_and_prepare()
    assert splits_digest(builder.as_dataset()) == DIGESTS[case]
