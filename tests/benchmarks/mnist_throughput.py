"""Samples per second of the MNIST recipe against a bare loop over a tensor in memory, batches of 64.

Both train the same network with the same optimizer, by turns in one process, so that the ratio holds on a busy machine:

    python tests/benchmarks/mnist_throughput.py --augment False
"""

import argparse
import logging
import statistics
import sys
import tempfile
import time
from pathlib import Path

import datasets
import numpy as np
import torch
import transformers

sys.path.insert(0, str(Path(__file__).parents[2]))
from hfcls.images.arguments import ImageArguments  # noqa: E402
from hfcls.images.rows import ImageCollator, ImageRows, pixel_values_by  # noqa: E402
from hfcls.models.image_cnn import (  # noqa: E402
    ImageCNNConfig,
    ImageCNNForImageClassification,
    ImageCNNImageProcessor,
)
from hfcls.training.arguments import parse  # noqa: E402
from hfcls.training.classifier import ClassifierSetup  # noqa: E402
from hfcls.training.setup import Corpus, Rows  # noqa: E402

ROWS, BATCH_SIZE = 8000, 64


DIGITS = datasets.Features({"label": datasets.ClassLabel(names=list("0123456789"))})
CORPUS = Corpus("random pixels", "random", None, {"train": datasets.Dataset.from_dict({"label": []}, DIGITS)})


class Clock(transformers.TrainerCallback):
    """From the first step to the end of the last, without what Trainer prepares."""

    def on_step_begin(self, args, state, control, **kwargs):
        if state.global_step == 1:  # the step before is warm-up
            self.begun = time.perf_counter()

    def on_step_end(self, args, state, control, **kwargs):
        self.ended = time.perf_counter()


def network() -> ImageCNNForImageClassification:
    torch.manual_seed(0)
    return ImageCNNForImageClassification(ImageCNNConfig(num_labels=10)).train()


def bare_loop(pixels: np.ndarray, labels: np.ndarray, steps: int) -> float:
    model = network()
    pixel_values, labels = ImageCNNImageProcessor().normalize_pixels(pixels), torch.from_numpy(labels)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.01, fused=True)
    order = torch.randperm(len(labels))
    for step in range(steps + 1):
        if step == 1:
            begun = time.perf_counter()
        rows = order[step * BATCH_SIZE : (step + 1) * BATCH_SIZE]
        loss = torch.nn.functional.cross_entropy(model(pixel_values[rows]).logits, labels[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return steps * BATCH_SIZE / (time.perf_counter() - begun)


def recipe(pixels: np.ndarray, labels: np.ndarray, steps: int, augment: str) -> float:
    with tempfile.TemporaryDirectory() as folder:
        flags = f"--output_dir {folder}/out --max_steps {steps + 1} --eval_strategy no --save_strategy no --bf16 False"
        flags += (
            f" --per_device_train_batch_size {BATCH_SIZE} --learning_rate 1e-3 --weight_decay 0.01 --augment {augment}"
        )
        arguments, training_args = parse(
            ImageArguments,
            task="mnist_cnn",
            description="",
            defaults=lambda given: {},
            argv=f"{flags} --disable_tqdm True".split(),
        )
        rows = ImageRows(pixels, labels, seed=training_args.seed if arguments.augment else None)
        processor = ImageCNNImageProcessor()
        collator = ImageCollator(pixel_values_by(processor))
        setup = ClassifierSetup(CORPUS, processor, Rows(rows, rows, rows), collator, network(), "CNN")
        trainer = setup.build_trainer(arguments, training_args)
        clock = Clock()
        trainer.add_callback(clock)
        trainer.train()
    return steps * BATCH_SIZE / (clock.ended - clock.begun)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--augment", choices=["True", "False"], default="True")
    options = parser.parse_args()
    logging.disable(logging.INFO)
    random = np.random.default_rng(0)
    pixels = random.integers(0, 256, (ROWS, 1, 28, 28), dtype=np.uint8)
    labels = random.integers(0, 10, ROWS)
    ratios = []
    for _ in range(options.rounds):
        bare = bare_loop(pixels, labels, options.steps)
        ours = recipe(pixels, labels, options.steps, options.augment)
        ratios.append(ours / bare)
        print(f"bare loop {bare:7.1f} samples/s, recipe {ours:7.1f}: {ratios[-1]:.3f}")
    print(f"median ratio {statistics.median(ratios):.3f} (at least 0.9)")
    sys.exit(statistics.median(ratios) < 0.9)


if __name__ == "__main__":
    main()
