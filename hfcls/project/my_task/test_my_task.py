"""The corpus is read, padding changes nothing, and the recipe trains a model that answers after reloading."""

import runpy
import sys
from pathlib import Path

import pytest
import torch

from hfcls import Classifier, InputError, Run
from hfcls.data.own_corpus import OwnCorpus

HERE = Path(__file__).parent


def test_the_sample_is_read_and_a_bad_line_is_named(tmp_path):
    corpus = OwnCorpus(str(HERE / "my_task_corpus.py"), "en")
    splits = corpus.prepare(str(HERE / "sample.tsv")).splits
    assert {name: len(rows) for name, rows in splits.items()} == {"train": 168, "validation": 21, "test": 21}
    (tmp_path / "bad.tsv").write_text("billing\ta text\nbiling\tanother\n", encoding="utf-8")
    with pytest.raises(InputError, match="bad.tsv:2: give one of billing, login, shipping"):
        corpus.prepare(str(tmp_path / "bad.tsv"))


def test_padding_changes_nothing():
    module = runpy.run_path(str(HERE / "my_task_model.py"))
    torch.manual_seed(0)
    model = module["MyTaskForSequenceClassification"](module["MyTaskConfig"](vocab_size=50)).eval()
    ids = torch.randint(1, 50, (4, 7))
    padded = torch.nn.functional.pad(ids, (0, 5))
    torch.testing.assert_close(model(padded).logits, model(ids).logits)


def test_the_recipe_trains_and_the_model_answers(tmp_path, monkeypatch):
    output_dir = str(tmp_path / "out")
    monkeypatch.setattr(sys, "argv", ["my_task.py", "--output_dir", output_dir])
    runpy.run_path(str(HERE / "my_task.py"), run_name="__main__")
    run = Run(output_dir)
    assert run.metrics["test_accuracy"] > 0.8  # chance is a third
    classifier = Classifier(output_dir, trust_remote_code=True)
    assert classifier("the parcel never arrived").label == "shipping"
    answers = classifier(list(run.predictions["text"]))
    assert [answer.label for answer in answers] == list(run.predictions["prediction"])
