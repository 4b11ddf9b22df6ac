"""The steps that all recipes share, in the order in which a recipe calls them."""

import copy
import logging
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import datasets
import transformers
from transformers import TrainingArguments

from hfcls.environment import use_cores
from hfcls.errors import InputError
from hfcls.inference.loading import load
from hfcls.metrics.label_sets import LabelSets
from hfcls.report import write_report
from hfcls.report.run import FURTHER
from hfcls.report.thumbnails import write_thumbnails
from hfcls.runs import hub, outputs
from hfcls.runs.card import write_model_card
from hfcls.training import optimization
from hfcls.training.arguments import RecipeArguments, SharedArguments
from hfcls.training.calibration import calibrate, check_scalable, choose_thresholds, saved_thresholds
from hfcls.training.checkpoints import full_disk_said
from hfcls.training.losses import build_loss
from hfcls.training.setup import Setup, joined_texts
from hfcls.training.trainer import ClassifierTrainer

logger = logging.getLogger(__name__)


def start(training_args: TrainingArguments) -> None:
    """Seeds everything, sets the volume of the logs, and makes sure that the Hub will take what is to be pushed to it.

    Raises:
        InputError: `--push_to_hub` would fail.
    """
    package = logging.getLogger("hfcls")
    package.handlers = [logging.StreamHandler()]  # not added to those of an earlier start, whose stream may be gone
    main_process = training_args.process_index == 0
    package.setLevel(logging.INFO if main_process else logging.ERROR)
    if not main_process:
        datasets.disable_progress_bars()
    transformers.set_seed(training_args.seed)
    precision = outputs.precision(training_args)
    where = "" if precision == "float32" else " (--bf16 False switches it off)"
    threads = f" of {use_cores()} thread(s)" if training_args.device.type == "cpu" else ""
    logger.info("computing in %s%s, %d process(es)%s", precision, where, training_args.world_size, threads)
    if training_args.push_to_hub and main_process:
        training_args.hub_model_id = hub.check_hub(
            training_args.hub_model_id, token=training_args.hub_token, private=training_args.hub_private_repo
        )


def build_trainer(setup: Setup, arguments: RecipeArguments, training_args: TrainingArguments) -> ClassifierTrainer:
    """A Trainer with the traps of transformers 5 closed.

    Raises:
        InputError: the model has no position for the last token of a row, or the flags of the loss do not fit.
    """
    model = setup.model
    positions = getattr(model.config, "max_position_embeddings", None)
    if positions is not None and (setup.rows.max_length or 0) > positions:
        raise InputError(
            f"--max_length {setup.rows.max_length}: the model has {positions} positions; give at most that"
        )
    # Heads that take **kwargs and ignore num_items_in_batch would get an undivided loss under gradient accumulation
    # (huggingface/transformers#47688).
    model.accepts_loss_kwargs = False
    model.config.problem_type = setup.corpus.target.problem_type  # every model's loss goes by it
    return ClassifierTrainer(
        **trainer_options(arguments, training_args),
        model=model,
        train_dataset=setup.rows.train,
        eval_dataset=setup.rows.validation,
        processing_class=setup.processor,
        data_collator=setup.collator,
        compute_metrics=setup.corpus.target.compute_metrics,
        compute_loss_func=build_loss(setup, arguments, training_args.label_smoothing_factor),
        preprocess_logits_for_metrics=keep_logits,
    )


def keep_logits(logits, labels):
    """`Trainer(preprocess_logits_for_metrics=…)`: drops hidden states and attentions, so memory is rows x classes."""
    return (logits[0] if isinstance(logits, tuple) else logits).float()


def trainer_options(arguments: SharedArguments, training_args: TrainingArguments) -> dict:
    """What the flags say to any `ClassifierTrainer`: arguments, schedule, optimizer and callbacks."""
    # Trainer's own push uploads training_args.bin, which holds the token and local paths: `run` pushes instead.
    trainer_args = copy.copy(training_args)
    trainer_args.push_to_hub, trainer_args.hub_token = False, None
    callbacks = []
    if arguments.early_stopping_patience is not None:
        callbacks.append(transformers.EarlyStoppingCallback(arguments.early_stopping_patience))
    optimizer = None
    if arguments.optimizer is not None:
        optimizer = optimization.optimizer_class(arguments.optimizer, training_args)
    return {
        "args": trainer_args,
        "schedule": arguments.schedule,
        "optimizer_cls_and_kwargs": optimizer,
        "callbacks": callbacks,
    }


def run(setup: Setup, arguments: RecipeArguments, training_args: TrainingArguments, *, task: str) -> None:
    """Trains (unless `--evaluate_only`), tests once, writes every file of the run, and pushes it if asked to.

    `task` is the recipe's name.
    """
    trainer = build_trainer(setup, arguments, training_args)
    output_dir = Path(training_args.output_dir)
    output_dir.mkdir(parents=True, exist_ok=True)
    with full_disk_said(output_dir):
        results = _train_and_test(trainer, setup, arguments, training_args, task)
    if training_args.process_index != 0:
        return
    names = setup.corpus.target.printed
    further = [name for name in FURTHER if f"test_{name}" in results]
    announce(results, [*names, *further], training_args)
    _show_examples(setup, arguments.evaluate_only or str(output_dir))
    print(f"report: {output_dir / 'report.html'}")


