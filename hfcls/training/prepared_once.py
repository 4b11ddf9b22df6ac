"""What takes long and is kept in the cache of `datasets`: one process of a machine does it, the others wait for it."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import datasets
from transformers import TrainingArguments

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None


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
