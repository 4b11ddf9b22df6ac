"""Training on a corpus that is larger than memory: its peak memory, and its rows a second beside those of few rows.

    python tests/benchmarks/large_corpus.py --rows 5000000
    python tests/benchmarks/large_corpus.py --rows 5000000 --folder DIR    # generated once, and prepared once
    python tests/benchmarks/large_corpus.py --rows 5000000 --reading       # a minute: batches alone, and a step alone

Texts of thirty words are generated as Parquet, and TextCNN is trained on them for 200 steps; then on 50,000 of them. Of
memory there are two numbers: what the process has for itself (anonymous), looked at five times a second, and the most
that it had in all, mapped files included, as the system counted it (ru_maxrss).
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
import psutil
import pyarrow
import pyarrow.parquet

ROOT = Path(__file__).parents[2]
WORDS, LENGTH, PART = 20_000, 30, 100_000
FLAGS = (
    "recipes/text_classification.py --architecture text_cnn --tokens word --num_train_epochs 1 --max_steps 200 "
    "--per_device_train_batch_size 64 --use_cpu True --bf16 False --floor no --report_to none --logging_steps 100"
).split()


def write_corpus(folder: Path, rows: int) -> None:
    """train-*.parquet of so many rows, and 2,000 rows of validation and test each; words as frequent as Zipf has it."""
    vocabulary = np.array([f"w{number}" for number in range(WORDS)], dtype=object)
    share = 1 / np.arange(1, WORDS + 1)
    edges = np.cumsum(share / share.sum())
    parts = [("validation", 2_000), ("test", 2_000)]
    parts += [(f"train-{n:05}", min(PART, rows - n * PART)) for n in range(-(-rows // PART))]
    folder.mkdir(parents=True, exist_ok=True)
    for seed, (name, count) in enumerate(parts):
        random = np.random.default_rng(seed)
        labels = random.integers(0, 10, count)
        words = np.searchsorted(edges, random.random((count, LENGTH))).clip(max=WORDS - 1)
        words[:, 0] = labels  # that can be learned
        texts = [" ".join(row) for row in vocabulary[words]]
        table = pyarrow.table({"text": texts, "label": [f"c{label}" for label in labels]})
        pyarrow.parquet.write_table(table, folder / f"{name}.parquet")


class Peak(threading.Thread):
    """The most memory in MB that a process has had of its own."""

    def __init__(self, process: psutil.Process):
        super().__init__(daemon=True)
        self.process, self.anonymous = process, 0.0

    def run(self) -> None:
        while True:
            try:
                memory = self.process.memory_info()
            except psutil.NoSuchProcess:
                return
            self.anonymous = max(self.anonymous, (memory.rss - memory.shared) / 1e6)
            time.sleep(0.2)


def train(folder: Path, output: Path, *more: str) -> tuple[dict, float, float, float]:
    """The results of a run, the most memory in MB of its own and in all, and the seconds that it took."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    words = [sys.executable, *FLAGS, "--data_dir", str(folder), "--output_dir", str(output), *more]
    began = time.monotonic()
    process = subprocess.Popen(words, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL)
    peak = Peak(psutil.Process(process.pid))
    peak.start()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"exit code {process.returncode}")
    results = json.loads((output / "all_results.json").read_text())
    return results, peak.anonymous, usage.ru_maxrss * 1024 / 1e6, time.monotonic() - began


