"""What `gpu.py` measures: models from random weights and rows of random tokens or pixels, and `hfcls predict`."""

import csv
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
import transformers
from predict_throughput import SAMPLE, random_model

from hfcls.inference.classifier import Classifier
from hfcls.inference.prediction import predict_file
from hfcls.inference.text_files import TextFile
from hfcls.models.text_cnn import TextCNNConfig, TextCNNForSequenceClassification
from hfcls.models.text_rnn import TextRNNConfig, TextRNNForSequenceClassification

ENCODERS = ("hfcls", "hfcls, compiled", "bare loop", "Trainer, dynamic", "Trainer, max")
EVERY_WAY = (*ENCODERS, "hfcls, not recorded", "hfcls, padding-free")
SMALL = ("hfcls", "bare loop", "Trainer, dynamic", "Trainer, max")  # that are trained before they were compiled
OTHERS = ("hfcls", "bare loop")
CHINESE, ENGLISH, MULTILINGUAL = 21128, 30522, 100323  # tokens of the vocabularies of BERT, MiniLM and e5
CLASSES = 10


@dataclass
class Case:
    """A model, what it is trained on, and how.

    Attributes:
        flops: floating-point operations of an epoch, forward and backward; 0 where they are not counted.
        tokens: of an epoch; 0 for pictures.
        collator: None for texts, whose collator the flags decide.
        relations: of pictures and texts, for the contrastive loss.
    """

    name: str
    batch: int
    model: Callable[[], torch.nn.Module]
    rows: torch.utils.data.Dataset
    runs: tuple[str, ...]
    longest: int = 0
    flops: float = 0.0
    tokens: int = 0
    collator: Callable[[list[dict]], dict] | None = None
    relations: Callable | None = None

    @property
    def steps(self) -> int:
        """Of an epoch."""
        return len(self.rows) // self.batch


class TextRows(torch.utils.data.Dataset):
    """Rows of random tokens."""

    def __init__(self, lengths: np.ndarray, vocabulary: int):
        random = np.random.default_rng(0)
        self.lengths = lengths
        self.tokens = [random.integers(5, vocabulary, length) for length in lengths]
        self.labels = random.integers(0, CLASSES, len(lengths))

    def __len__(self) -> int:
        return len(self.lengths)

    def __getitem__(self, row: int) -> dict:
        return self.__getitems__([row])[0]

    def __getitems__(self, rows: list[int]) -> list[dict]:
        return [{"input_ids": self.tokens[row], "labels": int(self.labels[row])} for row in rows]


class PictureRows(torch.utils.data.Dataset):
    """Random pictures, of which there are few, each with a text where there are `texts`."""

    def __init__(self, rows: int, side: int, texts: TextRows | None = None):
        self.pixels = torch.randn(16, 3, side, side)
        self.rows, self.texts = rows, texts

    def __len__(self) -> int:
        return self.rows

    def __getitem__(self, row: int) -> dict:
        inputs = {"pixel_values": self.pixels[row % len(self.pixels)]}
        if self.texts is None:
            return inputs | {"labels": torch.tensor(row % CLASSES)}
        padded = np.zeros(self.texts.lengths.max(), dtype=np.int64)
        padded[: self.texts.lengths[row]] = self.texts.tokens[row]
        numbers = {"image_rows": torch.tensor(row), "wordings": torch.tensor(row)}
        ids = torch.from_numpy(padded)
        return inputs | numbers | {"input_ids": ids, "attention_mask": (ids != 0).long()}


def stacked(rows: list[dict]) -> dict[str, torch.Tensor]:
    return {name: torch.stack([row[name] for row in rows]) for name in rows[0]}


def review_lengths(rows: int, longest: int) -> np.ndarray:
    """Of reviews: log-normal, a mean of some 273 tokens after the cut at 512."""
    lengths = np.random.default_rng(1).lognormal(5.46, 0.72, rows) * longest / 512
    return lengths.round().clip(8, longest).astype(int)


