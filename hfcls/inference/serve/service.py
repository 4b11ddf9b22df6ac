"""What all routes share: the model's queue, the limits, and how a request waits for its answer."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

from starlette.requests import ClientDisconnect, Request

from hfcls.errors import InputError
from hfcls.inference.serve.batching import Batcher, ModelFailed, QueueFull, TooLong
from hfcls.inference.serve.errors import Refused


@dataclass(frozen=True)
class Limits:
    """What one server takes.

    Attributes:
        requests: that wait or are computed at once.
        tokens: of a batch.
        inputs: of one request.
        body: bytes of a request.
        file: bytes of a file to classify.
        deadline: seconds in which a body must have come, and then an answer.
    """

    requests: int = 512
    tokens: int = 4096
    inputs: int = 32
    body: int = 2_000_000
    file: int = 100_000_000
    deadline: float = 30.0


@dataclass(frozen=True)
class Service:
    """A model at work, behind its queue."""

    batcher: Batcher
    limits: Limits

    async def body(self, request: Request, *media_types: str, limit: int | None = None) -> bytes:
        """The whole body of a request, of one of the `media_types`; `limit` are its bytes where not those of `limits`.

        Raises:
            Refused: 415, it is of another one; 413, it is too long; 408, it does not come.
        """
        check_media_type(request, media_types)
        return b"".join(
            [chunk async for chunk in self.chunks(request, limit or self.limits.body, self.limits.deadline)]
        )

    async def chunks(self, request: Request, limit: int, seconds: float) -> AsyncIterator[bytes]:
        """The body of a request as it comes: at most `limit` bytes, in at most so many seconds.

        Raises:
            Refused: 413, it is longer; 408, it does not come.
        """
        too_long = Refused(413, f"the body is longer than {limit:,} bytes", unread=True)
        if int(request.headers.get("content-length", 0)) > limit:
            raise too_long
        size, stream, end = 0, request.stream(), time.monotonic() + seconds
        while True:
            try:
                async with asyncio.timeout(end - time.monotonic()):
                    chunk = await anext(stream, None)
            except TimeoutError:
                raise Refused(408, f"the body did not come in {seconds:g} s", unread=True) from None
            except ClientDisconnect:
                raise gone() from None
            if chunk is None:
                return
            size += len(chunk)
            if size > limit:
                raise too_long
            yield chunk

    async def answers(self, request: Request, items: Sequence) -> list:
        """The answers to `items`; they are dropped where the client leaves before it has them.

        Raises:
            Refused: 413, there are too many, or one is too long; 429, the queue is full; 504, they take too long; 422,
                the model does not take one of them; 500, it failed.
        """
        if len(items) > self.limits.inputs:
            raise Refused(413, f"inputs: {len(items)} of them, at most {self.limits.inputs} in one request")
        try:
            future = self.batcher.submit(items)
        except QueueFull as full:
            raise Refused(
                429,
                "the queue is full: try again later",
                "Overloaded",
                headers={"retry-after": str(full.retry_after)},
            ) from None
        left = asyncio.ensure_future(request.receive())  # what comes after the body is that the client left
        try:
            await asyncio.wait({future, left}, timeout=self.limits.deadline, return_when=asyncio.FIRST_COMPLETED)
            if not future.done():
                late = Refused(504, f"no answer in {self.limits.deadline:g} s: try again later", "Overloaded")
                raise gone() if left.done() else late
            return future.result()
        except InputError as error:
            raise Refused(413 if isinstance(error, TooLong) else 422, str(error)) from None
        except ModelFailed as error:
            raise Refused(500, str(error), "Backend") from None
        finally:
            future.cancel()
            left.cancel()


def gone() -> Refused:
    """For nobody to read: the client has closed the connection."""
    return Refused(499, "the client left", "Validation")


def check_media_type(request: Request, allowed: Sequence[str]) -> str:
    """The media type of a request.

    Raises:
        Refused: 415, it is none of those that are allowed.
    """
    given = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if given not in allowed:
        raise Refused(415, f"content-type: send {' or '.join(allowed)}", unread=True)
    return given