def read_batches(folder: Path, rows: int, rows_in_memory: int) -> None:
    """Prints what batches of 64 rows of `LENGTH` random tokens cost, as a training run reads them, in CPU time."""
    import datasets

    from hfcls.metrics.one_label import OneLabel
    from hfcls.models.truncation import Truncation
    from hfcls.text.collator import PaddingCollator
    from hfcls.text.rows import TokenRows
    from hfcls.training.sampling import LengthGroupedSampler

    random, file = np.random.default_rng(0), folder / f"{rows}.arrow"
    offsets = pyarrow.array(np.arange(0, 1001 * LENGTH, LENGTH), pyarrow.int32())
    with pyarrow.OSFile(str(file), "wb") as sink:
        schema = pyarrow.schema({"input_ids": pyarrow.list_(pyarrow.int32()), "label": pyarrow.int64()})
        with pyarrow.ipc.new_stream(sink, schema) as writer:
            for _ in range(rows // 1000):
                tokens = pyarrow.array(random.integers(0, WORDS, 1000 * LENGTH, dtype=np.int32))
                labels = pyarrow.array(random.integers(0, 10, 1000))
                writer.write_batch(
                    pyarrow.record_batch([pyarrow.ListArray.from_arrays(offsets, tokens), labels], schema)
                )
    names = datasets.ClassLabel(names=[str(n) for n in range(10)])
    split = datasets.Dataset.from_file(str(file)).cast_column("label", names)
    target = OneLabel(names.names)
    token_rows = TokenRows(split, Truncation("head", LENGTH, 0, 0), target=target, on_disk=rows > rows_in_memory)
    sampler = iter(LengthGroupedSampler(token_rows.lengths, 64, 0, block_rows=token_rows.block_rows))
    collator, batches = PaddingCollator(0), 1000 if rows > 64_000 else rows // 64 - 1
    next(sampler)  # the order of all rows is drawn now
    began = time.process_time()
    for _ in range(batches):
        collator(token_rows.__getitems__([next(sampler) for _ in range(64)]))
    microseconds = (time.process_time() - began) / batches * 1e6
    memory = psutil.Process().memory_info()
    own, resident = (memory.rss - memory.shared) / 1e6, memory.rss / 1e6
    print(f"| {rows:,} | {microseconds:.0f} µs of CPU a batch | {own:,.0f} MB | {resident:,.0f} MB |", flush=True)


def train_steps(steps: int = 30) -> None:
    """Prints what a step of TextCNN costs on a batch of 64 rows of `LENGTH` random tokens, in CPU time."""
    import torch

    from hfcls.models.text_cnn import TextCNNConfig, TextCNNForSequenceClassification

    torch.manual_seed(0)
    model = TextCNNForSequenceClassification(TextCNNConfig(vocab_size=WORDS, num_labels=10)).train()
    optimizer = torch.optim.AdamW(model.parameters())
    batch = {"input_ids": torch.randint(1, WORDS, (64, LENGTH)), "labels": torch.randint(10, (64,))}
    batch["attention_mask"] = torch.ones_like(batch["input_ids"])
    taken = []
    for _ in range(steps):
        began = time.process_time()
        model(**batch).loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        taken.append(time.process_time() - began)
    taken = np.array(taken[5:]) * 1e3  # the first ones allocate
    print(f"a step of TextCNN: {np.median(taken):.0f} ms of CPU ({taken.min():.0f} to {taken.max():.0f})")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=5_000_000)
    parser.add_argument("--rows_in_memory", type=int, default=1_000_000)
    parser.add_argument("--folder", type=Path, help="of the corpus; one that is removed if absent")
    parser.add_argument("--reading", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="large-") as temporary:
        if options.reading:
            for rows in (50_000, options.rows, 50_000, options.rows):
                read_batches(Path(temporary), rows, options.rows_in_memory)
            train_steps()
            return
        folder = options.folder or Path(temporary)
        limit = ("--rows_in_memory", str(options.rows_in_memory))
        print("| rows | s in all | training rows/s | MB of its own | MB in all | accuracy |")
        print("|---:|---:|---:|---:|---:|---:|")
        for number, rows in enumerate((options.rows, 50_000, options.rows, 50_000)):  # the second time from the cache
            corpus = folder / f"{rows}"
            if not corpus.is_dir():
                write_corpus(corpus, rows)
            results, own, most, seconds = train(corpus, Path(temporary) / f"run-{number}", *limit)
            speed, accuracy = results["train_samples_per_second"], results["test_accuracy"]
            print(
                f"| {rows:,} | {seconds:.0f} | {speed:,.0f} | {own:,.0f} | {most:,.0f} | {accuracy:.3f} |", flush=True
            )


if __name__ == "__main__":
    main()
