"""The one table of corpora that have a name: flags, help texts, recipes and the audit derive from it.

To add a corpus: a builder in this folder, a row here, a test. Nothing heavy is imported before a corpus is prepared.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from hfcls.errors import InputError

if TYPE_CHECKING:
    from hfcls.data.prepare import Prepared

__all__ = ["CORPORA", "NamedCorpus", "corpus_names"]


@dataclass(frozen=True)
class NamedCorpus:
    """A corpus whose owners' files a builder of this folder reads.

    Attributes:
        title: what people call it.
        builder: its module in this folder, and its class: "thucnews:THUCNews".
        input: what a row is.
        language: ISO 639-1 code of its texts.
        part: which part of it, where the builder knows several.
        group_column: rows with equal values here belong together.
        takes_encoding: the files may be in an encoding that `--encoding` names.
    """

    title: str
    builder: str
    input: Literal["text", "picture", "card", "caption"]
    language: str | None = None
    part: str | None = None
    group_column: str | None = None
    takes_encoding: bool = False

    def prepare(self, data_dir: str | None, *, encoding: str | None = None, **options) -> Prepared:
        """The splits that the builder makes of the files in `data_dir`, or of its sample.

        Args:
            encoding: of the files, where it is named.
            options: of the builder.

        Raises:
            InputError: they cannot be read; the message names file and line.
        """
        if encoding is not None:
            if not self.takes_encoding or data_dir is None:
                whose = "the embedded sample" if self.takes_encoding else self.title
                raise InputError(f"--encoding {encoding}: what {whose} is in is known; leave it out")
            options["encoding"] = encoding
        from hfcls.data.prepare import prepare

        module, _, name = self.builder.partition(":")
        builder = getattr(importlib.import_module(f"hfcls.data.{module}"), name)
        if self.part is not None:
            options["config_name"] = self.part
        return prepare(builder, data_dir, title=self.title, language=self.language, **options)


CORPORA = {
    "thucnews": NamedCorpus("THUCNews", "thucnews:THUCNews", "text", "zh", takes_encoding=True),
    "imdb": NamedCorpus("IMDB", "imdb:IMDB", "text", "en"),
    "ccf_sentiment": NamedCorpus("CCF sentiment", "ccf_sentiment:CCFSentiment", "text", "zh", takes_encoding=True),
    "mnist": NamedCorpus("MNIST", "mnist:MNIST", "picture"),
    "dataset_cards": NamedCorpus("dataset cards", "dataset_cards:DatasetCards", "card", "en", group_column="id"),
    "muge": NamedCorpus("MUGE", "muge:MUGE", "caption", "zh", part="texts"),
    "muge_images": NamedCorpus("MUGE", "muge:MUGE", "picture", part="images"),
}


def corpus_names(kind: str | None = None) -> list[str]:
    """The names of all corpora, or of those whose rows are of one kind of `NamedCorpus.input`."""
    return [name for name, corpus in CORPORA.items() if kind in (None, corpus.input)]
