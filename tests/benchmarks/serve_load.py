"""`hfcls serve` under load, out of the way, and under fire.

    python tests/benchmarks/serve_load.py outputs/thucnews_bert texts.txt

A text a line, without quotes and backslashes. `wrk` (Debian's package of that name) plays the clients, one of them and
64 of them in turns, so that a machine that others use, too, is fair to both. Then: the answers are those of `hfcls
predict`; a queue of 8; SIGTERM under load; 2,000 requests of which something is wrong, bodies of 100 MB among them.
"""

import argparse
import contextlib
import csv
import http.client
import json
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil

sys.path.insert(0, str(Path(__file__).parents[2]))
from tests.inference.serve.mutations import mutated  # noqa: E402

LUA = """
local bodies, place = {}, 0
for line in io.lines("TEXTS") do bodies[#bodies + 1] = '{"inputs": "' .. line .. '"}' end
wrk.headers["Content-Type"] = "application/json"
function request()
  place = place % #bodies + 1
  return wrk.format("POST", "/predict", nil, bodies[place])
end
"""


class Server:
    """The command, in a process of its own."""

    def __init__(self, model: str, *flags: str):
        command = [sys.executable, "-m", "hfcls.cli", "serve", model, "--port", "0", *flags]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self.port = int(re.search(r"127\.0\.0\.1:(\d+)", self.process.stdout.readline())[1])

    def __enter__(self) -> "Server":
        return self

    def __exit__(self, *exception) -> None:
        self.process.terminate()
        self.process.wait()

    def ask(self, connection: http.client.HTTPConnection, path: str, body: bytes, headers: dict) -> tuple[int, bytes]:
        connection.request("POST", path, body, headers)
        answer = connection.getresponse()
        return answer.status, answer.read()

    def connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)


JSON = {"content-type": "application/json"}


def body_of(text: str) -> bytes:
    return json.dumps({"inputs": text}, ensure_ascii=False).encode()


def throughput(model: str, texts: str, seconds: int, flags: list[str]) -> None:
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script, Server(model, *flags) as server:
        script.write(LUA.replace("TEXTS", texts))
        script.flush()
        rates = {1: [], 64: []}
        for turn, clients in enumerate([1, 64] * 3):
            period = seconds if turn == 5 else 10
            command = ["wrk", "-t1", f"-c{clients}", f"-d{period}s", "--timeout", "60s", "--latency", "-s", script.name]
            said = subprocess.run(
                [*command, f"http://127.0.0.1:{server.port}"], capture_output=True, text=True, check=True
            ).stdout
            rate = float(re.search(r"Requests/sec:\s+([\d.]+)", said)[1])
            rates[clients].append(rate)
            errors = re.findall(r"(Socket errors.*|Non-2xx.*)", said)
            last = re.search(r"99%\s+(\S+)", said)[1]
            print(f"{clients:>3} clients, {period} s: {rate:7.1f} requests/s, p99 {last}, errors: {errors or 'none'}")
        best = [max(rates[clients]) for clients in rates]
        print(f"64 clients to one: {best[1] / best[0]:.2f} ×")


def same_answers(model: str, texts: str, flags: list[str]) -> None:
    lines = Path(texts).read_text(encoding="utf-8").splitlines()
    with tempfile.TemporaryDirectory() as folder:
        output = str(Path(folder, "out.csv"))
        command = [sys.executable, "-m", "hfcls.cli", "predict", model, "--input", texts, "--output", output]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        with open(output, encoding="utf-8", newline="") as file:
            expected = [(row["prediction"], float(row["probability"])) for row in csv.DictReader(file)]
    with Server(model, *flags) as server, ThreadPoolExecutor(64) as pool:
        local = threading.local()

        def ask(text: str) -> dict:
            local.connection = getattr(local, "connection", None) or server.connect()
            status, answer = server.ask(local.connection, "/predict", body_of(text), JSON)
            assert status == 200, answer
            return json.loads(answer)[0]

        found = list(pool.map(ask, lines))
    labels = sum(one["label"] == label for one, (label, _) in zip(found, expected, strict=True))
    furthest = max(abs(one["score"] - share) for one, (_, share) in zip(found, expected, strict=True))
    print(f"{labels} of {len(lines)} labels equal, probabilities to {furthest:.1e}")


