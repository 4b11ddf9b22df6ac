"""Fragments on the actors of a Ray cluster."""

import math
from collections.abc import Iterator
from dataclasses import asdict

from hfcls.errors import InputError
from hfcls.inference.bulk.job import Fragment, Job
from hfcls.inference.bulk.worker import Done, begin_worker

STORE = 256 * 2**20  # bytes
BLOCK = 2**20  # bytes, of which a fragment's answer takes some hundred


class _Actor:
    """A worker as Ray Data calls it: a row in, a row out."""

    def __init__(self, job: Job):
        self.classify = begin_worker(job)

    def __call__(self, row: dict) -> dict:
        return asdict(self.classify(Fragment(**row)))


def classify_on_ray(
    job: Job,
    fragments: list[Fragment],
    *,
    address: str | None,
    workers: tuple[int, int],
    cpus: float,
    gpus: float,
) -> Iterator[Done]:
    """What becomes of each fragment, in the order in which they end. An actor that dies is replaced, and its fragment
    begun again, which is what Ray Data does by itself.

    Args:
        address: of a cluster, "auto" for the one of this machine; None for one that lives as long as this process.
        workers: fewest and most actors.
        cpus, gpus: of an actor.

    Raises:
        InputError: Ray is not installed, or there is no cluster at `address`.
    """
    try:
        import ray
    except ImportError as error:
        raise InputError("--engine ray needs an extra: pip install 'hfcls[ray]'") from error
    # What goes through a cluster of our own is names of files: Ray would take 30 % of the memory for it.
    own = {"include_dashboard": False, "num_cpus": math.ceil(workers[1] * cpus), "object_store_memory": STORE}
    try:
        ray.init(
            address=address or "local", log_to_driver=False, logging_level="WARNING", **(own if address is None else {})
        )
    except (ConnectionError, ValueError) as error:
        raise InputError(
            f"--address {address}: {str(error).splitlines()[0]}; leave it out to compute on this machine"
        ) from error
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.target_max_block_size = BLOCK  # Ray Data begins no task before there is room for what it may return
    data = ray.data.from_items([asdict(one) for one in fragments], override_num_blocks=len(fragments))
    done = data.map(
        _Actor,
        fn_constructor_args=[job],
        compute=ray.data.ActorPoolStrategy(min_size=workers[0], max_size=workers[1]),
        num_cpus=cpus,
        num_gpus=gpus,
    )
    try:
        for row in done.iter_rows():
            yield Done(**row | {"notes": list(row["notes"])})
    finally:
        ray.shutdown()
