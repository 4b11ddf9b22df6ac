"""What Trainer costs the baselines: the recipe beside a bare loop over the very batches that the recipe reads.

    python tests/benchmarks/baseline_throughput.py --data_dir thucnews_titles
    python tests/benchmarks/baseline_throughput.py --data_dir thucnews_titles --architectures ngram_linear --steps 200

Both train the same model, in turn, in one process, with the same optimizer, clipping and schedule. The bare loop finds
its batches collated in memory; the recipe reads, collates, logs and calls back. The n-gram model has a small table
here, so that its step is short enough for the difference to show.
"""

import argparse
import copy
import statistics
import tempfile
import time

import torch
import transformers

from hfcls.data.corpora import CORPORA
from hfcls.text import baselines
from hfcls.text.arguments import BaselineArguments
from hfcls.training import run as training
from hfcls.training.arguments import parse
from hfcls.training.corpus import load_corpus

WARM_UP = 5
ARCHITECTURES = ("text_rnn", "text_cnn", "dpcnn", "ngram_linear")


class Clock(transformers.TrainerCallback):
    """The moment at which each step ended."""

    def __init__(self):
        self.times = []

    def on_step_end(self, args, state, control, **kwargs):
        self.times.append(time.perf_counter())


def prepare(architecture: str, options) -> tuple:
    flags = f"--architecture {architecture} --per_device_train_batch_size 128 --learning_rate 1e-3 --max_length 32"
    flags += f" --max_steps {options.steps + WARM_UP} --eval_strategy no --save_strategy no --disable_tqdm True"
    flags += f" --report_to none --output_dir {tempfile.mkdtemp()}"
    flags += f" --data_dir {options.data_dir}" if options.data_dir else ""
    arguments, training_args = parse(
        BaselineArguments, task="benchmark", description="", defaults=lambda given: {}, argv=flags.split()
    )
    training.start(training_args)
    corpus = load_corpus(CORPORA["thucnews"], arguments, training_args)
    return baselines.build(arguments, training_args, corpus), arguments, training_args


def trainer_step(setup, arguments, training_args) -> float:
    """Milliseconds a step of the recipe."""
    clock = Clock()
    trainer = setup.build_trainer(arguments, training_args)
    trainer.add_callback(clock)
    trainer.train()
    return 1000 * (clock.times[-1] - clock.times[WARM_UP - 1]) / (len(clock.times) - WARM_UP)


def bare_step(setup, arguments, training_args) -> float:
    """Milliseconds a step of the loop."""
    trainer = setup.build_trainer(arguments, training_args)
    model, steps = setup.model.train(), training_args.max_steps
    batches = []
    while len(batches) < steps:
        batches += list(trainer.get_train_dataloader())[: steps - len(batches)]
    optimizer = trainer.create_optimizer()
    scheduler = transformers.get_linear_schedule_with_warmup(optimizer, 0, steps)
    for step, batch in enumerate(batches):
        if step == WARM_UP:
            begun = time.perf_counter()
        with torch.autocast("cpu", torch.bfloat16, enabled=training_args.bf16):
            loss = model(**batch).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), training_args.max_grad_norm)
        optimizer.step()
        scheduler.step()
        optimizer.zero_grad()
    return 1000 * (time.perf_counter() - begun) / (steps - WARM_UP)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data_dir")
    parser.add_argument("--architectures", default=",".join(ARCHITECTURES))
    parser.add_argument("--steps", type=int, default=30, help="timed steps of each run, after five that are not")
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()

    lines = []
    for architecture in options.architectures.split(","):
        setup, arguments, training_args = prepare(architecture, options)
        start = copy.deepcopy(setup.model.state_dict())
        measured = {trainer_step: [], bare_step: []}
        for repeat in range(options.repeats):
            for run in (trainer_step, bare_step) if repeat % 2 else (bare_step, trainer_step):
                setup.model.load_state_dict(start)
                measured[run].append(run(setup, arguments, training_args))
        ratios = [bare / ours for ours, bare in zip(*measured.values(), strict=True)]
        ours, bare = (statistics.median(values) for values in measured.values())
        lines.append(
            f"  {architecture:<14} {ours:8.2f} ms   {bare:8.2f} ms   {ours - bare:6.2f} ms   "
            f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"
        )
    print(f"\nbatch 128, {torch.get_num_threads()} threads, {options.repeats} repeats of {options.steps} steps")
    print("                 recipe        bare loop     on top      bare / recipe", *lines, sep="\n")


if __name__ == "__main__":
    main()
