import json
import re

import pytest
from huggingface_hub import ModelCard, constants
from huggingface_hub.repocard import metadata_load
from huggingface_hub.repocard_data import model_index_to_eval_results

from hfcls.errors import InputError
from hfcls.runs.card import write_model_card
from hfcls.runs.redaction import escape, redact
from tests.finished_run import CONFIG, write_run
from tests.hub_metadata import card_problems
from tests.hub_server import hub  # noqa: F401


@pytest.fixture
def card(tmp_path):
    """Writes a run with some values changed, and gives its card: metadata, text."""

    def write(repo_id=None, **changes) -> tuple[dict, str]:
        path = write_model_card(write_run(tmp_path / "my_run", **changes), repo_id=repo_id)
        content = path.read_text(encoding="utf-8")
        errors, warnings = card_problems(content)
        assert errors + warnings == []
        return metadata_load(path), content.split("\n---\n", 1)[1]

    return write


def section(text: str, heading: str) -> str:
    return re.search(rf"^## {heading}\n(.*?)(?=^## |\Z)", text, flags=re.DOTALL | re.MULTILINE)[1]


def test_metadata(card):
    metadata, _ = card(repo_id="lab/titles")
    assert metadata.pop("model-index")
    assert metadata == {
        "language": "zh",
        "library_name": "transformers",
        "metrics": ["accuracy", "f1", "roc_auc"],
        "pipeline_tag": "text-classification",
        "tags": ["hfcls", "text-classification", "thucnews_bert"],
    }


def test_model_index_holds_the_test_metrics(card):
    metadata, _ = card(repo_id="lab/titles")
    name, results = model_index_to_eval_results(metadata["model-index"])
    assert name == "lab/titles"
    assert {r.metric_type: r.metric_value for r in results} == {"accuracy": 0.9033, "f1": 0.9021, "roc_auc": 0.9877}
    assert {(r.task_type, r.dataset_name, r.dataset_split) for r in results} == {
        ("text-classification", "THUCNews", "test")
    }


def test_what_the_run_knows_is_claimed(card):
    metadata, text = card(
        run={
            "license": "apache-2.0",
            "model.base_model": "google-bert/bert-base-chinese",
            "data.hub_dataset": "lab/thucnews",
            "command": "accelerate launch recipes/a.py --model_name_or_path google-bert/bert-base-chinese",
        }
    )
    assert metadata["license"] == "apache-2.0"
    assert metadata["base_model"] == "google-bert/bert-base-chinese"
    assert metadata["datasets"] == ["lab/thucnews"]
    assert metadata["model-index"][0]["results"][0]["dataset"]["type"] == "lab/thucnews"
    assert "fine-tuned from [google-bert/bert-base-chinese](" in text
    assert "--model_name_or_path google-bert/bert-base-chinese\n" in text
    assert "random" not in text


def test_a_base_model_in_a_folder_is_not_claimed_to_be_on_the_hub(card, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "outputs" / "pretrained").mkdir(parents=True)
    for local in ("outputs/pretrained", "/srv/models/bert", "../bert"):
        metadata, text = card(run={"model.base_model": local})
        assert "base_model" not in metadata
        assert "fine-tuned from weights in a local folder" in text


def test_unmeasured_metrics_are_left_out_of_the_metadata(card):
    metadata, text = card(results={"test_roc_auc": None})
    assert metadata["metrics"] == ["accuracy", "f1"]
    assert [m["type"] for m in metadata["model-index"][0]["results"][0]["metrics"]] == ["accuracy", "f1"]
    assert "| ROC-AUC (macro, one class against the rest) | not measured |" in text

    splits = dict.fromkeys(("train", "validation", "test"), {"rows": 3, "labels": {}, "images": 4, "pairs": 5})
    nothing = dict.fromkeys(["test_accuracy", "test_f1", "test_roc_auc"])
    metadata, text = card(run={"target": "pairs", "labels": [], "data.splits": splits}, results=nothing)
    assert "model-index" not in metadata and "metrics" not in metadata
    assert "Nothing was measured on a test split." in text


