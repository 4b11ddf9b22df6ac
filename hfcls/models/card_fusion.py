"""A classifier of dataset cards that joins what their text says with a network over similarities and numbers.

The file needs torch, transformers and card_features.py, which `save_pretrained` puts beside the weights too.
"""

import torch
import torch.nn.functional as F
from huggingface_hub.dataclasses import strict
from torch import nn
from transformers import (
    AutoConfig,
    AutoFeatureExtractor,
    AutoModel,
    AutoModelForSequenceClassification,
    PreTrainedConfig,
    PreTrainedModel,
)
from transformers import initialization as init
from transformers.configuration_utils import SubConfigSpec

from .card_features import (
    CardClassifierOutput,
    CardFeatureExtractor,
    CardTable,
    NgramBag,
    bag_sum,
    coarse_logits,
    init_card_buffers,
)
from .card_ngrams import FIELD_BITS


@strict
class CardFusionConfig(PreTrainedConfig):
    """What a `CardFusionForSequenceClassification` is made of.

    Args:
        text_config: of the transformer that reads the text; None for a bag of n-grams.
        num_features: of the bag, set when they are counted.
        field_weights: of the bag, share of each field of `card_features.FIELDS` in a card.
        embedding_model, num_terms, embedding_size, number_mean, number_std: see `CardTable`.
        hidden_size: of the network over similarities and numbers.
        dropout: of its hidden layer; `text_dropout` of what the transformer gives.
        coarse_of: the coarse class of each class, for a coarse answer as well; `coarse_labels` are their names.
        logit_adjustment: the share of the log prior added to the logits while training, so that rare classes are
            answered more often (Menon et al. 2021, https://arxiv.org/abs/2007.07314).
    """

    model_type = "card_fusion"
    sub_configs_defaults = {"text_config": SubConfigSpec(config_class=AutoConfig, model_type="bert", optional=True)}

    text_config: dict | PreTrainedConfig | None = None
    num_features: int = 0
    field_weights: list[float] | tuple[float, ...] = (4.0, 2.0, 1.0, 1.0, 1.0, 0.0)
    embedding_model: str | None = "lsa"
    num_terms: int = 0
    embedding_size: int = 512
    number_mean: list[float] | tuple[float, ...] = (0.0, 0.0, 0.0)
    number_std: list[float] | tuple[float, ...] = (1.0, 1.0, 1.0)
    hidden_size: int = 32
    dropout: float | int = 0.3
    text_dropout: float | int = 0.1
    coarse_of: list[int] | None = None
    coarse_labels: list[str] | None = None
    logit_adjustment: float | int = 0.5


