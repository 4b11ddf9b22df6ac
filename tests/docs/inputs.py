"""Small inputs under the names that the pages use, and tiny models under the names that the Hub has."""

import base64
import csv
import gzip
import io
import json
import pickle
import random
import re
import shutil
import tarfile
from pathlib import Path

import numpy as np
import pandas
import torch
from PIL import Image
from transformers import (
    BertConfig,
    BertForMaskedLM,
    BertModel,
    ChineseCLIPConfig,
    ChineseCLIPImageProcessor,
    ChineseCLIPModel,
    ChineseCLIPProcessor,
    PreTrainedTokenizerBase,
    ViTConfig,
    ViTForImageClassification,
    ViTImageProcessor,
)

from hfcls.text.tokenization import train_wordpiece_tokenizer

SAMPLES = Path(__file__).parents[2] / "hfcls" / "data" / "samples"
STARS = {"5": "great value works superb", "3": "fine usual ordinary box", "1": "never again broken refund"}
SIZES = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
DIGITS = "零一二三四五六七八九"


def write_inputs(folder: Path) -> None:
    """Every file and folder that a command of the pages names."""
    shutil.copytree(SAMPLES / "thucnews", folder / "thucnews_titles")
    shutil.copytree(SAMPLES / "ccf_sentiment", folder / "ccf_sentiment")
    _write_vectors(folder)
    _write_cnews(folder / "cnews")
    write_reviews(folder)
    for name in ("aclImdb_v1.tar.gz", "aclImdb.tar.xz"):
        _write_imdb(folder / name)
    _write_mnist(folder / "mnist")
    _write_photos(folder / "photos")
    shutil.copytree(folder / "photos" / "cat", folder / "DIR")
    shutil.copy(folder / "photos" / "cat" / "0.png", folder / "digit.png")
    _write_cards(folder)
    for name in ("MUGE", "muge_two_digits"):
        _write_muge(folder / name)
    _write_own(folder)


def _write_vectors(folder: Path) -> None:
    titles = (folder / "thucnews_titles" / "train.txt").read_text(encoding="utf-8")
    characters = ["<PAD>", "<UNK>", *sorted(set(titles) - set("\n\t"))]
    vectors = np.random.default_rng(0).normal(size=(len(characters), 50)).astype(np.float32)
    for place in (folder, folder / "thucnews_titles"):
        (place / "vocab.pkl").write_bytes(pickle.dumps({one: number for number, one in enumerate(characters)}))
        np.savez(place / "embedding_Tencent.npz", embeddings=vectors)
    words = sorted({*" ".join(STARS.values()).split(), "the", "film", "story"})
    lines = [f"{word} {' '.join(f'{x:.3f}' for x in vectors[row])}" for row, word in enumerate(words)]
    for name in ("glove.6B.50d.txt", "glove.6B.100d.txt"):
        (folder / name).write_text("\n".join(lines) + "\n", encoding="utf-8")


def _write_cnews(folder: Path) -> None:
    folder.mkdir()
    names = (SAMPLES / "thucnews" / "class.txt").read_text(encoding="utf-8").split()
    for split, name in {"train": "train", "dev": "val", "test": "test"}.items():
        rows = (SAMPLES / "thucnews" / f"{split}.txt").read_text(encoding="utf-8").splitlines()
        rows = [row.rpartition("\t") for row in rows]
        text = "".join(f"{names[int(label)]}\t{title}\n" for title, _, label in rows)
        (folder / f"cnews.{name}.txt").write_text(text, encoding="utf-8")


def write_reviews(folder: Path) -> None:
    """Reviews of a shop with 1, 3 or 5 stars, whole and in parts, headlines, and texts with tags."""
    draws = random.Random(0)
    rows = [(" ".join(draws.choices(STARS[s].split(), k=6)) + f" {n}", s) for n, s in enumerate([*STARS] * 40)]
    table = pandas.DataFrame(rows, columns=["review", "stars"])
    table.to_csv(folder / "reviews.csv", index=False)
    table[["review"]].to_csv(folder / "new.csv", index=False)
    table.rename(columns={"review": "text", "stars": "label"}).to_csv(folder / "table.csv", index=False)
    (folder / "reviews").mkdir()
    for name, part in {"train": table[:90], "dev": table[90:105], "test": table[105:]}.items():
        part.to_csv(folder / "reviews" / f"{name}.csv", index=False)
    titles = [line.partition("\t")[0] for line in (SAMPLES / "thucnews" / "test.txt").open(encoding="utf-8")]
    pandas.DataFrame({"title": titles}).to_csv(folder / "news.csv", index=False)
    pandas.DataFrame({"text": titles}).to_excel(folder / "news.xlsx", index=False)
    (folder / "news").mkdir()
    pandas.DataFrame({"text": titles}).to_parquet(folder / "news" / "part-0.parquet")
    with (folder / "tags.jsonl").open("w", encoding="utf-8") as file:
        for text, stars in rows:
            json.dump({"text": text, "tags": ["long", stars] if len(text) > 40 else [stars]}, file)
            file.write("\n")


def _write_imdb(path: Path) -> None:
    with tarfile.open(path, f"w:{path.suffix[1:]}") as archive:
        for split in ("train", "test"):
            lines = (SAMPLES / "imdb" / f"{split}.txt").read_text(encoding="utf-8").splitlines()
            for number, line in enumerate(lines):
                text, _, rating = line.rpartition("\t")
                member = tarfile.TarInfo(f"aclImdb/{split}/{'pos' if int(rating) > 5 else 'neg'}/{number}_{rating}.txt")
                member.size = len(text.encode())
                archive.addfile(member, io.BytesIO(text.encode()))


