"""Pretrained text models, and the same architectures from random weights."""

import logging
from collections.abc import Sequence

from transformers import PreTrainedModel, PreTrainedTokenizerBase, TrainingArguments

from hfcls.errors import InputError
from hfcls.inference.loading import check_text_classifier, load_text_classifier, longest_input, num_positions
from hfcls.models.attention import dropout_field
from hfcls.models.bert import bert_from_scratch
from hfcls.models.truncation import Truncation
from hfcls.text.arguments import PretrainedTextArguments, TextArguments
from hfcls.text.batches import build_collator
from hfcls.text.collator import PaddingCollator
from hfcls.text.fine_tuning import is_small
from hfcls.text.floor import MeasureFloor, ngram_floor
from hfcls.text.linear_probe import can_fit, fit_head, freeze_encoder, is_classifier_of
from hfcls.text.rows import tokenize_corpus
from hfcls.text.tokenization import train_wordpiece_tokenizer, truncating_tokenizer
from hfcls.training.classifier import ClassifierSetup
from hfcls.training.setup import Corpus, Rows, align_labels, iterate_texts

logger = logging.getLogger(__name__)

LONG_FOR_A_CPU = 128  # tokens


def check_model(arguments: PretrainedTextArguments, *, default: str) -> None:
    """Makes sure, before any data is prepared, that there is the model that `build` will load.

    Raises:
        InputError: it cannot be fetched or loaded.
    """
    if arguments.from_scratch is None:
        name = arguments.evaluate_only or arguments.model_name_or_path or default
        trained = arguments.evaluate_only is not None
        check_text_classifier(name, trained=trained, attention_dropout=arguments.attention_dropout)


def build(
    arguments: PretrainedTextArguments, training_args: TrainingArguments, corpus: Corpus, *, default: str
) -> ClassifierSetup:
    """The model that the flags ask for: saved, from scratch, or pretrained (`default` is the Hub name of the recipe).

    Raises:
        InputError: the model cannot be loaded or does not fit the corpus.
    """
    if arguments.evaluate_only is not None:
        return reload(arguments, training_args, corpus)
    flags = {"keep": arguments.truncation, "max_length": arguments.tokens_kept, **arguments.reading}
    if arguments.from_scratch is not None:
        tokenizer = train_wordpiece_tokenizer(iterate_texts(corpus.splits["train"]), max_length=512)
        rows, truncation = tokenize_corpus(corpus, tokenizer, training_args, **flags)
        shape = arguments.from_scratch, tokenizer, corpus.target.names, rows.max_length
        model = bert_from_scratch(*shape, attention_dropout=arguments.attention_dropout)
        _log_attention(model, rows, training_args)
        name = f"BERT {arguments.from_scratch}, from scratch"
        corpus = note_max_length(corpus, rows, arguments)
        collator = build_collator(arguments, training_args, tokenizer, rows, model)
        floor = ngram_floor(arguments, model)
        return text_setup(corpus, tokenizer, rows, collator, truncation, model, name, floor=floor)
    name = arguments.model_name_or_path or default
    loading = []
    dropout = arguments.attention_dropout
    tokenizer, model = load_text_classifier(name, corpus.target.names, loading.append, attention_dropout=dropout)
    _log_fine_tuning(model, training_args)
    rows, truncation = tokenize_corpus(corpus, tokenizer, training_args, **flags, limit=num_positions(model))
    _log_attention(model, rows, training_args)
    check_positions(model, truncation)  # before the rows go through the model for the first time
    corpus = note_max_length(corpus, rows, arguments)
    floor = ngram_floor(arguments, model)
    collator = build_collator(arguments, training_args, tokenizer, rows, model)
    probe = arguments.linear_probe
    if probe is None:
        kept = is_classifier_of(name, corpus.target.names)
        probe = is_small(model.config) and not kept and can_fit(model, rows.train)
    if probe and training_args.resume_from_checkpoint is None:
        line = fit_head(model, rows.train, collator, training_args, arguments.class_weight)
        loading += [] if line is None else [line]
    if arguments.freeze_encoder:
        freeze_encoder(model)
    return text_setup(corpus, tokenizer, rows, collator, truncation, model, name, name, loading, floor)


