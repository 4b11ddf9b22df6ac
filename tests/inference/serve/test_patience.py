"""The queue and the clock: who waits, who is sent away, who leaves, and what happens to the others."""

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from hfcls.inference.serve import server as server_module
from hfcls.inference.serve.app import Served
from hfcls.inference.serve.batching import Row, TooLong
from hfcls.inference.serve.models import load
from hfcls.inference.serve.texts import Answered
from tests.inference.serve.running import serving

ROOT = Path(__file__).parents[3]


class Slow:
    """Stands for a model: takes its time for each batch, and keeps what it computed."""

    def __init__(self, seconds: float):
        self.seconds, self.batches = seconds, []

    def encode(self, items):
        refused = TooLong("inputs: this one is refused")
        return [Row(item.text, 1, refused if item.text == "refused" else None) for item in items]

    def compute(self, inputs):
        self.batches.append(inputs)
        time.sleep(self.seconds)
        if "poison" in inputs:
            raise RuntimeError("a secret text")
        return [Answered(np.array([0, 1, 2], dtype=np.float32), None) for _ in inputs]


@pytest.fixture
def slow(bert):
    """`Slow` and its server, with the routes of a classifier."""

    def start(seconds, **limits):
        served, engine = load(str(bert)), Slow(seconds)
        return engine, serving(Served("slow", engine, served.add_routes, served.info), **limits)

    return start


def _statuses(client, texts):
    with ThreadPoolExecutor(len(texts)) as pool:
        return list(pool.map(lambda text: client.post("/predict", json={"inputs": text}).status_code, texts))


def test_a_full_queue_answers_429_and_nothing_else_fails(slow):
    engine, running = slow(0.5, requests=8)
    with running as client:
        eight = threading.Thread(target=_statuses, args=(client, ["a"] * 8))
        eight.start()
        while "hfcls_queue_requests 8.0" not in client.get("/metrics").text:
            assert eight.is_alive()
        refused = client.post("/predict", json={"inputs": "a"})
        assert refused.status_code == 429 and int(refused.headers["retry-after"]) >= 1
        eight.join()
        assert client.predict("a")
        engine.seconds = 0.02
        statuses = _statuses(client, ["a"] * 48)
        assert set(statuses) == {200, 429} and statuses.count(200) >= 8
        assert "hfcls_queue_requests 0.0" in client.get("/metrics").text


def test_a_batch_holds_no_more_than_its_tokens_and_takes_requests_in_their_order(slow):
    engine, running = slow(0.1, tokens=4)
    with running as client:
        _statuses(client, ["first", *"abcdefgh"])
        client.predict([[letter] for letter in "ABCDEFGHI"])  # alone longer than a batch
    assert max(len(batch) for batch in engine.batches[:-1]) == 4
    assert sorted(text for batch in engine.batches[:-1] for text in batch) == sorted(["first", *"abcdefgh"])
    assert engine.batches[-1] == list("ABCDEFGHI")


def test_what_one_request_has_wrong_the_others_do_not_suffer_for(slow, caplog):
    engine, running = slow(0.1)
    with running as client:
        statuses = _statuses(client, ["first", "a", "poison", "b", "refused", "c"])
        assert statuses == [200, 200, 500, 200, 413, 200]
        assert "RuntimeError" in caplog.text and "secret" not in caplog.text
        assert "secret" not in client.post("/predict", json={"inputs": "poison"}).text


def test_after_the_deadline_it_is_a_504_and_what_nobody_waits_for_is_not_computed(slow):
    engine, running = slow(0.5, deadline=0.2)
    with running as client:
        late = client.post("/predict", json={"inputs": "a"})
        assert (late.status_code, late.json()["error_type"]) == (504, "Overloaded")
        assert _statuses(client, ["b"] * 6) == [504] * 6
        time.sleep(1)
        assert len(engine.batches) <= 2


def test_a_client_that_leaves_is_not_computed_for(slow):
    engine, running = slow(0.4)
    with running as client:
        first = threading.Thread(target=client.predict, args=("first",))
        first.start()
        while not engine.batches:
            time.sleep(0.01)
        for _ in range(5):
            connection = http.client.HTTPConnection("127.0.0.1", client.port)
            connection.request("POST", "/predict", json.dumps({"inputs": "left"}), {"content-type": "application/json"})
            connection.close()
        assert client.predict("last")
        first.join()
    assert not any("left" in batch for batch in engine.batches)


def test_a_slow_body_ends_with_408_and_others_do_not_wait_for_it(slow):
    engine, running = slow(0, deadline=0.5)
    with running as client, socket.create_connection(("127.0.0.1", client.port), timeout=20) as dawdler:
        head = "POST /predict HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{"
        dawdler.sendall(head.encode())
        assert client.predict("a")
        assert dawdler.recv(2**16).startswith(b"HTTP/1.1 408")


@pytest.mark.parametrize("before", [b"", b"GET /health HTTP/1.1\r\nhost: a\r\n\r\n"])
def test_headers_that_do_not_come_or_do_not_end_close_the_connection(slow, monkeypatch, before):
    monkeypatch.setattr(server_module, "HEADER_SECONDS", 0.3)
    engine, running = slow(0)
    with running as client:
        for sent in (b"GET /health HT", b"GET /health HTTP/1.1\r\n" + b"a: b\r\n" * 20_000):
            with socket.create_connection(("127.0.0.1", client.port), timeout=20) as connection:
                connection.sendall(before)
                if before:
                    assert connection.recv(2**16).startswith(b"HTTP/1.1 200")
                try:
                    connection.sendall(sent)
                    while connection.recv(2**16):
                        pass
                except ConnectionError:
                    pass
            assert client.predict("a")


def test_sigterm_finishes_what_has_come(bert):
    """The command itself, in a process of its own: no request that it took is lost, and it ends with 0."""
    process = subprocess.Popen(
        [sys.executable, "-m", "hfcls.cli", "serve", str(bert), "--port", "0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT), "HFCLS_API_KEY": "k"},
    )
    port = int(process.stdout.readline().split("127.0.0.1:")[1].split()[0])
    counts, lost = [0] * 8, []

    def ask(number: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        connection.connect()
        headers = {"content-type": "application/json", "authorization": "Bearer k"}
        while True:
            try:
                connection.request("POST", "/predict", '{"inputs": "股市 大涨"}'.encode(), headers)
                answer = connection.getresponse()
                assert answer.status == 200 and len(json.loads(answer.read())) == 3
            except Exception as error:  # noqa: BLE001, to be looked at in the thread of the test
                lost.append(error)
                return
            counts[number] += 1
            if answer.getheader("connection") == "close":
                return

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    while min(counts) < 5 and not lost:
        time.sleep(0.01)
    process.send_signal(signal.SIGTERM)
    for thread in threads:
        thread.join()
    assert lost == []
    assert process.wait(30) == 0
    assert (process.stdout.read(), process.stderr.read()) == ("ended\n", "")
