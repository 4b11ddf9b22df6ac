"""How much faster validation and test are measured when rows of similar length share a batch.

    python tests/benchmarks/evaluation_order.py

`Trainer.predict` of a BERT mini from random weights over rows as long as reviews and as headlines, once by length and
once in the rows' own order, by turns in one process and on one thread, in time of the processor.
"""

import argparse
import statistics
import tempfile
import time
from unittest import mock

import gpu_models
import numpy as np
import torch
from gpu import our_trainer

from hfcls.training import trainer as training

BATCH = 32


def seconds(case: gpu_models.Case, by_length: bool) -> tuple[float, np.ndarray]:
    """Processor time of measuring all rows, and their logits (rows, classes)."""
    order = training.longest_first if by_length else lambda rows: None
    with tempfile.TemporaryDirectory() as folder, mock.patch.object(training, "longest_first", order):
        torch.manual_seed(0)
        trainer = our_trainer(case, folder, f"--per_device_eval_batch_size {BATCH}")
        begun = time.process_time()
        predictions = trainer.predict(case.rows).predictions
        return time.process_time() - begun, predictions


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    torch.set_num_threads(1)
    lengths = {"reviews": gpu_models.review_lengths(320, 512), "headlines": gpu_models.headline_lengths(1600)}
    for name, rows in lengths.items():
        case = gpu_models.encoder(name, BATCH, rows, 1000, 4, 256)
        ratios = []
        for repeat in range(options.repeats):
            taken = {by_length: seconds(case, by_length) for by_length in ((True, False), (False, True))[repeat % 2]}
            np.testing.assert_allclose(taken[True][1], taken[False][1], atol=1e-4)
            ratios.append(taken[False][0] / taken[True][0])
        print(f"{name}: {statistics.median(ratios):.2f} x ({min(ratios):.2f} to {max(ratios):.2f})", flush=True)


if __name__ == "__main__":
    main()
