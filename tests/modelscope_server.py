"""A ModelScope on the loopback address: what its client, modelscope-hub, needs to list and fetch a model.

    with serve_modelscope() as hub:
        hub.models["AI/tiny"] = {"master": {"config.json": b"..."}}
        subprocess.run([sys.executable, "-c", "..."], env=hub.environment(tmp_path / "cache"))

The protocol was read from modelscope-hub 0.5: `GET /api/v1/models/OWNER/NAME/repo/files?Revision=…` lists, `GET
/api/v1/models/OWNER/NAME/repo?Revision=…&FilePath=…` gives a file, weights by way of an address elsewhere.
"""

import contextlib
import hashlib
import json
import os
import re
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.hub_server import serving

ROOT = Path(__file__).resolve().parents[1]
PATHS = r"/(?P<from>api/v1/models|storage)/(?P<repo>[\w.-]+/[\w.-]+)/repo(?P<list>/files)?"
LARGE = (".safetensors", ".bin", ".onnx")


@dataclass
class ModelScope:
    """The state of the server. A test looks into it, and changes it to make things go wrong.

    Attributes:
        models: OWNER/NAME → revision → path → content.
        torn: files of which half is sent, and how many times.
        absent: files that are listed, and not there.
        requests: path and query of each request.
    """

    url: str = ""
    models: dict[str, dict[str, dict[str, bytes]]] = field(default_factory=dict)
    torn: dict[str, int] = field(default_factory=dict)
    absent: set[str] = field(default_factory=set)
    requests: list[str] = field(default_factory=list)
    _home: str = ""

    def environment(self, home: str | Path | None = None, **changes: str) -> dict[str, str]:
        """The environment of a client process; `home` is where it keeps what it fetches."""
        home = str(home or self._home)
        client = {
            "MODELSCOPE_ENDPOINT": self.url,
            "MODELSCOPE_CACHE": home,
            "MODELSCOPE_HOME": home,
            "NO_PROXY": "127.0.0.1",
            "no_proxy": "127.0.0.1",
            "PYTHONPATH": str(ROOT),
        }
        return {**os.environ, **client, **changes}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = 1 << 16
    hub: ModelScope

    def do_GET(self) -> None:
        self.hub.requests.append(self.path)
        address = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(address.query).items()}
        found = re.fullmatch(
            r"/(?P<from>api/v1/models|storage)/(?P<repo>[\w.-]+/[\w.-]+)/repo(?P<list>/files)?", address.path
        )
        files = self.hub.models.get(found["repo"], {}).get(query["Revision"]) if found else None
        if address.path == "/":
            self.answer(b"")
        elif files is None:
            self.refuse()
        elif found["list"]:
            self.answer(json.dumps({"Code": 200, "Data": {"Files": _listing(files)}, "Success": True}).encode())
        elif query["FilePath"] not in files or query["FilePath"] in self.hub.absent:
            self.refuse()
        elif query["FilePath"].endswith(LARGE) and found["from"] != "storage":
            self.answer(b"", 302, {"Location": f"{self.hub.url}/storage/{found['repo']}/repo?{address.query}"})
        else:
            self.send_file(query["FilePath"], files[query["FilePath"]])

    do_HEAD = do_GET

    def send_file(self, name: str, content: bytes) -> None:
        wanted = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        start = int(wanted[1]) if wanted else 0
        headers = {"Content-Range": f"bytes {start}-{len(content) - 1}/{len(content)}"} if wanted else {}
        if self.hub.torn.get(name, 0):
            self.hub.torn[name] -= 1
            self.answer(content[start:], 206 if wanted else 200, headers, sent=(len(content) - start) // 2)
            self.close_connection = True
        else:
            self.answer(content[start:], 206 if wanted else 200, headers)

    def refuse(self) -> None:
        about = {"Code": 10010205001, "Message": "Resource does not exist", "Success": False}
        self.answer(json.dumps(about).encode(), 404)

    def answer(
        self, content: bytes, status: int = 200, headers: dict[str, str] | None = None, sent: int | None = None
    ) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(content)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content[:sent])
        self.wfile.flush()

    def log_message(self, *args) -> None:
        pass


def _listing(files: dict[str, bytes]) -> list[dict]:
    blobs = [
        {"Type": "blob", "Path": path, "Size": len(content), "Sha256": hashlib.sha256(content).hexdigest()}
        for path, content in files.items()
    ]
    folders = {path.partition("/")[0] for path in files if "/" in path}
    return [*({"Type": "tree", "Path": folder, "Size": 0, "Sha256": ""} for folder in sorted(folders)), *blobs]


@contextlib.contextmanager
def serve_modelscope() -> Iterator[ModelScope]:
    """Runs a ModelScope in threads of this process until the block ends."""
    with tempfile.TemporaryDirectory() as home:
        hub = ModelScope(_home=home)
        with serving(type("ModelScopeHandler", (Handler,), {"hub": hub})) as hub.url:
            yield hub


@pytest.fixture
def modelscope() -> Iterator[ModelScope]:
    with serve_modelscope() as running:
        yield running
