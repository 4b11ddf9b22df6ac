"""The steps of a retrieval recipe: the model of its flags, training, the test, and the files of the run."""

import io
import logging
import time
from dataclasses import dataclass
from pathlib import Path

import datasets
import numpy as np
from PIL import Image
from transformers import (
    BertTokenizer,
    ChineseCLIPImageProcessorPil,
    ChineseCLIPModel,
    ChineseCLIPProcessor,
    TrainingArguments,
)

from hfcls.errors import InputError
from hfcls.inference.loading import load
from hfcls.models.chinese_clip import chinese_clip_from_scratch
from hfcls.report import write_report
from hfcls.retrieval.arguments import RetrievalArguments
from hfcls.retrieval.contrastive import mask_patches
from hfcls.retrieval.corpus import RetrievalCorpus
from hfcls.retrieval.files import describe_data, write_examples, write_predictions
from hfcls.retrieval.rows import PairRows, Pixels, RetrievalCollator, pixel_values
from hfcls.retrieval.trainer import Pool, RetrievalTrainer
from hfcls.retrieval.zero_shot import measure_zero_shot
from hfcls.runs import hub, outputs
from hfcls.runs.card import write_model_card
from hfcls.text.collator import text_collator
from hfcls.text.rows import TokenRows, Truncation, token_lengths, tokenize
from hfcls.text.tokenization import train_wordpiece_tokenizer
from hfcls.text.vocabulary import load_vocabulary
from hfcls.training.checkpoints import full_disk_said
from hfcls.training.run import announce, chosen_evaluation, trainer_options

logger = logging.getLogger(__name__)

TASK = "zero-shot-image-classification"  # the pipeline that the Hub offers for such a model


@dataclass
class RetrievalSetup:
    """What is trained on what.

    Attributes:
        tokens: the texts of each split, cut to `max_length`.
        lengths: of each split, the number of tokens of every text before cutting, (texts,).
        model_name, base_model: as `hfcls.training.run.Setup` has them.
    """

    corpus: RetrievalCorpus
    processor: ChineseCLIPProcessor
    tokens: dict[str, TokenRows]
    lengths: dict[str, np.ndarray]
    max_length: int
    model: ChineseCLIPModel
    model_name: str
    base_model: str | None = None

    pipeline_task = TASK


def build(
    arguments: RetrievalArguments, training_args: TrainingArguments, corpus: RetrievalCorpus, *, default: str
) -> RetrievalSetup:
    """The model that the flags ask for: saved, from scratch, or pretrained (`default` is the Hub name of the recipe).

    Raises:
        InputError: the model or a vocabulary cannot be loaded, or does not fit.
    """
    name = arguments.evaluate_only or arguments.model_name_or_path or default
    base_model = None if arguments.evaluate_only or arguments.from_scratch else name
    if arguments.from_scratch is None:
        processor, model = load(name, task=TASK)
    else:
        processor, model = _from_scratch(arguments, corpus)
        name = f"Chinese-CLIP {arguments.from_scratch}, from scratch"
    positions = model.config.text_config.max_position_embeddings
    if arguments.max_length > positions:
        raise InputError(f"--max_length {arguments.max_length}: the model has {positions} positions; give at most that")
    tokenizer = processor.tokenizer
    with training_args.main_process_first(desc="tokenizing"):
        texts = tokenize(datasets.DatasetDict({key: split.texts for key, split in corpus.splits.items()}), tokenizer)
    tokenizer.model_max_length = arguments.max_length  # saved with it
    truncation = Truncation.of("head", arguments.max_length, tokenizer)
    return RetrievalSetup(
        corpus,
        processor,
        {key: TokenRows(split, truncation) for key, split in texts.items()},
        {key: token_lengths(split) for key, split in texts.items()},
        arguments.max_length,
        model,
        name,
        base_model,
    )


def _from_scratch(
    arguments: RetrievalArguments, corpus: RetrievalCorpus
) -> tuple[ChineseCLIPProcessor, ChineseCLIPModel]:
    train = corpus.splits["train"]
    if arguments.vocab is None:
        tokenizer = train_wordpiece_tokenizer(train.texts["text"], max_length=arguments.max_length)
    else:
        tokenizer = BertTokenizer(vocab=load_vocabulary(arguments.vocab))
    longest_side = max(max(Image.open(io.BytesIO(content)).size) for content in train.images[:100]["image"])
    model = chinese_clip_from_scratch(arguments.from_scratch, tokenizer, longest_side, arguments.max_length)
    side = model.config.vision_config.image_size
    pictures = ChineseCLIPImageProcessorPil(size={"height": side, "width": side}, do_center_crop=False)
    return ChineseCLIPProcessor(pictures, tokenizer), model


