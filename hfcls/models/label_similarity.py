"""The published classifier of dataset cards: similarities to the names of tasks and three numbers, nothing else.

The file needs torch, transformers and card_features.py, which `save_pretrained` puts beside the weights too.
"""

from typing import Literal

import torch
import torch.nn.functional as F
from huggingface_hub.dataclasses import strict
from torch import nn
from transformers import (
    AutoConfig,
    AutoFeatureExtractor,
    AutoModelForSequenceClassification,
    PreTrainedConfig,
    PreTrainedModel,
)

from .card_features import CardClassifierOutput, CardFeatureExtractor, CardTable, coarse_logits, init_card_buffers


@strict
class LabelSimilarityConfig(PreTrainedConfig):
    """What a `LabelSimilarityForSequenceClassification` is made of.

    Args:
        classifier: `inception`, or `svm`, a linear machine with the multi-class hinge loss.
        embedding_model, num_terms, embedding_size: see `CardTable`.
        hidden_size: of each layer of `inception`, of which the branches have 1 to `num_branches`.
        dropout: behind the branches.
        number_mean, number_std: see `CardTable`.
        coarse_of: the coarse class of each class, for a coarse answer as well; `coarse_labels` are their names.
    """

    model_type = "label_similarity"

    classifier: Literal["inception", "svm"] = "inception"
    embedding_model: str | None = "lsa"
    num_terms: int = 0
    embedding_size: int = 512
    hidden_size: int = 64
    num_branches: int = 3
    dropout: float | int = 0.3
    number_mean: list[float] | tuple[float, ...] = (0.0, 0.0, 0.0)
    number_std: list[float] | tuple[float, ...] = (1.0, 1.0, 1.0)
    coarse_of: list[int] | None = None
    coarse_labels: list[str] | None = None


class Inception(nn.Module):
    """Branches of one layer, of two, of three, side by side over the same input, (B, N) → (B, branches * hidden)."""

    def __init__(self, size: int, hidden_size: int, num_branches: int):
        super().__init__()
        self.branches = nn.ModuleList(
            nn.Sequential(
                *(
                    nn.Sequential(
                        nn.Linear(hidden_size if i else size, hidden_size), nn.BatchNorm1d(hidden_size), nn.ReLU()
                    )
                    for i in range(depth)
                )
            )
            for depth in range(1, num_branches + 1)
        )

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        return torch.cat([branch(features) for branch in self.branches], dim=1)


class LabelSimilarityForSequenceClassification(PreTrainedModel):
    """`CardTable`'s 98 numbers (6 without similarities) → `inception` or `svm` → logits."""

    config: LabelSimilarityConfig
    main_input_name = "ngrams"
    # The loss is a mean over its own batch: it is for Trainer to divide it by the accumulation steps.
    accepts_loss_kwargs = False

    def __init__(self, config: LabelSimilarityConfig):
        super().__init__(config)
        self.table = CardTable(
            config.embedding_model,
            config.num_terms,
            config.embedding_size,
            config.number_mean,
            config.number_std,
        )
        if config.classifier == "inception":
            self.body = nn.Sequential(
                Inception(self.table.size, config.hidden_size, config.num_branches), nn.Dropout(config.dropout)
            )
            self.classifier = nn.Linear(config.num_branches * config.hidden_size, config.num_labels)
        else:
            self.body = nn.Identity()
            self.classifier = nn.Linear(self.table.size, config.num_labels)
        self.post_init()

    @property
    def own_loss(self) -> str:
        """The loss that `forward` computes."""
        if self.config.classifier == "svm":
            return "multi_class_hinge"
        return "cross_entropy" if self.config.coarse_of is None else "cross_entropy_of_fine_and_coarse_classes"

    @property
    def accepted_losses(self) -> tuple[str, ...]:
        """What hfcls may train it on, and weigh, besides the loss that `forward` computes."""
        return ("cross_entropy", "focal") if self.own_loss == "cross_entropy" else ()

    def _init_weights(self, module: nn.Module) -> None:
        super()._init_weights(module)
        init_card_buffers(module)

    def forward(
        self,
        ngrams: torch.Tensor,
        counts: torch.Tensor,
        numbers: torch.Tensor,
        similarities: torch.Tensor | None = None,
        table: torch.Tensor | None = None,
        labels: torch.Tensor | None = None,
    ) -> CardClassifierOutput:
        """Logits (B, num_labels), and the loss when `labels` are given: cross entropy, or the multi-class hinge.

        Args:
            ngrams: (B, L) int64, as `CardFeatureExtractor` makes them; `counts` (B, L) floats.
            numbers: (B, 3) floats, NaN where one is missing.
            similarities: (B, 92), where an embedding model makes them.
            table: (B, N), what `self.table` makes of the four: it never changes, so training computes it once.
            labels: (B,) int64.
        """
        table = self.table(ngrams, counts, numbers, similarities) if table is None else table
        logits = self.classifier(self.body(table))
        coarse_of = self.config.coarse_of
        coarse = None if coarse_of is None else coarse_logits(logits, coarse_of)
        loss = None
        if labels is not None and self.config.classifier == "svm":
            # Crammer and Singer (2001): the margin to the best of the other classes alone.
            others = logits.masked_fill(F.one_hot(labels, logits.shape[1]).bool(), -torch.inf).amax(1)
            loss = (1 + others - logits.gather(1, labels.unsqueeze(1)).squeeze(1)).relu().mean()
        elif labels is not None:
            loss = F.cross_entropy(logits, labels)
            if coarse_of is not None:
                loss = loss + F.cross_entropy(coarse, labels.new_tensor(coarse_of)[labels])
        return CardClassifierOutput(loss=loss, logits=logits, coarse_logits=coarse)


AutoConfig.register(LabelSimilarityConfig.model_type, LabelSimilarityConfig, exist_ok=True)
AutoModelForSequenceClassification.register(
    LabelSimilarityConfig, LabelSimilarityForSequenceClassification, exist_ok=True
)
AutoFeatureExtractor.register(LabelSimilarityConfig, CardFeatureExtractor, exist_ok=True)
LabelSimilarityConfig.register_for_auto_class()
LabelSimilarityForSequenceClassification.register_for_auto_class("AutoModelForSequenceClassification")
