"""What is trained on what: a corpus, the rows that a model reads of it, and the model."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import datasets
import numpy as np
import torch
import transformers
from transformers import PreTrainedModel, TrainingArguments

from hfcls.data.mapped_files import parts
from hfcls.errors import InputError
from hfcls.metrics.label_sets import LabelSets
from hfcls.metrics.one_label import OneLabel
from hfcls.metrics.target import Target

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
        notes: what the builder said while reading, and what was chosen by the training rows, one line each.
        display_column: the column by which people recognise a row: "text", or "id" where the input is no text.
        repeated: what `data.repetition.count_repeated` found in the splits.
    """

    name: str
    source: str
    language: str | None
    splits: Mapping[str, datasets.Dataset]
    notes: list[str] = field(default_factory=list)
    display_column: str = "text"
    unlabelled: datasets.Dataset | None = None
    repeated: dict | None = None

    @property
    def target(self) -> Target:
        """What is predicted of a row: its one label, or its set of labels."""
        label = self.splits["train"].features["label"]
        return LabelSets(label.feature.names) if isinstance(label, datasets.List) else OneLabel(label.names)

    def with_note(self, note: str) -> Corpus:
        """A copy of which report and model card say `note`, too; it is logged."""
        logger.info("%s", note)
        return replace(self, notes=[*self.notes, note])


def iterate_texts(split: datasets.Dataset) -> Iterator[str]:
    """The texts of `split` as one string each: `text` and, where there is one, `text_pair` on the next line."""
    paired = "text_pair" in split.column_names
    chosen = split.select_columns(["text", "text_pair"] if paired else ["text"])
    for rows in (rows for part in parts(chosen) for rows in part.iter(1000)):
        if paired:
            yield from (f"{a}\n{b}" if b else a for a, b in zip(rows["text"], rows["text_pair"], strict=True))
        else:
            yield from rows["text"]


def read_labels(target: Target, split: datasets.Dataset) -> np.ndarray:
    """`target.labels_of(split)`, of a split that may be larger than memory."""
    return np.concatenate([target.labels_of(part) for part in parts(split)])


def joined_texts(split: datasets.Dataset) -> list[str]:
    """All of `iterate_texts`."""
    return list(iterate_texts(split))


def align_labels(corpus: Corpus, model: PreTrainedModel) -> Corpus:
    """`corpus` with its labels numbered as `model` numbers them, by name.

    Raises:
        InputError: the names differ.
    """
    names = corpus.target.names
    label2id = {str(name): i for name, i in sorted(model.config.label2id.items(), key=lambda item: item[1])}
    if set(label2id) != set(names):
        raise InputError(
            f"the model's classes ({', '.join(label2id)}) are not those of the corpus ({', '.join(names)}): "
            f"measure it on the corpus it was trained for"
        )
    if list(label2id) == names:
        return corpus
    if isinstance(corpus.target, LabelSets):
        raise InputError(f"the model numbers its labels as {', '.join(label2id)}: order those of the corpus so")
    return replace(corpus, splits=corpus.splits.align_labels_with_mapping(label2id, "label"))


@dataclass
class Rows:
    """The rows of the three splits as the collator takes them, each with `labels` (rows,), and how texts were cut.

    Attributes:
        unlabelled: rows that are only to be predicted, for `submission.csv`; without `labels`.
        max_length: tokens kept of a text.
        covered: share of the training texts that are not longer.
        lengths: of each split, the number of tokens of every text before cutting, (rows,); None for what is no text.
    """

    train: torch.utils.data.Dataset
    validation: torch.utils.data.Dataset
    test: torch.utils.data.Dataset
    unlabelled: torch.utils.data.Dataset | None = None
    max_length: int | None = None
    covered: float | None = None
    lengths: dict[str, np.ndarray] | None = None


@dataclass(frozen=True)
class Tested:
    """What a test gave.

    Attributes:
        metrics: named as in all_results.json, `test_accuracy`.
        write: puts the files of the test, predictions.csv and the like, into a folder.
        correct: (rows,) whether each test row is answered right; None where rows have no class.
    """

    metrics: dict[str, float]
    write: Callable[[Path], None]
    correct: np.ndarray | None = None


@dataclass
class Setup(ABC):
    """What is trained on what: each kind of input builds one, and `training.run` runs it.

    Attributes:
        processor: the tokenizer or image processor that is saved with the model.
        rows: what the collator makes batches of.
        collator: a list of rows → the arguments of the model.
        model_name: for people, "BERT mini, from scratch".
        base_model: the Hub name or folder of the pretrained weights, if any.
        pipeline_task: the name of the pipeline that uses the model, which the Hub calls its pipeline tag.
        loading: what was new or left over where weights of `base_model` were taken, one line each.
    """

    corpus: Corpus
    processor: object
    rows: Rows
    collator: Callable[[list[dict]], dict]
    model: PreTrainedModel
    model_name: str
    base_model: str | None = None
    pipeline_task: str = "text-classification"
    loading: list[str] = field(default_factory=list)

    @property
    def target(self) -> Target:
        """What is predicted, with the thresholds that are saved with the model."""
        return self.corpus.target

    @property
    def further_metrics(self) -> tuple[str, ...]:
        """Names of test metrics that are printed besides those of the target."""
        return ()

    def tables(self) -> dict[str, tuple[datasets.Dataset, ...]]:
        """What the rows of each split are made of: another content makes another run."""
        return {name: (split,) for name, split in self.corpus.splits.items()}

    @abstractmethod
    def build_trainer(self, arguments, training_args: TrainingArguments) -> transformers.Trainer:
        """The Trainer that the flags of the recipe (`arguments`) and of transformers ask for.

        Raises:
            InputError: a flag does not fit the model or the corpus.
        """

    @abstractmethod
    def finish_training(self, trainer: transformers.Trainer, arguments) -> None:
        """What is fitted on validation, or told, once training has ended and before anything is saved."""

    @abstractmethod
    def test(self, trainer: transformers.Trainer, arguments) -> Tested:
        """Measures the model of `trainer` on the test rows."""

    def measure_floor(self, tested: Tested, seconds: float) -> object | None:
        """What a simple model reaches on the test rows, a `hfcls.runs.floor.Floor`, for a run that took `seconds` up to
        here; None where there is no such model, or it would take too long.
        """
        return None

    @abstractmethod
    def describe_splits(self) -> dict[str, object]:
        """What the record of the run says of each split, a `hfcls.runs.record.Split`."""

    def explain(self, saved: str, folder: Path) -> None:
        """Writes into `folder`, that of the run, why the model in the folder `saved` answered as it did, if that costs
        little.
        """
        return None

    def classify_examples(self, saved: str) -> list[tuple[str, dict]]:
        """A few test rows, and what the model answers that was saved in the folder `saved`: `label` and `score`."""
        return []
