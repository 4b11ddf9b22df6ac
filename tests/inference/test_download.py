"""Models of the Hub, of a mirror and of ModelScope, and what is said where none can be had."""

import json
import logging
import sys
import time
from pathlib import Path

import huggingface_hub
import pytest
from safetensors.torch import load_file
from transformers import BertConfig, BertForMaskedLM

from hfcls.errors import InputError
from hfcls.inference import download
from hfcls.inference.classifier import Classifier
from hfcls.inference.download import files_to_fetch, model_folder
from hfcls.inference.loading import load_text_classifier
from hfcls.runs.model_names import HubModel, hub_model
from hfcls.text.tokenization import train_wordpiece_tokenizer
from tests.hub_server import Handler, HubError, Repo, hub  # noqa: F401 (a fixture)
from tests.modelscope_server import modelscope  # noqa: F401
from tests.training.recipe import TINY, recipe

WAYS = ("HF_ENDPOINT", "modelscope:OWNER/NAME", "a folder", "installed package")


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> dict[str, bytes]:
    """A pretrained model as hubs hold them: beside its weights are those for other engines."""
    folder = tmp_path_factory.mktemp("base")
    tokenizer = train_wordpiece_tokenizer(["红 绿 蓝 天 地 人", "good bad red green"] * 3, max_length=32)
    BertForMaskedLM(BertConfig(vocab_size=len(tokenizer), **TINY)).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    found = {path.name: path.read_bytes() for path in folder.iterdir()}
    return found | {"pytorch_model.bin": b"x" * 99, "onnx/model.onnx": b"x" * 99, "tf_model.h5": b"x" * 99}


@pytest.fixture(autouse=True)
def forget():
    download._fetched.cache_clear()
    yield
    download._fetched.cache_clear()


@pytest.fixture
def client(modelscope, tmp_path, monkeypatch):  # noqa: F811
    """The client of this process, at the loopback server; without waits between its attempts."""
    config = pytest.importorskip("modelscope_hub").HubConfig(endpoint=modelscope.url, cache_dir=tmp_path / "cache")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr("modelscope_hub.config._default_config", config)
    monkeypatch.setattr("modelscope_hub._download.DOWNLOAD_RETRY_TIMES", 1)
    return config


@pytest.fixture
def hub_client(hub, tmp_path, monkeypatch):  # noqa: F811
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    constants = {
        "ENDPOINT": hub.url,
        "HUGGINGFACE_CO_URL_TEMPLATE": hub.url + "/{repo_id}/resolve/{revision}/{filename}",
        "HF_HUB_CACHE": str(tmp_path / "hub"),
        "HF_HUB_DISABLE_XET": True,
    }
    for name, value in constants.items():
        monkeypatch.setattr(huggingface_hub.constants, name, value)
    return hub


@pytest.mark.parametrize(
    ("name", "model", "page"),
    [
        ("bert-base-uncased", HubModel("bert-base-uncased"), "https://huggingface.co/bert-base-uncased"),
        ("a/b@v1.0", HubModel("a/b", "v1.0"), "https://huggingface.co/a/b/tree/v1.0"),
        ("a/b@refs/pr/1", HubModel("a/b", "refs/pr/1"), "https://huggingface.co/a/b/tree/refs/pr/1"),
        ("modelscope:a/b", HubModel("a/b", None, True), "https://modelscope.cn/models/a/b"),
        ("modelscope:a/b.c@v1", HubModel("a/b.c", "v1", True), "https://modelscope.cn/models/a/b.c"),
        ("a/b@../../etc", None, None),
        ("a/b@", None, None),
        ("./a/b", None, None),
        ("a/b/c", None, None),
    ],
)
def test_names(name, model, page):
    assert hub_model(name) == model
    assert model is None or model.page == page


@pytest.mark.parametrize(
    "name", ["modelscope:", "modelscope:bert", "modelscope:a/b@..", "modelscope:../b", "modelscope:a/b/c"]
)
def test_what_is_no_name_of_modelscope(name):
    with pytest.raises(InputError, match="give modelscope:OWNER/NAME, or modelscope:OWNER/NAME@REVISION"):
        model_folder(f"modelscope:{name}")


