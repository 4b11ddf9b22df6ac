"""The setup of a classifier: its Trainer, its test, and a few rows classified by what was saved."""

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import datasets
import numpy as np
from transformers import TrainingArguments

from hfcls.errors import InputError
from hfcls.inference.classifier import Classifier
from hfcls.inference.examples import classify_texts
from hfcls.inference.explain.run import explain_rows
from hfcls.metrics.class_offsets import offsets_line
from hfcls.metrics.label_sets import LabelSets
from hfcls.metrics.target import Target
from hfcls.models.ngram_linear import NgramLinearForSequenceClassification
from hfcls.runs.explanations import write_explanations
from hfcls.runs.floor import Floor
from hfcls.runs.predictions import NAME as PREDICTIONS
from hfcls.runs.predictions import read_predictions, write_predictions, write_submission
from hfcls.runs.record import Split
from hfcls.runs.results import FURTHER
from hfcls.runs.thumbnails import write_thumbnails
from hfcls.training.arguments import RecipeArguments
from hfcls.training.calibration import (
    calibrate,
    check_scalable,
    check_shiftable,
    choose_class_offsets,
    choose_thresholds,
    saved_thresholds,
)
from hfcls.training.describe import length_summary
from hfcls.training.losses import build_loss
from hfcls.training.options import measured_at_once, trainer_options
from hfcls.training.precision import check_precision
from hfcls.training.setup import Corpus, Setup, Tested, read_labels
from hfcls.training.trainer import ClassifierTrainer

logger = logging.getLogger(__name__)

EXAMPLES = 3  # test rows that the saved model classifies at the end of a run


@dataclass
class ClassifierSetup(Setup):
    """A classifier on the rows of a corpus.

    Attributes:
        test_metrics: further metrics of the test rows, from their logits (rows, classes).
        classify: classifies rows of `corpus` with the model that was saved in a folder → what to call each of them, and
            its answer.
        floor: measures a simple model on the test rows, from the corpus, which of them are answered right (rows,), and
            the seconds that the run took up to there; None from it where that would take too long.
    """

    test_metrics: Callable[[np.ndarray], dict[str, float]] | None = None
    classify: Callable[[datasets.Dataset, str], tuple[list[str], list[dict]]] = classify_texts
    floor: Callable[[Corpus, np.ndarray, float], Floor | None] | None = None

    @property
    def target(self) -> Target:
        target = self.corpus.target
        if isinstance(target, LabelSets):
            return replace(target, thresholds=saved_thresholds(self.model))
        return target

    @property
    def further_metrics(self) -> tuple[str, ...]:
        return tuple(FURTHER)

    def build_trainer(self, arguments: RecipeArguments, training_args: TrainingArguments) -> ClassifierTrainer:
        """A Trainer with the traps of transformers 5 closed.

        Raises:
            InputError: the model cannot be trained in bfloat16 here, its logits cannot be calibrated, or the flags of
                the loss do not fit.
        """
        model = self.model
        if arguments.evaluate_only is None:
            check_precision(model, training_args)
        if arguments.class_offsets and isinstance(self.target, LabelSets):
            raise InputError("--class_offsets is of rows with one class; --calibrate fits thresholds for several")
        checks = [(arguments.calibrate, check_scalable), (arguments.class_offsets, check_shiftable)]
        for check in (check for asked, check in checks if asked):
            validation = self.rows.validation
            check(model, self.collator([validation[row] for row in range(min(8, len(validation)))]))
        # Heads that take **kwargs and ignore num_items_in_batch would get an undivided loss under gradient accumulation
        # (huggingface/transformers#47688).
        model.accepts_loss_kwargs = False
        model.config.problem_type = self.target.problem_type  # every model's loss goes by it
        loss = build_loss(self, arguments, training_args.label_smoothing_factor)
        options = trainer_options(arguments, training_args)
        options["args"].per_device_eval_batch_size = measured_at_once(training_args)
        if loss is not None:
            options["args"].label_smoothing_factor = 0.0  # the loss smooths; Trainer would say that it does not
        return ClassifierTrainer(
            **options,
            model=model,
            train_dataset=self.rows.train,
            eval_dataset=self.rows.validation,
            processing_class=self.processor,
            data_collator=self.collator,
            compute_metrics=self.target.compute_metrics,
            compute_loss_func=loss,
            preprocess_logits_for_metrics=keep_logits,
        )

    def finish_training(self, trainer: ClassifierTrainer, arguments: RecipeArguments) -> None:
        """Fits on validation what `--class_offsets` and `--calibrate` ask for; it goes into the config, too."""
        trainer.use_full_precision()
        if arguments.class_offsets:
            offsets = choose_class_offsets(trainer, self.rows.validation)
            logger.info("%s", offsets_line(self.target.names, offsets))
        if not arguments.calibrate:
            return
        temperature = calibrate(trainer, self.rows.validation, self.target)
        logger.info("calibrated: temperature %.3f, fitted on validation", temperature)
        if isinstance(self.target, LabelSets):
            choose_thresholds(trainer, self.rows.validation)

    def test(self, trainer: ClassifierTrainer, arguments: RecipeArguments) -> Tested:
        """Measures the model on the test rows as it will be used: in the precision of its weights, without autocast."""
        trainer.use_full_precision()
        tested = trainer.predict(self.rows.test, metric_key_prefix="test")
        logits = tested.predictions
        scores = self.target.score(logits, self.rows.test.labels)
        if self.test_metrics is not None:
            scores |= self.test_metrics(logits)
        unlabelled = None
        if self.rows.unlabelled is not None:
            unlabelled = trainer.predict(self.rows.unlabelled).predictions

        def write(folder: Path) -> None:
            write_predictions(
                folder / PREDICTIONS, self.corpus, self.target, labels=self.rows.test.labels, logits=logits
            )
            if unlabelled is not None:
                write_submission(folder / "submission.csv", self.corpus, self.target, logits=unlabelled)
            if "image" in self.corpus.splits["test"].features:
                write_thumbnails(folder, self.corpus.splits["test"]["image"], self.target)

        metrics = tested.metrics | {f"test_{name}": value for name, value in scores.items()}
        return Tested(metrics, write, self.target.correct(logits, self.rows.test.labels))

    def measure_floor(self, tested: Tested, seconds: float) -> Floor | None:
        return None if self.floor is None else self.floor(self.corpus, tested.correct, seconds)

    def describe_splits(self) -> dict[str, Split]:
        """Rows, rows of each class, and lengths."""
        return {
            name: Split(
                rows=len(split),
                labels=self.target.count(read_labels(self.target, split)),
                length=length_summary(self.rows.lengths[name]) if self.rows.lengths else None,
            )
            for name, split in self.corpus.splits.items()
        }

    def explain(self, saved: str, folder: Path) -> None:
        if (
            not isinstance(self.model, NgramLinearForSequenceClassification)
            or "text_pair" in self.corpus.splits["test"].features
        ):
            return
        predictions = read_predictions(folder / PREDICTIONS, self.target)
        write_explanations(folder, explain_rows(Classifier(saved), predictions))

    def classify_examples(self, saved: str) -> list[tuple[str, dict]]:
        test = self.corpus.splits["test"]
        names, answers = self.classify(test.select(range(min(EXAMPLES, len(test)))), saved)
        return list(zip(names, answers, strict=True))


def keep_logits(logits, labels):
    """`Trainer(preprocess_logits_for_metrics=…)`: drops hidden states and attentions, so memory is rows x classes."""
    return (logits[0] if isinstance(logits, tuple) else logits).float()
