"""A model in a file of one's own: what its config gets, and the one line where the file cannot be used."""

import json
import sys

import numpy as np
import pytest
import torch
from transformers import AutoModelForSequenceClassification

from hfcls import models
from hfcls.errors import InputError
from hfcls.text.architectures import architecture
from hfcls.text.arguments import BaselineArguments
from hfcls.text.baselines import build_model, read_vectors
from hfcls.text.tokenization import train_tokenizer
from tests.text.test_baselines import run

MODEL = """
import torch
from torch import nn
from transformers import PreTrainedConfig, PreTrainedModel
from transformers.modeling_outputs import SequenceClassifierOutput


class MineConfig(PreTrainedConfig):
    model_type = "mine"
    vocab_size: int = 10
    embedding_dim: int = 4
    hidden_size: int = 4
    dropout: float = 0.0
    pad_token_id: int | None = 0


class MineForSequenceClassification(PreTrainedModel):
    config: MineConfig

    def __init__(self, config):
        super().__init__(config)
        self.embed_tokens = nn.Embedding(config.vocab_size, config.embedding_dim)
        self.classifier = nn.Linear(config.embedding_dim, config.num_labels)
        self.post_init()

    def forward(self, input_ids, attention_mask=None, labels=None):
        logits = self.classifier(self.embed_tokens(input_ids).mean(1))
        loss = None
        if labels is not None:
            loss = self.loss_function(labels=labels, pooled_logits=logits, config=self.config)
        return SequenceClassifierOutput(loss=loss, logits=logits)
"""
TEXTS = ["good film", "bad film"]
LABELS = ["bad", "good"]


@pytest.fixture
def build(tmp_path):
    """Builds the model of a file with the flags given; the file is forgotten after the test."""
    before = set(sys.modules)
    tokenizer = train_tokenizer(TEXTS, level="word", vocab_size=None, max_length=8, padding_side="right")
    ids = tokenizer(TEXTS)["input_ids"]
    rows = [{"input_ids": np.array(ids[row]), "labels": 1 - row} for row in range(2)]

    def built(text, name="mine.py", **flags):
        (tmp_path / name).write_text(text, encoding="utf-8")
        arguments = BaselineArguments(architecture=str(tmp_path / name), tokens="word", **flags)
        return build_model(arguments, tokenizer, LABELS, rows, read_vectors(arguments, tokenizer))

    built.tokenizer = tokenizer
    yield built
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", "")).startswith(str(tmp_path)):
            del sys.modules[name]


def test_the_config_gets_the_flags_that_it_has_fields_for(build, tmp_path):
    model = build(MODEL, embedding_dim=6, hidden_size=7, dropout=0.25, num_layers=5)
    config = model.config
    assert (config.vocab_size, config.pad_token_id) == (len(build.tokenizer), build.tokenizer.pad_token_id)
    assert (config.embedding_dim, config.hidden_size, config.dropout) == (6, 7, 0.25)
    assert not hasattr(config, "num_layers")
    assert (config.num_labels, config.id2label) == (2, {0: "bad", 1: "good"})

    model.save_pretrained(tmp_path / "saved")
    assert (tmp_path / "saved" / "mine.py").read_text(encoding="utf-8") == MODEL
    reloaded = AutoModelForSequenceClassification.from_pretrained(tmp_path / "saved", trust_remote_code=False)
    assert type(reloaded) is type(model)  # without the code of the folder


def test_building_draws_no_other_random_numbers_than_the_model(build):
    torch.manual_seed(3)
    model = build(MODEL)
    after = torch.rand(1)
    torch.manual_seed(3)
    type(model)(model.config)
    assert torch.equal(after, torch.rand(1))


def test_vectors_lie_in_its_embeddings(build, tmp_path):
    words = [word for word in build.tokenizer.get_vocab() if word.isalpha()]
    lines = "".join(f"{word} {number} 0.5 -0.5\n" for number, word in enumerate(words))
    (tmp_path / "glove.txt").write_text(lines, encoding="utf-8")
    model = build(MODEL, embeddings=str(tmp_path / "glove.txt"))
    table = model.get_input_embeddings().weight.detach().numpy()
    assert table.shape == (len(build.tokenizer), 3)
    for number, word in enumerate(words):
        np.testing.assert_allclose(table[build.tokenizer.convert_tokens_to_ids(word)], [number, 0.5, -0.5])


