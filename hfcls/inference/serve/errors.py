"""What the server answers when it does not answer: a status and one line, in the shape of text-embeddings-inference."""

import asyncio

from starlette.responses import JSONResponse
from starlette.types import Receive, Scope, Send

LINGER = 5.0  # seconds in which a body that nobody wants is still taken, so that its sender reads the answer


class Refused(Exception):
    """A request that gets an error.

    Args:
        status: of HTTP, 400 and above.
        message: one line for whoever sent the request; never a part of a text.
        kind: Validation, Empty, Overloaded, Backend, Unhealthy, as text-embeddings-inference calls them.
        headers: to send along.
        unread: whether the body, or the rest of it, has not been read.
    """

    def __init__(
        self,
        status: int,
        message: str,
        kind: str = "Validation",
        *,
        headers: dict[str, str] | None = None,
        unread: bool = False,
    ):
        super().__init__(message)
        self.status, self.kind, self.headers, self.unread = status, kind, headers or {}, unread


class RefusedResponse(JSONResponse):
    """`refused` as a response. One whose body was not read ends the connection, once the body is over or it took long.

    Closed at once, with bytes on their way, the connection would be reset, and the answer lost.
    """

    def __init__(self, refused: Refused):
        headers = refused.headers | ({"connection": "close"} if refused.unread else {})
        super().__init__({"error": str(refused), "error_type": refused.kind}, refused.status, headers)
        self._unread = refused.unread

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not self._unread:
            return await super().__call__(scope, receive, send)
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        await send({"type": "http.response.body", "body": self.body, "more_body": True})
        try:
            async with asyncio.timeout(LINGER):
                while (await receive()).get("more_body"):
                    pass
        except TimeoutError:
            pass
        await send({"type": "http.response.body", "body": b"", "more_body": False})
