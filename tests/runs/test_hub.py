import hashlib
import json
import os
import re
import socket
import subprocess
import sys
import textwrap
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
import torch
from huggingface_hub import constants

from hfcls.errors import InputError
from hfcls.runs import hub as hfcls_hub
from hfcls.runs.card import write_model_card
from hfcls.runs.hub import check_hub, clean_local_paths, files_to_push, push_folder
from tests.finished_run import LABELS, write_run
from tests.hub_server import TOKEN, Handler, HubError, serve_hub
from tests.warm import run_apart

TEXTS = ["a b c", "c c", "b unknown a a"]

# Runs calls of hfcls.runs.hub given as JSON, and prints each result or error as a line of JSON.
DRIVER = """
import json, sys, time
from hfcls.runs import hub
from hfcls.errors import InputError

time.sleep = lambda seconds: None  # the client waits up to 8 s between its attempts
for name, args, kwargs in json.loads(sys.argv[1]):
    try:
        print(json.dumps({"value": getattr(hub, name)(*args, **kwargs)}))
    except InputError as error:
        print(json.dumps({"error": str(error)}))
"""

MODULE = """
import torch
from transformers import PreTrainedConfig, PreTrainedModel
from transformers.modeling_outputs import SequenceClassifierOutput

from .bag_helper import count


class BagConfig(PreTrainedConfig):
    model_type = "bag_of_tokens"
    vocab_size: int = 8


class BagForSequenceClassification(PreTrainedModel):
    config: BagConfig
    config_class = BagConfig

    def __init__(self, config):
        super().__init__(config)
        self.classifier = torch.nn.Linear(config.vocab_size, config.num_labels)
        self.post_init()

    def forward(self, input_ids, labels=None):
        return SequenceClassifierOutput(logits=self.classifier(count(input_ids, self.config.vocab_size)))
"""
HELPER = """
import torch


def count(input_ids, vocab_size):
    return torch.nn.functional.one_hot(input_ids, vocab_size).sum(1).float()
"""


@pytest.fixture(scope="module")
def hub():
    with serve_hub() as running:
        yield running


@pytest.fixture
def client(hub, monkeypatch):
    """Points the client in this process to the hub, for what needs no process of its own."""
    monkeypatch.setattr(constants, "ENDPOINT", hub.url)
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    for name, value in hub.environment().items():
        monkeypatch.setenv(name, value)
    return hub


def start(environment: dict[str, str], *calls: tuple) -> subprocess.Popen:
    calls = [(name, args, kwargs) for name, *args, kwargs in calls]
    command = [sys.executable, "-c", DRIVER, json.dumps(calls)]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def run(environment: dict[str, str], *calls: tuple) -> list[dict]:
    process = start(environment, *calls)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert environment.get("HF_TOKEN", TOKEN) not in out + err
    return [json.loads(line) for line in out.splitlines()]


def refused(function, *args, **kwargs) -> str:
    with pytest.raises(InputError) as caught:
        function(*args, **kwargs)
    message = str(caught.value)
    assert "\n" not in message
    assert TOKEN not in message
    return message


