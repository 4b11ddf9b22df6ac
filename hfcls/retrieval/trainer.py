"""The Trainer for two towers: one loss over all processes, and evaluation that searches the whole pool."""

import copy
import time
from contextlib import nullcontext
from dataclasses import dataclass

import torch
import transformers
from torch.nn.functional import normalize
from transformers import TrainingArguments
from transformers.trainer_utils import speed_metrics

from hfcls.errors import InputError
from hfcls.metrics.retrieval import recall, search
from hfcls.retrieval.contrastive import MAX_LOGIT_SCALE, RandomState, contrastive_loss, gather
from hfcls.retrieval.corpus import RetrievalSplit
from hfcls.retrieval.rows import PoolImages, PoolTexts
from hfcls.retrieval.sampling import AccompaniedSampler, batches_of_pairs
from hfcls.text.rows import TokenRows
from hfcls.training.trainer import ClassifierTrainer

RELATED = ("image_rows", "wordings")  # of a batch: what describes what, not an input of the model


@dataclass(frozen=True)
class Pool:
    """What is searched at an evaluation: a split and its texts as tokens."""

    split: RetrievalSplit
    tokens: TokenRows


@dataclass(frozen=True)
class Searched:
    """What was found: rows of pictures for every text (texts, 10), rows of texts for every picture (images, 10)."""

    images: torch.Tensor
    texts: torch.Tensor
    metrics: dict[str, float]


