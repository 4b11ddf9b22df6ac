"""Trains any text model on any table of texts and labels, or on one of the corpora that hfcls knows.

    accelerate launch recipes/text_classification.py --data_dir reviews.csv --text_column review --label_column stars \\
        --model_name_or_path google-bert/bert-base-multilingual-cased
    accelerate launch recipes/text_classification.py --data_dir reviews.parquet --from_scratch mini
    accelerate launch recipes/text_classification.py --dataset ccf_sentiment --data_dir ccf_sentiment \\
        --architecture ngram_linear --class_weight balanced
    accelerate launch recipes/text_classification.py --dataset my_corpus.py --architecture text_cnn

A file is split 80/10/10, class by class; a folder holds train.csv, dev.csv and test.csv (or .tsv, .jsonl, .parquet,
.xlsx). my_corpus.py holds a builder class of `datasets` that gives text and label; the file is run.
"""

from hfcls.errors import one_line_errors
from hfcls.text.arguments import TextClassificationArguments
from hfcls.training.arguments import parse

TASK = "text_classification"

# Devlin et al. 2019, appendix A.3.
PRETRAINED = {
    "learning_rate": 2e-5,
    "weight_decay": 0.01,
    "warmup_steps": 0.1,
    "num_train_epochs": 4,
    "per_device_train_batch_size": 16,
    "per_device_eval_batch_size": 32,
}

# Random weights want a larger step, a warm-up and a decay.
FROM_SCRATCH = {
    "learning_rate": 5e-4,
    "weight_decay": 0.05,
    "warmup_steps": 0.1,
    "lr_scheduler_type": "cosine",
    "num_train_epochs": 8,
    "per_device_train_batch_size": 32,
    "per_device_eval_batch_size": 128,
}

NEURAL = {
    "dropout": 0.5,
    "learning_rate": 1e-3,
    "num_train_epochs": 8,
    "per_device_train_batch_size": 64,
    "per_device_eval_batch_size": 256,
    "lr_scheduler_type": "cosine",
    "warmup_steps": 0.05,
    "weight_decay": 0.01,
}

# A linear model on given ratios takes large steps and learns all it can in a few epochs.
NGRAMS = {
    "learning_rate": 2e-2,
    "num_train_epochs": 3,
    "per_device_train_batch_size": 256,
    "per_device_eval_batch_size": 512,
}


def defaults(given):
    if given.architecture is not None:
        return NGRAMS if given.architecture == "ngram_linear" else NEURAL
    return FROM_SCRATCH if given.from_scratch else PRETRAINED


def main():
    arguments, training_args = parse(TextClassificationArguments, task=TASK, description=__doc__, defaults=defaults)

    from functools import partial

    from hfcls.text import baselines
    from hfcls.text import build as pretrained
    from hfcls.text.corpus import load_text_corpus
    from hfcls.training import folds as cross_validation
    from hfcls.training import run as training

    training.start(training_args)
    corpus = load_text_corpus(arguments, training_args)
    build = baselines.build
    if arguments.architecture is None:
        build = partial(pretrained.build, default=arguments.model_name_or_path)
    cross_validation.run(build, corpus, arguments, training_args, task=TASK)


if __name__ == "__main__":
    with one_line_errors():
        main()
