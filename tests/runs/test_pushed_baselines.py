"""Every baseline pushed to a Hub and loaded from there where hfcls is not installed."""

import json

import datasets
import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from hfcls.text import baselines
from hfcls.text.arguments import BaselineArguments
from hfcls.text.collator import text_collator
from hfcls.training.setup import Corpus
from tests.hub_server import serve_hub
from tests.warm import run_apart

TEXTS = ["股市今天大涨", "球队 3:1 赢得冠军", "新手机发布", ""]
LABELS = ["finance", "sports", "technology"]
BASELINES = {
    **{f"rnn_{cell}": {"cell": cell} for cell in ("rnn", "lstm", "gru", "lstm_by_hand")},
    **{f"rnn_{pooling}": {"pooling": pooling} for pooling in ("last", "max", "mean", "attention", "rcnn")},
    "one_way": {"bidirectional": False, "padding_side": "left"},
    "text_cnn": {"architecture": "text_cnn"},
    "dpcnn": {"architecture": "dpcnn"},
    "ngram_linear": {"architecture": "ngram_linear", "min_count": 1},
}

PUSH = """
import json, sys
from hfcls.runs import hub
for folder, repository in json.load(sys.stdin):
    hub.check_hub(repository)
    hub.push_folder(folder, repository)
"""

LOAD = """
import json, sys
sys.modules["hfcls"] = None  # importing it raises ImportError, installed or not
import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer
given = json.load(sys.stdin)
result = {}
for name in given["names"]:
    tokenizer = AutoTokenizer.from_pretrained(f"tester/{name}", trust_remote_code=True)
    model = AutoModelForSequenceClassification.from_pretrained(f"tester/{name}", trust_remote_code=True).eval()
    with torch.no_grad():
        logits = model(**tokenizer(given["texts"], padding=True, return_tensors="pt")).logits
    result[name] = [logits.tolist(), type(model).__module__, model.config.id2label[1]]
print(json.dumps(result))
"""


class Rows(torch.utils.data.Dataset):
    """Token rows with made-up labels: what the log-count ratios are counted from."""

    def __init__(self, tokenizer):
        self.rows = [
            {"input_ids": tokenizer(text)["input_ids"], "labels": i % 3} for i, text in enumerate(TEXTS[:3] * 4)
        ]
        self.lengths = np.array([len(row["input_ids"]) for row in self.rows])

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, row):
        return self.rows[row]


def build(settings: dict):
    arguments = BaselineArguments(embedding_dim=16, hidden_size=12, **{"tokens": "char", **settings})
    train = datasets.Dataset.from_dict({"text": TEXTS[:3] * 4})
    corpus = Corpus("generated", "generated", "zh", datasets.DatasetDict(train=train))
    tokenizer = baselines.build_tokenizer(arguments, corpus)
    model = baselines.build_model(arguments, tokenizer, LABELS, Rows(tokenizer))
    if arguments.architecture == "ngram_linear":
        batch = next(iter(DataLoader(Rows(tokenizer), batch_size=12, collate_fn=text_collator(tokenizer))))
        model(**batch).loss.backward()  # a fitted model that has learned something, too
        with torch.no_grad():
            for parameter in model.parameters():
                parameter -= 0.1 * parameter.grad
    return tokenizer, model.eval()


@pytest.fixture(scope="module")
def loaded(tmp_path_factory):
    """By name: the logits before the push, and what a process without hfcls, token and cache makes of the Hub's."""
    folder = tmp_path_factory.mktemp("baselines")
    expected = {}
    torch.manual_seed(0)
    for name, settings in BASELINES.items():
        tokenizer, model = build(settings)
        for part in (tokenizer, model):
            part.save_pretrained(folder / name)
        with torch.no_grad():
            expected[name] = model(**tokenizer(TEXTS, padding=True, return_tensors="pt")).logits
    with serve_hub() as hub:

        def run(program: str, given, **environment) -> str:
            environment = hub.environment(folder / environment.pop("home"), **environment)
            return run_apart("-c", program, given=json.dumps(given), environment=environment, check=True).stdout

        run(PUSH, [(str(folder / name), f"tester/{name}") for name in BASELINES], home="author")
        given = {"names": list(BASELINES), "texts": TEXTS}
        answers = json.loads(run(LOAD, given, home="stranger", HF_TOKEN=None).splitlines()[-1])
    return {name: (expected[name], *answers[name]) for name in BASELINES}


@pytest.mark.parametrize("name", BASELINES)
def test_the_hubs_copy_answers_the_same(loaded, name):
    expected, logits, module, label = loaded[name]
    assert expected.std(dim=0).max() > 1e-4  # a model that says the same of everything would prove nothing
    torch.testing.assert_close(torch.tensor(logits), expected, rtol=0, atol=1e-6)
    assert module.startswith("transformers_modules.")
    assert label == "sports"
