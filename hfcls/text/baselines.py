"""The baselines a recipe can train: tokenizer, vectors and model from the flags of `BaselineArguments`."""

import inspect
import logging
from dataclasses import fields, replace
from math import ceil
from pathlib import Path

import torch
from torch.utils.data import DataLoader
from transformers import PreTrainedModel, PreTrainedTokenizerBase, TrainingArguments

from hfcls import own_code
from hfcls.errors import InputError
from hfcls.inference.loading import check_text_classifier
from hfcls.models.ngram_linear import MANY, NgramLinearForSequenceClassification
from hfcls.text.architectures import architecture, check_outputs, errors_of
from hfcls.text.arguments import BaselineArguments, ConfigArguments
from hfcls.text.batches import build_collator
from hfcls.text.build import note_max_length, reload, text_setup
from hfcls.text.collator import PaddingCollator
from hfcls.text.floor import ngram_floor
from hfcls.text.rows import TokenRows, batches_of_like_length, tokenize_corpus
from hfcls.text.scripts import evenly_spread, token_level
from hfcls.text.tfidf import compare
from hfcls.text.tokenization import tokenizer_from_vocabulary, train_tokenizer
from hfcls.text.vectors import Vectors, load_vectors
from hfcls.text.vocabulary import load_vocabulary
from hfcls.training.classifier import ClassifierSetup
from hfcls.training.setup import Corpus, iterate_texts, joined_texts

logger = logging.getLogger(__name__)

LONGEST = {"words": 1, "pairs": 3, "characters": 5}  # tokens of an n-gram, where this kind is the best


def check_model(arguments: BaselineArguments) -> None:
    """Makes sure, before any data is prepared, that there are the architecture and the saved model that `build` takes.

    Raises:
        InputError: one of them cannot be loaded.
    """
    if arguments.architecture is not None:
        architecture(arguments.architecture)  # which may be the code of the saved model
    if arguments.evaluate_only is not None:
        check_text_classifier(arguments.evaluate_only, trained=True)


def build(arguments: BaselineArguments, training_args: TrainingArguments, corpus: Corpus) -> ClassifierSetup:
    """The baseline that the flags ask for, or the saved one of `--evaluate_only`.

    Raises:
        InputError: a vocabulary, vectors or a saved model cannot be read, or does not fit.
    """
    model_class = None
    if arguments.architecture is not None:
        # Before anything takes time; and it is the code of a saved model.
        model_class = architecture(arguments.architecture)
    if arguments.evaluate_only is not None:
        return reload(arguments, training_args, corpus)
    arguments, corpus = with_tokens(arguments, corpus, model_class)
    tokenizer = build_tokenizer(arguments, corpus)
    whole = getattr(model_class, "reads_whole_texts", False)
    flags = {"keep": arguments.truncation, "max_length": arguments.tokens_kept, "whole": whole, **arguments.reading}
    rows, truncation = tokenize_corpus(corpus, tokenizer, training_args, **flags)
    corpus = note_max_length(corpus, rows, arguments)
    vectors = read_vectors(arguments, tokenizer)
    if vectors is not None:
        corpus = corpus.with_note(coverage(arguments, vectors, rows.train))
    model = build_model(arguments, tokenizer, corpus.target.names, rows.train, vectors)
    if isinstance(model, NgramLinearForSequenceClassification):
        corpus = corpus.with_note(memory(model, rows.train, training_args.per_device_train_batch_size))
    floor = ngram_floor(arguments, model)
    collator = build_collator(arguments, training_args, tokenizer, rows, model)
    return text_setup(corpus, tokenizer, rows, collator, truncation, model, model.config.model_type, floor=floor)


def with_tokens(
    arguments: BaselineArguments, corpus: Corpus, model_class: type[PreTrainedModel] | None
) -> tuple[BaselineArguments, Corpus]:
    """A copy of `arguments` that says what a token is and how many make an n-gram, and `corpus` with a note of both.

    Texts with words between spaces become n-grams of what an SVM has the least loss with: of characters where words are
    compounds or have many endings, and rows are too few to know them all; of single words where rows are few and long.
    """
    train = corpus.splits["train"]
    texts = joined_texts(train.select(evenly_spread(len(train))))
    of_ngrams = model_class is not None and issubclass(model_class, NgramLinearForSequenceClassification)
    level, reason = token_level(texts)
    longest = 5 if level != "char" and arguments.tokens == "char" else 3
    if arguments.tokens == "auto":
        free = of_ngrams and arguments.vocab is None and arguments.ngram_max is None  # nothing says what they are of
        if free and level != "char":
            compared = compare(corpus)
            if compared is not None:
                longest = LONGEST[compared.best]
                level = "char" if compared.best == "characters" else level
                reason = f"{compared}; n-grams of up to {longest}; {reason}"
        note = f"tokens {level} (auto): {reason}"
        arguments, corpus = replace(arguments, tokens=level), corpus.with_note(note)
    if arguments.ngram_max is None:
        arguments = replace(arguments, ngram_max=longest)
    return arguments, corpus


