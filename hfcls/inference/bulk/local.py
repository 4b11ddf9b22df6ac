"""Fragments one after the other, in this process."""

from collections.abc import Iterator

from hfcls.inference.bulk.job import Fragment, Job
from hfcls.inference.bulk.worker import Done, FragmentClassifier


def classify_locally(job: Job, fragments: list[Fragment]) -> Iterator[Done]:
    """What becomes of each fragment, in their order."""
    yield from map(FragmentClassifier(job), fragments)
