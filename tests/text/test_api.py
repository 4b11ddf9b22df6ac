"""`fine_tune` is the recipe: the same weights and the same record, from a path, a frame or a DatasetDict."""

import runpy
import sys
from pathlib import Path

import datasets
import huggingface_hub
import pandas
import pytest

import hfcls
from hfcls import InputError, evaluate, fine_tune
from hfcls.text.api import command_line
from hfcls.training.output_folder import LOCK
from tests.hub_server import serve_hub
from tests.warm import run_apart

ROOT = Path(__file__).parents[2]
WORDS = {"good": "great lovely useful", "bad": "awful broken useless"}
FLAGS = {"from_scratch": "tiny", "num_train_epochs": 1, "max_length": 12, "learning_rate": 1e-3, "use_cpu": True}


def reviews() -> pandas.DataFrame:
    labels = ["good", "bad"] * 60
    texts = [f"{WORDS[label].split()[row % 3]} thing number {row}" for row, label in enumerate(labels)]
    return pandas.DataFrame({"text": texts, "label": labels})


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path_factory.mktemp("cache"))
        yield


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    path = tmp_path_factory.mktemp("data") / "table.csv"
    reviews().to_csv(path, index=False)
    return path


@pytest.fixture(scope="module")
def run(table, tmp_path_factory):
    return fine_tune(table, output_dir=tmp_path_factory.mktemp("runs") / "called", seed=7, **FLAGS)


def weights(folder) -> bytes:
    return Path(folder, "model.safetensors").read_bytes()


def test_it_ends_in_the_weights_and_the_record_of_the_command_line(run, table, tmp_path, monkeypatch):
    words = command_line({"data_dir": table, "output_dir": tmp_path / "commanded", "seed": 7, **FLAGS})
    monkeypatch.setattr(sys, "argv", ["recipes/text_classification.py", *words])
    runpy.run_path(str(ROOT / "recipes" / "text_classification.py"), run_name="__main__")
    commanded = hfcls.Run(tmp_path / "commanded")
    assert weights(run.folder) == weights(commanded.folder)
    timed = ("runtime", "per_second")
    assert {name: value for name, value in run.metrics.items() if not name.endswith(timed)} == {
        name: value for name, value in commanded.metrics.items() if not name.endswith(timed)
    }
    assert run.predictions.equals(commanded.predictions)
    assert run.record.settings == commanded.record.settings
    assert run.record.command.replace("called", "commanded") == commanded.record.command


@pytest.mark.parametrize("kind", ["frame", "dataset", "splits"])
def test_rows_in_memory_are_as_good_as_a_file(run, kind, tmp_path):
    rows = reviews()
    if kind == "splits":
        parts = {"train": rows[:96], "validation": rows[96:108], "test": rows[108:]}
        data = datasets.DatasetDict(
            {
                name: datasets.Dataset.from_pandas(part, preserve_index=False).class_encode_column("label")
                for name, part in parts.items()
            }
        )
    else:
        data = rows if kind == "frame" else datasets.Dataset.from_pandas(rows)
    found = fine_tune(data, output_dir=tmp_path / "out", seed=7, **FLAGS)
    if kind == "splits":
        assert list(found.predictions["text"]) == list(rows["text"][108:])
        assert list(found.predictions["label"]) == list(rows["label"][108:])
    else:
        assert weights(found.folder) == weights(run.folder)


def test_what_a_run_gives(run, tmp_path):
    assert run.metrics["test_accuracy"] == pytest.approx(
        (run.predictions["label"] == run.predictions["prediction"]).mean()
    )
    assert run.report.is_file()
    texts = list(run.predictions["text"])
    assert [answer.label for answer in run.classifier(texts)] == list(run.predictions["prediction"])
    again = evaluate(reviews(), run.folder, output_dir=tmp_path / "measured", use_cpu=True)
    assert again.metrics["test_loss"] == pytest.approx(run.metrics["test_loss"], abs=1e-6)


def test_a_cell_that_is_run_again(run, table):
    """The folder is unlocked when the run ends; a finished run is returned as it is."""
    assert not Path(run.folder, LOCK).exists()
    before = Path(run.folder, "run.json").stat().st_mtime_ns
    flags = {"output_dir": run.folder, "seed": 7, **FLAGS}
    with pytest.raises(InputError, match="is not empty"):
        fine_tune(table, **flags)
    assert fine_tune(table, resume_from_checkpoint="auto", **flags).metrics == run.metrics
    assert Path(run.folder, "run.json").stat().st_mtime_ns == before
    with pytest.raises(InputError, match="was begun with --learning_rate 0.001"):
        fine_tune(table, resume_from_checkpoint="auto", **flags | {"learning_rate": 2e-3})


def test_what_does_not_fit_is_an_input_error(table, tmp_path, monkeypatch):
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)

    def refused(message, *arguments, **flags):
        with pytest.raises(InputError, match=message):
            fine_tune(*arguments, **{"output_dir": tmp_path / "out", **flags})
        assert not (tmp_path / "out").exists()

    refused("--num_epochs is not a flag of this recipe: did you mean --num_train_epochs?", table, num_epochs=3)
    refused("give one of --model_name_or_path, --from_scratch", table)
    refused("data is of dict: give a path", {"text": ["a"]}, from_scratch="tiny")
    refused(
        "data: .*: give each column values of one kind", pandas.DataFrame({"text": ["a", 1, b"c"]}), from_scratch="tiny"
    )
    refused("no column 'label'", reviews().drop(columns="label"), from_scratch="tiny")
    refused("nowhere: HF_HUB_OFFLINE is set", table, "nowhere", use_cpu=True)


def test_words_of_a_command_line():
    flags = {"a": None, "b": True, "c": [1, "x"], "d": {"k": 1.5}, "e": -1, "label_separator": "-"}
    expected = ["--b", "True", "--c", "1", "x", "--d", '{"k": 1.5}', "--e=-1", "--label_separator=-"]
    assert command_line(flags) == expected


def test_a_run_is_pushed_and_reloaded_by_its_name(run, tmp_path):
    text = run.predictions["text"][0]
    program = f"""
import hfcls
print(hfcls.Run({str(run.folder)!r}).push("tester/reviews", private=True))
print(hfcls.Classifier("tester/reviews")({text!r}).labels)
"""
    with serve_hub() as hub:
        environment = hub.environment(tmp_path / "home")
        printed = run_apart("-c", program, environment=environment, check=True).stdout
        assert hub.repos["tester/reviews"].private
    address, labels = printed.splitlines()
    assert address.endswith("/tester/reviews")
    assert labels == str(run.classifier(text).labels)
