"""The steps of a retrieval recipe: the model of its flags, training, the test, and the files of the run."""

import io
import logging
from dataclasses import dataclass
from pathlib import Path

import datasets
import torch
from PIL import Image
from transformers import (
    BertTokenizer,
    ChineseCLIPImageProcessorPil,
    ChineseCLIPModel,
    ChineseCLIPProcessor,
    TrainingArguments,
)

from hfcls.errors import InputError
from hfcls.inference.download import log_source
from hfcls.inference.loading import load_chinese_clip
from hfcls.models.attention import use_given_masks
from hfcls.models.chinese_clip import chinese_clip_from_scratch
from hfcls.models.truncation import Truncation
from hfcls.retrieval.arguments import RetrievalArguments
from hfcls.retrieval.contrastive import mask_patches
from hfcls.retrieval.corpus import RetrievalCorpus
from hfcls.retrieval.files import describe_split, write_examples, write_predictions
from hfcls.retrieval.rows import PairRows, Pixels, RetrievalCollator, pixel_values
from hfcls.retrieval.trainer import Pool, RetrievalTrainer
from hfcls.retrieval.zero_shot import find_classes, measure_zero_shot
from hfcls.runs.record import Split
from hfcls.text.collator import text_collator
from hfcls.text.rows import TokenRows, tokenize
from hfcls.text.token_storage import token_lengths
from hfcls.text.tokenization import train_wordpiece_tokenizer
from hfcls.text.vocabulary import load_vocabulary
from hfcls.training.options import trainer_options
from hfcls.training.processes import prepared_once
from hfcls.training.setup import Rows, Setup, Tested

logger = logging.getLogger(__name__)

TASK = "zero-shot-image-classification"  # the pipeline that the Hub offers for such a model


@dataclass
class RetrievalSetup(Setup):
    """A model of two towers. `rows` are pairs of pictures and texts to train on, and `Pool`s to search.

    Attributes:
        zero_shot_classes: of `--zero_shot_dir`, class → pictures; None without it.
    """

    pipeline_task: str = TASK
    zero_shot_classes: dict[str, list[Path]] | None = None

    def build_trainer(self, arguments: RetrievalArguments, training_args: TrainingArguments) -> RetrievalTrainer:
        self.model.accepts_loss_kwargs = False  # its forward takes **kwargs but knows nothing of accumulated batches
        return RetrievalTrainer(
            **trainer_options(arguments, training_args),
            model=self.model,
            relations=self.corpus.splits["train"].worded,
            contrastive_accumulation=arguments.contrastive_accumulation,
            train_dataset=self.rows.train,
            eval_dataset=self.rows.validation,
            processing_class=self.processor,
            data_collator=self.collator,
        )

    def finish_training(self, trainer: RetrievalTrainer, arguments: RetrievalArguments) -> None:
        """Warns if the chosen model finds less than the one that training began with."""
        start, best = start_and_best(trainer.state.log_history)
        if start is not None and best < start:
            logger.warning(
                "training made it worse: recall at 1 was %.4f before the first step, %.4f at best", start, best
            )

    def test(self, trainer: RetrievalTrainer, arguments: RetrievalArguments) -> Tested:
        """Searches the test pictures for every test text and the other way round."""
        split = self.corpus.splits["test"]
        found = trainer.search(self.rows.test, "test")
        start, _ = start_and_best(trainer.state.log_history)
        metrics = found.metrics | ({} if start is None else {"start_recall_at_1": start})
        if self.zero_shot_classes is not None:
            metrics |= measure_zero_shot(
                trainer.model, self.processor, self.zero_shot_classes, arguments.prompt, trainer.args
            )

        def write(folder: Path) -> None:
            write_predictions(folder, split, found.images)
            write_examples(folder, split, found.images)

        return Tested(metrics, write)

    def tables(self) -> dict[str, tuple[datasets.Dataset, ...]]:
        return {name: (split.images.remove_columns("image"), split.texts) for name, split in self.corpus.splits.items()}

    def describe_splits(self) -> dict[str, Split]:
        return {name: describe_split(split, self.rows.lengths[name]) for name, split in self.corpus.splits.items()}


