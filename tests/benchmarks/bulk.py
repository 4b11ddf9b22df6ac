"""Bulk prediction on this machine: local, Ray and Spark on the same generated headlines, and what a kill costs.

    python tests/benchmarks/bulk.py outputs/thucnews_rnn --headlines thucnews_titles/train.txt --rows 1000000
    python tests/benchmarks/bulk.py outputs/thucnews_rnn --headlines thucnews_titles/train.txt --kill

For each engine what the whole command costs (see `Cost`), the load of the machine besides (its processes waiting for a
core), and whether the answers equal those of `local` byte for byte. `--kill`: of each engine but `local`, a worker is
killed as it works, then the driver; the same command again has to end in the same files.
"""

import argparse
import hashlib
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import psutil
import pyarrow
import pyarrow.parquet


def write_headlines(source: Path, folder: Path, rows: int, files: int) -> None:
    """Headlines of which each half is that of another one, `rows` in `files` Parquet files."""
    titles = [line.rpartition("\t")[0] for line in source.read_text(encoding="utf-8").splitlines()]
    draws = random.Random(0)
    folder.mkdir(parents=True)
    for number in range(files):
        texts = []
        for _ in range(rows // files):
            first, second = draws.choice(titles), draws.choice(titles)
            texts.append(first[: len(first) // 2] + second[len(second) // 2 :])
        table = pyarrow.table({"id": range(number * len(texts), (number + 1) * len(texts)), "text": texts})
        pyarrow.parquet.write_table(table, folder / f"part-{number:05}.parquet")


def command(model: str, folder: Path, output: Path, engine: str, workers: int) -> list[str]:
    words = ["-m", "hfcls.cli", "predict", model, "--input", str(folder), "--output", str(output), "--engine", engine]
    return [sys.executable, *words, "--workers", str(workers)]


@dataclass
class Cost:
    """What a command took: seconds by the clock and of all its processes' CPU, and the peak memory in MB of the process
    that was started, at a quarter of the time and in all, of the largest worker, and of the largest of what an engine
    runs besides (Java, Ray's own servers).
    """

    seconds: float
    cpu: float
    driver_early: float
    driver: float
    worker: float
    engine: float


def is_worker(process: psutil.Process) -> bool:
    """Whether it classifies: an actor of Ray, or a Python process of Spark."""
    return process.name().startswith("ray::") or (
        process.name().startswith(("python", "pt_")) and "pyspark.daemon" in process.cmdline()
    )


def measure(words: list[str]) -> Cost:
    began, samples, workers, engine, cpu = time.monotonic(), [], [0], [0], {}
    # Ray's workers have a niceness of 15 otherwise, by which they hardly begin on a machine with other work.
    process = psutil.Popen(words, stdout=subprocess.DEVNULL, env={**os.environ, "RAY_worker_niceness": "0"})
    while process.poll() is None:
        for one in [process, *process.children(recursive=True)]:
            try:
                times, memory = one.cpu_times(), one.memory_info().rss
                cpu[one.pid] = times.user + times.system
                if one is process:
                    samples.append(memory)
                else:
                    (workers if is_worker(one) else engine).append(memory)
            except psutil.NoSuchProcess:
                continue
        time.sleep(0.5)
    if process.returncode:
        sys.exit(f"{' '.join(words)}: exit code {process.returncode}")
    early = max(samples[: max(1, len(samples) // 4)])
    seconds = time.monotonic() - began
    return Cost(seconds, sum(cpu.values()), early / 1e6, *(max(each) / 1e6 for each in (samples, workers, engine)))


def digests(folder: Path) -> dict[str, str]:
    """Of all files there, so that what a kill left behind counts as well."""
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}


def row_numbers(folder: Path) -> list[int]:
    tables = [pyarrow.parquet.read_table(path, columns=["id"]) for path in folder.glob("*.parquet")]
    return sorted(pyarrow.concat_tables(tables)["id"].to_pylist())


def interrupt(words: list[str], output: Path) -> None:
    """Starts the command, kills one of its workers as soon as there are answers, and the driver after some more."""
    driver = psutil.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    for files, victim in ((3, "worker"), (10, "driver")):
        while len(list(output.glob("*.parquet"))) < files:
            time.sleep(0.1)
        processes = [driver]
        if victim == "worker":  # the last: a process of Spark that others were forked from comes before them
            processes = [one for one in driver.children(recursive=True) if is_worker(one)]
        processes[-1].send_signal(signal.SIGKILL)
        print(f"killed the {victim} after {len(list(output.glob('*.parquet')))} files", flush=True)
    driver.wait()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--headlines", type=Path, required=True)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--files", type=int, default=40)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--engines", default="local,ray,spark")
    parser.add_argument("--kill", action="store_true")
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="bulk-"))
    try:
        write_headlines(options.headlines, folder / "in", options.rows, options.files)
        print("| engine | s | CPU s | rows/s | early MB | driver MB | worker MB | engine MB | load | equal |")
        print("|---|---:|---:|---:|---:|---:|---:|---:|---:|---|")
        for engine in options.engines.split(","):
            words = command(options.model, folder / "in", folder / engine, engine, options.workers)
            cost, load = measure(words), os.getloadavg()[0]
            equal = digests(folder / engine) == digests(folder / "local")
            speed = f"{cost.seconds:.1f} | {cost.cpu:.1f} | {options.rows / cost.seconds:,.0f}"
            memory = f"{cost.driver_early:,.0f} | {cost.driver:,.0f} | {cost.worker:,.0f} | {cost.engine:,.0f}"
            print(f"\n| {engine} | {speed} | {memory} | {load:.1f} | {equal} |", flush=True)
            if options.kill and engine != "local":
                words = command(options.model, folder / "in", folder / "killed", engine, options.workers)
                interrupt(words, folder / "killed")
                measure(words)
                same = "equal" if digests(folder / "killed") == digests(folder / "local") else "OTHERS"
                once = row_numbers(folder / "killed") == list(range(options.rows))
                print(f"after the kills the files are {same}, each row is there once: {once}", flush=True)
                shutil.rmtree(folder / "killed")
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
