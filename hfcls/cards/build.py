"""The corpus of dataset cards, and the models that are trained on it."""

import functools
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import datasets
import numpy as np
import torch
from transformers import (
    AutoConfig,
    AutoModel,
    AutoTokenizer,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    TrainingArguments,
)

from hfcls.cards.arguments import CardArguments
from hfcls.cards.metrics import CardMetrics
from hfcls.cards.processor import CardProcessor, load_card_model
from hfcls.cards.rows import CardCollator, CardRows, CardSplit, all_similarities
from hfcls.cards.sentence_embedder import SentenceEmbedder
from hfcls.cards.statistics import count_features, fit_bag, fit_prior, fit_table, number_statistics
from hfcls.data.corpora import CORPORA
from hfcls.errors import InputError
from hfcls.inference.download import FROM_SCRATCH, log_source, model_folder
from hfcls.inference.load_report import log_differences
from hfcls.inference.loading import check_text_classifier, loading_errors, num_positions
from hfcls.inference.special_tokens import with_padding
from hfcls.models.bert import bert_from_scratch
from hfcls.models.card_features import LSA, CardFeatureExtractor, pad
from hfcls.models.card_fusion import CardFusionConfig, CardFusionForSequenceClassification
from hfcls.models.card_ngrams import PAIR
from hfcls.models.label_similarity import LabelSimilarityConfig, LabelSimilarityForSequenceClassification
from hfcls.text import baselines
from hfcls.text.arguments import BaselineArguments
from hfcls.text.collator import text_collator
from hfcls.text.floor import ngram_floor
from hfcls.text.tokenization import train_wordpiece_tokenizer
from hfcls.training.classifier import ClassifierSetup
from hfcls.training.corpus import load_corpus
from hfcls.training.processes import prepared_once
from hfcls.training.setup import Corpus, Rows, align_labels

TASK = "tabular-classification"


def load_cards(arguments: CardArguments, training_args: TrainingArguments) -> Corpus:
    """The corpus, its rows grouped by card.

    Raises:
        InputError: it cannot be read.
    """
    target = "coarse" if arguments.target == "coarse" else "fine"
    corpus = load_corpus(CORPORA["dataset_cards"], arguments, training_args, target=target, seed=arguments.split_seed)
    # Folds keep a card together.
    splits = {name: split.add_column("group", list(split["id"])) for name, split in corpus.splits.items()}
    notes = list(corpus.notes)
    if arguments.train_on_validation:
        splits["train"] = datasets.concatenate_datasets([splits["train"], splits["validation"]])
        notes.append("the validation cards were trained on, too: nothing was chosen by them")
    # Cards are long: a row is called by its id.
    return replace(corpus, splits=datasets.DatasetDict(splits), notes=notes, display_column="id")


def check_models(arguments: CardArguments) -> None:
    """Makes sure, before any data is prepared, that there are the models that `build` will load.

    Raises:
        InputError: one cannot be fetched or loaded.
    """
    if arguments.evaluate_only is not None:
        if _is_ngram_linear(arguments):
            check_text_classifier(arguments.evaluate_only, trained=True)
        else:
            load_card_model(arguments.evaluate_only, trust_remote_code=arguments.trust_remote_code)
            log_source(arguments.evaluate_only)
    elif arguments.architecture != "ngram_linear":
        if arguments.model_name_or_path is not None:
            with torch.random.fork_rng(devices=[]):
                _pretrained_encoder(arguments.model_name_or_path, arguments.max_length)
            log_source(arguments.model_name_or_path)
        if _by_embeddings(arguments):
            SentenceEmbedder(arguments.embedding_model, trust_remote_code=arguments.trust_remote_code)
            log_source(arguments.embedding_model)


