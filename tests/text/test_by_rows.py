"""Epochs and batches where neither a flag nor a recipe says them, from the command line to report and card."""

import csv
import json
import subprocess
from math import ceil

import datasets
import pytest
from safetensors.numpy import load_file

from hfcls.text.arguments import BaselineArguments
from hfcls.text.by_rows import NETWORKS, NGRAMS, with_steps
from hfcls.text.presets import BY_ROWS, NEURAL
from hfcls.text.presets import NGRAMS as PUBLISHED
from hfcls.training.arguments import parse
from hfcls.training.setup import Corpus
from tests.warm import run_warm


def corpus(rows: int) -> Corpus:
    return Corpus("c", "s", "en", datasets.DatasetDict(train=datasets.Dataset.from_dict({"text": [""] * rows})))


def training_arguments(tmp_path, flags=""):
    argv = ["--output_dir", str(tmp_path / "out"), "--use_cpu", *flags.split()]
    return parse(BaselineArguments, task="t", description="", defaults=lambda given: NEURAL | BY_ROWS, argv=argv)[1]


@pytest.mark.parametrize(
    ("architecture", "rows", "epochs", "batch"),
    [
        ("ngram_linear", 4, 10, 16),
        ("ngram_linear", 2_000, 10, 16),
        ("ngram_linear", 2_001, 5, 64),
        ("ngram_linear", 5_680, 4, 128),
        ("ngram_linear", 33_590, 3, 256),
        ("text_cnn", 800, 20, 16),
        ("my_model.py", 5_680, 8, 64),
    ],
)
def test_numbers_follow_from_the_rows(tmp_path, architecture, rows, epochs, batch):
    training_args = training_arguments(tmp_path)
    chosen, noted = with_steps(training_args, corpus(rows), architecture)
    assert (chosen.num_train_epochs, chosen.per_device_train_batch_size) == (epochs, batch)
    assert noted.notes == [
        f"num_train_epochs {epochs}, per_device_train_batch_size {batch} (auto): for {rows:,} training rows"
    ]
    assert training_args.num_train_epochs == "auto"  # no argument is changed


def test_many_rows_get_what_was_published():
    for table, preset in ((NGRAMS, PUBLISHED), (NETWORKS, NEURAL)):
        assert table[float("inf")] == (preset["num_train_epochs"], preset["per_device_train_batch_size"])


def test_what_is_given_is_kept(tmp_path):
    training_args = training_arguments(tmp_path, "--num_train_epochs 2")
    chosen, noted = with_steps(training_args, corpus(10), "text_cnn")
    assert (chosen.num_train_epochs, chosen.per_device_train_batch_size) == (2, 16)
    assert noted.notes == ["per_device_train_batch_size 16 (auto): for 10 training rows"]
    both = "--num_train_epochs 2 --per_device_train_batch_size 7 --output_dir"
    training_args = training_arguments(tmp_path, f"{both} {tmp_path / 'both'}")
    assert with_steps(training_args, corpus(10), "text_cnn")[0] is training_args


def test_a_step_reads_as_many_rows_in_smaller_batches(tmp_path):
    training_args = training_arguments(tmp_path, "--gradient_accumulation_steps 8")
    assert with_steps(training_args, corpus(100), "text_cnn")[0].per_device_train_batch_size == 2


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Runs text_classification on 60 rows of English and Chinese → the finished process."""
    folder = tmp_path_factory.mktemp("rows")
    with (folder / "rows.csv").open("w", encoding="utf-8", newline="") as file:
        words = [("good", "很好用"), ("bad", "太差了")]
        rows = [(f"{words[i % 2][0]} phone {words[i % 2][1]} no{i}", "ab"[i % 2]) for i in range(60)]
        csv.writer(file).writerows([("text", "label"), *rows])

    def start(*flags: str) -> subprocess.CompletedProcess:
        command = ["recipes/text_classification.py", "--data_dir", folder / "rows.csv", "--use_cpu"]
        command += ["--architecture", "ngram_linear", "--load_best_model_at_end", "False"]
        return run_warm(*command, "--output_dir", folder / "out", *flags)

    start.folder = folder / "out"
    return start


def test_what_was_chosen_is_logged_and_in_record_report_and_card(run):
    done = run()
    assert done.returncode == 0, done.stderr
    record = json.loads((run.folder / "run.json").read_text(encoding="utf-8"))
    lines = [
        "num_train_epochs 10, per_device_train_batch_size 16 (auto): for 48 training rows",
        "tokens mixed (auto): the loss of an SVM on 6 validation rows is 1.000 by words, 1.000 by pairs, 1.000 by "
        "characters; n-grams of up to 3; 50.0% of what the training texts consist of is written without spaces",
        "max_length 4096 (auto): covers 100.0% of the training texts, of which the longest has 6 tokens",
    ]
    *notes, memory = record["data"]["notes"]
    assert [note for note in notes if "(auto)" in note] == lines
    # 8 bytes for a hash, 4 for each of five numbers a label; 40 for an n-gram of the batch, 12 for it and each label.
    known = len(load_file(run.folder / "model.safetensors")["hashes"])
    tables, batch = known * (8 + 5 * 4 * 2) / 1e6, 16 * 3 * (6 + 2) * (40 + 12 * 2) / 1e6
    assert memory == (
        f"{known - 1} n-grams are known: training takes {ceil(tables)} MB for them and at most {ceil(batch)} MB for a "
        "batch of 16"
    )
    lines.append(memory)
    report = (run.folder / "report.html").read_text(encoding="utf-8")
    card = (run.folder / "README.md").read_text(encoding="utf-8").replace("\\", "")
    for line in lines:
        assert line in done.stderr and line in report and f"- {line}\n" in card
    assert record["settings"]["num_train_epochs"] == 10
    results = json.loads((run.folder / "all_results.json").read_bytes())
    assert results["test_accuracy"] == 1

    # The last weights are kept, as a flag says, and it is they that were measured on validation.
    state = json.loads((run.folder / "trainer_state.json").read_bytes())
    evaluations = [entry for entry in state["log_history"] if "eval_loss" in entry]
    assert state["best_global_step"] is None and evaluations[-1]["step"] == state["max_steps"]
    assert results["eval_loss"] == evaluations[-1]["eval_loss"]
    assert "the last weights were kept" in report and record["chosen_by"] == "accuracy"

    # Resumed, it is the run that it was; the number that was chosen may be given, another one may not.
    assert "finished before" in run("--resume_from_checkpoint", "auto").stdout
    assert "finished before" in run("--resume_from_checkpoint", "auto", "--num_train_epochs", "10").stdout
    refused = run("--resume_from_checkpoint", "auto", "--num_train_epochs", "3")
    assert refused.returncode == 2 and "was begun with --num_train_epochs 10 (now 3.0)" in refused.stderr