def test_vectors_that_fit_nowhere(build, tmp_path):
    (tmp_path / "glove.txt").write_text("good 1 2 3\n", encoding="utf-8")
    flags = {"embeddings": str(tmp_path / "glove.txt")}
    renamed = MODEL.replace("embedding_dim", "width").replace("mine", "mine_too")
    with pytest.raises(InputError, match=r"--embeddings .*vectors of 3 numbers .* field embedding_dim"):
        build(renamed, "mine_too.py", **flags)
    with pytest.raises(InputError, match="mine_too.* has no vectors that it could leave"):
        build(renamed, "mine_too.py", freeze_embeddings=True)
    unnamed = MODEL.replace("embed_tokens", "table").replace("mine", "mine_unnamed")
    with pytest.raises(InputError, match=r"mine_unnamed\.py has no vectors of tokens"):
        build(unnamed, "mine_unnamed.py", **flags)


FAULTS = {
    "no_model": ("x = 1", "no class in it is a PreTrainedModel"),
    "no_config": (MODEL.replace("config: MineConfig", "config_class = None"), "has no config of its own"),
    "no_own_config": (
        MODEL.replace("config: MineConfig", "config: BertConfig").replace("import PreT", "import BertConfig, PreT"),
        "MineForSequenceClassification has no config of its own: write a PreTrainedConfig",
    ),
    "config_as_text": (MODEL.replace("config: MineConfig", "config: 'MineConfig'"), "has no config of its own"),
    "no_name": (MODEL.replace('    model_type = "mine"\n', ""), "model_type is '', which is no name"),
    "name_taken": (MODEL.replace('"mine"', '"bert"'), "model_type is 'bert', which is taken"),
    "no_mask": (MODEL.replace("attention_mask=None, ", ""), "forward takes no attention_mask"),
    "no_labels": (MODEL.replace("labels=None)", "**others)"), "forward takes no labels"),
    "no_logits": (MODEL.replace("logits=logits)", "hidden_states=logits)"), "forward returns no logits"),
    "no_loss": (MODEL.replace("loss=loss, ", ""), "forward returns no loss"),
    "shape": (
        MODEL.replace("config.num_labels)", "1)").replace("loss = self.loss", "loss = logits.sum() #"),
        r"\(2, 1\), not \(2, 2\)",
    ),
    "raises": (MODEL.replace(".mean(1)", ".mean(7)"), r"raises\.py:27: IndexError: Dimension out of range"),
    "in_init": (MODEL.replace("self.post_init()", "self.no_such()"), r"in_init\.py:24: AttributeError"),
    "while_imported": (MODEL.replace("PreTrainedConfig, ", "NoSuchConfig, "), r"while_imported\.py:4: ImportError"),
    "text_cnn": (MODEL, "hfcls may put a file of that name beside the weights"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_what_cannot_be_used_is_said_in_one_line(build, name):
    text, message = FAULTS[name]
    with pytest.raises(InputError, match=message) as raised:
        build(text.replace('"mine"', f'"mine_{name}"'), f"{name}.py")
    assert "\n" not in str(raised.value)
    assert f"{name}.py" in str(raised.value)


def test_what_it_imports_besides_is_said(build, caplog):
    build(f"import math\nimport pandas\nimport hfcls.errors\n{MODEL}".replace('"mine"', '"mine_more"'), "mine_more.py")
    assert "mine_more.py imports hfcls, pandas: so has to whoever loads what is saved" in caplog.text


def test_a_name_that_is_none():
    with pytest.raises(
        InputError, match="--architecture text_cn: give text_rnn, text_cnn, dpcnn, ngram_linear, or the file"
    ):
        BaselineArguments(architecture="text_cn")


@pytest.mark.parametrize("name", models.TEXT)
def test_the_table_names_what_is_there(name):
    assert architecture(name).config_class.model_type == name


def test_a_run_goes_on_with_the_same_code_alone(tmp_path, monkeypatch, capsys):
    def write(folder, text):
        sys.modules.pop("mine_resumed", None)  # as in another process
        (tmp_path / folder).mkdir(exist_ok=True)
        (tmp_path / folder / "mine_resumed.py").write_text(text, encoding="utf-8")
        return f"{flags} --architecture {tmp_path / folder / 'mine_resumed.py'}"

    text = MODEL.replace('"mine"', '"mine_resumed"')
    flags = "--max_train_samples 64 --max_eval_samples 20 --max_test_samples 20 --num_train_epochs 2"
    run("thucnews_rnn.py", write("first", text), tmp_path / "out", monkeypatch)
    setup = tmp_path / "out" / "setup.json"
    setup.write_text(json.dumps(json.loads(setup.read_text()) | {"finished": False}))  # as if it had been killed
    resume = "--resume_from_checkpoint auto"
    with pytest.raises(SystemExit):
        run("thucnews_rnn.py", f"{write('second', text + '# edited')} {resume}", tmp_path / "out", monkeypatch)
    assert "was begun with the code in mine_resumed.py " in capsys.readouterr().err
    run("thucnews_rnn.py", f"{write('third', text)} {resume}", tmp_path / "out", monkeypatch)  # it lies elsewhere
    sys.modules.pop("mine_resumed")