def build(arguments: CardArguments, training_args: TrainingArguments, corpus: Corpus) -> ClassifierSetup:
    """The model that `--architecture` names, its statistics taken from train, or the saved one of `--evaluate_only`.

    Raises:
        InputError: the model cannot be loaded, or does not fit the corpus.
    """
    if _is_ngram_linear(arguments):
        setup = baselines.build(_baseline(arguments), training_args, corpus)
        return replace(setup, test_metrics=CardMetrics(setup.corpus.splits["test"]))
    loading_notes = []
    if arguments.evaluate_only is not None:
        processor, model = load_card_model(arguments.evaluate_only, trust_remote_code=arguments.trust_remote_code)
        corpus, encoder = align_labels(corpus, model), None
    else:
        processor, encoder = _processor(arguments, training_args, corpus, loading_notes.append)
        model = None
    with prepared_once(training_args, "embedding"):
        similar = all_similarities(corpus.splits, processor)
    splits = {name: CardSplit.read(split, processor, similar) for name, split in corpus.splits.items()}
    if model is None:
        model = build_model(arguments, corpus, splits["train"], encoder)
    rows = {name: CardRows(split, model.table) for name, split in splits.items()}
    return ClassifierSetup(
        corpus,
        processor,
        Rows(**rows, lengths={name: split.lengths for name, split in rows.items()} if processor.tokenizer else None),
        CardCollator(text_collator(processor.tokenizer) if processor.tokenizer else None),
        model,
        arguments.evaluate_only or _name(arguments),
        base_model=arguments.model_name_or_path,
        pipeline_task=TASK,
        loading=loading_notes,
        test_metrics=CardMetrics(corpus.splits["test"], model.config.coarse_of, model.config.coarse_labels),
        classify=functools.partial(classify, trust_remote_code=arguments.trust_remote_code),
        floor=ngram_floor(arguments, model),
    )


def _processor(
    arguments: CardArguments, training_args: TrainingArguments, corpus: Corpus, note: Callable[[str], None]
) -> tuple[CardProcessor, PreTrainedModel | None]:
    """What reads the cards, and the transformer that reads their text, if one does; `note` takes a line on its weights.

    Raises:
        InputError: a model cannot be loaded, or does not fit.
    """
    tokenizer = encoder = embedder = None
    if arguments.from_scratch is not None:
        tokenizer = train_wordpiece_tokenizer(corpus.splits["train"]["text"], max_length=arguments.max_length)
        encoder = bert_from_scratch(arguments.from_scratch, tokenizer, corpus.target.names, arguments.max_length).bert
    elif arguments.model_name_or_path is not None:
        tokenizer, encoder, loading = _pretrained_encoder(arguments.model_name_or_path, arguments.max_length)
        log_differences(arguments.model_name_or_path, encoder, loading, note)
    if _by_embeddings(arguments):
        embedder = SentenceEmbedder(
            arguments.embedding_model,
            prompt=arguments.embedding_prompt,
            trust_remote_code=arguments.trust_remote_code,
            device=training_args.device,
        )
        if training_args.process_index == 0:
            embedder.save(training_args.output_dir)
    return CardProcessor(CardFeatureExtractor(), tokenizer, embedder), encoder


def _by_embeddings(arguments: CardArguments) -> bool:
    return arguments.similarities and arguments.embedding_model != LSA


def _pretrained_encoder(name_or_path: str, max_length: int) -> tuple[PreTrainedTokenizerBase, PreTrainedModel, dict]:
    """Tokenizer, encoder, and what transformers says of the weights that it found."""
    with loading_errors(name_or_path):
        folder = model_folder(name_or_path, instead=FROM_SCRATCH)
        tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
        encoder, loading = AutoModel.from_pretrained(
            folder, dtype=torch.float32, trust_remote_code=False, output_loading_info=True
        )
    config = encoder.config
    if config.is_encoder_decoder or not hasattr(config, "hidden_size"):
        raise InputError(f"{name_or_path}: is a {config.model_type}, no encoder of texts; give one such as BERT")
    positions = num_positions(encoder)
    if positions is not None and max_length > positions:
        raise InputError(f"--max_length {max_length}: {name_or_path} has {positions} positions; give at most that")
    tokenizer = with_padding(tokenizer, name_or_path)
    tokenizer.model_max_length = max_length  # saved with it
    return tokenizer, encoder, loading