class RetrievalTrainer(ClassifierTrainer):
    """`Trainer` for a model of two towers, ChineseCLIPModel.

    Batches hold `contrastive_accumulation` times as many pairs as go through the model at once. Gradient caching (Gao
    et al. 2021, "Scaling Deep Contrastive Learning Batch Size under Memory Limited Setup") gives the loss and the
    gradients of the whole batch. No batch is of one pair alone, see `AccompaniedSampler`.

    Args:
        relations: of the training pairs, `RetrievalSplit.worded`.
        contrastive_accumulation: chunks of a batch, each of which goes through the model at once.
        options: as `ClassifierTrainer` takes them; `eval_dataset` is a `Pool`.

    Raises:
        InputError: `--label_smoothing_factor`, for which there are no labels.
    """

    # `training_step` and `evaluate` stand in for Trainer's and use what transformers 5.23 does not document:
    # `loss_is_scaled_for_ga`, `current_gradient_accumulation_steps`, `callback_handler` and `accelerator`.
    # tests/test_private_api.py fails when they move.

    def __init__(self, *, args: TrainingArguments, relations, contrastive_accumulation: int = 1, **options):
        if args.label_smoothing_factor:
            raise InputError("--label_smoothing_factor is of classifiers, and a retrieval has no classes: leave it out")
        args = copy.copy(args)
        args.per_device_train_batch_size *= contrastive_accumulation
        super().__init__(args=args, **options)
        self.relations = relations
        self.contrastive_accumulation = contrastive_accumulation
        self.loss_is_scaled_for_ga = False  # a mean over the batch, which Trainer divides by the accumulated batches
        self.add_callback(ClampLogitScale())

    def _get_train_sampler(self, train_dataset=None):
        sampler = super()._get_train_sampler(train_dataset)
        rows_at_once = self.get_total_train_batch_size(self.args) // self.args.gradient_accumulation_steps
        alone = self.args.world_size == 1 and len(sampler) % rows_at_once == 1
        return AccompaniedSampler(sampler) if alone else sampler

    def compute_loss(self, model, inputs, return_outputs=False, num_items_in_batch=None):
        image_rows, wordings = (gather(inputs[name]) for name in RELATED)
        features = _features(model, _model_inputs(inputs))
        loss = self._loss(*map(gather, features), image_rows, wordings, self._logit_scale())
        return (loss, features) if return_outputs else loss

    def training_step(self, model, inputs, num_items_in_batch=None):
        if self.contrastive_accumulation == 1:
            return super().training_step(model, inputs, num_items_in_batch)
        model.train()
        image_rows, wordings = (gather(inputs[name]) for name in RELATED)
        chunks = _split(_model_inputs(inputs), self.contrastive_accumulation)
        before = RandomState(self.args.device)
        with torch.no_grad():
            features = [_features(model, chunk) for chunk in chunks]

        leaves = [torch.cat(tower).requires_grad_() for tower in zip(*features, strict=True)]
        scale = self._logit_scale().detach().requires_grad_()
        loss = self._loss(*map(gather, leaves), image_rows, wordings, scale)
        (loss / self.current_gradient_accumulation_steps).backward()

        gradients = list(zip(*(leaf.grad.split([len(f[0]) for f in features]) for leaf in leaves), strict=True))
        before.restore()  # so that the second pass drops and masks what the first did
        for number, (chunk, gradient) in enumerate(zip(chunks, gradients, strict=True), 1):
            last = number == len(chunks)
            with nullcontext() if last else self.accelerator.no_sync(model):
                towers = _features(model, chunk)
                # Its gradient is that of the whole loss through these rows.
                surrogate = sum((tower * given).sum() for tower, given in zip(towers, gradient, strict=True))
                if last:
                    surrogate = surrogate + self._logit_scale() * scale.grad
                self.accelerator.backward(surrogate)
        loss = loss.detach() / self.current_gradient_accumulation_steps
        self.totals.add(loss)
        return loss

    def evaluate(self, eval_dataset: Pool | None = None, ignore_keys=None, metric_key_prefix: str = "eval"):
        metrics = self.search(eval_dataset or self.eval_dataset, metric_key_prefix).metrics
        self.log(metrics)
        self.control = self.callback_handler.on_evaluate(self.args, self.state, self.control, metrics)
        return metrics

    def search(self, pool: Pool, prefix: str) -> Searched:
        """Searches all pictures of `pool` for every text and all texts for every picture.

        The metrics are the recall of texts with a known picture (without a name of its own) and of pictures with a text
        (`image_to_text_`), and the loss of random batches of pairs. Without any pair, there is only the speed.
        """
        begun = time.time()
        image_features, text_features = self._encode(PoolImages(pool.split)), self._encode(PoolTexts(pool.tokens))
        images, texts = search(text_features, image_features), search(image_features, text_features)
        described = pool.split.annotated
        metrics = {}
        if len(pool.split.pairs):
            image_rows, text_rows = (torch.from_numpy(rows).unique() for rows in pool.split.pairs.T)
            metrics |= recall(described(images[text_rows], text_rows[:, None]))
            reverse = recall(described(image_rows[:, None], texts[image_rows]))
            metrics |= {f"image_to_text_{name}": value for name, value in reverse.items()}
            metrics["loss"] = self._pool_loss(pool.split, image_features, text_features)
        metrics = {f"{prefix}_{name}": value for name, value in metrics.items()}
        metrics |= speed_metrics(prefix, begun, num_samples=len(image_features) + len(text_features))
        return Searched(images, texts, metrics)

    def _logit_scale(self) -> torch.Tensor:
        return self.accelerator.unwrap_model(self.model).logit_scale

    def _loss(self, image_features, text_features, image_rows, wordings, logit_scale) -> torch.Tensor:
        positives = self.relations(image_rows[:, None], wordings[None])
        return contrastive_loss(image_features, text_features, logit_scale, positives)

    def _encode(self, rows: PoolImages | PoolTexts) -> torch.Tensor:
        """Features of unit length of all rows in their order, (rows, D) float32, in the memory of the CPU."""
        model = self.accelerator.unwrap_model(self.model).eval()
        of_images = isinstance(rows, PoolImages)
        features = []
        for inputs in self.get_test_dataloader(rows):
            with torch.no_grad():
                tower = model.get_image_features if of_images else model.get_text_features
                part = tower(**inputs).pooler_output
            features.append(self.accelerator.gather_for_metrics(normalize(part.float(), dim=-1)).cpu())
        return torch.cat(features)

    def _pool_loss(self, split: RetrievalSplit, image_features: torch.Tensor, text_features: torch.Tensor) -> float:
        """The loss of batches of `--per_device_eval_batch_size` pairs, always the same ones."""
        order = torch.randperm(len(split.pairs), generator=torch.Generator().manual_seed(0))
        pairs, wordings, describes = (
            torch.from_numpy(split.pairs)[order],
            torch.from_numpy(split.wordings),
            split.worded,
        )
        logit_scale = self._logit_scale().detach().cpu()
        total = 0.0
        for images, texts in (part.T for part in batches_of_pairs(pairs, self.args.per_device_eval_batch_size)):
            positives = describes(images[:, None], wordings[texts][None])
            loss = contrastive_loss(image_features[images], text_features[texts], logit_scale, positives)
            total += loss.item() * len(images)
        return total / len(pairs)


class ClampLogitScale(transformers.TrainerCallback):
    """Keeps the factor of the cosines between 1 and 100 after every step."""

    def on_optimizer_step(self, args, state, control, model=None, **kwargs):
        with torch.no_grad():
            getattr(model, "module", model).logit_scale.clamp_(0, MAX_LOGIT_SCALE)


def _model_inputs(batch: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name: tensor for name, tensor in batch.items() if name not in RELATED}


def _features(model, inputs: dict) -> tuple[torch.Tensor, torch.Tensor]:
    """Features of pictures and of texts, of unit length, (B, D) float32 each."""
    outputs = model(**inputs)
    return outputs.image_embeds.float(), outputs.text_embeds.float()


def _split(inputs: dict[str, torch.Tensor], chunks: int) -> list[dict[str, torch.Tensor]]:
    rows = -(-len(inputs["pixel_values"]) // chunks)
    columns = {name: tensor.split(rows) for name, tensor in inputs.items()}
    return [dict(zip(columns, chunk, strict=True)) for chunk in zip(*columns.values(), strict=True)]
