"""What every recipe does, whatever its input: start, train, test once, write the files of the run, push."""

import logging
import time
from pathlib import Path

import datasets
import transformers
from transformers import TrainingArguments

from hfcls.environment import use_cores
from hfcls.report import write_report
from hfcls.runs import hub
from hfcls.runs.card import write_model_card
from hfcls.runs.floor import Floor
from hfcls.runs.record import write_record
from hfcls.runs.results import write_results
from hfcls.runs.rounding import Rounding
from hfcls.terminal import PrintableFormatter, print_lines, printable, shortened
from hfcls.training import fingerprint, output_folder, resume
from hfcls.training.arguments import SharedArguments
from hfcls.training.checkpoints import full_disk_said
from hfcls.training.describe import describe_run, precision
from hfcls.training.flags import check_fit
from hfcls.training.non_finite import check_test_loss
from hfcls.training.processes import lost_process_said
from hfcls.training.progress import MtimeNotice
from hfcls.training.rounding import check_rounding, measure_rounded
from hfcls.training.setup import Setup, Tested

logger = logging.getLogger(__name__)


def start(training_args: TrainingArguments) -> None:
    """Seeds everything, sets the volume of the logs, and makes sure that the Hub will take what is to be pushed to it.

    Raises:
        InputError: `--push_to_hub` would fail.
    """
    package = logging.getLogger("hfcls")
    handler = logging.StreamHandler()
    handler.setFormatter(PrintableFormatter())
    package.handlers = [handler]  # not added to those of an earlier start, whose stream may be gone
    main_process = training_args.process_index == 0
    package.setLevel(logging.INFO if main_process else logging.ERROR)
    if not main_process:
        datasets.disable_progress_bars()
    transformers.utils.logging.disable_progress_bar()  # those of loading; the one of training is not among them
    logging.getLogger("transformers.trainer_utils").addFilter(MtimeNotice())
    transformers.set_seed(training_args.seed)
    computed = precision(training_args)
    where = "" if computed == "float32" else " (--bf16 False switches it off)"
    processes = _counted(training_args.world_size, "process", "es")
    threads = f" of {_counted(use_cores(), 'thread')}" if training_args.device.type == "cpu" else ""
    logger.info("computing in %s%s, %s%s", computed, where, processes, threads)
    if training_args.push_to_hub and main_process:
        training_args.hub_model_id = hub.check_hub(
            training_args.hub_model_id, token=training_args.hub_token, private=training_args.hub_private_repo
        )


def _counted(number: int, noun: str, plural: str = "s") -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}{plural}"


def run(
    setup: Setup,
    arguments: SharedArguments,
    training_args: TrainingArguments,
    *,
    task: str,
    command: list[str] | None = None,
) -> None:
    """Trains (unless `--evaluate_only`), tests once, writes every file of the run, and pushes it if asked to.

    `task` is the recipe's name, `command` the command line for the record if it is not this process's.
    """
    begun = time.monotonic()
    trainer = setup.build_trainer(arguments, training_args)
    output_dir = Path(training_args.output_dir)
    output_dir.mkdir(parents=True, exist_ok=True)  # of a fold
    if arguments.evaluate_only is None:
        check_fit(trainer, setup)
        check_rounding(arguments, trainer)
        output_folder.check_room(setup.model, training_args, arguments.optimizer)
    corpus = fingerprint.describe(setup.tables(), setup.target.names, setup.processor, setup.model)
    resume.begin(arguments, training_args, corpus)
    with full_disk_said(output_dir), lost_process_said(training_args):
        results = {} if arguments.evaluate_only else _train(trainer, setup, arguments, training_args)
        tested, rounding = _test(setup, trainer, arguments)
        results |= tested.metrics
        trainer.end()
        if training_args.process_index != 0:
            return
        write_results(output_dir, results)
        tested.write(output_dir)
        setup.explain(arguments.evaluate_only or str(output_dir), output_dir)
        earlier = trainer.totals.seconds - begun
        floor = setup.measure_floor(tested, earlier + time.monotonic())
        record = describe_run(
            setup,
            arguments,
            training_args,
            task=task,
            seconds=earlier + time.monotonic(),
            loss=trainer.compute_loss_func,
            floor=floor,
            rounding=rounding,
            command=command,
        )
        write_record(output_dir, record)
        write_report(output_dir)
        if not arguments.evaluate_only:
            hub.clean_local_paths(output_dir)
            write_model_card(output_dir, repo_id=training_args.hub_model_id)
        resume.finish(output_dir)
    _print_results(setup, results, floor)
    if training_args.push_to_hub:
        address = hub.push_folder(output_dir, training_args.hub_model_id, token=training_args.hub_token)
        print_lines(f"pushed to {address}")
    _print_examples(setup, arguments.evaluate_only or str(output_dir))
    print_lines(f"report: {output_dir / 'report.html'}")


def _train(trainer, setup: Setup, arguments: SharedArguments, training_args: TrainingArguments) -> dict:
    """Trains and saves the model, before the test: whatever happens there, nothing is lost. Returns the metrics."""
    results = trainer.train(resume_from_checkpoint=training_args.resume_from_checkpoint).metrics
    if not training_args.load_best_model_at_end:
        trainer.state.best_global_step = None  # which the Trainer notes, and keeps the last weights
    results = results | chosen_evaluation(trainer)
    setup.finish_training(trainer, arguments)
    trainer.save_model()
    trainer.save_state()
    return results


def _test(setup: Setup, trainer, arguments: SharedArguments) -> tuple[Tested, Rounding | None]:
    """Measures the model as it is saved, and before if `--save_dtype` saves it in fewer digits."""
    tested = setup.test(trainer, arguments)
    check_test_loss(tested.metrics, arguments)
    if arguments.save_dtype is None:
        return tested, None
    rounded, rounding = measure_rounded(setup, trainer, arguments, tested)
    logger.info("%s", rounding.comparison(rounded.metrics))
    return rounded, rounding


def chosen_evaluation(trainer: transformers.Trainer) -> dict:
    """The validation metrics of the checkpoint that was chosen, or of the last evaluation where the last weights are
    kept.
    """
    evaluations = [entry for entry in trainer.state.log_history if "eval_loss" in entry]
    step = trainer.state.best_global_step
    if not evaluations:
        return {}
    if step is None and trainer.args.load_best_model_at_end:
        logger.warning("no checkpoint had a finite %s: the last weights were kept", trainer.args.metric_for_best_model)
    chosen = next((entry for entry in evaluations if entry["step"] == step), evaluations[-1])
    return {key: value for key, value in chosen.items() if key.startswith("eval_")}


def _print_results(setup: Setup, results: dict, floor: Floor | None) -> None:
    """The test results that the target names, the further ones of the task, and the floor where it is not passed."""
    names = [name for name in (*setup.target.printed, *setup.further_metrics) if f"test_{name}" in results]
    if not names:
        return
    print_lines("\ntest results")
    width = max(map(len, names))
    for name in names:
        print_lines(f"  {name:<{width}} {results[f'test_{name}']:.4f}")
    scores = results.get("test_accuracy"), results.get("test_f1")
    if floor is not None and not floor.is_passed(*scores):
        print_lines(floor.comparison(*scores))


def _print_examples(setup: Setup, saved: str) -> None:
    """A few test rows, classified by the model as it was saved, reloaded as a user would."""
    examples = setup.classify_examples(saved)
    if examples:
        print_lines(f"reloaded from {saved}")
    for name, answer in examples:
        label = printable(shortened(answer["label"], 60))
        print_lines(f"  {label:<14} {answer['score']:.3f}  {printable(shortened(' '.join(name.split()), 60))}")
