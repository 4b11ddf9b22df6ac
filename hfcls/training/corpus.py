"""The corpus that is trained and measured on: what a builder prepared, cut as the flags say."""

import logging
from typing import Protocol

import datasets
from transformers import TrainingArguments

from hfcls.data.prepare import Prepared
from hfcls.data.repetition import count_repeated, repeated_line
from hfcls.training.arguments import RecipeArguments
from hfcls.training.processes import prepared_once
from hfcls.training.setup import Corpus

logger = logging.getLogger(__name__)


class Preparable(Protocol):
    """A corpus by its name, a table, a data set of the Hub, or one with a builder of one's own."""

    def prepare(self, data_dir: str | None, **options) -> Prepared:
        """The splits; raises InputError where they cannot be read."""


def load_corpus(corpus: Preparable, arguments: RecipeArguments, training_args: TrainingArguments, **options) -> Corpus:
    """Prepares `corpus` of `--data_dir` and cuts the splits to `--max_*_samples`; `options` are those of its builder.

    Raises:
        InputError: the corpus cannot be read; the message is the builder's, with file and line.
    """
    with prepared_once(training_args, "preparing the corpus"):
        prepared = corpus.prepare(arguments.data_dir, **options)
    name, splits, notes = prepared.title, datasets.DatasetDict(prepared.splits), list(prepared.notes)
    unlabelled = splits.pop("unlabelled").remove_columns("label") if "unlabelled" in splits else None
    if prepared.source == "embedded sample":
        logger.info("no --data_dir: using the embedded sample of %s", name)
    limits = (arguments.max_train_samples, arguments.max_eval_samples, arguments.max_test_samples)
    for split, limit in zip(("train", "validation", "test"), limits, strict=True):
        if limit is not None and limit < len(splits[split]):
            splits[split] = splits[split].shuffle(seed=training_args.seed).select(range(limit))
            notes.append(f"{split}: {limit} rows drawn at random (seed {training_args.seed})")
    rows = ", ".join(f"{len(split)} {key}" for key, split in splits.items())
    display_column = "text" if "text" in splits["test"].features else "id"
    repeated = count_repeated(splits)
    loaded = Corpus(name, prepared.source, prepared.language, splits, notes, display_column, unlabelled, repeated)
    logger.info("%s: %s, %d classes", name, rows, len(loaded.target.names))
    if repeated is not None:
        logger.info("%s: %s", name, repeated_line(repeated))
    return loaded
