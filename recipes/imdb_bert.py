"""Fine-tunes BERT on the Large Movie Review Dataset (IMDB): positive or negative, or the rating itself.

    accelerate launch recipes/imdb_bert.py --data_dir aclImdb.tar.xz
    accelerate launch recipes/imdb_bert.py --data_dir aclImdb_v1.tar.gz --truncation head_tail --max_train_samples 2000

The published run fine-tuned bert-base-uncased on 2,000 reviews and reached 0.9055 test accuracy.
"""

from dataclasses import dataclass

from hfcls.text.arguments import ImdbArguments, PretrainedTextArguments
from hfcls.text.fine_tuning import fine_tuning
from hfcls.text.presets import DEVLIN, FROM_SCRATCH
from hfcls.text.recipe import run

PUBLISHED = {**DEVLIN, "max_length": "512"}

RANDOM_WEIGHTS = {
    **FROM_SCRATCH,
    "max_length": "256",
    "label_smoothing_factor": 0.1,
    "num_train_epochs": 6,
    "per_device_eval_batch_size": 64,
}


@dataclass
class Arguments(ImdbArguments, PretrainedTextArguments):
    """Which labels, and which pretrained model."""


def defaults(given):
    return RANDOM_WEIGHTS if given.from_scratch else fine_tuning(given.model_name_or_path, PUBLISHED)


if __name__ == "__main__":
    run(
        Arguments,
        task="imdb_bert",
        description=__doc__,
        defaults=defaults,
        corpus="imdb",
        corpus_flags=("labels",),
        model="google-bert/bert-base-uncased",
    )
