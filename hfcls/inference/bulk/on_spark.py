"""Fragments on the executors of a Spark cluster."""

import functools
import os
import sys
from collections.abc import Iterator
from dataclasses import asdict, fields

import pandas

from hfcls.errors import InputError
from hfcls.inference.bulk.job import Fragment, Job
from hfcls.inference.bulk.worker import Done, FragmentClassifier

SCHEMA = "input string, rows long, bad_rows long, notes array<string>, error string"  # of Done


@functools.lru_cache(maxsize=1)
def _worker(job: Job) -> FragmentClassifier:
    """One model for all fragments that a Python worker of Spark gets."""
    return FragmentClassifier(job)


def classify_on_spark(
    job: Job, fragments: list[Fragment], *, address: str | None, workers: int, cpus: int
) -> Iterator[Done]:
    """What becomes of each fragment, in their order, once all of them are done.

    Args:
        address: of the master; None for `workers` threads of this machine.
        cpus: of a task.

    Raises:
        InputError: pyspark or Java is not installed, or there is no master at `address`.
    """
    try:
        from py4j.protocol import Py4JError
        from pyspark.errors import PySparkException
        from pyspark.sql import SparkSession
    except ImportError as error:
        raise InputError("--engine spark needs an extra, and Java: pip install 'hfcls[spark]'") from error
    builder = SparkSession.builder.master(address or f"local[{workers * cpus}]").appName("hfcls predict")
    builder = builder.config("spark.task.cpus", cpus).config("spark.ui.enabled", False)
    if address is None:
        os.environ.setdefault("PYSPARK_PYTHON", sys.executable)  # otherwise the first python3 of the path
        builder = builder.config("spark.driver.memory", "512m")  # for names of files and counts of rows
    try:
        session = builder.getOrCreate()
    except (PySparkException, Py4JError) as error:
        raise InputError(
            f"--engine spark: {str(error).splitlines()[0]}; it needs Java, and where --address is given, that cluster"
        ) from error
    session.sparkContext.setLogLevel("ERROR")

    def classify(frames):
        for rows in frames:
            done = [asdict(_worker(job)(Fragment(*row))) for row in rows.itertuples(index=False)]
            yield pandas.DataFrame(done, columns=[one.name for one in fields(Done)])

    rows = session.sparkContext.parallelize([(one.input, one.output) for one in fragments], len(fragments))
    frame = session.createDataFrame(rows, "input string, output string")
    try:
        # A row a fragment. `toLocalIterator` would run a fragment at a time, on one worker.
        for row in frame.mapInPandas(classify, SCHEMA).collect():
            yield Done(**row.asDict())
    finally:
        session.stop()
