"""A corpus of pictures and the texts that describe them."""

import io
import logging
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cached_property

import datasets
import numpy as np
import torch
from PIL import Image
from transformers import TrainingArguments

from hfcls.data.corpora import CORPORA
from hfcls.data.picture_modes import RGBLoss
from hfcls.images import decoding as pictures
from hfcls.metrics.pairs import Pairs
from hfcls.retrieval.arguments import RetrievalArguments
from hfcls.training.processes import prepared_once
from hfcls.training.setup import Corpus

logger = logging.getLogger(__name__)


class Relations:
    """Which texts describe which pictures, asked for many at once.

    Args:
        pairs: (pairs, 2), number of a picture and number of a text that describes it.
        num_texts: one more than the highest number of a text.
    """

    def __init__(self, pairs: np.ndarray, num_texts: int):
        self.num_texts = num_texts
        self.codes = torch.from_numpy(np.unique(pairs[:, 0] * num_texts + pairs[:, 1]))

    def __call__(self, images: torch.Tensor, texts: torch.Tensor) -> torch.Tensor:
        """True where text describes image; the numbers `images` and `texts` are broadcast against each other."""
        self.codes = self.codes.to(images.device)
        asked = images * self.num_texts + texts
        if len(self.codes) == 0:
            return torch.zeros_like(asked, dtype=torch.bool)
        place = torch.searchsorted(self.codes, asked).clamp(max=len(self.codes) - 1)
        return self.codes[place] == asked


@dataclass(frozen=True)
class RetrievalSplit:
    """Pictures and texts of one split.

    Attributes:
        images: `id`, `image`, the bytes of a picture's file, and `line`, where they stand in `file`.
        texts: `id`, `text` and `image_ids`, which are empty where the answer is not known.
        file: that the pictures were read from, for messages.
    """

    images: datasets.Dataset
    texts: datasets.Dataset
    file: str

    def decode(self, rows: Sequence[int]) -> list[Image.Image]:
        """The pictures of `rows`, upright and as RGB.

        Raises:
            InputError: one is torn; the message names file, line and id.
        """
        images = self.images[rows]
        return [
            pictures.decode(io.BytesIO(content), self._where(image_id, line))
            for image_id, line, content in zip(images["id"], images["line"], images["image"], strict=True)
        ]

    def check_pictures(self) -> list[str]:
        """Makes sure that all pictures are whole, before any is needed: those of the test come last.

        Returns:
            What there is to say of those that lose something as RGB, one line each.

        Raises:
            InputError: one is not; the message names file, line and id.
        """
        loss = RGBLoss()
        with ThreadPoolExecutor() as pool:
            for images in self.images.iter(batch_size=256):
                places = map(self._where, images["id"], images["line"])
                for image in pool.map(pictures.check, map(io.BytesIO, images["image"]), places):
                    loss.add(image)
        return loss.notes(self.file)

    def _where(self, image_id: int, line: int) -> str:
        return f"{self.file}:{line}: image {image_id}"

    @cached_property
    def pairs(self) -> np.ndarray:
        """(pairs, 2) int64: row of a picture, row of a text that describes it; in the order of the texts."""
        row_of = {image_id: row for row, image_id in enumerate(self.images["id"])}
        pairs = [(row_of[i], row) for row, ids in enumerate(self.texts["image_ids"]) for i in ids]
        return np.array(pairs, dtype=np.int64).reshape(-1, 2)

    @cached_property
    def wordings(self) -> np.ndarray:
        """(texts,) int64: numbers of the texts among the different wordings; equal texts have equal numbers."""
        return np.unique(np.asarray(self.texts["text"], dtype=object).astype(str), return_inverse=True)[1]

    @property
    def annotated(self) -> Relations:
        """The pairs as they are annotated: rows of pictures and rows of texts."""
        return Relations(self.pairs, len(self.texts))

    @property
    def worded(self) -> Relations:
        """Rows of pictures and `wordings`: what describes a picture does so wherever else it stands."""
        image_rows, text_rows = self.pairs.T
        return Relations(np.stack([image_rows, self.wordings[text_rows]], axis=1), len(self.texts))


@dataclass
class RetrievalCorpus(Corpus):
    """A corpus of pictures and texts: `splits` are `RetrievalSplit`s. There are no labels."""

    splits: dict[str, RetrievalSplit]

    @property
    def target(self) -> Pairs:
        return Pairs()


def load_retrieval_corpus(arguments: RetrievalArguments, training_args: TrainingArguments) -> RetrievalCorpus:
    """Prepares the corpus of `--data_dir`, or the generated sample, cuts it to `--max_*_samples` texts, and makes sure
    that the pictures are pictures.

    Raises:
        InputError: the corpus cannot be read; the message is the builder's, with file and line, or names the picture.
    """
    with prepared_once(training_args, "preparing the corpus"):
        images = CORPORA["muge_images"].prepare(arguments.data_dir)
        texts = CORPORA["muge"].prepare(arguments.data_dir)
    files, notes = images.builder.config.files, [*images.notes, *texts.notes]
    if arguments.data_dir is None:
        logger.info("no --data_dir: using the generated sample, %s", images.title)
    splits = {}
    limits = (arguments.max_train_samples, arguments.max_eval_samples, arguments.max_test_samples)
    for split_name, limit in zip(("train", "validation", "test"), limits, strict=True):
        file = files[split_name]["imgs"] if files else "generated sample"
        split = RetrievalSplit(images.splits[split_name], texts.splits[split_name], file)
        if limit is not None and limit < len(split.texts):
            split = _cut(split, limit, training_args.seed)
            notes.append(
                f"{split_name}: {limit} texts drawn at random (seed {training_args.seed}), and their pictures only"
            )
        splits[split_name] = split
        for line in split.check_pictures():
            logger.warning("%s", line)
            notes.append(line)
    sizes = ", ".join(f"{len(split.texts):,}/{len(split.images):,} {key}" for key, split in splits.items())
    logger.info("%s, texts/pictures: %s", images.title, sizes)
    return RetrievalCorpus(images.title, images.source, texts.language, splits, notes)


def _cut(split: RetrievalSplit, limit: int, seed: int) -> RetrievalSplit:
    """So many texts and the pictures that they describe; all pictures where that is not known."""
    texts = split.texts.shuffle(seed=seed).select(range(limit))
    wanted = {image_id for ids in texts["image_ids"] for image_id in ids}
    if not wanted:
        return replace(split, texts=texts)
    rows = [row for row, image_id in enumerate(split.images["id"]) if image_id in wanted]
    return replace(split, images=split.images.select(rows), texts=texts)