def small_queue(model: str, texts: str, flags: list[str]) -> None:
    lines, statuses = Path(texts).read_text(encoding="utf-8").splitlines(), Counter()
    with Server(model, "--max_queue", "8", *flags) as server:

        def ask(number: int) -> None:
            connection, end = server.connect(), time.monotonic() + 10
            while time.monotonic() < end:
                status, _ = server.ask(connection, "/predict", body_of(lines[number]), JSON)
                statuses[status] += 1

        run_all(ask, 64)
    print(f"a queue of 8 and 64 clients: {dict(statuses)}")


def term_under_load(model: str, texts: str, flags: list[str]) -> None:
    lines = Path(texts).read_text(encoding="utf-8").splitlines()
    answered, lost = Counter(), []
    server = Server(model, *flags)

    def ask(number: int) -> None:
        connection = server.connect()
        connection.connect()
        while True:
            try:
                connection.request("POST", "/predict", body_of(lines[number]), JSON)
                answer = connection.getresponse()
                answered[answer.status] += len(answer.read()) > 0
            except OSError as error:
                lost.append(error)
                return
            if answer.getheader("connection") == "close":
                return

    threading.Timer(5, server.process.send_signal, [signal.SIGTERM]).start()
    run_all(ask, 64)
    print(f"SIGTERM under 64 clients: {dict(answered)}, lost {len(lost)}, exit code {server.process.wait()}")


def run_all(ask, clients: int) -> None:
    threads = [threading.Thread(target=ask, args=(number,)) for number in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def hostile(model: str, requests: int, flags: list[str]) -> None:
    draw, statuses, times = random.Random(0), Counter(), []
    long_body = b" " * 100_000_000
    with Server(model, *flags) as server:
        process, sizes = psutil.Process(server.process.pid), []
        for number in range(requests):
            path, headers, body = mutated(draw)
            if number % 50 == 25:
                path, headers, body = "/predict", JSON, long_body
            started = time.monotonic()
            connection = server.connect()
            status, answer = server.ask(connection, path, body, headers)
            connection.close()
            times.append((time.monotonic() - started, path, status, len(body)))
            statuses[status] += 1
            assert status == 200 or 400 <= status < 500, (path, headers, body[:200], answer)
            if number % 100 == 99:
                sizes.append(process.memory_info().rss)
        with contextlib.closing(server.connect()) as connection:
            assert server.ask(connection, "/predict", body_of("a"), JSON)[0] == 200
    print(f"{requests} mutated requests: {dict(sorted(statuses.items()))}")
    for what, found in (
        ("refused", [one for one in times if one[2] != 200 and one[3] < len(long_body)]),
        ("refused, of 100 MB", [one for one in times if one[3] == len(long_body)]),
        ("sound after all, and answered", [one for one in times if one[2] == 200]),
    ):
        slowest = [f"{seconds:.2f} s {rest}" for seconds, *rest in sorted(found)[-3:]]
        print(f"{len(found)} {what}; the slowest, with path, status and bytes:", *slowest)
    print("memory in MB after each hundred:", *[size // 2**20 for size in sizes])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("texts")
    parser.add_argument("--seconds", type=int, default=60, help="of the last turn of 64 clients")
    parser.add_argument("--requests", type=int, default=2000, help="of which something is wrong")
    parser.add_argument("--only", choices=["throughput", "answers", "queue", "term", "hostile"])
    options, flags = parser.parse_known_args()  # other flags are those of hfcls serve
    os.environ["PYTHONPATH"] = str(Path(__file__).parents[2])
    texts = str(Path(options.texts).resolve())
    steps = {
        "throughput": lambda: throughput(options.model, texts, options.seconds, flags),
        "answers": lambda: same_answers(options.model, texts, flags),
        "queue": lambda: small_queue(options.model, texts, flags),
        "term": lambda: term_under_load(options.model, texts, flags),
        "hostile": lambda: hostile(options.model, options.requests, flags),
    }
    for name, step in steps.items():
        if options.only in (None, name):
            step()