def _log_fine_tuning(model: PreTrainedModel, training_args: TrainingArguments) -> None:
    """Says what the run will do with pretrained weights, whether the user chose it or `fine_tuning`."""
    warmup = training_args.warmup_steps
    logger.info(
        "fine-tuning %.0f million weights, hidden size %s: learning rate %g, warm-up over %s, batches of %d, %g epochs",
        model.num_parameters(exclude_embeddings=True) / 1e6,
        getattr(model.config.get_text_config(), "hidden_size", "unknown"),
        training_args.learning_rate,
        f"{100 * warmup:g} % of the steps" if warmup < 1 else f"{warmup:g} steps",
        training_args.per_device_train_batch_size,
        training_args.num_train_epochs,
    )


def _log_attention(model: PreTrainedModel, rows: Rows, training_args: TrainingArguments) -> None:
    """Says where most of the time of a run will go into random numbers: a CPU draws one for each pair of tokens."""
    config = model.config.get_text_config()
    field = dropout_field(config)
    dropped = getattr(config, field) if field is not None else 0
    if training_args.device.type == "cpu" and dropped > 0 and rows.max_length >= LONG_FOR_A_CPU:
        logger.info(
            "its attention drops %g %% of its weights, which takes up to three quarters of the time of long texts on a "
            "CPU: --attention_dropout 0 leaves it out",
            100 * dropped,
        )


def reload(arguments: TextArguments, training_args: TrainingArguments, corpus: Corpus) -> ClassifierSetup:
    """The saved model of `--evaluate_only`, and the corpus with its labels numbered as the model numbers them.

    Texts are cut as they were for training. A model that does not say how gets what its tokenizer takes, from the
    beginning.
    """
    tokenizer, model = load_text_classifier(arguments.evaluate_only)
    corpus = align_labels(corpus, model)
    saved = Truncation.from_config(model.config, tokenizer)
    keep = arguments.truncation or ("head" if saved is None else saved.keep)
    max_length = arguments.tokens_kept
    if arguments.max_length is None:
        max_length = longest_input(model, tokenizer) if saved is None else saved.max_length
    whole = getattr(model, "reads_whole_texts", False)
    limit = num_positions(model)
    rows, truncation = tokenize_corpus(
        corpus,
        tokenizer,
        training_args,
        keep=keep,
        max_length=max_length,
        limit=limit,
        whole=whole,
        **arguments.reading,
    )
    corpus = note_max_length(corpus, rows, arguments)
    if saved is None:
        logger.info(
            "%s does not say how its texts were cut: measured on the %s of %d tokens (--truncation, --max_length)",
            *(arguments.evaluate_only, truncation.keep, truncation.max_length),
        )
    elif truncation != saved:
        logger.warning(
            "measured on the %s of %d tokens, where the saved model reads the %s of %d",
            *(truncation.keep, truncation.max_length, saved.keep, saved.max_length),
        )
    collator = build_collator(arguments, training_args, tokenizer, rows, model)
    return text_setup(corpus, tokenizer, rows, collator, truncation, model, arguments.evaluate_only)


def note_max_length(corpus: Corpus, rows: Rows, arguments: TextArguments) -> Corpus:
    """`corpus` with a note of the length that `--max_length auto` chose, if that was asked for."""
    if arguments.max_length != "auto":
        return corpus
    longest = rows.lengths["train"].max()
    return corpus.with_note(
        f"max_length {rows.max_length} (auto): covers {rows.covered:.1%} of the training texts, "
        f"of which the longest has {longest:,} tokens"
    )


def check_positions(model: PreTrainedModel, truncation: Truncation) -> None:
    """Makes sure that `model` has a position for the last token of a row.

    Raises:
        InputError: it has not.
    """
    limit = num_positions(model)
    if limit is not None and truncation.max_length > limit:
        raise InputError(f"--max_length {truncation.max_length}: the model has {limit} positions; give at most that")


def text_setup(
    corpus: Corpus,
    tokenizer: PreTrainedTokenizerBase,
    rows: Rows,
    collator: PaddingCollator,
    truncation: Truncation,
    model: PreTrainedModel,
    name: str,
    base_model: str | None = None,
    loading: Sequence[str] = (),
    floor: MeasureFloor | None = None,
) -> ClassifierSetup:
    """What is trained on what, the rule that cut the rows noted in the config of `model` and in a copy of `tokenizer`:
    what is saved reads long texts as they are read here.

    Raises:
        InputError: the model has no position for the last token of a row.
    """
    check_positions(model, truncation)
    model.config.update(truncation.to_config(pairs="text_pair" in corpus.splits["train"].column_names))
    return ClassifierSetup(
        corpus,
        truncating_tokenizer(tokenizer, truncation),
        rows,
        collator,
        model,
        name,
        base_model=base_model,
        loading=list(loading),
        floor=floor,
    )
