"""Uvicorn with patience that ends: for clients that dawdle over a request, and for the last answers after SIGTERM."""

import asyncio
import socket
from types import FrameType

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from hfcls.errors import InputError
from hfcls.inference.serve.gate import Gate
from hfcls.terminal import print_lines

HEADER_SECONDS, HEADER_BYTES = 10.0, 64 * 1024  # in which the headers of a request must have come
CONNECTIONS = 1000  # open at once; one more gets 503
LAST_ARRIVALS = 1.0
LAST_ANSWERS = 120  # seconds in which what has come must have been answered


def bound_socket(host: str, port: int) -> socket.socket:
    """A socket that has the address, and does not listen yet.

    Raises:
        InputError: the address is taken, or none of this machine.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, kind, _, _, address = found[0]
        bound = socket.socket(family, kind)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(address)
    except OSError as error:
        reason = error.strerror or str(error)
        raise InputError(f"--host {host} --port {port}: {reason}; give others, --port 0 for any free one") from error
    return bound


def uvicorn_config(app: Gate) -> uvicorn.Config:
    """How uvicorn runs the application."""
    return uvicorn.Config(
        app,
        http=Protocol,
        ws="none",
        loop="asyncio",
        lifespan="on",
        log_config=None,
        log_level="critical",  # its messages may quote what a client sent; `Gate` reports what goes wrong
        access_log=False,
        server_header=False,
        proxy_headers=False,
        limit_concurrency=CONNECTIONS,
        timeout_graceful_shutdown=LAST_ANSWERS,
    )


def serve(app: Gate, bound: socket.socket, name: str) -> None:
    """Answers requests until SIGTERM or Ctrl-C, and then those that have come."""
    host, port = bound.getsockname()[:2]
    address = f"http://{f'[{host}]' if ':' in host else host}:{port}"
    Server(uvicorn_config(app), app, f"{name}: {address} (Ctrl-C ends)").run(sockets=[bound])
    print_lines("ended")


class Server(uvicorn.Server):
    """Uvicorn's server, which does not close connections on which a request is just arriving.

    Args:
        config: of uvicorn.
        gate: told when the end has begun.
        greeting: printed once requests are taken.
        last_arrivals: seconds after SIGTERM in which requests on open connections are still taken.
    """

    def __init__(self, config: uvicorn.Config, gate: Gate, greeting: str, last_arrivals: float = LAST_ARRIVALS):
        super().__init__(config)
        self._gate, self._greeting, self._last_arrivals = gate, greeting, last_arrivals

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            print_lines(self._greeting)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Takes no new connections; on those that are open, answers what still comes, and closes them."""
        self._gate.draining = True
        for server in self.servers:
            server.close()
        await asyncio.sleep(self._last_arrivals)
        await super().shutdown(sockets)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """The first signal ends the server when all is answered, the second one at once.

        Uvicorn's own would raise the signal again at the end: to have answered everything is no failure.
        """
        if self.should_exit:
            self.force_exit = True
        self.should_exit = True


class Protocol(HttpToolsProtocol):
    """Uvicorn's HTTP, which closes connections whose headers do not come or do not end.

    `cycle` and `response_complete` are not documented; read in uvicorn 0.54, and a test fails when they move.
    """

    def connection_made(self, transport: asyncio.Transport) -> None:
        super().connection_made(transport)
        self._header_bytes = 0
        self._header_timer = self.loop.call_later(HEADER_SECONDS, transport.close)

    def data_received(self, data: bytes) -> None:
        before = self.cycle
        super().data_received(data)
        if self.cycle is not before or not self._between_requests():
            self._header_timer.cancel()
            self._header_bytes = 0
            return
        if self._header_bytes == 0 and self._header_timer.cancelled():
            self._header_timer = self.loop.call_later(HEADER_SECONDS, self.transport.close)
        self._header_bytes += len(data)
        if self._header_bytes > HEADER_BYTES:
            self.transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self._header_timer.cancel()
        super().connection_lost(exc)

    def _between_requests(self) -> bool:
        """Whether what comes now are the headers of a request."""
        return self.cycle is None or self.cycle.response_complete
