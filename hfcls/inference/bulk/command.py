"""`hfcls predict --engine`: its flags, and what it does. What it needs is imported when it is called."""

import argparse
import sys
from pathlib import Path

from hfcls.errors import InputError
from hfcls.terminal import print_lines

ENGINES = ("local", "ray", "spark")


def add_bulk_flags(parser: argparse.ArgumentParser) -> None:
    """Adds what only the prediction of many files needs."""
    group = parser.add_argument_group("many files: --input FOLDER_OR_PATTERN --output FOLDER --engine …")
    group.add_argument(
        "--engine", choices=ENGINES, help="where each file becomes a Parquet file of answers: here, on Ray or on Spark"
    )
    group.add_argument("--image_column", help="of pictures in the place of texts: their bytes, paths or addresses")
    group.add_argument("--workers", metavar="MIN:MAX", default="1", help="of ray and spark; a number, or a span [1]")
    group.add_argument("--cpus_per_worker", type=int, default=1, help="that a worker computes with [1]")
    group.add_argument("--gpus_per_worker", type=float, default=0, help="of a worker of ray [0]")
    group.add_argument("--address", help="of a cluster of ray or spark [one in this process]")
    group.add_argument(
        "--max_bad_rows", type=int, default=0, help="that cannot be read and are left out, in all files [0]"
    )


def predict_in_bulk(options: argparse.Namespace) -> int:
    """Classifies every file of --input that has no answers yet.

    Raises:
        InputError: files are left without answers; the message says how many, and why the first of them. Or another
            process is at work on --output.
    """
    from hfcls.inference.bulk.job import find_fragments
    from hfcls.inference.bulk.storage import is_remote
    from hfcls.runs.lock import locked

    if options.input is None or options.output is None:
        raise InputError("--engine goes with --input FOLDER_OR_PATTERN and --output FOLDER: give both")
    workers, job = _workers(options.workers), _job(options)
    fragments = find_fragments(options.input, options.output)
    if is_remote(options.output):  # where no system locks
        return _classify_missing(options, job, fragments, workers)
    with locked(Path(f"{options.output.rstrip('/')}.lock"), options.output, "--output"):
        return _classify_missing(options, job, fragments, workers)


def _classify_missing(options: argparse.Namespace, job, fragments: list, workers: tuple[int, int]) -> int:
    from tqdm import tqdm

    from hfcls.inference.bulk.job import begin
    from hfcls.inference.bulk.storage import name_of, remove_parts, written_names

    begin(job, options.output)
    remove_parts(options.output)
    written = written_names(options.output)
    missing = [one for one in fragments if name_of(one.output) not in written]
    if len(missing) < len(fragments):
        print_lines(f"{len(fragments) - len(missing):,} of {len(fragments):,} files have answers", file=sys.stderr)
    # Also those that earlier commands left out.
    earlier = [one for one in set(fragments) - set(missing) if name_of(one.bad) in written]
    rows, bad_rows, failed = 0, sum(one.count_bad_rows() for one in earlier), []
    _check_bad_rows(bad_rows, options)
    with tqdm(total=len(missing), unit="file", disable=None) as bar:
        for done in _classify(options, job, missing, workers):
            rows, bad_rows = rows + done.rows, bad_rows + done.bad_rows
            failed += [done.error] if done.error is not None else []
            for note in done.notes:
                print_lines(note, file=sys.stderr)
            bar.update()
            bar.set_postfix_str(f"{rows:,} rows")
            _check_bad_rows(bad_rows, options)
    if failed:
        more = f" (and {len(failed) - 1:,} more files)" if len(failed) > 1 else ""
        raise InputError(f"{failed[0]}{more}; all others have answers, the same command does what is missing")
    left_out = f", {bad_rows:,} bad rows in *.bad.jsonl" if bad_rows else ""
    print_lines(f"{options.output}: {rows:,} rows of {len(missing):,} files{left_out}")
    return 0


def _check_bad_rows(bad_rows: int, options: argparse.Namespace) -> None:
    if bad_rows > options.max_bad_rows:
        raise InputError(
            f"{options.output}: {bad_rows:,} rows cannot be read, more than --max_bad_rows {options.max_bad_rows}: "
            "mend those in *.bad.jsonl there"
        )


def _job(options: argparse.Namespace):
    from hfcls.inference.bulk.job import Job

    if options.max_bad_rows < 0 or options.cpus_per_worker < 1 or options.gpus_per_worker < 0:
        raise InputError("--max_bad_rows, --cpus_per_worker and --gpus_per_worker: give numbers that can be had")
    import torch

    threads = torch.get_num_threads() if options.engine == "local" else options.cpus_per_worker
    return Job(
        model=options.model,
        text_column=options.text_column,
        text_pair_column=options.text_pair_column,
        image_column=options.image_column,
        encoding=options.encoding,
        batch_size=options.batch_size,
        all_probabilities=options.all_probabilities,
        max_bad_rows=options.max_bad_rows,
        trust_remote_code=options.trust_remote_code,
        threads=threads,
    )


def _workers(span: str) -> tuple[int, int]:
    fewest, _, most = span.partition(":")
    most = most or fewest
    if not (fewest.isdecimal() and most.isdecimal() and 1 <= int(fewest) <= int(most)):
        raise InputError(f"--workers {span}: give a number, or the fewest and the most as MIN:MAX")
    return int(fewest), int(most)


def _classify(options: argparse.Namespace, job, fragments: list, workers: tuple[int, int]):
    """The iterator of what becomes of each fragment, by the engine that was asked for."""
    if not fragments:
        return iter(())
    if options.engine == "ray":
        from hfcls.inference.bulk.on_ray import classify_on_ray

        return classify_on_ray(
            job,
            fragments,
            address=options.address,
            workers=workers,
            cpus=options.cpus_per_worker,
            gpus=options.gpus_per_worker,
        )
    if options.engine == "spark":
        from hfcls.inference.bulk.on_spark import classify_on_spark

        return classify_on_spark(
            job, fragments, address=options.address, workers=workers[1], cpus=options.cpus_per_worker
        )
    from hfcls.inference.bulk.local import classify_locally

    return classify_locally(job, fragments)