def _write_mnist(folder: Path) -> None:
    folder.mkdir()
    draws = np.random.default_rng(0)
    labels = np.arange(300, dtype=np.uint8) % 10
    pictures = draws.integers(0, 60, (300, 28, 28)).astype(np.uint8)
    for row, label in enumerate(labels):
        pictures[row, 2 * label : 2 * label + 6] += 150
    for name, array, kind in (("images-idx3", pictures, 3), ("labels-idx1", labels, 1)):
        sizes = b"".join(size.to_bytes(4, "big") for size in array.shape)
        content = bytes([0, 0, 8, kind]) + sizes + array.tobytes()
        (folder / f"t10k-{name}-ubyte.gz").write_bytes(gzip.compress(content))


def _write_photos(folder: Path) -> None:
    draws = np.random.default_rng(0)
    for label, shade in (("cat", 40), ("dog", 200)):
        (folder / label).mkdir(parents=True)
        for number in range(20):
            pixels = (shade + draws.integers(0, 40, (32, 32, 3))).astype(np.uint8)
            Image.fromarray(pixels).save(folder / label / f"{number}.png")


def _write_cards(folder: Path) -> None:
    header = ["page_link", "download_time", "dataset_size", "dataset_number", "bclass", "sclass", "dataset_viewer"]
    tasks = {"translation": "Natural Language Processing", "image-classification": "Computer Vision"}
    tasks |= {"question-answering": "Natural Language Processing"}
    rows = []
    for number in range(90):
        task = list(tasks)[number % 3]
        about = f"\n\t# Set {number}\nA corpus of kind {number % 7} for {task.replace('-', ' ')}\n"
        link = f"https://huggingface.co/datasets/owner/{task[:5]}_{number}"
        rows.append([link, number, number * 10, number * 5, tasks[task], task, about])
    (folder / "hf_dataset_cards").mkdir()
    for path in (folder / "hf_dataset_cards" / "hf_dataset_cards.csv", folder / "cards.csv"):
        with path.open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows([header, *rows])


def _write_muge(folder: Path) -> None:
    folder.mkdir()
    for first, split in ((0, "train"), (1000, "valid"), (2000, "test")):
        pictures, texts = [], []
        for digit, name in enumerate(DIGITS):
            ids = [first + 3 * digit + copy for copy in range(3)]
            for number in ids:
                file = io.BytesIO()
                Image.new("RGB", (32, 32), (25 * digit, 255 - 25 * digit, number % 256)).save(file, "PNG")
                pictures.append(f"{number}\t{base64.b64encode(file.getvalue()).decode()}\n")
            row = {"text_id": first + digit, "text": f"手写数字{name}", "image_ids": ids}
            texts.append(json.dumps(row, ensure_ascii=False) + "\n")
        (folder / f"{split}_imgs.tsv").write_text("".join(pictures), encoding="utf-8")
        (folder / f"{split}_texts.jsonl").write_text("".join(texts), encoding="utf-8")


def _write_own(folder: Path) -> None:
    """The corpus and the model of recipes/own.md; the corpus knows where its tickets are."""
    page = (SAMPLES.parents[2] / "recipes" / "own.md").read_text(encoding="utf-8")
    files = dict(re.findall(r"`mine/(my_\w+\.py)`:\n\n```python\n(.*?)```", page, flags=re.DOTALL))
    tickets = folder / "tickets.tsv"
    rows = [("billing", "invoice card refund"), ("login", "password account code"), ("shipping", "parcel courier")]
    tickets.write_text("".join(f"{label}\t{text} {n}\n" for n, (label, text) in enumerate(rows * 30)), encoding="utf-8")
    for name in ("my_corpus.py", "my_model.py"):
        text = files[name].replace("self.config.data_dir", repr(str(tickets)))
        (folder / name).write_text(text, encoding="utf-8")


def save_bert(folder: Path) -> tuple[PreTrainedTokenizerBase, BertForMaskedLM]:
    """A BERT of one layer with random weights and a vocabulary of the samples, also saved into the folder."""
    torch.manual_seed(0)
    titles = (SAMPLES / "thucnews" / "train.txt").read_text(encoding="utf-8").splitlines()
    words = [*titles, *(SAMPLES / "imdb" / "train.txt").read_text(encoding="utf-8").splitlines()]
    tokenizer = train_wordpiece_tokenizer(words, 2000, max_length=512)
    model = BertForMaskedLM(BertConfig(vocab_size=len(tokenizer), **SIZES))
    for part in (tokenizer, model):
        part.save_pretrained(folder)
    return tokenizer, model


def save_hub_models(folder: Path) -> dict[str, Path]:
    """Tiny models with random weights, each in a folder, by the names that commands and recipes ask the Hub for."""
    berts = [f"google-bert/bert-base-{language}" for language in ("chinese", "uncased")]
    for name in berts:
        tokenizer, bert = save_bert(folder / name)
    vit = ViTConfig(image_size=32, patch_size=16, num_labels=3, **SIZES)
    vision = {"image_size": 32, "patch_size": 16, **SIZES}
    clip = ChineseCLIPConfig(text_config=bert.config.to_dict(), vision_config=vision, projection_dim=16)
    size = {"height": 32, "width": 32}
    parts = {
        "sentence-transformers/all-MiniLM-L6-v2": (tokenizer, BertModel(bert.config)),
        "google/vit-base-patch16-224": (ViTImageProcessor(size=size), ViTForImageClassification(vit)),
        "OFA-Sys/chinese-clip-vit-base-patch16": (
            ChineseCLIPProcessor(ChineseCLIPImageProcessor(size=size, crop_size=size), tokenizer),
            ChineseCLIPModel(clip),
        ),
    }
    for name, saved in parts.items():
        for part in saved:
            part.save_pretrained(folder / name)
    return {name: folder / name for name in [*berts, *parts]}
