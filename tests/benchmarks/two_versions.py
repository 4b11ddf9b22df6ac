"""CPU time of a training step of this checkout against another one's, by turns, in one thread.

    git worktree add /tmp/before 3ebe4c0
    python tests/benchmarks/two_versions.py /tmp/before

Each version runs in a process of its own, which runs recipes as the command line would; the processes take turns. The
time is that of the process, of the median step: while others have the processor, it does not run.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

RECIPES = {
    "BERT tiny": "thucnews_bert --from_scratch tiny --per_device_train_batch_size 32",
    "BERT mini": "thucnews_bert --from_scratch mini --per_device_train_batch_size 32",
    "BERT tiny, reviews": "imdb_bert --from_scratch tiny --per_device_train_batch_size 16",
    "BiLSTM": "thucnews_rnn --per_device_train_batch_size 128",
    "TextCNN": "thucnews_rnn --architecture text_cnn --per_device_train_batch_size 128",
    "n-grams": "thucnews_rnn --architecture ngram_linear --per_device_train_batch_size 128",
    "digits": "mnist_cnn",
    "Chinese-CLIP tiny": "muge_clip --from_scratch tiny --per_device_train_batch_size 16",
}
FLAGS = (
    "--max_steps {steps} --logging_steps 1000 --eval_strategy no --save_strategy no --disable_tqdm True --bf16 False"
)
FLAGS += " --use_cpu --report_to none --seed 3"
WARM_UP = 5


def serve(checkout: str) -> None:
    """Runs the recipes whose command lines come in, and answers each with seconds a step."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    sys.path.insert(0, checkout)
    import runpy
    import time

    import transformers

    class Clock(transformers.TrainerCallback):
        def __init__(self):
            self.times = []

        def on_step_end(self, args, state, control, **kwargs):
            self.times.append(time.process_time())

    init = transformers.Trainer.__init__

    def init_with_clock(self, *args, **options):
        init(self, *args, **options)
        clock.times.clear()
        self.add_callback(clock)

    clock = Clock()
    transformers.Trainer.__init__ = init_with_clock
    for line in sys.stdin:
        recipe, *flags = line.split()
        sys.argv = [recipe, *flags]
        runpy.run_path(f"{checkout}/recipes/{recipe}.py", run_name="__main__")
        steps = [end - begin for begin, end in zip(clock.times[WARM_UP:], clock.times[WARM_UP + 1 :], strict=False)]
        print(json.dumps(statistics.median(steps)), file=answers, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("other", help="a checkout of another version")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--steps", type=int, default=25)
    parser.add_argument("--only", default="", help="recipes with this in their name")
    options = parser.parse_args()
    here = str(Path(__file__).parents[2])
    print("Model | this version, ms | the other, ms | this / the other\n---|---|---|---")
    with tempfile.TemporaryDirectory() as folder:
        versions = [start(checkout) for checkout in (here, str(Path(options.other).resolve()))]
        for name, command in RECIPES.items():
            if options.only.lower() not in name.lower():
                continue
            seconds = [[], []]
            for repeat in range(options.repeats):
                for which in (0, 1) if repeat % 2 else (1, 0):
                    output = f"--output_dir {folder}/{len(list(Path(folder).iterdir()))}"
                    seconds[which].append(
                        asked(versions[which], f"{command} {FLAGS.format(steps=options.steps)} {output}")
                    )
            ratios = [here / other for here, other in zip(*seconds, strict=True)]
            ours, theirs = (1000 * statistics.median(times) for times in seconds)
            spread = f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"
            print(f"{name} | {ours:.1f} | {theirs:.1f} | {spread}", flush=True)
        for version in versions:
            version.stdin.close()
            version.wait()


def start(checkout: str) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, __file__, "--serve", checkout],
        cwd=checkout,
        env={**os.environ, "PYTHONPATH": checkout, "OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )


def asked(version: subprocess.Popen, line: str) -> float:
    print(line, file=version.stdin, flush=True)
    return json.loads(version.stdout.readline())


if __name__ == "__main__":
    if sys.argv[1:2] == ["--serve"]:
        serve(sys.argv[2])
    else:
        main()
