"""Trains the baselines that BERT is compared with on THUCNews: recurrent, convolutional, n-grams.

    accelerate launch recipes/thucnews_rnn.py --data_dir thucnews_titles --architecture ngram_linear
    accelerate launch recipes/thucnews_rnn.py --data_dir thucnews_titles --cell gru --pooling attention \\
        --embeddings embedding_Tencent.npz --vocab vocab.pkl

The defaults of the networks are the published ones: hidden size 128, two layers, dropout 0.3, batches of 128, learning
rate 1e-3, texts of 32 characters. The n-grams read whole texts.
"""

from hfcls.text.arguments import BaselineArguments
from hfcls.text.presets import BY_ROWS, NEURAL, NGRAMS
from hfcls.text.recipe import run

PUBLISHED = {
    **NEURAL,
    "max_length": "32",
    "num_train_epochs": 10,
    "per_device_train_batch_size": 128,
    # Not published, like the decaying rate of NEURAL: targets that are not quite certain.
    "label_smoothing_factor": 0.1,
}

if __name__ == "__main__":
    run(
        BaselineArguments,
        task="thucnews_rnn",
        description=__doc__,
        defaults=lambda given: NGRAMS | BY_ROWS if given.architecture == "ngram_linear" else PUBLISHED,
        corpus="thucnews",
    )
