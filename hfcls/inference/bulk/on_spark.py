"""Fragments on the executors of a Spark cluster."""

import functools
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, fields

import pandas

from hfcls.errors import InputError
from hfcls.inference.bulk.job import Fragment, Job
from hfcls.inference.bulk.worker import Done, begin_worker

SCHEMA = "input string, rows long, bad_rows long, notes array<string>, error string"  # of Done
ATTEMPTS = 4  # at a fragment whose worker dies, as on a cluster


@functools.lru_cache(maxsize=1)
def _worker(job: Job) -> Callable[[Fragment], Done]:
    """One model for all fragments that a Python worker of Spark gets."""
    return begin_worker(job)


def classify_on_spark(
    job: Job, fragments: list[Fragment], *, address: str | None, workers: int, cpus: int
) -> Iterator[Done]:
    """What becomes of each fragment, in their order, once all of them are done.

    Args:
        address: of the master; None for `workers` threads of this machine.
        cpus: of a task.

    Raises:
        InputError: pyspark or Java is not installed, there is no master at `address`, or the worker of a fragment died
            each time.
    """
    try:
        from py4j.protocol import Py4JError, Py4JJavaError
        from pyspark.errors import PySparkException
        from pyspark.sql import SparkSession
    except ImportError as error:
        raise InputError("--engine spark needs an extra, and Java: pip install 'hfcls[spark]'") from error
    # On one machine Spark would end the job with the first worker that is killed.
    master = address or f"local[{workers * cpus},{ATTEMPTS}]"
    builder = SparkSession.builder.master(master).appName("hfcls predict")
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
    except Py4JJavaError as error:  # an error in Python, which would be one of ours, is another one
        reason = error.java_exception.getMessage().partition("\n")[0].rpartition("Exception: ")[2]
        raise InputError(
            f"--engine spark: {reason}; files have all of their answers or none, the same command does what is missing"
        ) from error
    finally:
        session.stop()