def headline_lengths(rows: int) -> np.ndarray:
    return np.random.default_rng(1).normal(22, 4, rows).round().clip(5, 34).astype(int)


def encoder_flops(lengths: np.ndarray, layers: int, hidden: int, inner: int) -> float:
    """Of forward and backward, by which the products with weights and those of attention are counted."""
    tokens, pairs = float(lengths.sum()), float((lengths.astype(float) ** 2).sum())
    return 3 * layers * (tokens * (8 * hidden**2 + 4 * hidden * inner) + 4 * hidden * pairs)


def encoder(name: str, batch: int, lengths: np.ndarray, vocabulary: int, layers: int, hidden: int, **options) -> Case:
    """A BERT of so many layers."""
    config = transformers.BertConfig(
        vocab_size=vocabulary,
        hidden_size=hidden,
        num_hidden_layers=layers,
        num_attention_heads=max(1, hidden // 64 if hidden != 384 else 12),
        intermediate_size=4 * hidden,
        num_labels=CLASSES,
        **options,
    )
    return Case(
        name,
        batch,
        lambda: transformers.BertForSequenceClassification(config),
        TextRows(lengths, vocabulary),
        ENCODERS,
        longest=int(lengths.max()),
        flops=encoder_flops(lengths, layers, hidden, 4 * hidden),
        tokens=int(lengths.sum()),
    )


def cases(tiny: bool) -> list[Case]:
    """The rows of the table, the most telling first."""
    if tiny:
        bert = english = minilm = e5 = (100, 2, 32)
    else:
        bert, english = (CHINESE, 12, 768), (ENGLISH, 12, 768)
        minilm, e5 = (ENGLISH, 6, 384), (MULTILINGUAL, 12, 384)

    def reviews(name: str, batch: int, steps: int, size: tuple[int, int, int]) -> Case:
        batch, steps, longest = (4, 3, 40) if tiny else (batch, steps, 512)
        return encoder(name, batch, review_lengths(batch * steps, longest), *size)

    def headlines(name: str, batch: int, steps: int, size: tuple[int, int, int]) -> Case:
        batch, steps = (4, 3) if tiny else (batch, steps)
        return encoder(name, batch, headline_lengths(batch * steps), *size)

    found = [
        reviews("BERT-base, reviews at 512", 32, 24, english),
        headlines("BERT-base, headlines", 64, 48, bert),
        replace(reviews("MiniLM (6 × 384), reviews at 512", 32, 40, minilm), runs=SMALL),
        replace(headlines("e5 (12 × 384), headlines", 64, 48, e5), runs=SMALL),
        headlines("BERT-base, headlines, large", 512, 24, bert),
        *baseline_cases(tiny),
        *picture_cases(tiny, *((4, 12) if tiny else (128, 128 * 16))),
    ]
    found[0] = replace(found[0], runs=EVERY_WAY)
    if tiny:  # every way once, but for what takes minutes to compile
        found[0] = replace(found[0], runs=tuple(way for way in EVERY_WAY if way != "hfcls, compiled"))
        found[1:] = [replace(case, runs=OTHERS) for case in found[1:]]
    return found


def baseline_cases(tiny: bool) -> list[Case]:
    """BiLSTM and TextCNN, of the sizes that are published for Chinese headlines."""
    batch, steps, vocabulary = (4, 3, 100) if tiny else (128, 48, 4762)
    rows = TextRows(headline_lengths(batch * steps), vocabulary)
    sizes = {"vocab_size": vocabulary, "num_labels": CLASSES}
    given = {"longest": int(rows.lengths.max()), "tokens": int(rows.lengths.sum())}
    return [
        Case(
            "BiLSTM, headlines",
            *(batch, lambda: TextRNNForSequenceClassification(TextRNNConfig(**sizes)), rows, OTHERS),
            **given,
        ),
        Case(
            "TextCNN, headlines",
            *(batch, lambda: TextCNNForSequenceClassification(TextCNNConfig(**sizes)), rows, OTHERS),
            **given,
        ),
    ]


def picture_cases(tiny: bool, batch: int, rows: int) -> list[Case]:
    """ViT-B/16 and Chinese-CLIP ViT-B/16."""
    layers, hidden, side = (2, 32, 32) if tiny else (12, 768, 224)
    tower = {"hidden_size": hidden, "num_hidden_layers": layers, "num_attention_heads": max(1, hidden // 64)}
    tower |= {"intermediate_size": 4 * hidden}
    patches = np.full(rows, (side // 16) ** 2 + 1)
    seen = encoder_flops(patches, layers, hidden, 4 * hidden)
    vit = transformers.ViTConfig(**tower, image_size=side, num_labels=CLASSES)
    vocabulary = 100 if tiny else CHINESE
    texts = TextRows(np.random.default_rng(2).integers(8, 22, rows), vocabulary)
    clip = transformers.ChineseCLIPConfig(
        vision_config={**tower, "image_size": side, "patch_size": 16},
        text_config={**tower, "vocab_size": vocabulary},
        projection_dim=min(hidden, 512),
    )
    return [
        Case(
            *("ViT-B/16", batch, lambda: transformers.ViTForImageClassification(vit), PictureRows(rows, side), OTHERS),
            flops=seen,
            collator=stacked,
        ),
        Case(
            *("Chinese-CLIP ViT-B/16", batch, lambda: transformers.ChineseCLIPModel(clip)),
            *(PictureRows(rows, side, texts), OTHERS),
            flops=seen + encoder_flops(texts.lengths, layers, hidden, 4 * hidden),
            collator=stacked,
            relations=lambda images, wordings: images == wordings,
        ),
    ]


def checked(tiny: bool) -> Case:
    """A small BERT without dropout, whose losses must be the same however it is computed."""
    dropout = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    batch, steps, size = (
        (4, 3, (100, 2, 32)) if tiny else (64, 50, (CHINESE, 4, 256))
    )  # of an epoch, and there are four
    return encoder("checked", batch, headline_lengths(batch * steps), *size, **dropout)


def predict_lines(tiny: bool) -> list[str]:
    """Rows a second of `hfcls predict`, from file to file, and of transformers' pipeline, from list to list, on
    headlines; and how far their answers differ.
    """
    lines = [line.partition("\t")[0] for line in SAMPLE.read_text(encoding="utf-8").splitlines()]
    texts = (lines * 200)[: 64 if tiny else 100_000]
    some = texts[: max(64, len(texts) // 20)]
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "texts.txt")
        source.write_text("\n".join(texts) + "\n", encoding="utf-8")
        classifier = Classifier(random_model("tiny" if tiny else "base", lines, folder))
        pipeline = transformers.pipeline(
            "text-classification",
            model=classifier.model,
            tokenizer=classifier.tokenizer,
            device=classifier.model.device,
        )
        begun = time.perf_counter()
        answers = pipeline(some, batch_size=256, truncation=True)
        usual = len(some) / (time.perf_counter() - begun)
        classifier.probabilities(texts[:1024])
        answered = Path(folder, "answers.csv")
        begun = time.perf_counter()
        predict_file(classifier, TextFile(str(source)), str(answered))
        ours = len(texts) / (time.perf_counter() - begun)
        with answered.open(encoding="utf-8", newline="") as file:
            probabilities = [float(row["probability"]) for row in csv.DictReader(file)]
    difference = max(abs(one - answer["score"]) for one, answer in zip(probabilities, answers, strict=False))
    return [
        f"predict, BERT-base, headlines, float32: {ours:,.0f} rows/s, pipeline(batch_size=256) {usual:,.0f}: "
        f"{ours / usual:.2f} ×; probabilities differ by {difference:.1e}"
    ]
