"""Pretrained text models, and the same architectures from random weights."""

from transformers import TrainingArguments

from hfcls.inference.loading import load
from hfcls.models.bert import bert_from_scratch
from hfcls.text.arguments import PretrainedTextArguments, TextArguments
from hfcls.text.collator import text_collator
from hfcls.text.rows import tokenize_corpus
from hfcls.text.tokenization import train_wordpiece_tokenizer
from hfcls.training.classifier import ClassifierSetup
from hfcls.training.setup import Corpus, align_labels, joined_texts


def build(
    arguments: PretrainedTextArguments, training_args: TrainingArguments, corpus: Corpus, *, default: str
) -> ClassifierSetup:
    """The model that the flags ask for: saved, from scratch, or pretrained (`default` is the Hub name of the recipe).

    Raises:
        InputError: the model cannot be loaded or does not fit the corpus.
    """
    if arguments.evaluate_only is not None:
        return reload(arguments, training_args, corpus)
    if arguments.from_scratch is not None:
        tokenizer = train_wordpiece_tokenizer(joined_texts(corpus.splits["train"]), max_length=512)
        rows = tokenize_corpus(corpus, tokenizer, arguments, training_args)
        model = bert_from_scratch(arguments.from_scratch, tokenizer, corpus.target.names, rows.max_length)
        return ClassifierSetup(
            corpus, tokenizer, rows, text_collator(tokenizer), model, f"BERT {arguments.from_scratch}, from scratch"
        )
    name = arguments.model_name_or_path or default
    tokenizer, model = load(name, corpus.target.names)
    rows = tokenize_corpus(corpus, tokenizer, arguments, training_args)
    return ClassifierSetup(corpus, tokenizer, rows, text_collator(tokenizer), model, name, base_model=name)


def reload(arguments: TextArguments, training_args: TrainingArguments, corpus: Corpus) -> ClassifierSetup:
    """The saved model of `--evaluate_only`, and the corpus with its labels numbered as the model numbers them."""
    tokenizer, model = load(arguments.evaluate_only)
    corpus = align_labels(corpus, model)
    rows = tokenize_corpus(corpus, tokenizer, arguments, training_args)
    return ClassifierSetup(corpus, tokenizer, rows, text_collator(tokenizer), model, arguments.evaluate_only)