def build_trainer(
    setup: RetrievalSetup, arguments: RetrievalArguments, training_args: TrainingArguments
) -> RetrievalTrainer:
    """The Trainer of `setup`, with towers frozen or masked as the flags say."""
    model, train = setup.model, setup.corpus.splits["train"]
    model.accepts_loss_kwargs = False  # its forward takes **kwargs but knows nothing of accumulated batches
    if arguments.freeze_vision:
        for module in (model.vision_model, model.visual_projection):
            module.requires_grad_(False)
    if arguments.patch_masking:
        mask_patches(model.vision_model.embeddings, arguments.patch_masking)
    options = trainer_options(arguments, training_args)
    options["args"].per_device_train_batch_size *= arguments.contrastive_accumulation
    to_pixel_values = pixel_values(setup.processor.image_processor)
    kept = to_pixel_values if isinstance(to_pixel_values, Pixels) else None
    seed = training_args.seed if arguments.augment else None
    return RetrievalTrainer(
        **options,
        model=model,
        relations=train.worded,
        contrastive_accumulation=arguments.contrastive_accumulation,
        train_dataset=PairRows(train, setup.tokens["train"], seed, kept),
        eval_dataset=Pool(setup.corpus.splits["validation"], setup.tokens["validation"]),
        processing_class=setup.processor,
        data_collator=RetrievalCollator(to_pixel_values, text_collator(setup.processor.tokenizer)),
    )


def run(setup: RetrievalSetup, arguments: RetrievalArguments, training_args: TrainingArguments, *, task: str) -> None:
    """Trains (unless `--evaluate_only`), tests once, writes every file of the run, and pushes it if asked to."""
    trainer = build_trainer(setup, arguments, training_args)
    output_dir = Path(training_args.output_dir)
    output_dir.mkdir(parents=True, exist_ok=True)
    with full_disk_said(output_dir):
        results = _train_and_test(trainer, setup, arguments, training_args, task)
    if training_args.process_index == 0:
        measured = [name.removeprefix("test_") for name in results if "recall" in name and name.startswith("test_")]
        announce(results, [*measured, "loss"] if measured else [], training_args)
        print(f"report: {output_dir / 'report.html'}")


def _train_and_test(trainer: RetrievalTrainer, setup: RetrievalSetup, arguments, training_args, task: str) -> dict:
    """Everything of `run` that writes to the output folder; returns the metrics."""
    training = arguments.evaluate_only is None
    begun = time.monotonic()
    results = {}
    if training:
        results |= trainer.train(resume_from_checkpoint=training_args.resume_from_checkpoint).metrics
        results |= chosen_evaluation(trainer) | _start(trainer)
        trainer.save_model()  # before the test pictures are read: one of them may be torn
        trainer.save_state()
    found = trainer.search(Pool(setup.corpus.splits["test"], setup.tokens["test"]), "test")
    results |= found.metrics
    if arguments.zero_shot_dir is not None:
        results |= measure_zero_shot(
            trainer.model, setup.processor, arguments.zero_shot_dir, arguments.prompt, training_args
        )
    trainer.end()
    if training_args.process_index != 0:
        return results

    output_dir = Path(training_args.output_dir)
    outputs.write_json(output_dir / "all_results.json", results)
    write_predictions(output_dir, setup.corpus.splits["test"], found.images)
    write_examples(output_dir, setup.corpus.splits["test"], found.images)
    about = outputs.describe_run(
        setup,
        arguments,
        training_args,
        task=task,
        seconds=time.monotonic() - begun,
        data=describe_data(setup),
    )
    outputs.write_json(output_dir / "run.json", about)
    write_report(output_dir)
    if training:
        hub.clean_local_paths(output_dir)
        write_model_card(output_dir, repo_id=training_args.hub_model_id)
    return results


def _start(trainer: RetrievalTrainer) -> dict[str, float]:
    """What the model could before its first step, and a warning if the chosen one can less."""
    evaluations = [entry for entry in trainer.state.log_history if "eval_recall_at_1" in entry]
    if len(evaluations) < 2 or evaluations[0]["step"] != 0:
        return {}
    start, best = evaluations[0]["eval_recall_at_1"], max(entry["eval_recall_at_1"] for entry in evaluations[1:])
    if best < start:
        logger.warning("training made it worse: recall at 1 was %.4f before the first step, %.4f at best", start, best)
    return {"start_recall_at_1": start}