def test_nan_in_the_results_is_unmeasured(tmp_path):
    write_run(tmp_path)
    results = tmp_path / "all_results.json"
    results.write_text(results.read_text(encoding="utf-8").replace("0.98765", "NaN"), encoding="utf-8")
    assert metadata_load(write_model_card(tmp_path))["metrics"] == ["accuracy", "f1"]


# The card from its first heading on: what a reader sees. (.*) stands for what other tests look at.
BODY = r"""
# BERT mini, from scratch on THUCNews

BertForSequenceClassification with 4,900,000 parameters, trained from random weights on THUCNews to tell 3 classes a.+
Trained with hfcls, task thucnews\\_bert\.

## How to use

```python
from transformers import pipeline

classifier = pipeline\("text-classification", model="my_run"\)
classifier\("a text", truncation=True, max_length=16\)
```

The call is cut as the scores below were measured: uncut, a longer text is an error where the model has no position for
its end, and gets other scores where it has\.

## Results

On the test split \(300 rows\), measured once, after the choice of the checkpoint\.

\| Metric \| Value \|
\|---\|---:\|
\| Accuracy \| 0\.9033 \|
\| F1 \(macro\) \| 0\.9021 \|
\| ROC-AUC \(macro, one class against the rest\) \| 0\.9877 \|

## Limitations

(- [^\n]+\n){6}
## Labels and data

THUCNews; source: titles\.

\| id \| label \| train \| validation \| test \|
\| ---: \| --- \| ---: \| ---: \| ---: \|
\| 0 \| finance \| 700 \| 10 \| 100 \|
\| 1 \| sports \| 800 \| 20 \| 100 \|
\| 2 \| games \| 1,500 \| 30 \| 100 \|
\|  \| \*\*rows\*\* \| 3,000 \| 60 \| 300 \|

A training text has 19\.1 ± 4\.0 tokens \(median 19, longest 60\)\.

- GB18030 was read

## Training

\| Setting \| Value \|
\|---\|---\|
\| learning\\_rate \| 5e-05 \|
\| per\\_device\\_train\\_batch\\_size \| 8 \|
\| lr\\_scheduler\\_type \| linear \|

```bash
accelerate launch recipes/thucnews_bert\.py --data_dir titles --from_scratch mini
```

8 min 32 s on Intel Xeon, 2 cores, 24 GB memory; 1 process, float32\.

\| Package \| Version \|
\|---\|---\|
\| hfcls \| 0\.1\.0 \|
\| python \| 3\.11\.9 \|
\| torch \| 2\.13\.0 \|
"""


def test_body(card):
    _, text = card()
    assert re.fullmatch(BODY, text), text


def test_remote_code_is_explained_and_only_asked_for_where_there_is_some(card):
    _, text = card()
    assert "trust_remote_code" not in text
    auto_map = {"AutoConfig": "rnn.RnnConfig", "AutoTokenizer": ["words.WordTokenizer", None]}
    _, text = card(repo_id="lab/rnn", config={**CONFIG, "auto_map": auto_map})
    use = section(text, "How to use")
    assert 'pipeline("text-classification", model="lab/rnn", trust_remote_code=True)' in use
    assert "it runs the code that lies beside the\nweights (rnn.py, words.py), so read that first." in use
    assert "The code needs transformers 5 or newer." in use


def test_only_a_call_that_is_cut_says_why(card):
    assert "The call is cut" in section(card()[1], "How to use")
    own = {"custom_pipelines": {"text-classification": {"impl": "truncation.TruncatingPipeline", "pt": []}}}
    for changes in ({"config": {**CONFIG, **own}}, {"run": {"data.max_length": None}}):
        assert "The call is cut" not in section(card(**changes)[1], "How to use")


def test_images(card):
    metadata, text = card(run={"pipeline_tag": "image-classification", "data.max_length": None})
    assert metadata["pipeline_tag"] == "image-classification"
    assert metadata["model-index"][0]["results"][0]["task"]["type"] == "image-classification"
    assert 'classifier = pipeline("image-classification", model="my_run")\nclassifier("image.png")\n' in text


