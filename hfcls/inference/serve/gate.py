"""What every request passes on its way in and out: the key, headers, counting, and errors that nobody foresaw."""

import asyncio
import hmac
import logging
import time
import traceback
from collections.abc import Iterable

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from hfcls.inference.serve.errors import Refused, RefusedResponse
from hfcls.inference.serve.metrics import Metrics

logger = logging.getLogger(__name__)

STALL = 30.0  # seconds after which a client that takes no more of its answer is left


class Gate:
    """ASGI middleware around the whole application.

    Args:
        app: what is behind it.
        metrics: that count the requests.
        paths: whose requests are counted by their path; all others together.
        api_key: that requests must show, but for those to `open_paths`; None for none.
        open_paths: that need no key.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        metrics: Metrics,
        paths: Iterable[str],
        api_key: str | None = None,
        open_paths: Iterable[str] = (),
    ):
        self._app, self._metrics = app, metrics
        self._paths, self._open_paths = frozenset(paths), frozenset(open_paths)
        self._authorization = None if api_key is None else f"Bearer {api_key}".encode()
        self.draining = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        started, status = time.perf_counter(), 499  # the client left before it was answered

        async def send_with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                headers["x-content-type-options"] = "nosniff"
                headers.setdefault("cache-control", "no-store")
                if self.draining:
                    headers["connection"] = "close"
            if not message.get("more_body"):
                return await send(message)
            async with asyncio.timeout(STALL):
                await send(message)

        try:
            if self._is_allowed(scope):
                await self._app(scope, receive, send_with_headers)
            else:
                refused = Refused(
                    401,
                    "this server needs a key: send Authorization: Bearer KEY",
                    "Unauthorized",
                    headers={"www-authenticate": "Bearer"},
                    unread=True,
                )
                await RefusedResponse(refused)(scope, receive, send_with_headers)
        except Exception as error:  # whatever it is, the server goes on
            place = traceback.extract_tb(error.__traceback__)[-1]
            # Without the message, which may quote a text. The answer was begun, or is a bare 500 by now.
            logger.error("%s: %s at %s:%s", scope["path"], type(error).__name__, place.filename, place.lineno)
        finally:
            path = scope["path"] if scope["path"] in self._paths else "other"
            self._metrics.answered(path, status, time.perf_counter() - started)

    def _is_allowed(self, scope: Scope) -> bool:
        if self._authorization is None or scope["path"] in self._open_paths:
            return True
        given = Headers(scope=scope).get("authorization", "").encode("latin-1")
        return hmac.compare_digest(given, self._authorization)
