"""A prepared corpus: what a builder made of the files, and what is said about it."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import datasets
import numpy as np
import transformers
from transformers import TrainingArguments

from hfcls.arguments import RecipeArguments
from hfcls.audit.repeated import count_repeated, repeated_line
from hfcls.errors import InputError

logger = logging.getLogger(__name__)


@dataclass
class Corpus:
    """A prepared corpus and what the report says about it.

    Attributes:
        name: of the corpus, "THUCNews".
        source: the folder's name, or "embedded sample".
        language: ISO 639-1 code; None where there are no texts.
        splits: train, validation and test, each with `label`: a ClassLabel, or a list of them.
        unlabelled: rows without `label` that are only to be predicted, if there are any.
        notes: what the builder said while reading, one line each.
        shown: the column by which people recognise a row: "text", or "id" where the input is no text.
        repeated: what `audit.repeated.count_repeated` found in the splits.
    """

    name: str
    source: str
    language: str | None
    splits: datasets.DatasetDict
    notes: list[str] = field(default_factory=list)
    shown: str = "text"
    unlabelled: datasets.Dataset | None = None
    repeated: dict | None = None

    @property
    def labels(self) -> list[str]:
        label = self.splits["train"].features["label"]
        return (label.feature if self.multi_label else label).names

    @property
    def multi_label(self) -> bool:
        """Whether a row has a list of labels."""
        return isinstance(self.splits["train"].features["label"], datasets.List)


def load_corpus(
    builder: type[datasets.DatasetBuilder],
    arguments: RecipeArguments,
    training_args: TrainingArguments,
    *,
    name: str,
    language: str | None,
    **options,
) -> Corpus:
    """Prepares a corpus with its builder and cuts the splits to `--max_*_samples`.

    Raises:
        InputError: the corpus cannot be read; the message is the builder's, with file and line.
    """
    with builder_errors(builder) as notes, training_args.main_process_first(desc="preparing the corpus"):
        prepared = builder(data_dir=arguments.data_dir, **options)
        prepared.download_and_prepare()
        splits = prepared.as_dataset()

    unlabelled = splits.pop("unlabelled").remove_columns("label") if "unlabelled" in splits else None
    if arguments.data_dir is None:
        logger.info("no --data_dir: using the embedded sample of %s", name)
    for split, limit in zip(
        ("train", "validation", "test"),
        (arguments.max_train_samples, arguments.max_eval_samples, arguments.max_test_samples),
        strict=True,
    ):
        if limit is not None and limit < len(splits[split]):
            splits[split] = splits[split].shuffle(seed=training_args.seed).select(range(limit))
            notes.append(f"{split}: {limit} rows drawn at random (seed {training_args.seed})")
    rows = ", ".join(f"{len(split)} {key}" for key, split in splits.items())
    source = "embedded sample" if arguments.data_dir is None else Path(arguments.data_dir).resolve().name
    shown = "text" if "text" in splits["test"].features else "id"
    repeated = count_repeated(splits)
    corpus = Corpus(name, source, language, splits, notes, shown, unlabelled, repeated)
    logger.info("%s: %s, %d classes", name, rows, len(corpus.labels))
    if repeated is not None:
        logger.info("%s: %s", name, repeated_line(repeated))
    return corpus


def label_array(split: datasets.Dataset) -> np.ndarray:
    """The labels of `split`: (rows,) int64, or (rows, classes) float32 of zeros and ones where a row has several."""
    label = split.features["label"]
    if not isinstance(label, datasets.List):
        return np.asarray(split["label"], dtype=np.int64)
    hot = np.zeros((len(split), label.feature.num_classes), dtype=np.float32)
    for row, labels in enumerate(split["label"]):
        hot[row, labels] = 1
    return hot


def joined_texts(split: datasets.Dataset) -> list[str]:
    """The texts of `split` as one string each: `text` and, where there is one, `text_pair` on the next line."""
    if "text_pair" not in split.column_names:
        return list(split["text"])
    return [f"{text}\n{pair}" if pair else text for text, pair in zip(split["text"], split["text_pair"], strict=True)]


@contextmanager
def builder_errors(builder: type[datasets.DatasetBuilder]) -> Iterator[list[str]]:
    """Turns what `builder` raises in the block into one line; yields what it notes there, one line each.

    Raises:
        InputError: the corpus cannot be read.
    """
    listener = _Listener()
    logging.getLogger(builder.__module__).addHandler(listener)
    try:
        yield listener.messages
    except datasets.exceptions.DatasetGenerationError as error:
        raise InputError(str(error.__cause__ or error)) from error
    except (ValueError, OSError) as error:
        raise InputError(str(error)) from error
    finally:
        logging.getLogger(builder.__module__).removeHandler(listener)


class _Listener(logging.Handler):
    def __init__(self):
        super().__init__(logging.WARNING)
        self.messages = []

    def emit(self, record):
        self.messages.append(record.getMessage())


def align_labels(corpus: Corpus, model: transformers.PreTrainedModel) -> Corpus:
    """Renumbers the labels of `corpus` as `model` numbers them, by name.

    Raises:
        InputError: the names differ.
    """
    label2id = {str(name): i for name, i in sorted(model.config.label2id.items(), key=lambda item: item[1])}
    if set(label2id) != set(corpus.labels):
        raise InputError(
            f"the model's classes ({', '.join(label2id)}) are not those of the corpus ({', '.join(corpus.labels)}): "
            f"measure it on the corpus it was trained for"
        )
    if list(label2id) != corpus.labels and corpus.multi_label:
        raise InputError(f"the model numbers its labels as {', '.join(label2id)}: order those of the corpus so")
    if list(label2id) != corpus.labels:
        corpus.splits = corpus.splits.align_labels_with_mapping(label2id, "label")
    return corpus
