"""K-fold cross-validation of any recipe: each fold an ordinary run in a folder of its own, then their mean."""

import copy
import csv
import logging
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import datasets
import numpy as np
import transformers
from transformers import TrainingArguments

from hfcls.data.files import csv_reader
from hfcls.errors import InputError
from hfcls.metrics import one_label as metrics
from hfcls.metrics.one_label import OneLabel
from hfcls.report import write_report
from hfcls.runs.predictions import NAME as PREDICTIONS
from hfcls.runs.predictions import write_predictions, write_submission
from hfcls.runs.record import Fold, read_record, write_record
from hfcls.runs.results import read_results, write_results
from hfcls.terminal import print_lines
from hfcls.training import fingerprint, resume
from hfcls.training import run as training
from hfcls.training.arguments import RecipeArguments
from hfcls.training.checkpoints import last_complete_checkpoint
from hfcls.training.describe import describe_run
from hfcls.training.setup import Corpus, Setup

logger = logging.getLogger(__name__)

VALIDATION_PARTS = 10  # one of so many parts of a fold's training rows chooses its checkpoint
FINISHED = "probabilities.npz"  # what a fold writes last: its probabilities of the corpus's own test rows
SCORES = ("accuracy", "f1", "roc_auc")

Build = Callable[[RecipeArguments, TrainingArguments, Corpus], Setup]


def run(
    build: Build,
    corpus: Corpus,
    arguments: RecipeArguments,
    training_args: TrainingArguments,
    *,
    task: str,
    command: list[str] | None = None,
) -> None:
    """Builds what the flags ask for and runs it: once, or with `--num_folds K` once for each fold.

    The folds are drawn of the training and validation rows together: stratified by class, and where the corpus has a
    column `group` no group in two folds. A fold's run is tested on the rows that it holds out; a tenth of the others
    chooses its checkpoint, so the rows held out choose nothing. Each fold starts from the same seed, so that one that
    is repeated after an interruption ends in the same numbers; folds that are finished are not repeated.

    `output_dir` gets `fold_1` to `fold_K`, each a whole run; `out_of_fold.csv`, the predictions of all folds for the
    rows they held out; and, of the corpus's own test rows, the mean of the K probabilities, in the files of an ordinary
    run with its report.

    Raises:
        InputError: there are too few rows of a class, or groups, for K folds.
    """
    if arguments.num_folds is None:
        training.run(build(arguments, training_args, corpus), arguments, training_args, task=task, command=command)
        return
    if not isinstance(corpus.target, OneLabel):
        raise InputError("--num_folds stratifies by class, --multi_label has none: leave one of them out")
    output_dir = Path(training_args.output_dir)
    output_dir.mkdir(parents=True, exist_ok=True)
    tables = {name: (split,) for name, split in corpus.splits.items()}
    resume.begin(arguments, training_args, fingerprint.describe(tables, corpus.target.names))
    folders = [output_dir / f"fold_{number}" for number in range(1, arguments.num_folds + 1)]
    finished = [(folder / FINISHED).is_file() for folder in folders]  # asked before any process writes one
    pool = datasets.concatenate_datasets([corpus.splits["train"], corpus.splits["validation"]])
    for folder, done, (kept, held_out) in zip(
        folders, finished, held_out_parts(pool, arguments.num_folds, training_args.seed), strict=True
    ):
        if done:
            logger.info("%s: finished before", folder)
            continue
        logger.info("%s of %d: %d rows held out", folder, len(folders), len(held_out))
        transformers.set_seed(training_args.seed)
        fold_args = copy.copy(training_args)
        fold_args.output_dir = str(folder)
        fold_args.resume_from_checkpoint = last_complete_checkpoint(folder)
        setup = build(arguments, fold_args, _fold(corpus, pool, kept, held_out, training_args.seed))
        if not resume.is_finished(folder):
            training.run(setup, arguments, fold_args, task=task, command=command)
        _predict_own_test_rows(build, corpus, arguments, fold_args)
    if training_args.process_index == 0:
        _summarise(build, corpus, arguments, training_args, folders, task, command)


