"""How many epochs in batches of how many rows, where neither a flag nor a recipe says it.

What a model learns with a given rate depends on the number of its steps more than on that of the epochs: few rows want
small batches, and to be read often. The checkpoint that validation likes best is kept, so what is read too often costs
time alone.
"""

import copy

from transformers import TrainingArguments

from hfcls.training.resume import BY_ROWS
from hfcls.training.setup import Corpus

# Up to so many training rows: epochs, and rows a step. The last of NGRAMS and of NEURAL are those of `text.presets`.
NGRAMS = {2_000: (10, 16), 5_000: (5, 64), 20_000: (4, 128), float("inf"): (3, 256)}
NETWORKS = {2_000: (20, 16), float("inf"): (8, 64)}


def with_steps(
    training_args: TrainingArguments, corpus: Corpus, architecture: str | None
) -> tuple[TrainingArguments, Corpus]:
    """A copy of `training_args` in which numbers stand for what `parse` left open, and `corpus` with a note of them.

    A step reads the same rows, however many processes share them.
    """
    rows = len(corpus.splits["train"])
    table = NGRAMS if architecture == "ngram_linear" else NETWORKS
    epochs, batch = next(values for most, values in table.items() if rows <= most)
    at_once = training_args.world_size * max(1, training_args.n_gpu) * training_args.gradient_accumulation_steps
    values = dict(zip(BY_ROWS, (epochs, max(1, batch // at_once)), strict=True))
    chosen = {name: value for name, value in values.items() if getattr(training_args, name) == "auto"}
    if not chosen:
        return training_args, corpus
    training_args = copy.copy(training_args)
    for name, value in chosen.items():
        setattr(training_args, name, value)
    said = ", ".join(f"{name} {value}" for name, value in chosen.items())
    return training_args, corpus.with_note(f"{said} (auto): for {rows:,} training rows")
