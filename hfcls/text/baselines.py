"""The baselines a recipe can train: tokenizer, vectors and model from the flags of `BaselineArguments`."""

import logging

import torch
from torch.utils.data import DataLoader
from transformers import PreTrainedModel, PreTrainedTokenizerBase, TrainingArguments

from hfcls.models.dpcnn import DPCNNConfig, DPCNNForSequenceClassification
from hfcls.models.ngram_linear import NgramLinearConfig, NgramLinearForSequenceClassification
from hfcls.models.text_cnn import TextCNNConfig, TextCNNForSequenceClassification
from hfcls.models.text_rnn import TextRNNConfig, TextRNNForSequenceClassification
from hfcls.text.arguments import BaselineArguments
from hfcls.text.build import reload, text_setup
from hfcls.text.collator import PaddingCollator
from hfcls.text.rows import TokenRows, tokenize_corpus
from hfcls.text.tokenization import tokenizer_from_vocabulary, train_tokenizer
from hfcls.text.vectors import Vectors, load_vectors
from hfcls.text.vocabulary import load_vocabulary
from hfcls.training.classifier import ClassifierSetup
from hfcls.training.setup import Corpus, joined_texts

logger = logging.getLogger(__name__)


def build(arguments: BaselineArguments, training_args: TrainingArguments, corpus: Corpus) -> ClassifierSetup:
    """The baseline that the flags ask for, or the saved one of `--evaluate_only`.

    Raises:
        InputError: a vocabulary, vectors or a saved model cannot be read, or does not fit.
    """
    if arguments.evaluate_only is not None:
        return reload(arguments, training_args, corpus)
    tokenizer = build_tokenizer(arguments, corpus)
    rows, truncation = tokenize_corpus(
        corpus, tokenizer, training_args, keep=arguments.truncation, max_length=arguments.tokens_kept
    )
    model = build_model(arguments, tokenizer, corpus.target.names, rows.train)
    return text_setup(corpus, tokenizer, rows, truncation, model, arguments.architecture)


def build_tokenizer(arguments: BaselineArguments, corpus: Corpus) -> PreTrainedTokenizerBase:
    """The tokenizer of a given vocabulary, or one learned from the training split.

    Raises:
        InputError: the vocabulary cannot be read.
    """
    settings = {"max_length": 512, "padding_side": arguments.padding_side}
    if arguments.vocab is not None:
        return tokenizer_from_vocabulary(load_vocabulary(arguments.vocab), arguments.tokens, **settings)
    texts = joined_texts(corpus.splits["train"])
    return train_tokenizer(texts, level=arguments.tokens, vocab_size=arguments.vocab_size, **settings)


def build_model(
    arguments: BaselineArguments, tokenizer: PreTrainedTokenizerBase, labels: list[str], rows: TokenRows
) -> PreTrainedModel:
    """The model that `--architecture` names, with pretrained vectors or log-count ratios put in.

    Args:
        rows: the training rows, from which the log-count ratios of `ngram_linear` are counted.

    Raises:
        InputError: the vectors cannot be read or do not fit the vocabulary.
    """
    shared = {
        "vocab_size": len(tokenizer),
        "pad_token_id": tokenizer.pad_token_id,
        "id2label": dict(enumerate(labels)),
        "label2id": {label: i for i, label in enumerate(labels)},
    }
    if arguments.architecture == "ngram_linear":
        config = NgramLinearConfig(ngram_max=arguments.ngram_max, min_count=arguments.min_count, **shared)
        model = NgramLinearForSequenceClassification(config)
        model.fit_log_count_ratios(DataLoader(rows, batch_size=512, collate_fn=PaddingCollator(tokenizer.pad_token_id)))
        return model

    vectors = _load_vectors(arguments, tokenizer)
    shared["embedding_dim"] = arguments.embedding_dim if vectors is None else vectors.matrix.shape[1]
    shared["freeze_embeddings"] = arguments.freeze_embeddings
    shared["dropout"] = arguments.dropout
    if arguments.architecture == "text_rnn":
        config = TextRNNConfig(
            cell=arguments.cell,
            pooling=arguments.pooling,
            hidden_size=arguments.hidden_size,
            num_layers=arguments.num_layers,
            bidirectional=arguments.bidirectional,
            initialization=arguments.initialization,
            **shared,
        )
        model = TextRNNForSequenceClassification(config)
    elif arguments.architecture == "text_cnn":
        model = TextCNNForSequenceClassification(TextCNNConfig(**shared))
    else:
        model = DPCNNForSequenceClassification(DPCNNConfig(**shared))
    if vectors is not None:
        with torch.no_grad():
            model.get_input_embeddings().weight.copy_(torch.from_numpy(vectors.matrix))
    return model


def _load_vectors(arguments: BaselineArguments, tokenizer: PreTrainedTokenizerBase) -> Vectors | None:
    if arguments.embeddings is None:
        return None
    vectors = load_vectors(arguments.embeddings, tokenizer.get_vocab())
    logger.info(
        "vectors: %d of %d tokens found (%.1f %%)", vectors.found.sum(), len(vectors.found), 100 * vectors.coverage
    )
    return vectors
