"""Trains the baselines that BERT is compared with on THUCNews: recurrent, convolutional, n-grams.

    accelerate launch recipes/thucnews_rnn.py --data_dir thucnews_titles --architecture ngram_linear
    accelerate launch recipes/thucnews_rnn.py --data_dir thucnews_titles --cell gru --pooling attention \\
        --embeddings embedding_Tencent.npz --vocab vocab.pkl

The defaults are the published ones: hidden size 128, two layers, dropout 0.3, batches of 128, learning rate 1e-3,
texts of 32 characters.
"""

from hfcls.errors import one_line_errors
from hfcls.text.arguments import BaselineArguments
from hfcls.training.arguments import parse

TASK = "thucnews_rnn"

PUBLISHED = {
    "max_length": "32",
    "learning_rate": 1e-3,
    "num_train_epochs": 10,
    "per_device_train_batch_size": 128,
    "per_device_eval_batch_size": 256,
    # Not published, but what every network here gains from: a decaying rate and targets that are not quite certain.
    "lr_scheduler_type": "cosine",
    "warmup_steps": 0.05,
    "weight_decay": 0.01,
    "label_smoothing_factor": 0.1,
}

# A linear model on given ratios takes large steps and learns all it can in a few epochs.
NGRAMS = {
    "max_length": "32",
    "learning_rate": 2e-2,
    "num_train_epochs": 3,
    "per_device_train_batch_size": 256,
    "per_device_eval_batch_size": 512,
}


def defaults(given):
    return NGRAMS if given.architecture == "ngram_linear" else PUBLISHED


def main():
    arguments, training_args = parse(BaselineArguments, task=TASK, description=__doc__, defaults=defaults)

    from hfcls.data.corpora import CORPORA
    from hfcls.text import baselines
    from hfcls.training import folds as cross_validation
    from hfcls.training import run as training
    from hfcls.training.corpus import load_corpus

    training.start(training_args)
    corpus = load_corpus(CORPORA["thucnews"], arguments, training_args)
    cross_validation.run(baselines.build, corpus, arguments, training_args, task=TASK)


if __name__ == "__main__":
    with one_line_errors():
        main()
