"""Trains a classifier that says what a dataset is for: from its card, its name and its numbers.

    accelerate launch recipes/dataset_cards.py --data_dir hf_dataset_cards --target fine
    accelerate launch recipes/dataset_cards.py --data_dir hf_dataset_cards --target both
    accelerate launch recipes/dataset_cards.py --data_dir hf_dataset_cards --architecture label_similarity
    accelerate launch recipes/dataset_cards.py --data_dir hf_dataset_cards --model_name_or_path BERT

Cards are split, never rows: a card with several fine classes stands in as many rows. Published: 0.927 coarse and 0.620
fine, with rows split.
"""

from hfcls.cards.arguments import CardArguments
from hfcls.errors import one_line_errors
from hfcls.text.presets import NGRAMS
from hfcls.training.arguments import parse

TASK = "dataset_cards"

SHARED = {
    "per_device_train_batch_size": 32,
    "per_device_eval_batch_size": 64,
    "lr_scheduler_type": "cosine",
    "logging_steps": 10,
}
EXACT = {"bf16": False}  # the values of rare words differ in digits that bfloat16 does not have

# The bag starts where a regression has put it: small steps, few of them.
FUSION = {**SHARED, **EXACT, "learning_rate": 1e-3, "num_train_epochs": 4, "weight_decay": 0.0}
SIMILARITY = {**SHARED, **EXACT, "learning_rate": 2e-3, "num_train_epochs": 30, "weight_decay": 0.05}
BAG_ALONE = {**NGRAMS, **SHARED, **EXACT, "num_train_epochs": 6}
PRETRAINED = {**SHARED, "per_device_train_batch_size": 16, "learning_rate": 5e-5, "num_train_epochs": 10}
FROM_SCRATCH = {**SHARED, "per_device_train_batch_size": 16, "learning_rate": 5e-4, "num_train_epochs": 20}


def defaults(given):
    by_architecture = {"label_similarity": SIMILARITY, "ngram_linear": BAG_ALONE}
    values = by_architecture.get(given.architecture, FUSION)
    if given.architecture in (None, "fusion") and given.model_name_or_path is not None:
        values = PRETRAINED | {"warmup_steps": 0.1}
    elif given.architecture in (None, "fusion") and given.from_scratch is not None:
        values = FROM_SCRATCH | {"warmup_steps": 0.1}
    return values | {"eval_strategy": "no"} if given.train_on_validation else values


def main():
    arguments, training_args = parse(CardArguments, task=TASK, description=__doc__, defaults=defaults)

    from hfcls.cards import build as cards
    from hfcls.training import folds as cross_validation
    from hfcls.training import run as training

    training.start(training_args)
    cards.check_models(arguments)
    corpus = cards.load_cards(arguments, training_args)
    cross_validation.run(cards.build, corpus, arguments, training_args, task=TASK)


if __name__ == "__main__":
    with one_line_errors():
        main()