def test_a_folder_is_what_it_is_whatever_it_is_called(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("a/b@v1").mkdir(parents=True)
    assert hub_model("a/b@v1") is None and model_folder("a/b@v1") == "a/b@v1"


def test_weights_are_fetched_once_and_nothing_that_lies_outside():
    texts = ["config.json", "vocab.txt", "spiece.model", "model.py", "1_Pooling/config.json", "embedding_model/x.json"]
    others = ["onnx/model.onnx", "openvino/openvino_model.bin", "tf_model.h5", "checkpoint-5/model.safetensors"]
    others += ["training_args.bin", "optimizer.pt", "../../etc/passwd", "/etc/passwd", ".cache/x"]
    safe, pickled = ["model.safetensors"], ["pytorch_model.bin", "pytorch_model.bin.index.json"]
    dense = ["2_Dense/pytorch_model.bin"]
    assert files_to_fetch([*texts, *others, *safe, *pickled, *dense]) == [*texts, *safe, *dense]
    assert files_to_fetch([*texts, *others, *pickled]) == [*texts, *pickled]


def test_a_model_of_modelscope_and_its_revisions(modelscope, client, files, caplog, capsys, monkeypatch):  # noqa: F811
    monkeypatch.setattr(logging.getLogger("hfcls"), "handlers", [])  # of a run before in this process
    caplog.set_level("INFO", logger="hfcls")
    other = files | {"config.json": files["config.json"].replace(b'"bert"', b'"bert",\n "about": "v1"')}
    modelscope.models["AI/tiny"] = {"master": files, "v1": other}
    tokenizer, model = load_text_classifier("modelscope:AI/tiny", ["a", "b", "c"])
    folder = Path(model_folder("modelscope:AI/tiny"))
    assert {path.name for path in folder.iterdir()} == files.keys() - {
        "pytorch_model.bin",
        "onnx/model.onnx",
        "tf_model.h5",
    }
    assert folder.is_relative_to(client.cache_dir)
    assert set(load_file(folder / "model.safetensors")) >= {"bert.embeddings.word_embeddings.weight"}
    assert model.config.num_labels == 3 and "modelscope:AI/tiny: new: bert.pooler, classifier" in caplog.text
    assert json.loads(Path(model_folder("modelscope:AI/tiny@v1"), "config.json").read_text())["about"] == "v1"
    assert capsys.readouterr() == ("", "")

    count = len(modelscope.requests)
    load_text_classifier("modelscope:AI/tiny", ["a", "b"])
    assert len(modelscope.requests) == count  # for one process a name is one folder


def test_a_revision_of_the_hub(hub_client, files):
    named = {"main": files, "v1": files | {"about.json": b"{}"}}
    hub_client.repos["lab/tiny"] = Repo(private=False, branches=named)
    folders = [Path(model_folder(name)) for name in ("lab/tiny", "lab/tiny@v1")]
    assert [Path(folder, "about.json").exists() for folder in folders] == [False, True]
    assert all(not Path(folder, name).exists() for folder in folders for name in ("tf_model.h5", "pytorch_model.bin"))
    with pytest.raises(InputError, match="lab/tiny@v2: http.* has no revision v2 of it: without the Hub"):
        model_folder("lab/tiny@v2")
    with pytest.raises(InputError, match="lab/none: http.* has no such model, or not for you"):
        model_folder("lab/none")


def test_without_a_network_the_caches_serve(hub_client, modelscope, client, files, monkeypatch, caplog):  # noqa: F811
    hub_client.repos["lab/tiny"] = Repo(private=False, branches={"main": files})
    modelscope.models["AI/tiny"] = {"master": files}
    before = [load_text_classifier(name, ["a", "b"])[1] for name in ("lab/tiny", "modelscope:AI/tiny")]
    download._fetched.cache_clear()
    caplog.set_level("INFO", logger="hfcls")
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", "http://127.0.0.1:9")
    client.endpoint = "http://127.0.0.1:9"
    after = [load_text_classifier(name, ["a", "b"])[1] for name in ("lab/tiny", "modelscope:AI/tiny")]
    for old, new in zip(before, after, strict=True):
        assert old.bert.embeddings.word_embeddings.weight.equal(new.bert.embeddings.word_embeddings.weight)
    for name in ("lab/tiny", "modelscope:AI/tiny"):
        download.log_source(name)
        assert f"{name}: no answer from http://127.0.0.1:9 (" in caplog.text
    assert caplog.text.count("so it is taken from the cache") == 2


@pytest.mark.parametrize("name", ["lab/tiny", "modelscope:AI/tiny", "modelscope:AI/tiny@v1"])
def test_no_network_and_nothing_kept_is_one_line_within_seconds(hub_client, client, monkeypatch, name):
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", "http://127.0.0.1:9")
    client.endpoint = "http://127.0.0.1:9"
    begun = time.monotonic()
    with pytest.raises(InputError) as error:
        load_text_classifier(name, ["a", "b"])
    assert time.monotonic() - begun < 10
    said = str(error.value)
    assert said.startswith(f"{name}: no answer from http://127.0.0.1:9 (") and "does not hold it: without" in said
    assert all(way in said for way in (*WAYS, "--from_scratch mini")) and "\n" not in said
    with pytest.raises(InputError) as error:
        Classifier(name)
    assert all(way in str(error.value) for way in WAYS) and "--from_scratch" not in str(error.value)


def test_offline_by_its_variable(hub_client, monkeypatch):
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(InputError, match="lab/tiny: HF_HUB_OFFLINE is set, and .* does not hold it: without the Hub"):
        load_text_classifier("lab/tiny", ["a", "b"])


def test_a_transfer_that_is_cut_goes_on_or_is_refused(modelscope, client, files):  # noqa: F811
    modelscope.models["AI/tiny"] = {"master": files}
    modelscope.torn["model.safetensors"] = 1
    folder = Path(model_folder("modelscope:AI/tiny"))
    assert (folder / "model.safetensors").read_bytes() == files["model.safetensors"]

    modelscope.models["AI/torn"] = {"master": files}
    modelscope.torn["model.safetensors"] = 99
    for _ in range(2):  # what came is not taken for the model later
        with pytest.raises(InputError, match="AI/torn: http.* did not give model.safetensors whole .*: without the"):
            model_folder("modelscope:AI/torn")
    modelscope.torn.clear()
    assert Path(model_folder("modelscope:AI/torn"), "model.safetensors").read_bytes() == files["model.safetensors"]


def test_a_file_that_is_listed_and_not_there_or_not_listed(modelscope, client, files):  # noqa: F811
    modelscope.models["AI/tiny"] = {"master": files, "v1": {"README.md": b"nothing else"}}
    modelscope.absent = {"tokenizer.json"}
    with pytest.raises(InputError, match="did not give tokenizer.json whole"):
        load_text_classifier("modelscope:AI/tiny", ["a", "b"])
    with pytest.raises(InputError, match="modelscope:AI/tiny@v1: cannot be loaded") as error:
        load_text_classifier("modelscope:AI/tiny@v1", ["a", "b"])
    assert "\n" not in str(error.value)
    with pytest.raises(InputError, match="has no revision v2 of it, or no such model"):
        model_folder("modelscope:AI/tiny@v2")


def test_a_part_of_the_hub_s_files_is_no_model(hub_client, files, monkeypatch):
    monkeypatch.setattr(time, "sleep", lambda seconds: None)
    hub_client.repos["lab/tiny"] = Repo(private=False, branches={"main": files})

    original = Handler.resolve

    def without_weights(self, repo, rev, path):
        if path == "model.safetensors":
            raise HubError(501, "The storage is being moved")
        original(self, repo, rev, path)

    monkeypatch.setattr(Handler, "resolve", without_weights)
    with pytest.raises(InputError, match="lab/tiny: http.* did not give all of it .*501.*: without the Hub"):
        model_folder("lab/tiny")


def test_without_the_client_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "modelscope_hub", None)
    with pytest.raises(InputError, match=r"modelscope:a/b: needs an extra, pip install 'hfcls\[modelscope\]'"):
        model_folder("modelscope:a/b")


