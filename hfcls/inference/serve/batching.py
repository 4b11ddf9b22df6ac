"""Requests of many clients, computed together: one thread has the model, and takes what waits by a budget of tokens.

There is no pause to wait for company: while a batch is computed the next one gathers. Everything that touches tokenizer
and model happens in that one thread, because tokenizers are not made to be shared.
"""

import asyncio
import logging
import math
import queue
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from hfcls.errors import InputError

logger = logging.getLogger(__name__)

MOST_ENCODED = 256  # requests that are encoded in one go, before the next batch is computed


@dataclass(frozen=True)
class Row:
    """What the model takes of one input, and its length in tokens; or why it takes nothing."""

    inputs: Any
    tokens: int
    error: InputError | None = None


class Engine(Protocol):
    """A model as the batcher needs it."""

    def encode(self, items: Sequence) -> list[Row]:
        """A row for each item."""

    def compute(self, inputs: list) -> Sequence:
        """An answer for each of the `inputs` of rows."""


class QueueFull(Exception):
    """There is no room for another request; `retry_after` are the seconds after which there may be."""

    def __init__(self, retry_after: int):
        super().__init__(f"retry after {retry_after} s")
        self.retry_after = retry_after


class TooLong(InputError):
    """An input that the model would not read whole, and that was to be read whole."""


class ModelFailed(Exception):
    """The model raised something on this input; the message has no more than the kind of error."""


@dataclass(frozen=True, eq=False)
class _Job:
    """One request: its items, and the future of their answers."""

    items: Sequence
    future: asyncio.Future


@dataclass(frozen=True, eq=False)
class _Encoded:
    job: _Job
    rows: list[Row]

    @property
    def tokens(self) -> int:
        return sum(row.tokens for row in self.rows)


class Batcher:
    """Computes the requests of all clients with one engine.

    Args:
        engine: what computes.
        max_tokens: of a batch; a request that alone is longer is a batch of its own.
        max_requests: that wait or are computed; one more is refused.
        observe: called with rows, tokens and seconds of every batch, in the thread of the model.
    """

    def __init__(
        self,
        engine: Engine,
        *,
        max_tokens: int,
        max_requests: int,
        observe: Callable[[int, int, float], None] = lambda rows, tokens, seconds: None,
    ):
        self._engine, self._observe = engine, observe
        self._max_tokens, self._max_requests = max_tokens, max_requests
        self._arrived: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._seconds = 0.1  # that a request stays, smoothed
        self.requests = 0
        self._thread = threading.Thread(target=self._work, name="hfcls-model", daemon=True)
        self._thread.start()

    def submit(self, items: Sequence, *, bounded: bool = True) -> asyncio.Future:
        """The answers to `items`, a list, once they are there; called in the event loop.

        A future that is cancelled is not computed, unless that has begun. It raises InputError for an item that the
        engine does not take, and ModelFailed.

        Args:
            bounded: whether the request counts among `max_requests`.

        Raises:
            QueueFull: too many requests wait.
        """
        if bounded and self.requests >= self._max_requests:
            raise QueueFull(max(1, math.ceil(self._seconds)))
        future, started = asyncio.get_running_loop().create_future(), time.monotonic()

        def leave(_: asyncio.Future) -> None:
            self.requests -= bounded
            self._seconds += 0.1 * (time.monotonic() - started - self._seconds)

        self.requests += bounded
        future.add_done_callback(leave)
        self._arrived.put(_Job(items, future))
        return future

    def close(self) -> None:
        """Computes what waits, then ends the thread."""
        self._arrived.put(None)
        self._thread.join()

    def _work(self) -> None:
        encoded: deque[_Encoded] = deque()
        closed = False
        while encoded or not closed:
            jobs, ended = self._take(wait=not encoded and not closed)
            closed = closed or ended
            encoded.extend(self._encode(jobs))
            batch = self._next_batch(encoded)
            if batch:
                self._compute(batch)

    def _take(self, wait: bool) -> tuple[list[_Job], bool]:
        """The jobs that have arrived, at least one if it is to `wait`; and whether they are the last."""
        jobs = []
        while len(jobs) < MOST_ENCODED:
            try:
                job = self._arrived.get(block=wait and not jobs)
            except queue.Empty:
                break
            if job is None:
                return jobs, True
            jobs.append(job)
        return jobs, False

    def _encode(self, jobs: list[_Job]) -> list[_Encoded]:
        jobs = [job for job in jobs if not job.future.cancelled()]
        if not jobs:
            return []
        try:
            rows = iter(self._engine.encode([item for job in jobs for item in job.items]))
        except Exception as error:  # of a tokenizer, on a stranger's text: the server goes on
            return self._one_by_one(self._encode, jobs, error)
        encoded = [_Encoded(job, [next(rows) for _ in job.items]) for job in jobs]
        for one in encoded:
            problem = next((row.error for row in one.rows if row.error is not None), None)
            if problem is not None:
                _deliver([(one.job.future, problem)])
        return [one for one in encoded if all(row.error is None for row in one.rows)]

    def _next_batch(self, encoded: deque[_Encoded]) -> list[_Encoded]:
        """Takes requests from the front of `encoded`, in their order, as many as the budget holds."""
        batch, tokens = [], 0
        while encoded and (not batch or tokens + encoded[0].tokens <= self._max_tokens):
            one = encoded.popleft()
            if not one.job.future.cancelled():
                batch.append(one)
                tokens += one.tokens
        return batch

    def _compute(self, batch: list[_Encoded]) -> list:
        started = time.monotonic()
        try:
            answers = iter(self._engine.compute([row.inputs for one in batch for row in one.rows]))
            answered = [(one.job.future, [next(answers) for _ in one.rows]) for one in batch]
        except Exception as error:  # of a model, on a stranger's input: the server goes on
            return self._one_by_one(self._compute, batch, error)
        _deliver(answered)
        rows, tokens = sum(len(one.rows) for one in batch), sum(one.tokens for one in batch)
        self._observe(rows, tokens, time.monotonic() - started)
        return []

    def _one_by_one(self, step: Callable[[list], list], together: list, error: Exception) -> list:
        """Each of `together` by itself, so that one that fails does not take the others along."""
        if len(together) > 1:
            return [result for one in together for result in step([one])]
        if not isinstance(error, InputError):
            place = traceback.extract_tb(error.__traceback__)[-1]
            # Without the message, which may quote the text.
            logger.error("the model failed: %s at %s:%s", type(error).__name__, place.filename, place.lineno)
            error = ModelFailed(f"the model failed on this input: {type(error).__name__}")
        (one,) = together
        job = one.job if isinstance(one, _Encoded) else one
        _deliver([(job.future, error)])
        return []


def _deliver(answered: list[tuple[asyncio.Future, Any]]) -> None:
    """Hands answers, or exceptions, to futures of a loop in another thread: it is woken once for all of them."""

    def set_all() -> None:
        for future, answer in answered:
            if future.cancelled():
                continue
            if isinstance(answer, Exception):
                future.set_exception(answer)
            else:
                future.set_result(answer)

    answered[0][0].get_loop().call_soon_threadsafe(set_all)
