"""A prepared corpus: what a builder made of the files, and what is said about it."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import datasets
from transformers import TrainingArguments

from hfcls.data.repetition import count_repeated, repeated_line
from hfcls.errors import InputError
from hfcls.training.arguments import RecipeArguments
from hfcls.training.setup import Corpus

logger = logging.getLogger(__name__)


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
    logger.info("%s: %s, %d classes", name, rows, len(corpus.target.names))
    if repeated is not None:
        logger.info("%s: %s", name, repeated_line(repeated))
    return corpus


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