def test_a_run_from_modelscope_to_its_card_and_back(modelscope, client, files, tmp_path):  # noqa: F811
    """Trained, told where from, put onto ModelScope, measured and asked from there."""
    modelscope.models["AI/tiny"] = {"master": files, "v1": files}
    environment, out = modelscope.environment(tmp_path / "cache"), tmp_path / "out"
    done = recipe(
        "thucnews_bert",
        out,
        "--model_name_or_path",
        "modelscope:AI/tiny@v1",
        "--max_steps",
        "2",
        environment=environment,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr.index("modelscope:AI/tiny@v1: from http") < done.stderr.index("THUCNews: 64 train")
    assert "INFO" not in done.stderr and "Downloading" not in done.stderr  # the client's own words
    card = (out / "README.md").read_text(encoding="utf-8")
    assert "fine-tuned from [AI/tiny](https://modelscope.cn/models/AI/tiny) of ModelScope at revision v1" in card
    assert "base_model" not in card.split("---")[1]
    assert "| model\\_name\\_or\\_path | modelscope:AI/tiny@v1 |" in card and "from_scratch" not in card
    assert json.loads((out / "run.json").read_text())["model"]["base_model"] == "modelscope:AI/tiny@v1"
    assert "modelscope:AI/tiny@v1" in (out / "report.html").read_text(encoding="utf-8")
    for path in out.glob("*.json"):
        assert str(tmp_path / "cache") not in path.read_text(encoding="utf-8"), path

    modelscope.models["me/done"] = {
        "master": {path.name: path.read_bytes() for path in out.iterdir() if path.is_file()}
    }
    measured = recipe(
        "thucnews_bert", tmp_path / "again", "--evaluate_only", "modelscope:me/done", environment=environment
    )
    assert measured.returncode == 0, measured.stderr
    scores = [json.loads((folder / "all_results.json").read_text()) for folder in (out, tmp_path / "again")]
    assert scores[0]["test_loss"] == pytest.approx(scores[1]["test_loss"], abs=1e-6)
    asked, own = (Classifier(name)(["红 绿"])[0] for name in ("modelscope:me/done", str(out)))
    assert asked == own