def announce(results: dict, names: Sequence[str], training_args: TrainingArguments) -> None:
    """Prints the test results called `names`, and pushes the model if asked to."""
    if names:
        print("\ntest results")
    width = max(map(len, names), default=0)
    for name in names:
        print(f"  {name:<{width}} {results[f'test_{name}']:.4f}")
    if training_args.push_to_hub:
        address = hub.push_folder(training_args.output_dir, training_args.hub_model_id, token=training_args.hub_token)
        print(f"pushed to {address}")


def _train_and_test(trainer, setup, arguments, training_args, task) -> dict:
    """Everything of `run` that writes to the output folder; returns the metrics."""
    training = arguments.evaluate_only is None
    begun = time.monotonic()
    results = {}
    temperature = thresholds = None
    if arguments.calibrate:
        validation = setup.rows.validation
        check_scalable(trainer.model, setup.collator([validation[row] for row in range(min(8, len(validation)))]))
    if training:
        results |= trainer.train(resume_from_checkpoint=training_args.resume_from_checkpoint).metrics
        results |= chosen_evaluation(trainer)
    if arguments.calibrate:
        temperature = calibrate(trainer, setup.rows.validation)
        logger.info("calibrated: temperature %.3f, fitted on validation", temperature)
        if isinstance(setup.corpus.target, LabelSets):
            thresholds = choose_thresholds(trainer, setup.rows.validation)
    elif isinstance(setup.corpus.target, LabelSets):  # those that the model was saved with, if any
        thresholds = saved_thresholds(trainer.model)
    test = trainer.predict(setup.rows.test, metric_key_prefix="test")
    results |= test.metrics
    if setup.test_metrics is not None:
        results |= {f"test_{name}": value for name, value in setup.test_metrics(test.predictions).items()}
    if thresholds is not None:
        scores = replace(setup.corpus.target, thresholds=thresholds).score(test.predictions, setup.rows.test.labels)
        results |= {f"test_{name}": value for name, value in scores.items()}
    unlabelled = None if setup.rows.unlabelled is None else trainer.predict(setup.rows.unlabelled).predictions
    if training:
        trainer.save_model()
        trainer.save_state()
    trainer.end()
    if training_args.process_index != 0:
        return results

    output_dir = Path(training_args.output_dir)
    seconds = time.monotonic() - begun
    outputs.write_json(output_dir / "all_results.json", results)
    outputs.write_predictions(
        output_dir / "predictions.csv",
        setup.corpus,
        setup.corpus.target if thresholds is None else replace(setup.corpus.target, thresholds=thresholds),
        labels=setup.rows.test.labels,
        logits=test.predictions,
    )
    if unlabelled is not None:
        outputs.write_submission(output_dir / "submission.csv", setup.corpus, logits=unlabelled)
    if "image" in setup.corpus.splits["test"].features:
        write_thumbnails(output_dir, setup.corpus.splits["test"]["image"], setup.corpus.labels)
    outputs.write_json(
        output_dir / "run.json",
        outputs.describe_run(
            setup,
            arguments,
            training_args,
            task=task,
            seconds=seconds,
            data=outputs.describe_data(setup),
            loss=trainer.compute_loss_func,
            temperature=temperature,
            thresholds=thresholds,
        ),
    )
    write_report(output_dir)
    if training:
        hub.clean_local_paths(output_dir)
        write_model_card(output_dir, repo_id=training_args.hub_model_id)
    return results


def chosen_evaluation(trainer: ClassifierTrainer) -> dict:
    """The validation metrics of the checkpoint that was chosen, or of the last evaluation if none was."""
    evaluations = [entry for entry in trainer.state.log_history if "eval_loss" in entry]
    step = trainer.state.best_global_step
    if not evaluations:
        return {}
    if step is None:
        logger.warning("no checkpoint had a finite %s: the last weights were kept", trainer.args.metric_for_best_model)
    chosen = next((entry for entry in evaluations if entry["step"] == step), evaluations[-1])
    return {key: value for key, value in chosen.items() if key.startswith("eval_")}


def _show_examples(setup: Setup, saved: str) -> None:
    """Classifies three test rows with the model as it was saved, reloaded as a user would."""
    rows = setup.corpus.splits["test"].select(range(min(3, len(setup.corpus.splits["test"]))))
    pipelines = {"image-classification": _classify_images, "text-classification": _classify_texts}
    classify = setup.classify or pipelines[setup.pipeline_task]
    shown, answers = classify(rows, saved)
    print(f"reloaded from {saved}")
    for name, answer in zip(shown, answers, strict=True):
        shortened = name if len(name) <= 60 else f"{name[:60]}…"
        print(f"  {answer['label']:<14} {answer['score']:.3f}  {' '.join(shortened.split())}")


def _classify_texts(rows, saved) -> tuple[list[str], list[dict]]:
    tokenizer, model = load(saved)
    classify = transformers.pipeline("text-classification", model=model, tokenizer=tokenizer, device="cpu")
    texts = inputs = joined_texts(rows)
    if "text_pair" in rows.column_names and tokenizer.sep_token is not None:
        inputs = [{"text": row["text"], "text_pair": row["text_pair"] or None} for row in rows]
    return texts, classify(inputs, truncation=True)


def _classify_images(rows, saved) -> tuple[list[str], list[dict]]:
    processor, model = load(saved, task="image-classification")
    classify = transformers.pipeline("image-classification", model=model, image_processor=processor, device="cpu")
    return rows["id"][:], [answer for (answer,) in classify(rows["image"][:], top_k=1)]