def test_limitations_are_honest(card):
    _, text = card()
    assert "A demonstration" not in text
    limitations = section(text, "Limitations")
    assert "The weights were random before training" in limitations
    assert "With 300 test rows, the 95 % interval of the accuracy is 0.8646 to 0.9318" in limitations
    assert "Texts are cut at 16 tokens: 99.8% of the training texts fit." in limitations

    splits = {
        "train": {"rows": 60, "labels": {"finance": 60, "sports": 0, "games": 0}},
        "test": {"rows": 10, "labels": {"finance": 5, "sports": 5, "games": 0}},
    }
    _, text = card(run={"data.source": "embedded sample", "data.splits": splits, "data.covered": None})
    assert text.index("> **A demonstration, not a model to use:**") < text.index("## How to use")
    assert "(60 rows)" in text
    limitations = section(text, "Limitations")
    assert "The numbers above say nothing of real data." in limitations
    assert "Without a row in the train split, so the model never answers with them: sports, games." in limitations
    assert "Without a row in the test split, so untested: games." in limitations
    assert "Texts are cut" not in limitations


HOSTILE = [
    "a|b",
    "two\nlines\r\n# heading",
    "`code` ```fence```",
    "<script>alert(1)</script> &amp; <!--",
    "**bold** _it_ [link](http://x) ![i](y) $x$ ~~s~~",
    "---\nlicense: mit\n---",
    "{{ 7 * 7 }} {% raw %}",
    "right\u202eto left\x00",
]


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_stay_text(card, name):
    splits = {"train": {"rows": 3, "labels": {name: 1, "b": 2}}, "test": {"rows": 3, "labels": {name: 1, "b": 2}}}
    plain, _ = card()
    metadata, text = card(
        run={
            **{"labels": [name, "b"], "data.splits": splits, "data.name": name, "data.notes": [name]},
            **{"model.name": name, "model.architecture": name, "task": name, "settings": {name: name}},
            **{"versions": {name: name}, "hardware.cpu": name, "command": f"accelerate launch {name}"},
        }
    )
    assert set(metadata) == set(plain)
    assert re.findall(r"^#+ .*", text, flags=re.MULTILINE)[1:] == [
        f"## {heading}" for heading in ("How to use", "Results", "Limitations", "Labels and data", "Training")
    ]
    # Code blocks are shown as they are; all else must be escaped.
    blocks = re.findall(r"^(`{3,})\w+\n(.*?)\n\1$", text, flags=re.DOTALL | re.MULTILINE)
    assert len(blocks) == 2
    prose = re.sub(r"^(`{3,})\w+\n.*?\n\1$", "", text, flags=re.DOTALL | re.MULTILINE)
    assert not re.search(r"<(?!/?$)", prose)
    assert not re.search(r"(?<!\\)[`~$!]", prose.replace("`trust_remote_code=True`", ""))
    assert "49" not in section(text, "Labels and data")
    assert "\u202e" not in text and "\x00" not in text
    for table in re.findall(r"(?:^\|.*\|\n)+", prose, flags=re.MULTILINE):
        columns = {len(re.findall(r"(?<!\\)\|", line)) for line in table.splitlines()}
        assert len(columns) == 1, table


