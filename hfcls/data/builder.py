"""What all builders are: their errors are one line, their cache's key follows from the files, their notes are kept.

This file needs `datasets`, and `files.py` and `encodings.py` beside it.
"""

import hashlib
import json
import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import datasets

from . import encodings, files

__all__ = ["CorpusBuilder", "CorpusConfig", "Reading", "fingerprint"]


def fingerprint(code: Iterable[str], contents: Iterable[tuple[str, bytes]]) -> str:
    """The part of a cache's key that follows from the data, and from the code: what older code prepared is stale.

    Args:
        code: the files of a builder; this one, `files.py` and `encodings.py` are added.
        contents: for each file of the data its name within the corpus, and the digest of its bytes.
    """
    whole = hashlib.blake2b(digest_size=16)
    for path in (__file__, files.__file__, encodings.__file__, *code):
        whole.update(files.digest(path))
    for name, content in contents:
        whole.update(f"{name}\0".encode("utf-8", "surrogateescape") + content)
    return whole.hexdigest()


@dataclass
class CorpusConfig(datasets.BuilderConfig):
    """What is known of the files before a row is prepared.

    Attributes:
        fingerprint: of the files; the key of the cache follows from it and from the options.
        notes: what is to be said of the files already.
    """

    fingerprint: str = field(default="", init=False, repr=False)
    notes: list[str] = field(default_factory=list, init=False, repr=False)

    def create_config_id(self, config_kwargs: dict, custom_features: datasets.Features | None = None) -> str:
        return super().create_config_id(config_kwargs | {"fingerprint": self.fingerprint}, custom_features)


@dataclass(frozen=True)
class Reading:
    """What a builder read.

    Attributes:
        splits: of each split, the arguments of `_generate_examples`.
        title: what people call the corpus, where that depends on the files.
    """

    splits: dict[str, dict]
    title: str | None = None


class CorpusBuilder(datasets.GeneratorBasedBuilder):
    """A builder that keeps what it noted beside what it prepared, in `DatasetInfo.description`.

    Its config is a `CorpusConfig`; `read` takes the place of `_split_generators`.
    """

    BUILDER_CONFIG_CLASS = CorpusConfig

    def read(self, note: Callable[[str], None]) -> Reading:
        """Reads the files; `note` takes a line about what is left out or guessed.

        Raises:
            ValueError: one line with file, line and what to do.
        """
        raise NotImplementedError

    def _split_generators(self, dl_manager) -> list[datasets.SplitGenerator]:
        notes = list(self.config.notes)
        found = self.read(notes.append)
        self.info.description = json.dumps({"title": found.title, "notes": notes}, ensure_ascii=False)
        return [datasets.SplitGenerator(split, arguments) for split, arguments in found.splits.items()]

    def download_and_prepare(self, *args, **kwargs):
        """Prepares the corpus if the cache does not hold it, and says what was noted either way."""
        try:
            super().download_and_prepare(*args, **kwargs)
        except datasets.exceptions.DatasetGenerationError as error:
            if isinstance(error.__cause__, ValueError):  # a bad row: its one line says more than the wrapper
                raise error.__cause__ from None
            raise
        for line in self.notes:
            logging.getLogger(type(self).__module__).warning("%s", line)

    def write_back(self, kept: dict[str, list[int]], folder: str) -> None:
        """Writes rows into the empty `folder`, in a layout that this builder reads; the files that were read stay.

        Args:
            kept: of each split that was prepared, the numbers of the rows.

        Raises:
            ValueError: this builder does not write.
        """
        raise ValueError(f"a corpus of {type(self).__name__} is not written back; edit its files")

    @property
    def notes(self) -> list[str]:
        """What was noted when the corpus was prepared, one line each."""
        return json.loads(self.info.description)["notes"]

    @property
    def title(self) -> str | None:
        """What people call the corpus, where that depends on the files."""
        return json.loads(self.info.description)["title"]