def held_out_parts(rows: datasets.Dataset, number: int, seed: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """`number` times the row numbers that are kept and those that are held out, each row being held out once.

    Raises:
        InputError: no class, or group, can be spread over so many parts.
    """
    from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

    labels = np.asarray(rows["label"])
    groups = rows["group"][:] if "group" in rows.column_names else None
    cut = (StratifiedKFold if groups is None else StratifiedGroupKFold)(number, shuffle=True, random_state=seed)
    fewest = np.bincount(labels)[np.unique(labels)].min()
    if fewest < number:
        raise InputError(f"--num_folds: {fewest} rows of a class are too few for {number} parts: give fewer folds")
    if groups is not None and len(set(groups)) < number:
        raise InputError(f"--num_folds: {len(set(groups))} groups are too few for {number} parts: give fewer folds")
    yield from cut.split(np.zeros(len(labels)), labels, groups)


def _fold(corpus: Corpus, pool: datasets.Dataset, kept: np.ndarray, held_out: np.ndarray, seed: int) -> Corpus:
    rows = pool.select(kept)
    train, validation = next(held_out_parts(rows, VALIDATION_PARTS, seed))
    splits = {"train": rows.select(train), "validation": rows.select(validation), "test": pool.select(held_out)}
    return replace(corpus, splits=datasets.DatasetDict(splits), unlabelled=None, repeated=None)


def _reload(build: Build, corpus: Corpus, arguments: RecipeArguments, training_args: TrainingArguments) -> Setup:
    """The saved model of `training_args.output_dir`, and the rows of `corpus` as it reads them."""
    setup = build(arguments.to_evaluate(training_args.output_dir), training_args, replace(corpus))
    return replace(setup, model=setup.model.to(training_args.device))


def _predict_own_test_rows(build, corpus, arguments, fold_args) -> None:
    setup = _reload(build, corpus, arguments, fold_args)
    trainer = setup.build_trainer(arguments, fold_args)
    trainer.use_full_precision()
    found = {"test": metrics.probabilities(trainer.predict(setup.rows.test).predictions)}
    if setup.rows.unlabelled is not None:
        found["unlabelled"] = metrics.probabilities(trainer.predict(setup.rows.unlabelled).predictions)
    if fold_args.process_index == 0:
        part = Path(fold_args.output_dir, f"part.{FINISHED}")
        np.savez(part, **found)
        part.replace(Path(fold_args.output_dir, FINISHED))


def _summarise(build, corpus, arguments, training_args, folders: list[Path], task, command) -> None:
    output_dir = Path(training_args.output_dir)
    found = [np.load(folder / FINISHED) for folder in folders]  # arrays only: np.load refuses pickles
    means = {name: np.mean([each[name] for each in found], axis=0, dtype=np.float64) for name in found[0].files}
    with np.errstate(divide="ignore"):
        logits = {name: np.log(mean).clip(min=-1e4) for name, mean in means.items()}  # whose softmax is the mean
    records = [read_record(folder) for folder in folders]
    results = [read_results(folder, OneLabel.kind) for folder in folders]
    scores = {name: [result[f"test_{name}"] for result in results] for name in SCORES}

    first = copy.copy(training_args)
    first.output_dir = str(folders[0])
    setup = _reload(build, corpus, arguments, first)
    setup = replace(setup, model_name=f"{records[0].model.name}, the mean of {len(folders)} folds")
    labels = setup.rows.test.labels
    of_test = {f"test_{key}": value for key, value in metrics.score(logits["test"], labels).items()}
    of_folds = {
        f"fold_{name}_{what}": float(how([np.nan if value is None else value for value in values]))
        for name, values in scores.items()
        for what, how in (("mean", np.mean), ("sd", lambda values: np.std(values, ddof=1)))
    }
    write_results(output_dir, of_test | of_folds)
    write_predictions(output_dir / PREDICTIONS, setup.corpus, setup.target, labels=labels, logits=logits["test"])
    if "unlabelled" in logits:
        write_submission(output_dir / "submission.csv", setup.corpus, setup.target, logits=logits["unlabelled"])
    _write_out_of_fold(output_dir / "out_of_fold.csv", folders)
    record = describe_run(
        setup,
        arguments,
        training_args,
        task=task,
        seconds=sum(record.seconds for record in records),
        folds=[Fold(*values) for values in zip(*scores.values(), strict=True)],
        command=command,
    )
    write_record(output_dir, record)
    write_report(output_dir)
    resume.finish(output_dir)

    print_lines(f"\n{len(folders)} folds: on the rows held out, and the mean of their probabilities on the test rows")
    for name in SCORES:
        mean, sd = of_folds[f"fold_{name}_mean"], of_folds[f"fold_{name}_sd"]
        print_lines(f"  {name:<10} {mean:.4f} ± {sd:.4f}   {of_test[f'test_{name}']:.4f}")
    print_lines(f"report: {output_dir / 'report.html'}")


def _write_out_of_fold(path: Path, folders: list[Path]) -> None:
    """The rows of each fold's predictions.csv, with the fold's number in front."""
    with path.open("w", encoding="utf-8", errors="surrogatepass", newline="") as file:
        writer = csv.writer(file)
        for number, folder in enumerate(folders, start=1):
            source = folder / PREDICTIONS
            with source.open(encoding="utf-8", errors="surrogatepass", newline="") as predictions:
                rows = csv_reader(predictions)
                header = next(rows)
                if number == 1:
                    writer.writerow(["fold", *header])
                writer.writerows([number, *row] for row in rows)
