"""Requests that mean no good: each gets its error, and nobody else notices."""

import http.client
import json
import random
import socket
import time

import psutil
import pytest

from tests.inference.serve.mutations import mutated
from tests.inference.serve.running import TEXTS


def test_mutated_requests_get_a_4xx_and_memory_stays_flat(server):
    draw = random.Random(0)
    requests = [mutated(draw) for _ in range(120)]
    process = psutil.Process()
    for number, (path, headers, body) in enumerate(requests):
        started = time.monotonic()
        answer = server.post(path, headers=headers, content=body)
        # A mutation may leave a request sound; it then gets an answer.
        assert answer.status_code == 200 or 400 <= answer.status_code < 500, (path, headers, body[:200], answer.text)
        assert time.monotonic() - started < 5  # seconds, on a busy machine; recipes/inference.md has the real ones
        if number == 40:
            before = process.memory_info().rss
    assert process.memory_info().rss - before < 2**26
    assert server.predict(TEXTS[0])


@pytest.mark.parametrize("chunked", [False, True])
def test_a_long_body_is_refused_and_not_kept(server, chunked):
    size = 30_000_000
    body = (b" " * 1_000_000 for _ in range(30)) if chunked else b" " * size
    before = psutil.Process().memory_info().rss
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
    connection.request("POST", "/predict", body, {"content-type": "application/json"}, encode_chunked=chunked)
    answer = connection.getresponse()
    assert answer.status == 413 and json.loads(answer.read())["error_type"] == "Validation"
    assert psutil.Process().memory_info().rss - before < size
    connection.close()


@pytest.mark.parametrize(
    "raw",
    [
        b"\x00\xff\x00\r\n\r\n",
        b"GET\r\n\r\n",
        b"POST /predict HTTP/1.1\r\nhost: a\r\ncontent-length: -1\r\n\r\n",
        b"POST /predict HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        b"GET /\xff HTTP/1.1\r\nhost: a\r\n\r\n",
        b"POST /predict HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
    ],
)
def test_what_is_no_http(server, raw):
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as client:
        client.sendall(raw)
        first = client.recv(2**16)
    assert first.startswith((b"HTTP/1.1 4", b"HTTP/1.0 4")), first
    assert server.predict("a")