class NgramLogits(nn.Module):
    """Logits of a bag of n-grams.

    The weights do not start at random: hfcls sets them to the ridge regression of the classes' shares in each
    training card, which a few hundred cards determine better than descent does. `class_scale` turns such a score into a
    logit, and raises rare classes.
    """

    def __init__(self, config: CardFusionConfig):
        super().__init__()
        self.field_weights = list(config.field_weights)
        self.bag = NgramBag(config.num_features)
        self.weight = nn.Parameter(torch.zeros(config.num_features, config.num_labels))
        self.bias = nn.Parameter(torch.zeros(config.num_labels))
        self.register_buffer("class_scale", torch.ones(config.num_labels))

    def weighted_bag(self, ngrams: torch.Tensor, counts: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """What `NgramBag` gives, (B, L) twice, each field weighted: cards with all fields have length 1."""
        rows, values = self.bag(ngrams, counts)
        shares = values.new_tensor([*self.field_weights, 0.0])
        fields = (ngrams >> FIELD_BITS).clamp(max=len(shares) - 1)
        return rows, values * (shares / shares.sum()).sqrt()[fields]

    def forward(self, ngrams: torch.Tensor, counts: torch.Tensor) -> torch.Tensor:
        """(B, L) twice → (B, num_labels)."""
        scores = bag_sum(*self.weighted_bag(ngrams, counts), self.weight) + self.bias
        return scores * self.class_scale


class EncoderLogits(nn.Module):
    """Logits of a transformer's states, averaged over the tokens (Sentence-BERT, Reimers and Gurevych 2019)."""

    def __init__(self, config: CardFusionConfig):
        super().__init__()
        self.encoder = AutoModel.from_config(config.text_config)
        if getattr(self.encoder, "pooler", None) is not None:
            self.encoder.pooler = None  # it reads the first token alone, and would never get a gradient here
        self.dropout = nn.Dropout(config.text_dropout)
        self.classifier = nn.Linear(config.text_config.hidden_size, config.num_labels)

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        """(B, T) twice → (B, num_labels)."""
        states = self.encoder(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        mask = attention_mask.unsqueeze(-1).to(states.dtype)
        mean = (states * mask).sum(1) / mask.sum(1).clamp(min=1)
        return self.classifier(self.dropout(mean))


class CardFusionForSequenceClassification(PreTrainedModel):
    """Wide and deep (Cheng et al. 2016, https://arxiv.org/abs/1606.07792): logits of the text, by a bag of n-grams or a
    transformer, plus those of a network over `CardTable`, trained together.
    """

    config: CardFusionConfig
    main_input_name = "ngrams"
    # The loss is a mean over its own batch: it is for Trainer to divide it by the accumulation steps.
    accepts_loss_kwargs = False
    # It is adjusted to the classes' priors, and of coarse classes too: no loss of the logits alone is the same.
    own_loss = "logit_adjusted_cross_entropy"
    accepted_losses = ()

    def __init__(self, config: CardFusionConfig):
        super().__init__(config)
        self.text = NgramLogits(config) if config.text_config is None else EncoderLogits(config)
        self.register_buffer("log_prior", torch.zeros(config.num_labels))
        self.table = CardTable(
            config.embedding_model,
            config.num_terms,
            config.embedding_size,
            config.number_mean,
            config.number_std,
        )
        self.tower = nn.Sequential(
            nn.Linear(self.table.size, config.hidden_size), nn.ReLU(), nn.Dropout(config.dropout)
        )
        self.classifier = nn.Linear(config.hidden_size, config.num_labels)
        self.post_init()

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        if module is self:
            init.zeros_(self.log_prior)
        elif module is self.classifier:  # training begins with the text alone
            init.zeros_(module.weight)
            init.zeros_(module.bias)
        elif isinstance(module, NgramLogits):
            init.zeros_(module.weight)
            init.zeros_(module.bias)
            init.ones_(module.class_scale)
        else:
            super()._init_weights(module)
            init_card_buffers(module)

    @torch.no_grad()
    def divide_logits(self, temperature: float) -> None:
        """Divides all logits from now on, in the weights: those of the text and those of the table."""
        by_ngrams = self.config.text_config is None
        of_text = [self.text.class_scale] if by_ngrams else self.text.classifier.parameters()
        for tensor in (*of_text, *self.classifier.parameters()):
            tensor /= temperature

    def forward(
        self,
        ngrams: torch.Tensor,
        counts: torch.Tensor,
        numbers: torch.Tensor,
        similarities: torch.Tensor | None = None,
        input_ids: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
        table: torch.Tensor | None = None,
        labels: torch.Tensor | None = None,
    ) -> CardClassifierOutput:
        """Logits (B, num_labels), and the loss when `labels` are given.

        Args:
            ngrams: (B, L) int64, as `CardFeatureExtractor` makes them; `counts` (B, L) floats.
            numbers: (B, 3) floats, NaN where one is missing.
            similarities: (B, 92), where an embedding model makes them.
            input_ids, attention_mask: (B, T), where a transformer reads the text.
            table: (B, N), what `self.table` makes of the first four: it never changes, so training computes it once.
            labels: (B,) int64.
        """
        by_ngrams = self.config.text_config is None
        text = self.text(ngrams, counts) if by_ngrams else self.text(input_ids, attention_mask)
        table = self.table(ngrams, counts, numbers, similarities) if table is None else table
        logits = text + self.classifier(self.tower(table))
        coarse_of = self.config.coarse_of
        loss = None
        if labels is not None:
            adjusted = logits + self.config.logit_adjustment * self.log_prior if self.training else logits
            loss = F.cross_entropy(adjusted, labels)
            if coarse_of is not None:
                loss = loss + F.cross_entropy(coarse_logits(adjusted, coarse_of), labels.new_tensor(coarse_of)[labels])
        coarse = None if coarse_of is None else coarse_logits(logits, coarse_of)
        return CardClassifierOutput(loss=loss, logits=logits, coarse_logits=coarse)


AutoConfig.register(CardFusionConfig.model_type, CardFusionConfig, exist_ok=True)
AutoModelForSequenceClassification.register(CardFusionConfig, CardFusionForSequenceClassification, exist_ok=True)
AutoFeatureExtractor.register(CardFusionConfig, CardFeatureExtractor, exist_ok=True)
CardFusionConfig.register_for_auto_class()
CardFusionForSequenceClassification.register_for_auto_class("AutoModelForSequenceClassification")
