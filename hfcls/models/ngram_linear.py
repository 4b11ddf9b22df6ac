"""A linear classifier of hashed n-grams, scaled by log-count ratios: the baseline to beat, trained in seconds."""

from collections.abc import Iterable, Mapping

import torch
import torch.nn.functional as F
from torch import nn
from transformers import AutoConfig, AutoModelForSequenceClassification, PreTrainedConfig, PreTrainedModel
from transformers import initialization as init
from transformers.modeling_outputs import SequenceClassifierOutput

MULTIPLIER = 0xBF58476D1CE4E5B9 - 2**64  # odd, as a signed 64-bit number; from splitmix64
ORDER_SALT = 2**40  # above every token id, so that orders hash apart
LOW_WORD = 2**32 - 1


class NgramLinearConfig(PreTrainedConfig):
    """Configuration of `NgramLinearForSequenceClassification`.

    Args:
        ngram_min, ngram_max: orders of the n-grams, in tokens.
        num_buckets: size of the hash table, a power of two. A few times the distinct n-grams of the training texts
            keeps collisions rare.
        min_count: training texts that a bucket must occur in to become a feature.
        smoothing: added to every count before the ratios are taken.
        special_token_ids: tokens that are not text and in no n-gram.
        loss: for texts with one label, "squared_hinge" (one class against the rest) or "cross_entropy".
        logit_scale: logits per unit of hinge margin. A margin of one would leave all softmax probabilities alike.
        num_features: buckets that became features; set by `fit_log_count_ratios`.
    """

    model_type = "ngram_linear"

    ngram_min: int = 1
    ngram_max: int = 3
    num_buckets: int = 2**22
    min_count: int = 2
    smoothing: float | int = 1.0
    special_token_ids: list[int] | tuple[int, ...] = ()
    loss: str = "squared_hinge"
    logit_scale: float | int = 4.0
    num_features: int = 0

    def __post_init__(self, **kwargs):
        if not 1 <= self.ngram_min <= self.ngram_max:
            raise ValueError(f"ngram_min={self.ngram_min}, ngram_max={self.ngram_max}: give 1 <= ngram_min <= ngram_max")
        if self.num_buckets < 2 or self.num_buckets & (self.num_buckets - 1) or self.num_buckets > 2**31:
            raise ValueError(f"num_buckets={self.num_buckets}: give a power of two up to 2**31")
        if self.loss not in ("squared_hinge", "cross_entropy"):
            raise ValueError(f"loss={self.loss!r}: give 'squared_hinge' or 'cross_entropy'")
        super().__post_init__(**kwargs)


