"""A Hub on the loopback address: what the stock huggingface_hub client needs to create, push and load a model.

    with serve_hub() as hub:
        subprocess.run([sys.executable, "-c", "..."], env=hub.environment(tmp_path / "hf"))
        assert hub.repos["tester/model"].files["config.json"] == b"..."

The client reads its address when it is imported, so it has to run in a process of its own that starts with
`Hub.environment`. What was pushed is kept byte by byte in `Hub.repos`, and every request in `Hub.requests`.
"""

import base64
import contextlib
import hashlib
import json
import os
import re
import tempfile
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

import pytest

from tests.hub_metadata import card_problems

ROOT = Path(__file__).resolve().parents[1]
USER, ORGANISATION = "tester", "lab"
TOKEN = "hf_" + "LoopbackSecret" * 2
LFS_SUFFIXES = {".safetensors", ".bin", ".pt", ".model", ".h5", ".onnx"}
GATED, BROKEN = object(), object()  # in place of a card: its dataset is for others; the server fails
REPO = r"(?P<repo>[\w.-]+/[\w.-]+)"


@dataclass
class Repo:
    """One model repository: its branches, each a path → content dictionary, and the messages of its commits."""

    private: bool
    branches: dict[str, dict[str, bytes]] = field(default_factory=lambda: {"main": {}})
    messages: list[str] = field(default_factory=list)

    @property
    def files(self) -> dict[str, bytes]:
        return self.branches["main"]

    def commit_id(self, branch: str) -> str:
        listing = sorted((path, hashlib.sha1(content).hexdigest()) for path, content in self.branches[branch].items())
        return hashlib.sha1(repr((branch, listing)).encode()).hexdigest()


@dataclass
class Hub:
    """The state of the server. A test looks into it, and changes it to make things go wrong."""

    url: str = ""
    token: str = TOKEN
    repos: dict[str, Repo] = field(default_factory=dict)
    read_only: set[str] = field(default_factory=set)  # repositories that the token may not write to
    uploaded: dict[str, bytes] = field(default_factory=dict)  # large files by SHA-256, committed or not
    requests: list[tuple[str, str, int]] = field(default_factory=list)  # method, path, status
    cards: dict[str, dict] = field(default_factory=dict)  # datasets: tags, card (or None, GATED, BROKEN), about
    refusals: int = 0  # of so many requests for cards, as too many
    before_upload: Callable[[], None] | None = None  # runs when a large file is about to be received; may raise
    _home: str = ""

    def environment(self, home: str | Path | None = None, **changes: str | None) -> dict[str, str]:
        """The environment of a client process. `home` is its HF_HOME (a folder of the hub's own by default); a keyword
        sets a further variable, None removes one."""
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("HF_", "HUGGINGFACE_", "TRANSFORMERS_"))}
        client = {
            "HF_ENDPOINT": self.url,
            "HF_TOKEN": self.token,
            "HF_HOME": str(home or self._home),
            "HF_HUB_DISABLE_XET": "1",
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "NO_PROXY": "127.0.0.1",
            "no_proxy": "127.0.0.1",  # where both are set this one counts
            "PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")])),
        }
        return {key: value for key, value in {**kept, **client, **changes}.items() if value is not None}