def test_no_local_path_and_no_token(card, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", "/home/jo doe")
    token = "hf_" + "A1b2C3d4E5" * 3
    command = (
        f"accelerate launch /opt/x/recipes/bert.py --data_dir=/data/jo/titles/ --vocab ../secret/dir/vocab.txt "
        f"--output_dir C:\\Users\\jo\\out --hub_token {token} --push_token={token} --learning_rate 1e-4 {token}"
    )
    metadata, text = card(
        run={
            "command": command,
            "settings": {"hub_token": "opaque", "plain": token, "resume_from_checkpoint": "/data/jo/out/checkpoint-3"},
            "data.notes": ["/home/jo doe/corpora/titles/train.txt:3: read as GB18030", f"{tmp_path}/x.csv was read"],
            "data.name": "/data/jo/titles",
            "data.source": "~/corpora/titles",
            "model.name": "BERT from /data/jo/bert",
        }
    )
    assert "--data_dir=titles --vocab vocab.txt --output_dir out --hub_token *** --push_token=***" in text
    assert "--learning_rate 1e-4 ***\n" in text
    assert "| resume\\_from\\_checkpoint | checkpoint-3 |" in text
    assert "- train.txt:3: read as GB18030\n- x.csv was read\n" in text
    assert "# BERT from bert on titles\n" in text
    everything = json.dumps(metadata) + text
    for secret in (token, "opaque", "jo", "/data", "/opt", "corpora", str(tmp_path), "Users", "secret"):
        assert secret not in everything, secret


def test_addresses_and_slashes_are_not_paths():
    for text in ("see https://example.org/a/b", "and/or 1/2", "google-bert/bert-base-chinese", "recipes/mnist_cnn.py"):
        assert redact(text) == text


def test_escape():
    assert escape("a|b\n`c` <d> _e_ & /x/y/f") == r"a\|b \`c\` &lt;d&gt; \_e\_ &amp; f"


@pytest.mark.parametrize("file", ["run.json", "all_results.json", "config.json"])
def test_missing_and_torn_files(tmp_path, file):
    write_run(tmp_path)
    content = (tmp_path / file).read_text(encoding="utf-8")
    (tmp_path / file).write_text(content[: len(content) // 2], encoding="utf-8")
    with pytest.raises(InputError, match=rf"{file}: no JSON file"):
        write_model_card(tmp_path)
    (tmp_path / file).write_bytes(b"[1]")
    with pytest.raises(InputError, match=rf"{file}: \[1\] where a JSON object belongs"):
        write_model_card(tmp_path)
    (tmp_path / file).unlink()
    with pytest.raises(InputError, match=rf"{file}: No such file"):
        write_model_card(tmp_path)


def test_incomplete_run_and_bad_name(tmp_path):
    write_run(tmp_path)
    run = json.loads((tmp_path / "run.json").read_text(encoding="utf-8"))
    del run["hardware"]
    (tmp_path / "run.json").write_text(json.dumps(run), encoding="utf-8")
    with pytest.raises(InputError, match=r"run.json: 'hardware' is missing"):
        write_model_card(tmp_path)
    with pytest.raises(InputError, match="'a b/c' cannot be a repository's name"):
        write_model_card(tmp_path, repo_id="a b/c")


def test_the_hub_accepts_it(hub, tmp_path, monkeypatch):  # noqa: F811
    monkeypatch.setattr(constants, "ENDPOINT", hub.url)
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(name, "127.0.0.1")
    path = write_model_card(write_run(tmp_path), repo_id="lab/titles")
    card = ModelCard.load(path)
    card.validate()
    card.data.eval_results[0].metric_value = None
    with pytest.raises(ValueError, match=r"metrics\[0\].value\S* is required"):
        card.validate()


@pytest.mark.parametrize(
    ("metadata", "problem"),
    [
        ("a: [", "not YAML"),
        ("- a", "not a mapping"),
        ("model-index:\n- name: x", "results. is required"),
        ("model-index: accuracy", "must be a list"),
        ("model-index:\n- name: x\n  results:\n  - task: {type: t}\n    metrics: []", "dataset. is required"),
        (
            "model-index: [{name: x, results: [{task: {type: t}, dataset: {name: d, type: d}, "
            "metrics: [{type: a, value: .nan}]}]}]",
            "must be finite",
        ),
        ("language: Chinese", "ISO 639"),
        ("tags: hfcls", "list of strings"),
        ("base_model: /srv/models/bert", "names of the Hub"),
    ],
)
def test_the_loopback_hub_refuses_broken_metadata(metadata, problem):
    (error,), _ = card_problems(f"---\n{metadata}\n---\n# x\n")
    assert re.search(problem, error)


def test_what_was_taken_of_the_base_model_is_said(card):
    line = "new: classifier; unused: cls_*"
    _, text = card(run={"model.base_model": "lab/base", "model.loading": [line]})
    assert "Of the weights of the base model: new: classifier; unused: cls\\_\\*." in text