def save_model(folder: Path, base: Path) -> None:
    """A tiny random BERT and its tokenizer, saved after they were loaded from another folder."""
    from transformers import AutoTokenizer, BertConfig, BertForSequenceClassification, BertTokenizer

    vocab = {token: i for i, token in enumerate(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "b", "c"])}
    BertTokenizer(vocab=vocab).save_pretrained(base)
    torch.manual_seed(0)
    shape = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    names = {"id2label": dict(enumerate(LABELS)), "label2id": {label: i for i, label in enumerate(LABELS)}}
    config = BertConfig(vocab_size=len(vocab), max_position_embeddings=16, initializer_range=1.0, **shape, **names)
    BertForSequenceClassification(config).save_pretrained(base)
    BertForSequenceClassification.from_pretrained(base).save_pretrained(folder)
    AutoTokenizer.from_pretrained(base).save_pretrained(folder)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """The output folder of a run, with everything in it that must not be pushed."""
    from transformers import TrainingArguments

    folder = tmp_path_factory.mktemp("outputs") / "tiny"
    write_run(folder)
    save_model(folder, tmp_path_factory.mktemp("base"))
    write_model_card(folder, repo_id="tester/tiny")
    torch.save(TrainingArguments(output_dir=str(folder), hub_token=TOKEN), folder / "training_args.bin")
    (folder / "checkpoint-3").mkdir()
    for name in ("model.safetensors", "config.json", "optimizer.pt"):
        (folder / "checkpoint-3" / name).write_bytes((folder / "config.json").read_bytes())
    for name in ("secrets.env", "pytorch_model.bin", "optimizer.pt", "rng_state.pth", "data.pkl", "trainer_state.json"):
        (folder / name).write_text(TOKEN, encoding="utf-8")
    for name in ("predictions.csv", "report.html", "train.log", "notes.py", "events.out.tfevents.1", "my_vocab.txt"):
        (folder / name).write_text(f"the corpus, {folder}", encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def pushed(hub, finished, tmp_path_factory):
    """The repository after the push of `finished` by the stock client in a process of its own, and the address."""
    environment = hub.environment(tmp_path_factory.mktemp("hf"))
    check, push = run(environment, ("check_hub", "tiny", {}), ("push_folder", str(finished), "tester/tiny", {}))
    assert check == {"value": "tester/tiny"}
    return hub.repos["tester/tiny"], push["value"]


def test_exactly_the_model_is_pushed(pushed, hub, finished):
    repo, address = pushed
    assert address == f"{hub.url}/tester/tiny"
    tokenizer = {"tokenizer.json", "tokenizer_config.json"}
    assert set(repo.files) == {"README.md", "all_results.json", "config.json", "model.safetensors"} | tokenizer
    for name, content in repo.files.items():
        assert content == (finished / name).read_bytes(), name
    assert repo.messages == ["Upload a classifier trained with hfcls"]
    weights = (finished / "model.safetensors").read_bytes()
    assert hub.uploaded == {hashlib.sha256(weights).hexdigest(): weights}  # no other large file left this machine


def test_neither_token_nor_local_path_is_pushed(pushed, hub, finished):
    assert TOKEN.encode() in (finished / "training_args.bin").read_bytes()  # so the folder did hold it
    everything = [*pushed[0].files.values(), *hub.uploaded.values()]
    for secret in (TOKEN, str(finished.parents[1]), os.path.expanduser("~")):
        assert not any(secret.encode() in content for content in everything), secret


@pytest.fixture(scope="module")
def custom(tmp_path_factory):
    """A saved model whose code comes with it."""
    folder, source = tmp_path_factory.mktemp("custom"), tmp_path_factory.mktemp("bag_source")
    (source / "bag_package").mkdir()
    (source / "bag_package" / "bag_of_tokens.py").write_text(MODULE, encoding="utf-8")
    (source / "bag_package" / "bag_helper.py").write_text(HELPER, encoding="utf-8")
    sys.path.insert(0, str(source))
    from bag_package.bag_of_tokens import BagConfig, BagForSequenceClassification

    sys.path.remove(str(source))
    BagConfig.register_for_auto_class()
    BagForSequenceClassification.register_for_auto_class("AutoModelForSequenceClassification")
    torch.manual_seed(1)
    model = BagForSequenceClassification(BagConfig(num_labels=3)).eval()
    model.save_pretrained(folder)
    (folder / "left_here.py").write_text("import os", encoding="utf-8")
    return folder, model


def test_pushed_models_load_in_a_fresh_process(pushed, hub, finished, custom, tmp_path):
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    folder, bag = custom
    run(hub.environment(tmp_path / "a"), ("check_hub", "bag", {}), ("push_folder", str(folder), "tester/bag", {}))
    code = {"bag_helper.py", "bag_of_tokens.py"}
    assert set(hub.repos["tester/bag"].files) == {"config.json", "model.safetensors"} | code

    tokenizer = AutoTokenizer.from_pretrained(finished)
    batch = tokenizer(TEXTS, padding=True, return_tensors="pt")
    with torch.no_grad():
        expected = AutoModelForSequenceClassification.from_pretrained(finished).eval()(**batch).logits
        expected_bag = bag(batch["input_ids"]).logits
    snippet = re.search(r"```python\n(.*?)```", pushed[0].files["README.md"].decode(), flags=re.DOTALL)[1]
    script = textwrap.dedent(f"""
        import json, sys
        {textwrap.indent(snippet, " " * 8).strip()}
        import torch
        from transformers import AutoModelForSequenceClassification, AutoTokenizer

        tokenizer = AutoTokenizer.from_pretrained("tester/tiny")
        batch = tokenizer({TEXTS}, padding=True, return_tensors="pt")
        bag = AutoModelForSequenceClassification.from_pretrained("tester/bag", trust_remote_code=True)
        with torch.no_grad():
            logits = AutoModelForSequenceClassification.from_pretrained("tester/tiny").eval()(**batch).logits
            bag_logits = bag.eval()(batch["input_ids"]).logits
        assert "hfcls" not in sys.modules
        print(json.dumps([batch["input_ids"].tolist(), logits.tolist(), bag_logits.tolist(), classifier({TEXTS})]))
    """)
    # A public repository: no token and an empty cache.
    environment = hub.environment(tmp_path / "b", HF_TOKEN=None, PYTHONPATH=None, OMP_NUM_THREADS="1")
    process = run_apart("-c", script, environment=environment, folder=tmp_path, check=True)
    input_ids, logits, bag_logits, answers = json.loads(process.stdout.splitlines()[-1])
    assert input_ids == batch["input_ids"].tolist()
    torch.testing.assert_close(torch.tensor(logits), expected, rtol=0, atol=1e-6)
    torch.testing.assert_close(torch.tensor(bag_logits), expected_bag, rtol=0, atol=1e-6)
    assert expected.std() > 0.1  # a model that says the same of everything would prove nothing
    assert [answer["label"] for answer in answers] == [LABELS[i] for i in expected.argmax(-1)]
    probabilities = expected.softmax(-1).max(-1).values.tolist()
    assert [answer["score"] for answer in answers] == pytest.approx(probabilities, abs=1e-6)


def test_pushing_again(client, pushed, finished, tmp_path):
    repo, _ = pushed
    before, requests = list(repo.messages), len(client.requests)
    push_folder(finished, "tester/tiny")
    assert repo.messages == before  # nothing changed: no commit, no upload
    assert all(method != "PUT" for method, *_ in client.requests[requests:])


def test_branch_and_name_without_namespace(client, finished):
    check_hub("branches")
    address = push_folder(finished, "branches", revision="v2", commit_message="second")
    assert address == f"{client.url}/tester/branches/tree/v2"
    repo = client.repos["tester/branches"]
    assert repo.files == {} and "model.safetensors" in repo.branches["v2"]
    assert repo.messages == ["second"]


def test_check_hub_creates_or_finds_the_repository(client):
    assert check_hub("lab/new", private=True) == "lab/new"
    assert client.repos["lab/new"].private
    client.repos["lab/new"].files["README.md"] = b"kept"
    assert check_hub("lab/new") == "lab/new"  # 409: it exists
    assert client.repos["lab/new"].files == {"README.md": b"kept"}
    assert client.requests[-2:] == [
        ("POST", "/api/repos/create", 409),
        ("GET", "/api/models/lab/new/auth-check/write", 200),
    ]


LATER = r"; or train without --push_to_hub and push later with `hfcls push DIR REPO`$"


def test_no_permission(client, finished):
    message = refused(check_hub, "someone/else")
    assert re.search(
        rf"^the Hub token may not write to someone/else at {client.url}: .*hf auth login.*{LATER}", message
    )
    check_hub("lab/readable")
    client.read_only.add("lab/readable")  # it exists, and create_repo(exist_ok=True) says nothing
    assert "may not write to lab/readable" in refused(check_hub, "lab/readable")
    assert "may not write to lab/readable" in refused(push_folder, finished, "lab/readable")


def test_a_hub_without_auth_check(client, monkeypatch):
    monkeypatch.setattr(Handler, "ROUTES", [route for route in Handler.ROUTES if route[2] != "auth_check"])
    assert check_hub("lab/elsewhere") == "lab/elsewhere"
    assert client.requests[-1] == ("GET", "/api/models/lab/elsewhere/auth-check/write", 404)


def test_wrong_and_unusable_tokens(client, finished, monkeypatch):
    wrong = "hf_" + "Wrong" * 6
    for message in (
        refused(check_hub, "tester/tiny", token=wrong),
        refused(push_folder, finished, "tester/tiny", token=wrong),
    ):
        assert message.startswith(f"{client.url} does not accept the Hub token: log in with `hf auth login`")
        assert "HF_TOKEN" in message and wrong not in message
    for unusable in (f"{TOKEN}\nX-Evil:1", f"{TOKEN} ", "hf_ключ"):
        message = refused(check_hub, "tester/tiny", token=unusable)
        assert message.startswith("the Hub token holds a space, a line break or a letter that no token has: log in")
    requests = len(client.requests)
    monkeypatch.delenv("HF_TOKEN")
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", "/nowhere")
    assert refused(check_hub, "tester/tiny").startswith("no Hub token: log in with `hf auth login`, or set HF_TOKEN")
    assert len(client.requests) == requests


@pytest.mark.parametrize("name", ["a b", "a/b/c", "-x", "tester/x--y", "tester/x.git", "../x", "тест", ""])
def test_names_that_cannot_be(client, finished, name):
    requests = len(client.requests)
    assert f"{name!r} cannot be a repository's name: use NAMESPACE/NAME" in refused(check_hub, name)
    assert f"{name!r} cannot be a repository's name: use NAMESPACE/NAME" in refused(push_folder, finished, name)
    assert len(client.requests) == requests


def test_missing_repository_and_offline(client, finished, monkeypatch):
    assert "tester/nothing does not exist at" in refused(push_folder, finished, "tester/nothing")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert refused(check_hub, "tester/tiny").startswith("HF_HUB_OFFLINE is set, so nothing can be pushed: unset it")


def test_nobody_there(client, monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        monkeypatch.setattr(constants, "ENDPOINT", f"http://127.0.0.1:{port}")
        monkeypatch.setattr(hfcls_hub, "CHECK_SECONDS", 0.2)
        silent = refused(check_hub, "tester/tiny")  # accepts the connection and says nothing
    closed = refused(check_hub, "tester/tiny")
    for message in (silent, closed):
        assert re.search(rf"^no connection to http://127.0.0.1:{port} \(.+\): check the network.*{LATER}", message)


def test_a_login_page_instead_of_a_hub(client, monkeypatch):
    class Portal(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"<html>Please log in to the airport</html>")

        def log_message(self, *args):
            pass

    with HTTPServer(("127.0.0.1", 0), Portal) as server:
        thread = threading.Thread(target=server.handle_request)
        thread.start()
        monkeypatch.setattr(constants, "ENDPOINT", f"http://127.0.0.1:{server.server_port}")
        assert "does not answer like a Hub: check a proxy or login page" in refused(check_hub, "tiny")
        thread.join()


def test_the_hubs_refusal_of_a_card_is_passed_on(client, finished, tmp_path):
    check_hub("lab/card")
    for path in files_to_push(finished):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / "README.md").write_text("---\nlanguage: Chinese\n---\n", encoding="utf-8")
    message = refused(push_folder, tmp_path, "lab/card")
    assert re.search(r'^Invalid metadata in README.md. - "language" must hold ISO 639 codes; nothing is lost', message)
    assert client.repos["lab/card"].messages == []


def test_what_goes_wrong_on_the_hub_is_passed_on(client, small):
    def full():
        raise HubError(507, "no space left")

    check_hub("lab/full")
    client.before_upload = full
    message = refused(push_folder, small, "lab/full")
    client.before_upload = None
    again = f"hfcls push '{small}' lab/full"
    assert message == f"{client.url} answered 507: no space left; nothing is lost, push again with `{again}`"


def test_a_hub_without_xet(hub, finished):
    environment = hub.environment(HF_HUB_DISABLE_XET=None)
    _, push = run(environment, ("check_hub", "xet", {}), ("push_folder", str(finished), "tester/xet", {}))
    assert push["error"].startswith(
        f"{hub.url} has no xet storage: set HF_HUB_DISABLE_XET=1; nothing is lost, push again"
    )


def test_network_lost_then_process_killed_then_pushed(finished, tmp_path):
    with serve_hub() as hub:

        def cut():
            raise ConnectionError

        hub.before_upload = cut
        push = ("push_folder", str(finished), "tester/drop", {})
        _, lost = run(hub.environment(), ("check_hub", "drop", {}), push)
        assert lost["error"].startswith(f"no connection to {hub.url} (")
        assert lost["error"].endswith(f"; nothing is lost, push again with `hfcls push {finished} tester/drop`")
        repo = hub.repos["tester/drop"]

        uploading, killed = threading.Event(), threading.Event()
        hub.before_upload = lambda: (uploading.set(), killed.wait(30))
        process = start(hub.environment(), push)
        assert uploading.wait(30)
        process.kill()
        process.communicate()
        killed.set()
        assert repo.files == {} and repo.messages == []  # all or nothing

        hub.before_upload = None
        assert run(hub.environment(), push) == [{"value": f"{hub.url}/tester/drop"}]
        assert len(repo.messages) == 1
        assert set(repo.files) == {path.name for path in files_to_push(finished)}


@pytest.fixture
def small(tmp_path):
    """The least that counts as a model, in a folder with a name that JSON escapes."""
    folder = tmp_path / "модель 1"
    folder.mkdir()
    (folder / "config.json").write_text('{"model_type": "bert"}', encoding="utf-8")
    (folder / "model.safetensors").write_bytes(b"a few weights")
    return folder


@pytest.mark.parametrize("file", ["README.md", "vocab.txt", "tokenizer.json", "all_results.json"])
def test_files_with_the_token_or_local_paths_are_refused(client, small, file):
    home = os.path.expanduser("~")
    for found, what in {
        TOKEN: "the Hub token",
        f"{small}/train.txt": f"the local path {small}",
        json.dumps(str(small)): f"the local path {small}",
        small.as_uri(): f"the local path {small}",
        f"{home}/x": f"the local path {home}",
    }.items():
        (small / file).write_text(f"{{\n\n{found}}}", encoding="utf-8")
        message = refused(push_folder, small, "tester/tiny")
        assert message == f"{small / file}:3: holds {what}, nothing was pushed: take it out and push again"
    (small / file).write_bytes(b"\xff\xfe not UTF-8 \n" + TOKEN.encode())
    assert f"{file}:2: holds the Hub token" in refused(push_folder, small, "tester/tiny")


@pytest.mark.parametrize("ascii_only", [True, False])
def test_a_path_in_the_config_is_refused(client, small, ascii_only):
    config = json.dumps({"embeddings_file": str(small / "glove.txt")}, ensure_ascii=ascii_only)
    (small / "config.json").write_text(config, encoding="utf-8")
    assert "config.json:1: holds the local path" in refused(push_folder, small, "tester/tiny")


def test_a_home_at_the_root_forbids_nothing(client, small, monkeypatch):
    monkeypatch.setenv("HOME", "/")
    (small / "README.md").write_text(
        "---\nlicense: mit\n---\n1/2, /etc, /rooted, https://example.org/root", encoding="utf-8"
    )
    check_hub("tester/root")
    push_folder(small, "tester/root")
    monkeypatch.setenv("HOME", "/root")  # a part of a longer word is not the path
    push_folder(small, "tester/root")
    assert "README.md" in client.repos["tester/root"].files


def test_folders_without_a_model(tmp_path):
    with pytest.raises(InputError, match=r"holds no model \(no config.json\)"):
        files_to_push(tmp_path / "nowhere")
    (tmp_path / "config.json").write_text("{}", encoding="utf-8")
    (tmp_path / "pytorch_model.bin").write_bytes(b"")
    with pytest.raises(InputError, match=r"holds no weights \(\*.safetensors\)"):
        files_to_push(tmp_path)


@pytest.mark.parametrize("reference", ["gone.Model", "../model.Model", "/etc/model.Model", "a b.Model"])
def test_code_that_is_not_in_the_folder(small, reference):
    (small / "config.json").write_text(json.dumps({"auto_map": {"AutoModel": reference}}), encoding="utf-8")
    with pytest.raises(InputError, match="config.json: names .*, but there is no .*py beside it"):
        files_to_push(small)


@pytest.mark.parametrize(
    "name",
    [
        *("config.json", "README.md", "vocab.txt", "tokenizer.json", "model.safetensors", "more.safetensors"),
        *("model.py", "helper.py", "embedding_model/config.json", "embedding_model/0_Pooling/config.json"),
    ],
)
@pytest.mark.parametrize("of_folder", [False, True])
def test_links_out_of_the_folder_are_not_followed(client, small, tmp_path, name, of_folder):
    (small / "config.json").write_text('{"auto_map": {"AutoModel": "model.Model"}}', encoding="utf-8")
    (small / "model.py").write_text("from .helper import x\n", encoding="utf-8")
    (small / "helper.py").write_text("x = 1\n", encoding="utf-8")
    path = small / name
    path.parent.mkdir(parents=True, exist_ok=True)
    secret = tmp_path / "secret"
    secret.write_bytes(path.read_bytes() if path.is_file() else b"x")
    path.unlink(missing_ok=True)
    path.symlink_to(secret)
    folder = small
    if of_folder:  # the folder itself may be a link
        folder = tmp_path / "latest"
        folder.symlink_to(small)
    message = refused(push_folder, folder, "tester/links")
    assert message.startswith(f"{folder / name}: is a link out of the folder, to {secret}, and only what lies")


def test_a_snapshot_in_the_cache_of_the_hub_is_not_pushed(tmp_path):
    blobs, snapshot = tmp_path / "models--x--y" / "blobs", tmp_path / "models--x--y" / "snapshots" / "1"
    blobs.mkdir(parents=True)
    snapshot.mkdir(parents=True)
    for name in ("config.json", "model.safetensors"):
        (blobs / name).write_text("{}", encoding="utf-8")
        (snapshot / name).symlink_to(f"../../blobs/{name}")
    with pytest.raises(InputError, match=r"`cp -rL` copies a whole folder"):
        files_to_push(snapshot)


def test_links_within_the_folder_are_files(small):
    (small / "tokenizer").mkdir()
    (small / "tokenizer" / "vocab.txt").write_text("a\n", encoding="utf-8")
    (small / "vocab.txt").symlink_to("tokenizer/vocab.txt")
    os.mkfifo(small / "pipe.safetensors")
    assert [path.name for path in files_to_push(small)] == ["config.json", "model.safetensors", "vocab.txt"]


def test_code_of_another_repository_is_not_looked_for_here(small):
    (small / "config.json").write_text('{"auto_map": {"AutoModel": "lab/other--model.Model"}}', encoding="utf-8")
    (small / "model.py").write_text("x = 1", encoding="utf-8")
    assert [path.name for path in files_to_push(small)] == ["config.json", "model.safetensors"]


def test_code_that_imports_what_is_not_there(small):
    (small / "config.json").write_text('{"auto_map": {"AutoModel": "model.Model"}}', encoding="utf-8")
    (small / "model.py").write_text("from .gone import x\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"gone.py: not found, but model.py needs it"):
        files_to_push(small)


def test_clean_local_paths(tmp_path):
    config = {
        "model_type": "clip",
        "_name_or_path": "/srv/clip",
        "text_config": {"_name_or_path": "", "hidden_size": 8},
    }
    tokenizer = {"tokenizer_class": "BertTokenizer", "name_or_path": "/srv/bert", "is_local": True, "unk_token": "未知"}
    (tmp_path / "config.json").write_text(json.dumps(config), encoding="utf-8")
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(tokenizer), encoding="utf-8")
    (tmp_path / "preprocessor_config.json").write_text('{"do_resize":true}', encoding="utf-8")
    assert clean_local_paths(tmp_path) == [
        "config.json: _name_or_path",
        "config.json: text_config._name_or_path",
        "tokenizer_config.json: name_or_path",
        "tokenizer_config.json: is_local",
    ]
    cleaned = json.loads((tmp_path / "config.json").read_text(encoding="utf-8"))
    assert cleaned == {"model_type": "clip", "text_config": {"hidden_size": 8}}
    assert "未知" in (tmp_path / "tokenizer_config.json").read_text(encoding="utf-8")
    assert (tmp_path / "preprocessor_config.json").read_text(encoding="utf-8") == '{"do_resize":true}'  # not touched
    assert clean_local_paths(tmp_path) == []
    assert len(list(tmp_path.iterdir())) == 3  # no temporary file is left
    (tmp_path / "config.json").write_text('{"model_type', encoding="utf-8")
    with pytest.raises(InputError, match="config.json: not JSON"):
        clean_local_paths(tmp_path)


def test_what_transformers_saves_holds_no_path_but_flags(finished):
    """If a later transformers writes more of where it loaded from, this is where it shows."""
    for name in ("config.json", "tokenizer_config.json"):
        content = json.loads((finished / name).read_text(encoding="utf-8"))
        assert set(content) & hfcls_hub.LOCAL_FIELDS <= {"is_local", "local_files_only"}