def build_model(
    arguments: CardArguments, corpus: Corpus, train: CardSplit, encoder: PreTrainedModel | None = None
) -> PreTrainedModel:
    """A model that knows the statistics of the cards of `train`, and nothing of any other.

    `encoder` reads the text; None for a bag of n-grams.

    Raises:
        InputError: `--target both`, and a fine class is of two coarse classes.
    """
    embedding_model = arguments.embedding_model if arguments.similarities else None
    if embedding_model is not None and Path(embedding_model).is_dir():
        embedding_model = Path(embedding_model).resolve().name  # where it lay is nobody's business
    by_lsa = embedding_model == LSA
    shared = {
        "embedding_model": embedding_model,
        "num_terms": len(count_features(train.cards, below=PAIR)[0]) if by_lsa else 0,
        "embedding_size": arguments.embedding_size,
        "id2label": dict(enumerate(corpus.target.names)),
        "label2id": {label: i for i, label in enumerate(corpus.target.names)},
        **number_statistics(train.numbers[np.unique(train.card, return_index=True)[1]]),
    }
    if arguments.target == "both":
        shared |= _coarse_classes(corpus)
    batches = [pad(train.cards[start : start + 16]) for start in range(0, len(train.cards), 16)]
    shares = _shares(train, len(corpus.target.names))
    if arguments.architecture == "label_similarity":
        config = LabelSimilarityConfig(classifier=arguments.classifier, **shared)
        model = LabelSimilarityForSequenceClassification(config)
    elif encoder is not None:
        model = CardFusionForSequenceClassification(CardFusionConfig(text_config=encoder.config, **shared))
        model.text.encoder.load_state_dict(encoder.state_dict(), strict=False)  # it has no pooler
        fit_prior(model, shares)
    else:
        num_features = len(count_features(train.cards)[0])
        model = CardFusionForSequenceClassification(CardFusionConfig(num_features=num_features, **shared))
        fit_prior(model, shares)
        fit_bag(model.text, train.cards, batches, shares, arguments.ridge)
    if embedding_model is not None:
        fit_table(model.table, train, batches)
    return model


def classify(rows: datasets.Dataset, saved: str, *, trust_remote_code: bool) -> tuple[list[str], list[dict]]:
    """Names of a few rows of the corpus and the answers of the model in the folder `saved`."""
    from hfcls.cards.classifier import DatasetCardClassifier

    classifier = DatasetCardClassifier.from_pretrained(saved, trust_remote_code=trust_remote_code)
    answers = [
        classifier(
            row["text"].partition("\n")[2],
            name=row["id"],
            downloads=row["downloads"],
            size=row["size"],
            num_rows=row["num_rows"],
        )[0]
        for row in rows
    ]
    return list(rows["id"]), answers


def _shares(split: CardSplit, num_labels: int) -> np.ndarray:
    """Of each card, the share of its rows that each class has, (cards, classes)."""
    counts = np.zeros((len(split.cards), num_labels))
    np.add.at(counts, (split.card, split.labels), 1)
    return counts / counts.sum(1, keepdims=True)


def _coarse_classes(corpus: Corpus) -> dict:
    """`coarse_of` and `coarse_labels` of the config."""
    pairs = {pair for split in corpus.splits.values() for pair in zip(split["label"], split["coarse"], strict=True)}
    if len(pairs) > len(corpus.target.names):
        of = [label for label, _ in sorted(pairs)]
        twice = next(corpus.target.names[label] for label in of if of.count(label) > 1)
        raise InputError(f"--target both: {twice} is of several coarse classes; give --target fine")
    names = sorted({coarse for _, coarse in pairs})
    return {"coarse_of": [names.index(coarse) for _, coarse in sorted(pairs)], "coarse_labels": names}


def _is_ngram_linear(arguments: CardArguments) -> bool:
    if arguments.evaluate_only is None:
        return arguments.architecture == "ngram_linear"
    with loading_errors(arguments.evaluate_only):
        folder = model_folder(arguments.evaluate_only)
        return AutoConfig.from_pretrained(folder, trust_remote_code=False).model_type == "ngram_linear"


def _baseline(arguments: CardArguments) -> BaselineArguments:
    return BaselineArguments(
        evaluate_only=arguments.evaluate_only,
        floor=arguments.floor,
        architecture="ngram_linear",
        tokens="word",
        ngram_max=2,
        max_length="20000",
    )


def _name(arguments: CardArguments) -> str:
    table = f"similarities ({arguments.embedding_model}) and numbers" if arguments.similarities else "numbers"
    if arguments.architecture == "label_similarity":
        return f"{arguments.classifier} on {table}"
    text = arguments.model_name_or_path or (f"BERT {arguments.from_scratch}" if arguments.from_scratch else "n-grams")
    return f"{text}, {table}"