def check_model(arguments: RetrievalArguments, *, default: str) -> None:
    """Makes sure, before any data is prepared, that there is the model that `build` will load.

    Raises:
        InputError: it cannot be fetched or loaded.
    """
    if arguments.from_scratch is None:
        name = arguments.evaluate_only or arguments.model_name_or_path or default
        with torch.random.fork_rng(devices=[]):
            load_chinese_clip(name)
        log_source(name)


def build(
    arguments: RetrievalArguments, training_args: TrainingArguments, corpus: RetrievalCorpus, *, default: str
) -> RetrievalSetup:
    """The model that the flags ask for: saved, from scratch, or pretrained (`default` is the Hub name of the recipe).

    Raises:
        InputError: the model or a vocabulary cannot be loaded, or does not fit; `--zero_shot_dir` holds no classes;
            batches are of one pair.
    """
    if arguments.evaluate_only is None:
        _check_batches(arguments, training_args, corpus)
    zero_shot_classes = None if arguments.zero_shot_dir is None else find_classes(arguments.zero_shot_dir)
    name = arguments.evaluate_only or arguments.model_name_or_path or default
    base_model = None if arguments.evaluate_only or arguments.from_scratch else name
    if arguments.from_scratch is None:
        processor, model = load_chinese_clip(name)
    else:
        processor, model = _from_scratch(arguments, corpus)
        name = f"Chinese-CLIP {arguments.from_scratch}, from scratch"
    positions = model.config.text_config.max_position_embeddings
    if arguments.max_length > positions:
        raise InputError(f"--max_length {arguments.max_length}: the model has {positions} positions; give at most that")
    tokenizer = processor.tokenizer
    with prepared_once(training_args, "tokenizing"):
        texts = tokenize(datasets.DatasetDict({key: split.texts for key, split in corpus.splits.items()}), tokenizer)
    tokenizer.model_max_length = arguments.max_length  # saved with it
    truncation = Truncation.of("head", arguments.max_length, tokenizer)
    tokens = {key: TokenRows(split, truncation) for key, split in texts.items()}
    lengths = {key: token_lengths(split) for key, split in texts.items()}
    if arguments.freeze_vision:
        for module in (model.vision_model, model.visual_projection):
            module.requires_grad_(False)
    if arguments.patch_masking:
        mask_patches(model.vision_model.embeddings, arguments.patch_masking)
    to_pixel_values = pixel_values(processor.image_processor)
    splits, seed = corpus.splits, training_args.seed if arguments.augment else None
    resized = to_pixel_values if isinstance(to_pixel_values, Pixels) else None
    rows = Rows(
        PairRows(splits["train"], tokens["train"], seed, resized),
        Pool(splits["validation"], tokens["validation"]),
        Pool(splits["test"], tokens["test"]),
        max_length=arguments.max_length,
        covered=float((lengths["train"] <= arguments.max_length).mean()),
        lengths=lengths,
    )
    pad = text_collator(tokenizer, omit_full_mask=use_given_masks(model))
    collator = RetrievalCollator(to_pixel_values, pad)
    return RetrievalSetup(
        corpus, processor, rows, collator, model, name, base_model, zero_shot_classes=zero_shot_classes
    )


def _check_batches(arguments: RetrievalArguments, training_args: TrainingArguments, corpus: RetrievalCorpus) -> None:
    """Makes sure that every pair has another one to be contrasted with: the loss of one alone is zero."""
    size = training_args.train_batch_size * arguments.contrastive_accumulation * training_args.world_size
    if size < 2:
        raise InputError(
            f"--per_device_train_batch_size {training_args.per_device_train_batch_size}: a pair alone has nothing to "
            f"be contrasted with, and nothing would be learned; give 2 or more, or --contrastive_accumulation 2 or more"
        )
    if len(corpus.splits["train"].pairs) < 2:
        raise InputError(
            f"{corpus.name}: fewer than two pairs to train on have nothing to be contrasted with; add some"
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


def start_and_best(history: list[dict]) -> tuple[float | None, float | None]:
    """Recall at 1 of the validation texts before the first step, and the best afterwards; None where not measured."""
    evaluations = [entry for entry in history if "eval_recall_at_1" in entry]
    if len(evaluations) < 2 or evaluations[0]["step"] != 0:
        return None, None
    return evaluations[0]["eval_recall_at_1"], max(entry["eval_recall_at_1"] for entry in evaluations[1:])
