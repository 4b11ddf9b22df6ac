"""A server at work in a thread, on a port of its own; and small models to serve."""

import asyncio
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
import torch

from hfcls.inference.serve.app import make_app
from hfcls.inference.serve.models import load
from hfcls.inference.serve.server import Server, bound_socket, uvicorn_config
from hfcls.inference.serve.service import Limits
from hfcls.models.bert import bert_from_scratch
from hfcls.models.truncation import Truncation
from hfcls.text.tokenization import train_wordpiece_tokenizer

LABELS = ["财经", "体育", "games, etc."]
TEXTS = ["股市 大涨", "球队 赢得 比赛 冠军", "游戏 games", "", "一 二 三 四 五 六 七 八 九 十"]


def save_bert(folder: Path, *, labels=LABELS, max_length: int = 24, keep: str = "head", pairs: bool = False, **config):
    """A tiny BERT whose answers differ from text to text."""
    tokenizer = train_wordpiece_tokenizer(TEXTS * 3, max_length=512)
    torch.manual_seed(0)
    model = bert_from_scratch("tiny", tokenizer, labels, 512)
    for parameter in model.parameters():
        if parameter.dim() > 1:
            torch.nn.init.normal_(parameter, std=0.1)
    rule = Truncation.of(keep, max_length, tokenizer)
    model.config.update(rule.to_config(pairs=pairs) | config)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


class Serving(httpx2.Client):
    """A client of a server in this process."""

    def __init__(self, server: Server, port: int):
        super().__init__(base_url=f"http://127.0.0.1:{port}", timeout=60)
        self.server, self.port = server, port

    def predict(self, inputs, **options):
        answer = self.post("/predict", json={"inputs": inputs, **options})
        assert answer.status_code == 200, answer.text
        return answer.json()


@contextmanager
def serving(model, *, api_key: str | None = None, **limits) -> Iterator[Serving]:
    """A server of `model`: a folder, or what is `Served`."""
    served = load(str(model)) if isinstance(model, Path) else model
    bound = bound_socket("127.0.0.1", 0)
    port = bound.getsockname()[1]
    app = make_app(served, Limits(**limits), api_key)
    server = Server(uvicorn_config(app), app, "serving", last_arrivals=0.1)
    thread = threading.Thread(target=lambda: asyncio.run(server.serve(sockets=[bound])))
    thread.start()
    try:
        while not server.started:
            assert thread.is_alive()
            time.sleep(0.01)
        with Serving(server, port) as client:
            yield client
    finally:
        server.should_exit = True
        thread.join()
