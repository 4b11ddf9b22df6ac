"""The corpus of texts that `--dataset` and `--data_dir` name."""

from pathlib import Path

from transformers import TrainingArguments

from hfcls import own_code
from hfcls.data.corpora import CORPORA, NamedCorpus
from hfcls.data.hub_table import HubTable
from hfcls.data.own_corpus import OwnCorpus
from hfcls.text.arguments import TextClassificationArguments
from hfcls.training.corpus import load_corpus
from hfcls.training.setup import Corpus

TABLE_OPTIONS = "text_column text_pair_column label_column group_column multi_label label_separator encoding".split()


def load_text_corpus(arguments: TextClassificationArguments, training_args: TrainingArguments) -> Corpus:
    """A corpus by its name, one with a builder of its own, a data set of the Hub, or a table.

    Raises:
        InputError: it cannot be read; the message names file and line.
    """
    dataset, language = arguments.dataset, arguments.language
    if dataset in CORPORA:
        return load_corpus(CORPORA[dataset], arguments, training_args, encoding=arguments.encoding)
    if dataset is not None and own_code.is_file(dataset):
        return load_corpus(OwnCorpus(dataset, language), arguments, training_args)
    if dataset is not None:
        corpus = HubTable(dataset, language)
    else:
        corpus = NamedCorpus(
            Path(arguments.data_dir).resolve().stem, "table:Table", "text", language, takes_encoding=True
        )
    options = {name: getattr(arguments, name) for name in TABLE_OPTIONS}
    return load_corpus(corpus, arguments, training_args, **options)
