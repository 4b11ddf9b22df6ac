"""A builder made to prepare its splits, with its errors as one line each."""

from dataclasses import dataclass
from pathlib import Path

import datasets

from hfcls.data.builder import CorpusBuilder
from hfcls.errors import InputError


@dataclass(frozen=True)
class Prepared:
    """What a builder made of the files.

    Attributes:
        builder: which it was.
        title: what people call the corpus.
        source: the name of its folder or file, or "embedded sample".
        language: ISO 639-1 code of its texts, if it has texts and that is known.
        splits: train, validation and test, and perhaps unlabelled.
        notes: what was left out or guessed, one line each.
    """

    builder: datasets.DatasetBuilder
    title: str
    source: str
    language: str | None
    splits: datasets.DatasetDict
    notes: list[str]


def prepare(
    builder: type[CorpusBuilder], data_dir: str | None, *, title: str, language: str | None = None, **options
) -> Prepared:
    """The splits that `builder` makes of `data_dir`, or of its sample; from the cache where that holds them.

    Args:
        title: for people, where the builder does not tell it.
        options: of the builder.

    Raises:
        InputError: the corpus cannot be read; the message is the builder's, with file and line.
    """
    try:
        prepared = builder(data_dir=data_dir, **options)
        prepared.download_and_prepare()
        splits = prepared.as_dataset()
    except datasets.exceptions.DatasetGenerationError as error:
        raise InputError(str(error.__cause__ or error)) from error
    except (ValueError, OSError) as error:
        raise InputError(str(error)) from error
    source = "embedded sample" if data_dir is None else Path(data_dir).resolve().name
    return Prepared(prepared, prepared.title or title, source, language, splits, prepared.notes)