class NgramLinearForSequenceClassification(PreTrainedModel):
    """Linear text classifier after Wang & Manning (2012), https://aclanthology.org/P12-2018 (NB-SVM).

    A text is the set of its n-grams, each counted once, with an invisible token before the first and after the last.
    N-grams are hashed into buckets; the buckets that enough training texts share are the features. The score of class c
    is `Σ_f r[f, c] · w[f, c] / √n + b[c]` over the n features of the text. The log-count ratios r say how much more
    often a feature occurs in class c than outside it; `fit_log_count_ratios` takes them from the training data before
    training starts. The weights w and b are trained. Only they get gradients, dense ones: any optimizer, clipping and
    accumulation work.
    """

    config: NgramLinearConfig
    accepts_loss_kwargs = False

    def __init__(self, config: NgramLinearConfig):
        super().__init__(config)
        if config.num_labels < 2:
            raise ValueError("log-count ratios need at least two classes: set num_labels")
        shape = (config.num_features, config.num_labels)
        self.register_buffer("feature_of_bucket", torch.full((config.num_buckets,), -1, dtype=torch.int32))
        self.register_buffer("ratios", torch.zeros(shape))
        self.weight = nn.Parameter(torch.zeros(shape))
        self.bias = nn.Parameter(torch.zeros(config.num_labels))
        self.post_init()

    @torch.no_grad()
    def _init_weights(self, module):
        if module is self:
            init.constant_(self.feature_of_bucket, -1)
            for tensor in (self.ratios, self.weight, self.bias):
                init.zeros_(tensor)

    def buckets(self, input_ids: torch.LongTensor, attention_mask: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Hash every n-gram of the texts.

        Args:
            input_ids: token ids, (batch, length).
            attention_mask: 0 at padding on either side, (batch, length).

        Returns:
            Buckets and whether an n-gram is there, both (batch, orders · (length + 2)). Repeated n-grams are repeated.
        """
        text = attention_mask.bool()
        for token in self.config.special_token_ids:
            text = text & (input_ids != token)
        # Padding and special tokens go to the right; what remains is consecutive, so that n-grams span no hole.
        order = (~text).int().argsort(dim=1, stable=True)
        lengths = text.sum(1, keepdim=True) + 2
        steps = torch.arange(input_ids.shape[1] + 2, device=input_ids.device)
        # The token before the first is 0, the one after the last is 1, the vocabulary starts at 2.
        tokens = F.pad(input_ids.gather(1, order) + 2, (1, 1)).masked_fill(steps == lengths - 1, 1)

        state = torch.zeros_like(tokens)
        hashes, present = [], []
        for n in range(1, self.config.ngram_max + 1):
            # `state` is the hash of the n - 1 tokens from each position on. 64-bit products wrap around.
            following = F.pad(tokens, (0, n - 1))[:, n - 1 :]
            state = (state + following + n * ORDER_SALT) * MULTIPLIER
            state = state ^ ((state >> 32) & LOW_WORD)
            if n >= self.config.ngram_min:
                hashes.append(state & (self.config.num_buckets - 1))
                present.append(steps <= lengths - n)
        return torch.cat(hashes, dim=1), torch.cat(present, dim=1)

    def features(self, input_ids: torch.LongTensor, attention_mask: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Features of the texts, each once: their indices and whether they count, both (batch, n-grams)."""
        buckets, present = self.buckets(input_ids, attention_mask)
        features = self.feature_of_bucket[buckets].masked_fill(~present, -1).sort(dim=1)[0]
        repeated = F.pad(features[:, 1:] == features[:, :-1], (1, 0))
        return features.clamp(min=0).long(), (features >= 0) & ~repeated

    @torch.no_grad()
    def fit_log_count_ratios(self, batches: Iterable[Mapping[str, torch.Tensor]]) -> None:
        """Choose the features and take their log-count ratios from one pass over the training data.

        Call it before the optimizer is built: it replaces the parameters, all zero, by ones of the right shape.

        Args:
            batches: `input_ids` and `attention_mask` (batch, length), `labels` (batch,) class indices or
                (batch, num_labels) zeros and ones.

        Raises:
            ValueError: no n-gram occurs in `min_count` texts.
        """
        config, device = self.config, self.bias.device
        # Texts that hold a bucket: in each class, and in all. A row more takes what is not there.
        inside = torch.zeros(config.num_buckets + 1, config.num_labels, device=device)
        total = torch.zeros(config.num_buckets + 1, device=device)
        for batch in batches:
            labels = batch["labels"].to(device)
            targets = F.one_hot(labels, config.num_labels) if labels.dim() == 1 else labels
            buckets, present = self.buckets(batch["input_ids"].to(device), batch["attention_mask"].to(device))
            buckets = buckets.masked_fill(~present, config.num_buckets).sort(dim=1)[0]
            buckets[:, 1:].masked_fill_(buckets[:, 1:] == buckets[:, :-1], config.num_buckets)
            buckets = buckets.flatten()
            targets = targets.to(inside.dtype).repeat_interleave(len(buckets) // len(targets), dim=0)
            inside.index_add_(0, buckets, targets)
            total.index_add_(0, buckets, torch.ones_like(buckets, dtype=total.dtype))

        kept = (total[:-1] >= config.min_count).nonzero().squeeze(1)
        if len(kept) == 0:
            raise ValueError(f"no n-gram occurs in min_count={config.min_count} training texts: lower min_count")
        inside, total = inside[kept].double(), total[kept].double().unsqueeze(1)
        outside = total - inside + config.smoothing
        inside = inside + config.smoothing
        self.ratios = (inside.log() - inside.sum(0).log() - outside.log() + outside.sum(0).log()).float()
        self.feature_of_bucket.fill_(-1)[kept] = torch.arange(len(kept), dtype=torch.int32, device=device)
        self.weight = nn.Parameter(torch.zeros_like(self.ratios))
        self.bias.zero_()
        config.num_features = len(kept)

    def forward(
        self,
        input_ids: torch.LongTensor,
        attention_mask: torch.Tensor | None = None,
        labels: torch.Tensor | None = None,
    ) -> SequenceClassifierOutput:
        """Classify token ids (batch, length); `attention_mask`, of the same shape, is 0 at padding on either side."""
        if self.config.num_features == 0:
            raise RuntimeError("the model has no features yet: call fit_log_count_ratios(batches) before training")
        if attention_mask is None:
            attention_mask = torch.ones_like(input_ids)
        features, counted = self.features(input_ids, attention_mask)
        scale = counted / counted.sum(1, keepdim=True).clamp(min=1).sqrt()
        weights = self.weight * self.ratios
        scores = F.embedding_bag(features, weights, per_sample_weights=scale.to(weights.dtype), mode="sum") + self.bias
        loss = None
        if labels is not None:
            loss = self._loss(scores, labels)
        return SequenceClassifierOutput(loss=loss, logits=scores * self.config.logit_scale)

    def _loss(self, scores: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        if self.config.loss == "squared_hinge" and labels.dim() == 1:
            sides = 2 * F.one_hot(labels, self.config.num_labels) - 1
            return (1 - sides * scores).relu().square().sum(1).mean()
        return self.loss_function(labels=labels, pooled_logits=scores, config=self.config)


NgramLinearConfig.register_for_auto_class()
NgramLinearForSequenceClassification.register_for_auto_class("AutoModelForSequenceClassification")
AutoConfig.register(NgramLinearConfig.model_type, NgramLinearConfig, exist_ok=True)
AutoModelForSequenceClassification.register(NgramLinearConfig, NgramLinearForSequenceClassification, exist_ok=True)
