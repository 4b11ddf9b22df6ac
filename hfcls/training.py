"""The steps that all recipes share, in the order in which a recipe calls them."""

import copy
import logging
import time
from dataclasses import dataclass
from pathlib import Path

import datasets
import numpy as np
import transformers
from transformers import AutoModelForSequenceClassification, AutoTokenizer, TrainingArguments

from hfcls import hub, metrics, outputs
from hfcls.arguments import RecipeArguments, TextArguments
from hfcls.collators import PaddingCollator
from hfcls.corpus import Corpus
from hfcls.errors import InputError
from hfcls.preprocessing import TokenRows, Truncation, auto_max_length, token_lengths, tokenize
from hfcls.trainer import ClassifierTrainer

logger = logging.getLogger(__name__)


def start(training_args: TrainingArguments) -> None:
    """Seeds everything, sets the volume of the logs, and makes sure that the Hub will take what is to be pushed to it.

    Raises:
        InputError: `--push_to_hub` would fail.
    """
    package = logging.getLogger("hfcls")
    if not package.handlers:
        package.addHandler(logging.StreamHandler())
    main_process = training_args.process_index == 0
    package.setLevel(logging.INFO if main_process else logging.ERROR)
    if not main_process:
        datasets.disable_progress_bars()
    transformers.set_seed(training_args.seed)
    precision = outputs.precision(training_args)
    where = "" if precision == "float32" else " (--bf16 False switches it off)"
    logger.info("computing in %s%s, %d process(es)", precision, where, training_args.world_size)
    if training_args.push_to_hub and main_process:
        training_args.hub_model_id = hub.check_hub(
            training_args.hub_model_id, token=training_args.hub_token, private=training_args.hub_private_repo
        )


def load_pretrained(name_or_path: str, labels: list[str] | None = None):
    """`(tokenizer, model)` of a Hub name or a folder, with a head for `labels` (None: the head it was saved with).

    Raises:
        InputError: it is not there, or there is no network.
    """
    head = {}
    if labels is not None:
        head = {"id2label": dict(enumerate(labels)), "label2id": {name: i for i, name in enumerate(labels)}}
    try:
        tokenizer = AutoTokenizer.from_pretrained(name_or_path)
        model = AutoModelForSequenceClassification.from_pretrained(name_or_path, **head)
    except (OSError, ValueError) as error:
        reason = str(error).strip().splitlines()[0]
        raise InputError(
            f"{name_or_path}: cannot be loaded ({reason}). Without a network: give a downloaded folder as "
            f"--model_name_or_path, set HF_ENDPOINT to a mirror, or train with --from_scratch mini"
        ) from error
    return tokenizer, model


@dataclass
class Rows:
    """Token rows of the three splits and how they were cut."""

    train: TokenRows
    validation: TokenRows
    test: TokenRows
    max_length: int
    covered: float
    lengths: dict[str, np.ndarray]


def tokenize_corpus(corpus: Corpus, tokenizer, arguments: TextArguments, training_args: TrainingArguments) -> Rows:
    """Token rows of every split, cut to `--max_length`."""
    with training_args.main_process_first(desc="tokenizing"):
        splits = tokenize(corpus.splits, tokenizer)
    lengths = {name: token_lengths(split) for name, split in splits.items()}
    limit = arguments.max_length
    max_length = auto_max_length(lengths["train"]) if limit == "auto" else int(limit)
    covered = float((lengths["train"] <= max_length).mean())
    logger.info("max_length %d covers %.1f %% of the training texts", max_length, 100 * covered)
    truncation = Truncation.of(arguments.truncation, max_length, tokenizer)
    rows = {name: TokenRows(split, truncation) for name, split in splits.items()}
    return Rows(**rows, max_length=max_length, covered=covered, lengths=lengths)


