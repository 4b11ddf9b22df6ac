"""Training from Python: the same run as that of recipes/text_classification.py, called as a function."""

import json
from os import PathLike
from typing import Any, TypeAlias

from accelerate import PartialState

from hfcls.data.memory_tables import Table, saved_table
from hfcls.inference.finished_run import Run
from hfcls.text.arguments import TextClassificationArguments
from hfcls.text.fine_tuning import of_any_model
from hfcls.text.recipe import train
from hfcls.training import output_folder
from hfcls.training.arguments import read
from hfcls.training.checkpoints import checkpoint_to_resume, finished_before

TASK = "text_classification"

Data: TypeAlias = str | PathLike[str] | Table


def fine_tune(data: Data | None = None, model: str | PathLike[str] | None = None, **flags: Any) -> Run:
    """Trains a classifier of texts, tests it once, and writes model, predictions, report and model card.

    >>> run = fine_tune("reviews.csv", "google-bert/bert-base-uncased", output_dir="outputs/reviews")
    >>> run.metrics["test_accuracy"]
    0.93
    >>> run.classifier("great value").label
    'positive'

    It is `recipes/text_classification.py` as a function, and ends in the same weights: every flag of the recipe and of
    `transformers.TrainingArguments` is a keyword, by the same name and with the same default. A cell of a notebook that
    is run again goes on, or returns the finished run, with `resume_from_checkpoint="auto"`.

    Args:
        data: the rows, where `dataset` does not name them: a file (CSV, TSV, JSON, Parquet, Excel) or a folder with
            train, dev and test; a pandas frame; or a `Dataset` or `DatasetDict`. What has one split is split 80/10/10.
        model: a Hub name or a folder. Instead of it: `from_scratch="mini"`, or `architecture="ngram_linear"`.
        flags: `output_dir`, `text_column`, `label_column`, `max_length`, `num_train_epochs`, `learning_rate`, …

    Returns:
        The finished run.

    Raises:
        InputError: a flag does not exist or does not fit, the data cannot be read, the model cannot be loaded, or
            `output_dir` holds something already.
    """
    return _run(data, {"model_name_or_path": model, **flags})


def evaluate(data: Data | None, model: str | PathLike[str], **flags: Any) -> Run:
    """Measures a saved model on the test rows of `data`, and writes predictions and report; `--evaluate_only`.

    >>> evaluate("other_reviews.csv", "outputs/reviews", output_dir="outputs/others").metrics["test_accuracy"]
    0.87

    Arguments and errors are those of `fine_tune`.
    """
    return _run(data, {"evaluate_only": model, **flags})


def _run(data: Data | None, flags: dict[str, Any]) -> Run:
    on_disk = data is None or isinstance(data, (str, PathLike))
    argv = command_line({"data_dir": data if on_disk else saved_table(data), **flags})
    arguments, training_args = read(TextClassificationArguments, argv, task=TASK, defaults=of_any_model)
    release = output_folder.lock(training_args)
    try:
        if not finished_before(arguments, training_args):
            training_args.resume_from_checkpoint = checkpoint_to_resume(arguments, training_args)
            train(arguments, training_args, task=TASK, command=[f"recipes/{TASK}.py", *argv])
    finally:
        release()
    PartialState().wait_for_everyone()  # the main process writes the files
    return Run(training_args.output_dir)


def command_line(flags: dict[str, Any]) -> list[str]:
    """The words that give `flags` on a command line; those that are None are left out.

    >>> command_line({"data_dir": "a.csv", "bf16": False, "report_to": ["none"], "max_steps": None})
    ['--data_dir', 'a.csv', '--bf16', 'False', '--report_to', 'none']
    """
    words = []
    for name, value in flags.items():
        if value is None:
            continue
        values = value if isinstance(value, (list, tuple)) else [value]
        texts = [json.dumps(item) if isinstance(item, dict) else str(getattr(item, "value", item)) for item in values]
        words += [f"--{name}", *texts] if len(texts) != 1 or texts[0][:1] != "-" else [f"--{name}={texts[0]}"]
    return words
