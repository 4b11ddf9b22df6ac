"""How long the BiLSTM recipe trains until it passes an accuracy that the plain loop needs ten epochs for.

    python tests/benchmarks/rnn_time_to_accuracy.py thucnews_titles
    python tests/benchmarks/rnn_time_to_accuracy.py thucnews_titles --target 0.8527

The folder holds the 33,590 headlines with vocab.pkl and embedding_Tencent.npz. The plain loop is that of
rnn_reference.py (published result 0.8527 on test): it is timed for an epoch before and an epoch after the recipe, and
its ten epochs are ten times the mean. The recipe's time is Trainer's, evaluations on the 10,000 validation rows
included.
"""

import argparse
import tempfile
import time
from itertools import cycle, islice
from pathlib import Path

import torch
import transformers
from rnn_reference import BATCH, PAD_TO, Reference, batches, headline_rows
from torch import nn

from hfcls.data.corpora import CORPORA
from hfcls.text import baselines
from hfcls.text.arguments import BaselineArguments
from hfcls.training import run as training
from hfcls.training.arguments import parse
from hfcls.training.corpus import load_corpus

QUICK = "--initialization orthogonal --learning_rate 3e-3 --num_train_epochs 3 --lr_scheduler_type cosine"
QUICK += " --warmup_steps 0.05 --weight_decay 0.01 --label_smoothing_factor 0.1 --max_length 32"
QUICK += " --per_device_train_batch_size 128 --per_device_eval_batch_size 256 --eval_strategy steps --eval_steps 131"


class Progress(transformers.TrainerCallback):
    """Seconds since training began, and accuracy, at every evaluation."""

    def __init__(self):
        self.reached = []

    def on_train_begin(self, args, state, control, **kwargs):
        self.begun = time.perf_counter()

    def on_evaluate(self, args, state, control, metrics, **kwargs):
        self.reached.append((time.perf_counter() - self.begun, state.epoch, metrics["eval_accuracy"]))
        print("  {:6.1f} s   epoch {:.2f}   validation accuracy {:.4f}".format(*self.reached[-1]))


def reference_epoch(data_dir: str, rows: int) -> float:
    """Seconds that the plain loop takes for `rows` rows."""
    torch.manual_seed(0)
    fixed = list(batches(headline_rows(data_dir), PAD_TO))
    model = Reference()
    adam = torch.optim.Adam(model.parameters(), lr=1e-3)
    begun = time.perf_counter()
    for ids, labels in islice(cycle(fixed), -(-rows // BATCH)):
        adam.zero_grad()
        nn.functional.cross_entropy(model(ids), labels).backward()
        adam.step()
    return time.perf_counter() - begun


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data_dir")
    parser.add_argument("--target", type=float, default=0.8527)
    options = parser.parse_args()

    flags = f"{QUICK} --report_to none --disable_tqdm True --output_dir {tempfile.mkdtemp()}"
    flags += f" --data_dir {options.data_dir} --vocab {Path(options.data_dir, 'vocab.pkl')}"
    flags += f" --embeddings {Path(options.data_dir, 'embedding_Tencent.npz')}"
    arguments, training_args = parse(
        BaselineArguments, task="benchmark", description="", defaults=lambda given: {}, argv=flags.split()
    )
    training.start(training_args)
    corpus = load_corpus(CORPORA["thucnews"], arguments, training_args)
    setup = baselines.build(arguments, training_args, corpus)
    trainer = setup.build_trainer(arguments, training_args)
    progress = Progress()
    trainer.add_callback(progress)

    epochs = [reference_epoch(options.data_dir, len(setup.rows.train))]
    trainer.train()
    epochs.append(reference_epoch(options.data_dir, len(setup.rows.train)))
    ten = 10 * sum(epochs) / len(epochs)
    print(f"reference: {epochs[0]:.1f} and {epochs[1]:.1f} s an epoch, {ten:.0f} s for ten")
    passed = next((seconds for seconds, _, accuracy in progress.reached if accuracy > options.target), None)
    if passed is None:
        print(f"{options.target} was not passed")
    else:
        print(f"{options.target} passed after {passed:.0f} s: 1/{ten / passed:.1f} of the reference's ten epochs")
        print(f"test accuracy at the end: {trainer.predict(setup.rows.test).metrics['test_accuracy']:.4f}")


if __name__ == "__main__":
    main()
