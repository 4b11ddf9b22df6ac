"""What every recipe for texts does, from its command line to its report."""

import argparse
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from hfcls.errors import one_line_errors
from hfcls.text.arguments import TextArguments
from hfcls.training.arguments import parse

if TYPE_CHECKING:
    from transformers import TrainingArguments


def run(
    arguments_class: type[TextArguments],
    *,
    task: str,
    description: str,
    defaults: Callable[[argparse.Namespace], dict],
    corpus: str | None = None,
    corpus_flags: tuple[str, ...] = (),
    model: str | None = None,
) -> None:
    """Reads the command line, prepares the corpus, builds the model, trains, tests once and writes the report.

    Args:
        arguments_class: the flags of the recipe. One with `architecture` trains a baseline, or a model of one's own,
            where that flag has a value; all others fine-tune a pretrained model, or train the like from scratch.
        task: the recipe's name; `outputs/<task>` is where a run goes.
        description: what `--help` says.
        defaults: from the given flags to the recipe's defaults, as `parse` takes it.
        corpus: a name of `data.corpora.CORPORA`; None where `--dataset` and `--data_dir` choose it.
        corpus_flags: names of flags that its builder takes.
        model: the Hub name of the pretrained model, where `--model_name_or_path` is not given.
    """
    with one_line_errors():
        # Nothing heavy is imported before it is known that the recipe will run: --help is answered at once.
        arguments, training_args = parse(arguments_class, task=task, description=description, defaults=defaults)
        train(arguments, training_args, task=task, corpus=corpus, corpus_flags=corpus_flags, model=model)


def train(
    arguments: TextArguments,
    training_args: "TrainingArguments",
    *,
    task: str,
    corpus: str | None = None,
    corpus_flags: tuple[str, ...] = (),
    model: str | None = None,
    command: list[str] | None = None,
) -> None:
    """What `run` does once the command line is read.

    `command` is the command line for the record if it is not this process's.
    """
    from hfcls.data.corpora import CORPORA
    from hfcls.text import baselines
    from hfcls.text import build as pretrained
    from hfcls.text.by_rows import with_steps
    from hfcls.text.corpus import load_text_corpus
    from hfcls.training import folds
    from hfcls.training.corpus import load_corpus
    from hfcls.training.run import start

    start(training_args)
    build, check_model = partial(pretrained.build, default=model), partial(pretrained.check_model, default=model)
    if getattr(arguments, "architecture", None) is not None:
        build, check_model = baselines.build, baselines.check_model
    check_model(arguments)
    if corpus is None:
        loaded = load_text_corpus(arguments, training_args)
    else:
        options = {name: getattr(arguments, name) for name in (*corpus_flags, "encoding")}
        loaded = load_corpus(CORPORA[corpus], arguments, training_args, **options)
    training_args, loaded = with_steps(training_args, loaded, getattr(arguments, "architecture", None))
    folds.run(build, loaded, arguments, training_args, task=task, command=command)
