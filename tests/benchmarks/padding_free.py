"""A training step without padding against one with it, by turns, in one process, on a CPU.

    OMP_NUM_THREADS=1 python tests/benchmarks/padding_free.py

BERT mini (4 × 256), float32, batches of 16 rows as long as reviews (cut at 512 tokens): of similar length, as the
recipes make them, and drawn at random, as transformers' Trainer does. The time is that of the process: while others
have the processor, it does not run.
"""

import argparse
import copy
import statistics
import time

import numpy as np
import torch
import transformers
from gpu_models import TextRows, review_lengths

from hfcls.models.attention import use_given_masks
from hfcls.models.padding_free import padding_free
from hfcls.text.collator import PaddingCollator
from hfcls.training.sampling import LengthGroupedSampler

BATCH, VOCABULARY = 16, 8000


def seconds(model, batches) -> float:
    begun = time.process_time()
    for batch in batches:
        model(**batch).loss.backward()
        model.zero_grad()
    return time.process_time() - begun


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--batches", type=int, default=8)
    options = parser.parse_args()
    rows = TextRows(review_lengths(50 * BATCH, 512), VOCABULARY)
    sizes = {"hidden_size": 256, "num_hidden_layers": 4, "num_attention_heads": 4, "intermediate_size": 1024}
    config = transformers.BertConfig(vocab_size=VOCABULARY, num_labels=10, **sizes)
    padded = transformers.BertForSequenceClassification(config).train()
    free = copy.deepcopy(padded)
    use_given_masks(padded)
    padding_free(free)
    orders = {
        "similar lengths": list(LengthGroupedSampler(rows.lengths, BATCH, 0)),
        "random order": np.random.default_rng(0).permutation(len(rows)).tolist(),
    }
    for name, order in orders.items():
        chosen = [order[start : start + BATCH] for start in range(0, options.batches * BATCH, BATCH)]
        lengths = [rows.lengths[batch] for batch in chosen]
        lost = 1 - sum(part.sum() for part in lengths) / sum(len(part) * part.max() for part in lengths)
        collators = {padded: PaddingCollator(0, omit_full_mask=True), free: PaddingCollator(0, padding_free=True)}
        batches = {
            model: [collate(rows.__getitems__(batch)) for batch in chosen] for model, collate in collators.items()
        }
        ratios = []
        for repeat in range(options.repeats + 1):
            models = (padded, free) if repeat % 2 else (free, padded)
            times = {model: seconds(model, batches[model]) for model in models}
            ratios.append(times[padded] / times[free])
        ratios = ratios[1:]  # the first warms up
        spread = f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"
        print(f"{name}: {lost:.1%} padding, padded / padding-free {spread}, {torch.get_num_threads()} thread(s)")


if __name__ == "__main__":
    main()