class HubError(Exception):
    """A refusal: HTTP status, the reason, the code that the client maps to an exception, further JSON fields."""

    def __init__(self, status: int, message: str, code: str | None = None, **fields):
        self.status, self.message, self.code, self.fields = status, message, code, fields


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = 1 << 16  # one packet for headers and body: unbuffered, each answer waits 40 ms for an acknowledgement
    hub: Hub

    ROUTES = [
        ("GET", r"/api/whoami-v2", "whoami"),
        ("POST", r"/api/validate-yaml", "validate_yaml"),
        ("POST", r"/api/repos/create", "create"),
        ("GET", rf"/api/models/{REPO}/auth-check(?P<write>/write)?", "auth_check"),
        ("GET", rf"/api/models/{REPO}(/revision/(?P<rev>[^/]+))?", "info"),
        ("GET", rf"/api/models/{REPO}/tree/(?P<rev>[^/]+)(/(?P<path>.+))?", "tree"),
        ("POST", rf"/api/models/{REPO}/branch/(?P<rev>[^/]+)", "branch"),
        ("POST", rf"/api/models/{REPO}/preupload/(?P<rev>[^/]+)", "preupload"),
        ("POST", rf"/api/models/{REPO}/commit/(?P<rev>[^/]+)", "commit"),
        ("POST", rf"/{REPO}\.git/info/lfs/objects/batch", "lfs_batch"),
        ("POST", r"/lfs/verify", "lfs_verify"),
        ("PUT", r"/lfs/(?P<oid>[0-9a-f]{64})", "lfs_put"),
        ("GET", r"/api/datasets", "list_datasets"),
        ("GET", rf"/datasets/{REPO}/resolve/main/README.md", "dataset_card"),
        ("GET", rf"/{REPO}/resolve/(?P<rev>[^/]+)/(?P<path>.+)", "resolve"),
    ]

    # --- HTTP -----------------------------------------------------------------------------------------------------

    def handle_request(self) -> None:
        method = "GET" if self.command == "HEAD" else self.command
        path = urlsplit(self.path).path
        self.received = False
        try:
            for verb, pattern, name in self.ROUTES:
                if verb == method and (match := re.fullmatch(pattern, path)):
                    getattr(self, name)(**{k: v and unquote(v) for k, v in match.groupdict().items()})
                    return
            raise HubError(404, "Not Found")
        except HubError as error:
            if not self.received:
                self.body()  # an unread body would be taken for the next request of the connection
            headers = {"X-Error-Message": error.message} | ({"X-Error-Code": error.code} if error.code else {})
            self.answer({"error": error.message, **error.fields}, error.status, headers)
        except ConnectionError:
            self.hub.requests.append((self.command, path, 0))
            self.close_connection = True

    do_GET = do_HEAD = do_POST = do_PUT = handle_request

    def body(self) -> bytes:
        self.received = True
        if self.headers.get("Transfer-Encoding") == "chunked":
            content = b""
            while size := int(self.rfile.readline(), 16):
                content += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            return content
        expected = int(self.headers.get("Content-Length", 0))
        content = self.rfile.read(expected)
        if len(content) < expected:
            raise ConnectionError("the client went away in the middle of a body")
        return content

    def json(self) -> dict:
        return json.loads(self.body())

    def answer(self, content: bytes | dict | list, status: int = 200, headers: dict[str, str] | None = None) -> None:
        binary = isinstance(content, bytes)
        data = content if binary else json.dumps(content).encode()
        self.hub.requests.append((self.command, urlsplit(self.path).path, status))
        self.send_response(status)
        self.send_header("Content-Type", "application/octet-stream" if binary else "application/json")
        self.send_header("Content-Length", str(len(data)))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)
        self.wfile.flush()

    def log_message(self, *args) -> None:
        pass

    # --- who may do what ------------------------------------------------------------------------------------------

    def logged_in(self) -> bool:
        given = self.headers.get("Authorization")
        if given is not None and given != f"Bearer {self.hub.token}":
            raise HubError(401, "Invalid credentials in Authorization header")
        return given is not None

    def repo(self, name: str, write: bool = False) -> Repo:
        logged_in = self.logged_in()
        found = self.hub.repos.get(name)
        if found is None or (found.private and not logged_in):
            raise HubError(404 if logged_in else 401, "Repository not found", "RepoNotFound")
        if write and (not logged_in or name in self.hub.read_only):
            raise HubError(403, "Forbidden: you must use a write token to upload to a repository.")
        return found

    def files(self, name: str, rev: str, write: bool = False) -> tuple[dict[str, bytes], str]:
        """The files and the commit id of a branch, which may be given by its commit id."""
        repo = self.repo(name, write)
        for branch, files in repo.branches.items():
            if rev in (branch, repo.commit_id(branch)):
                return files, repo.commit_id(branch)
        raise HubError(404, f"Invalid rev id: {rev}", "RevisionNotFound")

    # --- the calls ------------------------------------------------------------------------------------------------

    def whoami(self) -> None:
        if not self.logged_in():
            raise HubError(401, "Invalid username or password.")
        self.answer({"type": "user", "name": USER, "orgs": [{"type": "org", "name": ORGANISATION}]})

    def validate_yaml(self) -> None:
        errors, warnings = card_problems(self.json()["content"])
        as_json = {"errors": [{"message": m} for m in errors], "warnings": [{"message": m} for m in warnings]}
        self.answer(as_json, 400 if errors else 200)

    def create(self) -> None:
        wanted = self.json()
        if not self.logged_in():
            raise HubError(401, "Invalid username or password.")
        owner = wanted.get("organization") or USER
        name = f"{owner}/{wanted['name']}"
        if owner not in (USER, ORGANISATION):
            raise HubError(403, f'You don\'t have the rights to create a model under the namespace "{owner}"')
        if name in self.hub.read_only:
            raise HubError(403, "Forbidden: you must use a write token.")
        url = f"{self.hub.url}/{name}"
        if name in self.hub.repos:
            raise HubError(409, "You already created this model repo", url=url)
        self.hub.repos[name] = Repo(private=wanted.get("visibility") == "private")
        self.answer({"url": url, "name": name})

    def auth_check(self, repo: str, write: str | None) -> None:
        self.repo(repo, write=write is not None)
        self.answer({})

    def info(self, repo: str, rev: str | None) -> None:
        files, commit = self.files(repo, rev or "main")
        self.answer({"id": repo, "sha": commit, "siblings": [{"rfilename": path} for path in files]})

    def tree(self, repo: str, rev: str, path: str | None) -> None:
        files, _ = self.files(repo, rev)
        below = {name: content for name, content in files.items() if path is None or name.startswith(path + "/")}
        if path is not None and not below:
            raise HubError(404, f"{path} does not exist", "EntryNotFound")
        self.answer([{"type": "file", "path": n, "size": len(c), "oid": git_hash(c)} for n, c in below.items()])

    def branch(self, repo: str, rev: str) -> None:
        branches = self.repo(repo, write=True).branches
        self.body()
        if rev in branches:
            raise HubError(409, "Reference already exists")
        branches[rev] = dict(branches["main"])
        self.answer({})

    def preupload(self, repo: str, rev: str) -> None:
        files, _ = self.files(repo, rev, write=True)
        answers = []
        for wanted in self.json()["files"]:
            path, large = wanted["path"], Path(wanted["path"]).suffix in LFS_SUFFIXES
            known = files.get(path)
            oid = None if known is None else hashlib.sha256(known).hexdigest() if large else git_hash(known)
            mode = "lfs" if large else "regular"
            answers.append({"path": path, "uploadMode": mode, "shouldIgnore": False, "oid": oid})
        self.answer({"files": answers})

    def lfs_batch(self, repo: str) -> None:
        self.repo(repo, write=True)
        objects = []
        for wanted in self.json()["objects"]:
            actions = {
                "upload": {"href": f"{self.hub.url}/lfs/{wanted['oid']}"},
                "verify": {"href": f"{self.hub.url}/lfs/verify"},
            }
            new = wanted["oid"] not in self.hub.uploaded
            objects.append({**wanted, "actions": actions} if new else wanted)
        self.answer({"transfer": "basic", "objects": objects})

    def lfs_put(self, oid: str) -> None:
        if self.hub.before_upload is not None:
            self.hub.before_upload()
        content = self.body()
        if hashlib.sha256(content).hexdigest() != oid:
            raise HubError(400, "the content does not have the announced SHA-256")
        self.hub.uploaded[oid] = content
        self.answer(b"")

    def lfs_verify(self) -> None:
        wanted = self.json()
        if len(self.hub.uploaded.get(wanted["oid"], b"")) != wanted["size"]:
            raise HubError(404, "no such object")
        self.answer({})

    def commit(self, repo: str, rev: str) -> None:
        lines = [json.loads(line) for line in self.body().splitlines()]
        files, _ = self.files(repo, rev, write=True)
        changed = dict(files)
        for line in lines:
            key, value = line["key"], line["value"]
            if key == "file":
                changed[value["path"]] = base64.b64decode(value["content"])
            elif key == "lfsFile":
                if value["oid"] not in self.hub.uploaded:
                    raise HubError(400, f"LFS object of {value['path']} was not uploaded")
                changed[value["path"]] = self.hub.uploaded[value["oid"]]
            elif key == "deletedFile":
                del changed[value["path"]]
            elif key != "header":
                raise HubError(400, f"unknown operation {key}")
        files.clear()
        files.update(changed)
        self.hub.repos[repo].messages.append(lines[0]["value"]["summary"])
        commit = self.hub.repos[repo].commit_id(rev)
        self.answer({"commitOid": commit, "commitUrl": f"{self.hub.url}/{repo}/commit/{commit}"})

    def list_datasets(self) -> None:
        """Four datasets a page, the next one by a Link header."""
        begin = int(parse_qs(urlsplit(self.path).query).get("cursor", ["0"])[0])
        page = list(self.hub.cards.items())[begin : begin + 4]
        more = begin + 4 < len(self.hub.cards)
        link = {"Link": f'<{self.hub.url}/api/datasets?full=true&cursor={begin + 4}>; rel="next"'} if more else {}
        self.answer(
            [
                {"id": name, "tags": about["tags"], "downloads": 5, "cardData": about.get("about", {})}
                for name, about in page
            ],
            headers=link,
        )

    def dataset_card(self, repo: str) -> None:
        if self.hub.refusals > 0:
            self.hub.refusals -= 1
            raise HubError(429, "Too Many Requests")
        card = self.hub.cards[repo]["card"]
        if card is GATED:
            raise HubError(403, "Access to this dataset is restricted", "GatedRepo")
        if card is BROKEN:
            raise HubError(501, "The storage is being moved")
        if card is None:
            raise HubError(404, "Entry not found", "EntryNotFound")
        self.answer(card.encode(), headers={"X-Repo-Commit": "0" * 40, "ETag": f'"{git_hash(card.encode())}"'})

    def resolve(self, repo: str, rev: str, path: str) -> None:
        files, commit = self.files(repo, rev)
        headers = {"X-Repo-Commit": commit, "Accept-Ranges": "bytes"}
        if path not in files:
            self.hub.requests.append((self.command, urlsplit(self.path).path, 404))
            self.send_response(404)
            for name, value in {**headers, "X-Error-Code": "EntryNotFound", "Content-Length": "0"}.items():
                self.send_header(name, value)
            self.end_headers()
            return
        content = files[path]
        headers["ETag"] = f'"{git_hash(content)}"'
        if Path(path).suffix in LFS_SUFFIXES:
            headers["X-Linked-Etag"] = f'"{hashlib.sha256(content).hexdigest()}"'
            headers["X-Linked-Size"] = str(len(content))
        wanted = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        if wanted is None:
            self.answer(content, 200, headers)
            return
        start, stop = int(wanted[1]), min(int(wanted[2] or len(content)), len(content) - 1) + 1
        headers["Content-Range"] = f"bytes {start}-{stop - 1}/{len(content)}"
        self.answer(content[start:stop], 206, headers)


def git_hash(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


# --- running it -------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def serving(handler: type[BaseHTTPRequestHandler]) -> Iterator[str]:
    """The address of a server with `handler`, in threads of this process until the block ends."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True  # connections that a client keeps open must not keep the tests waiting
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextlib.contextmanager
def serve_hub() -> Iterator[Hub]:
    """Runs a hub in threads of this process until the block ends."""
    with tempfile.TemporaryDirectory() as home:
        hub = Hub(_home=home)
        with serving(type("HubHandler", (Handler,), {"hub": hub})) as hub.url:
            yield hub


@pytest.fixture
def hub() -> Iterator[Hub]:
    with serve_hub() as running:
        yield running
