"""Fragments on the actors of a Ray cluster."""

from collections.abc import Iterator
from dataclasses import asdict

from hfcls.errors import InputError
from hfcls.inference.bulk.job import Fragment, Job
from hfcls.inference.bulk.worker import Done, FragmentClassifier


class _Actor(FragmentClassifier):
    """A `FragmentClassifier` as Ray Data calls it: a row in, a row out."""

    def __call__(self, row: dict) -> dict:
        return asdict(super().__call__(Fragment(**row)))


def classify_on_ray(
    job: Job,
    fragments: list[Fragment],
    *,
    address: str | None,
    workers: tuple[int, int],
    cpus: float,
    gpus: float,
) -> Iterator[Done]:
    """What becomes of each fragment, in the order in which they end. An actor that dies is replaced.

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
    try:
        ray.init(address=address, log_to_driver=False, include_dashboard=False if address is None else None)
    except (ConnectionError, ValueError) as error:
        raise InputError(f"--address {address}: {str(error).splitlines()[0]}") from error
    ray.data.DataContext.get_current().enable_progress_bars = False
    data = ray.data.from_items([asdict(one) for one in fragments], override_num_blocks=len(fragments))
    done = data.map(
        _Actor,
        fn_constructor_args=[job],
        compute=ray.data.ActorPoolStrategy(min_size=workers[0], max_size=workers[1]),
        num_cpus=cpus,
        num_gpus=gpus,
        max_restarts=-1,
        max_task_retries=-1,
    )
    try:
        for row in done.iter_rows():
            yield Done(**row | {"notes": list(row["notes"])})
    finally:
        ray.shutdown()
