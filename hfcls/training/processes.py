"""Several processes of one run: what one prepares for all, and what is said when one is gone."""

import hashlib
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import datasets
from torch import distributed
from transformers import TrainingArguments

from hfcls.errors import GO_ON, InputError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

# What gloo says (read in torch 2.13), as a RuntimeError without a type of its own, when the other end is gone.
_GONE = re.compile(r"(closed|reset) by peer|broken pipe|timed out waiting|\bgloo\b.*(timeout|connect)", re.IGNORECASE)


@contextmanager
def prepared_once(training_args: TrainingArguments, what: str) -> Iterator[None]:
    """Lets the first process that comes here into the block alone, and the others after it.

    The others wait for its lock on a file, however long that takes. A collective, as of `main_process_first`, would
    give up after `--ddp_timeout`. If the first process is killed its lock ends with it, and the others go on by
    themselves. Where the system has no such locks (Windows), it is a collective after all.

    Args:
        training_args: whose `output_dir` tells this run from others that use the same cache.
        what: is prepared, for messages; two blocks of a run have different ones.
    """
    if training_args.world_size == 1:
        yield
        return
    if fcntl is None:
        with training_args.main_process_first(desc=what):
            yield
        return
    folder = Path(datasets.config.HF_DATASETS_CACHE, "hfcls_locks")
    folder.mkdir(parents=True, exist_ok=True)
    run = f"{Path(training_args.output_dir).absolute()}\0{what}"
    name = hashlib.blake2b(run.encode("utf-8", "surrogateescape"), digest_size=16).hexdigest()
    with open(folder / name, "a+b") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            fcntl.flock(file, fcntl.LOCK_SH)  # with all others that waited
        yield


@contextmanager
def lost_process_said(training_args: TrainingArguments) -> Iterator[None]:
    """Turns what torch raises where another process of the run has ended, or its machine, into one line.

    Raises:
        InputError: one has.
    """
    try:
        yield
    except RuntimeError as error:
        if training_args.world_size == 1 or not _is_of_processes(error):
            raise
        raise InputError(f"another process of this run is gone: {GO_ON} ({_reason(error)})") from error


@contextmanager
def meeting(values: dict[str, Any]) -> Iterator[None]:
    """Around the making of `TrainingArguments` of `values`, in which the processes of a run find each other.

    On CPUs they do so here: there transformers (5.23) waits for half an hour, whatever `--ddp_timeout` says.

    Raises:
        InputError: some have not come within `--ddp_timeout`, or the first one cannot be reached.
    """
    try:
        if values.get("use_cpu") and int(os.environ.get("WORLD_SIZE", "1")) > 1 and not distributed.is_initialized():
            timeout = timedelta(seconds=values.get("ddp_timeout", TrainingArguments.ddp_timeout))
            distributed.init_process_group(values.get("ddp_backend") or "gloo", timeout=timeout)
        yield
    except RuntimeError as error:
        if not _is_of_processes(error):
            raise
        raise InputError(
            "the processes of this run do not find each other: start all of them within --ddp_timeout, with the "
            f"address and port of the first one, which all can reach ({_reason(error)})"
        ) from error


def _is_of_processes(error: RuntimeError) -> bool:
    return isinstance(error, distributed.DistError) or _GONE.search(str(error)) is not None


def _reason(error: RuntimeError) -> str:
    return " ".join(str(error).split())[:200]
