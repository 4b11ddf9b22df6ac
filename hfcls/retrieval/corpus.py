"""A corpus of pictures and the texts that describe them."""

import io
import logging
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import datasets
import numpy as np
import torch
from PIL import Image
from transformers import TrainingArguments

from hfcls.corpus import builder_errors
from hfcls.data.muge import MUGE
from hfcls.errors import InputError
from hfcls.retrieval.arguments import RetrievalArguments

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
        images: `id` and `image`, the bytes of a picture's file.
        texts: `id`, `text` and `image_ids`, which are empty where the answer is not known.
    """

    images: datasets.Dataset
    texts: datasets.Dataset

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
class RetrievalCorpus:
    """A prepared corpus and what the report says about it.

    Attributes:
        name: of the corpus: the name of its folder.
        source: the folder's name, or "embedded sample".
        language: ISO 639-1 code of the texts.
        splits: train, validation and test.
        notes: what the builder said while reading, one line each.
    """

    name: str
    source: str
    language: str
    splits: dict[str, RetrievalSplit]
    notes: list[str] = field(default_factory=list)

    labels, multi_label = (), False  # there are no classes


def load_retrieval_corpus(arguments: RetrievalArguments, training_args: TrainingArguments) -> RetrievalCorpus:
    """Prepares the corpus of `--data_dir`, or the generated sample, cuts it to `--max_*_samples` texts, and makes sure
    that the pictures are pictures.

    Raises:
        InputError: the corpus cannot be read; the message is the builder's, with file and line, or names the picture.
    """
    with builder_errors(MUGE) as notes, training_args.main_process_first(desc="preparing the corpus"):
        parts = {}
        for part in ("images", "texts"):
            builder = MUGE(part, data_dir=arguments.data_dir)
            builder.download_and_prepare()
            parts[part] = builder.as_dataset()
    if arguments.data_dir is None:
        name, source = "digits in pairs", "embedded sample"
        logger.info("no --data_dir: using the generated sample, %s", name)
    else:
        name = source = Path(arguments.data_dir).resolve().name
    splits = {}
    limits = (arguments.max_train_samples, arguments.max_eval_samples, arguments.max_test_samples)
    for split_name, limit in zip(("train", "validation", "test"), limits, strict=True):
        split = RetrievalSplit(parts["images"][split_name], parts["texts"][split_name])
        if limit is not None and limit < len(split.texts):
            split = _cut(split, limit, training_args.seed)
            notes.append(
                f"{split_name}: {limit} texts drawn at random (seed {training_args.seed}), and their pictures only"
            )
        splits[split_name] = split
        _check_pictures(split.images, split_name)
    sizes = ", ".join(f"{len(split.texts):,}/{len(split.images):,} {key}" for key, split in splits.items())
    logger.info("%s, texts/pictures: %s", name, sizes)
    return RetrievalCorpus(name, source, "zh", splits, notes)


def _cut(split: RetrievalSplit, limit: int, seed: int) -> RetrievalSplit:
    """So many texts and the pictures that they describe; all pictures where that is not known."""
    texts = split.texts.shuffle(seed=seed).select(range(limit))
    wanted = {image_id for ids in texts["image_ids"] for image_id in ids}
    if not wanted:
        return RetrievalSplit(split.images, texts)
    rows = [row for row, image_id in enumerate(split.images["id"]) if image_id in wanted]
    return RetrievalSplit(split.images.select(rows), texts)


def _check_pictures(images: datasets.Dataset, split: str) -> None:
    for row in images:
        try:
            Image.open(io.BytesIO(row["image"])).verify()  # reads the header, and the checksums where there are some
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
            raise InputError(
                f"{split}: image {row['id']} is no picture that Pillow can read ({' '.join(str(error).split())}): "
                f"replace it in the file of pictures"
            ) from error