def build_trainer(model, tokenizer, rows: Rows, arguments: RecipeArguments, training_args: TrainingArguments):
    """A Trainer for `model` on `rows`, with the traps of transformers 5 closed.

    Raises:
        InputError: the model has no position for the last token of a row.
    """
    positions = getattr(model.config, "max_position_embeddings", None)
    if positions is not None and rows.max_length > positions:
        raise InputError(f"--max_length {rows.max_length}: the model has {positions} positions; give at most that")
    # Heads that take **kwargs and ignore num_items_in_batch would get an undivided loss under gradient accumulation
    # (huggingface/transformers#47688).
    model.accepts_loss_kwargs = False
    # Trainer's own push uploads training_args.bin, which holds the token and local paths: `run` pushes instead.
    trainer_args = copy.copy(training_args)
    trainer_args.push_to_hub, trainer_args.hub_token = False, None
    callbacks = []
    if arguments.early_stopping_patience is not None:
        callbacks.append(transformers.EarlyStoppingCallback(arguments.early_stopping_patience))
    return ClassifierTrainer(
        model=model,
        args=trainer_args,
        train_dataset=rows.train,
        eval_dataset=rows.validation,
        processing_class=tokenizer,
        data_collator=PaddingCollator(tokenizer.pad_token_id, tokenizer.padding_side),
        compute_metrics=metrics.compute_metrics,
        preprocess_logits_for_metrics=metrics.keep_logits,
        callbacks=callbacks,
    )


def run(
    trainer: ClassifierTrainer,
    corpus: Corpus,
    rows: Rows,
    arguments: RecipeArguments,
    training_args: TrainingArguments,
    *,
    task: str,
    model_name: str,
    base_model: str | None = None,
) -> None:
    """Trains (unless `--evaluate_only`), tests once, writes every file of the run, and pushes if asked to.

    Args:
        task: the recipe's name.
        model_name: for people, "BERT mini, from scratch".
        base_model: the Hub name of the pretrained weights, if any.
    """
    begun = time.monotonic()
    results = {}
    if arguments.evaluate_only is None:
        results |= trainer.train(resume_from_checkpoint=training_args.resume_from_checkpoint).metrics
        results |= _chosen_evaluation(trainer)
    test = trainer.predict(rows.test, metric_key_prefix="test")
    results |= test.metrics

    output_dir = Path(training_args.output_dir)
    output_dir.mkdir(parents=True, exist_ok=True)
    if arguments.evaluate_only is None:
        trainer.save_model()
        trainer.save_state()
    trainer.end()
    if training_args.process_index != 0:
        return
    outputs.write_json(output_dir / "all_results.json", results)
    outputs.write_predictions(
        output_dir / "predictions.csv", corpus.splits["test"]["text"], rows.test.labels, test.predictions, corpus.labels
    )
    description = outputs.describe_run(
        task=task,
        seconds=time.monotonic() - begun,
        model=trainer.model,
        model_name=model_name,
        base_model=base_model,
        corpus=corpus,
        rows=rows,
        training_args=training_args,
        own_settings={"truncation": getattr(arguments, "truncation", None)},
    )
    outputs.write_json(output_dir / "run.json", description)

    from hfcls.report import write_report

    write_report(output_dir)
    if arguments.evaluate_only is None:
        from hfcls.model_card import write_model_card

        hub.clean_local_paths(output_dir)
        write_model_card(output_dir, repo_id=training_args.hub_model_id)
    print_results(results)
    if training_args.push_to_hub:
        print(f"pushed to {hub.push_folder(output_dir, training_args.hub_model_id, token=training_args.hub_token)}")


def _chosen_evaluation(trainer: ClassifierTrainer) -> dict:
    """The validation metrics of the checkpoint that was chosen, or of the last evaluation if none was."""
    evaluations = [entry for entry in trainer.state.log_history if "eval_loss" in entry]
    step = trainer.state.best_global_step
    if not evaluations:
        return {}
    if step is None:
        logger.warning("no checkpoint had a finite %s: the last weights were kept", trainer.args.metric_for_best_model)
    chosen = next((entry for entry in evaluations if entry["step"] == step), evaluations[-1])
    return {key: value for key, value in chosen.items() if key.startswith("eval_")}


def print_results(results: dict) -> None:
    print("\ntest results")
    for name in ("accuracy", "f1", "roc_auc", "loss"):
        print(f"  {name:<10} {results[f'test_{name}']:.4f}")


def show_examples(trainer: ClassifierTrainer, arguments: RecipeArguments, texts: list[str]) -> None:
    """Classifies `texts` with the model as it was saved, reloaded as a user would; the last lines that a user sees."""
    if trainer.args.process_index != 0:
        return
    output_dir = trainer.args.output_dir
    saved = arguments.evaluate_only or output_dir
    classify = transformers.pipeline("text-classification", model=saved, device="cpu")
    print(f"reloaded from {saved}")
    for text, answer in zip(texts, classify(texts), strict=True):
        print(f"  {answer['label']:<14} {answer['score']:.3f}  {text}")
    print(f"report: {Path(output_dir) / 'report.html'}")