def build_tokenizer(arguments: BaselineArguments, corpus: Corpus) -> PreTrainedTokenizerBase:
    """The tokenizer of a given vocabulary, or one learned from the training split.

    Raises:
        InputError: the vocabulary cannot be read.
    """
    settings = {"max_length": 512, "padding_side": arguments.padding_side}
    if arguments.vocab is not None:
        return tokenizer_from_vocabulary(load_vocabulary(arguments.vocab), arguments.tokens, **settings)
    texts = iterate_texts(corpus.splits["train"])
    return train_tokenizer(texts, level=arguments.tokens, vocab_size=arguments.vocab_size, **settings)


def build_model(
    arguments: BaselineArguments,
    tokenizer: PreTrainedTokenizerBase,
    labels: list[str],
    rows: TokenRows,
    vectors: Vectors | None = None,
) -> PreTrainedModel:
    """The model that `--architecture` names, with pretrained vectors or log-count ratios put in.

    Args:
        rows: the training rows, from which the log-count ratios of `ngram_linear` are counted.
        vectors: of the tokens, as `read_vectors` returns them.

    Raises:
        InputError: the vectors do not fit the architecture.
    """
    model_class = architecture(arguments.architecture)
    values = _config_values(arguments, model_class, vectors)
    values |= {"id2label": dict(enumerate(labels)), "label2id": {label: i for i, label in enumerate(labels)}}
    with errors_of(arguments.architecture):
        model = model_class(
            model_class.config_class(vocab_size=len(tokenizer), pad_token_id=tokenizer.pad_token_id, **values)
        )
    collator = PaddingCollator(tokenizer.pad_token_id)
    if own_code.is_file(arguments.architecture):
        check_outputs(model, collator([rows[0], rows[1]]), arguments.architecture)
    if isinstance(model, NgramLinearForSequenceClassification):
        batches = list(batches_of_like_length(rows.lengths, rows=512, tokens=2**20))
        model.fit_log_count_ratios(DataLoader(rows, batch_sampler=batches, collate_fn=collator))
    if vectors is not None:
        _put_in(vectors, model, arguments)
    return model


def _config_values(
    arguments: BaselineArguments, model_class: type[PreTrainedModel], vectors: Vectors | None
) -> dict[str, object]:
    """The flags of `ConfigArguments` that the config has fields for, `embedding_dim` as the vectors have it."""
    known = inspect.signature(model_class.config_class).parameters
    values = {f.name: getattr(arguments, f.name) for f in fields(ConfigArguments)}
    if vectors is not None:
        values["embedding_dim"] = vectors.matrix.shape[1]
    if arguments.freeze_embeddings and "freeze_embeddings" not in known:
        raise InputError(
            f"--freeze_embeddings: {arguments.architecture} has no vectors that it could leave as they are"
        )
    return {name: value for name, value in values.items() if name in known and value is not None}


def memory(model: NgramLinearForSequenceClassification, rows: TokenRows, batch: int) -> str:
    """What training keeps of n-grams, in MB: for those that are known, and at most for `batch` of the longest `rows`.

    Of each that is known a hash and, for each label, a ratio, a weight, its gradient and the optimizer's two means; of
    each of a batch five numbers of 64 bits, and three of 32 for each label where summands are kept side by side.
    """
    known, labels = model.weight.shape
    orders = model.config.ngram_max - model.config.ngram_min + 1
    in_batch = batch * orders * (int(rows.lengths.max()) + 2)
    kept = 40 + (12 * labels if in_batch * labels <= MANY else 0)
    return (
        f"{known - 1:,} n-grams are known: training takes {ceil(known * (8 + 20 * labels) / 1e6):,} MB for them and at "
        f"most {ceil(in_batch * kept / 1e6):,} MB for a batch of {batch}"
    )


def _put_in(vectors: Vectors, model: PreTrainedModel, arguments: BaselineArguments) -> None:
    flag = f"--embeddings {arguments.embeddings}"
    try:
        table = model.get_input_embeddings().weight
    except NotImplementedError:
        raise InputError(f"{flag}: {arguments.architecture} has no vectors of tokens: leave it out") from None
    if table.shape != vectors.matrix.shape:
        raise InputError(
            f"{flag}: vectors of {vectors.matrix.shape[1]} numbers do not fit into the {tuple(table.shape)} of "
            f"{arguments.architecture}: give its config a field embedding_dim"
        )
    with torch.no_grad():
        table.copy_(torch.from_numpy(vectors.matrix))


def read_vectors(arguments: BaselineArguments, tokenizer: PreTrainedTokenizerBase) -> Vectors | None:
    """The vectors of `--embeddings` for the vocabulary of `tokenizer`; None without that flag.

    Raises:
        InputError: they cannot be read, or do not fit the vocabulary.
    """
    return None if arguments.embeddings is None else load_vectors(arguments.embeddings, tokenizer.get_vocab())


def coverage(arguments: BaselineArguments, vectors: Vectors, rows: TokenRows) -> str:
    """How many tokens have vectors: of the vocabulary, and of all that is read of the training texts."""
    file, counts = Path(arguments.embeddings).name, rows.count_tokens(len(vectors.found))
    read = counts[vectors.found].sum() / counts.sum()
    return (
        f"vectors of {file} for {vectors.found.sum():,} of {len(vectors.found):,} tokens of the vocabulary "
        f"({100 * vectors.coverage:.1f} %), which make {100 * read:.1f} % of the training texts"
    )
