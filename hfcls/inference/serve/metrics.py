"""What Prometheus reads at /metrics."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)
TOKENS = (16, 64, 256, 1024, 4096, 16384, 65536)


class Metrics:
    """The measures of one server, in a registry of their own."""

    def __init__(self):
        self.registry = CollectorRegistry()
        named = {"registry": self.registry}
        self.requests = Counter("hfcls_requests", "Requests answered", ["path", "status"], **named)
        self.seconds = Histogram(
            "hfcls_request_seconds", "From the first byte to the last", ["path"], buckets=SECONDS, **named
        )
        self.waiting = Gauge("hfcls_queue_requests", "Requests that wait or are computed", **named)
        self.batch_rows = Histogram("hfcls_batch_rows", "Inputs of a batch", buckets=SIZES, **named)
        self.batch_tokens = Histogram("hfcls_batch_tokens", "Tokens of a batch", buckets=TOKENS, **named)
        self.batch_seconds = Histogram("hfcls_batch_seconds", "To compute a batch", buckets=SECONDS, **named)

    def answered(self, path: str, status: int, seconds: float) -> None:
        self.requests.labels(path, str(status)).inc()
        self.seconds.labels(path).observe(seconds)

    def batch(self, rows: int, tokens: int, seconds: float) -> None:
        self.batch_rows.observe(rows)
        self.batch_tokens.observe(tokens)
        self.batch_seconds.observe(seconds)
