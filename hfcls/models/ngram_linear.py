"""A linear classifier of hashed n-grams, scaled by log-count ratios: the baseline to beat, trained in seconds.

The file needs only torch and transformers: `save_pretrained` puts it beside the weights, and where hfcls is not
installed `AutoModelForSequenceClassification.from_pretrained(folder, trust_remote_code=True)` runs it from there.
"""

from collections.abc import Iterable, Mapping
from typing import Literal

import torch
import torch.nn.functional as F
from huggingface_hub.dataclasses import strict
from torch import nn
from transformers import AutoConfig, AutoModelForSequenceClassification, PreTrainedConfig, PreTrainedModel
from transformers import initialization as init
from transformers.modeling_outputs import SequenceClassifierOutput

MULTIPLIER = 0xBF58476D1CE4E5B9 - 2**64  # odd, as a signed 64-bit number; from splitmix64
ORDER_SALT = 2**40  # above every token id, so that orders hash apart
LOW_WORD = 2**32 - 1
ABSENT = 2**63 - 1  # in place of a hash; sorts behind all others
MANY = 2**26  # summands (B, n-grams, labels) that are not kept side by side, which would take a gigabyte and more


@strict
class NgramLinearConfig(PreTrainedConfig):
    """What an `NgramLinearForSequenceClassification` is made of.

    Args:
        ngram_min: tokens of the shortest n-grams.
        ngram_max: tokens of the longest n-grams.
        min_count: training texts that an n-gram must be in to become a feature.
        smoothing: added to every count before the ratios are taken.
        special_token_ids: tokens that are not text ([CLS], [SEP], …). No n-gram holds them.
        loss: for one label a row, `"squared_hinge"`, each class against the rest, or `"cross_entropy"`.
        logit_scale: logits per unit of score. Hinge scores lie around -1 and 1, which softmax would make uniform.
        pad_token_id: without an `attention_mask`, this token marks padding.
        num_features: set by `fit_log_count_ratios`.
    """

    model_type = "ngram_linear"

    ngram_min: int = 1
    ngram_max: int = 3
    min_count: int = 2
    smoothing: float | int = 0.5
    special_token_ids: list[int] | tuple[int, ...] = ()
    loss: Literal["squared_hinge", "cross_entropy"] = "squared_hinge"
    logit_scale: float | int = 3.0
    pad_token_id: int | None = 0
    num_features: int = 0

    def validate_ngrams(self):
        if not 1 <= self.ngram_min <= self.ngram_max:
            raise ValueError(f"give 1 <= ngram_min <= ngram_max, not {self.ngram_min} and {self.ngram_max}")

    def validate_smoothing(self):
        if self.smoothing <= 0:
            raise ValueError(f"smoothing={self.smoothing}: give a positive number, or ratios become infinite")


class NgramLinearForSequenceClassification(PreTrainedModel):
    """Linear text classifier after Wang & Manning (2012), https://aclanthology.org/P12-2018 (NB-SVM).

    A text is the set of its n-grams, with a boundary token before the first token and after the last. An n-gram is
    known by a 64-bit hash of its token ids; those that enough training texts share are the features. The score of class
    c is the sum of ratio[f, c] * weight[f, c] over the n features f of the text, divided by sqrt(n), plus bias[c].

    The log-count ratios say how much more often a feature occurs in texts of the class than in others.
    `fit_log_count_ratios` takes them from the training data, once, before training. Weights and biases are trained like
    those of any model; their gradients are dense, so that clipping, accumulation and every optimizer work.
    """

    config: NgramLinearConfig
    # The loss is a mean over its own batch: it is for Trainer to divide it by the accumulation steps.
    accepts_loss_kwargs = False
    # What hfcls may train it on, and weigh, besides the loss that `forward` computes.
    accepted_losses = ("squared_hinge", "cross_entropy", "focal", "binary_cross_entropy")
    # A convex loss: of epochs that validation finds equally good, hfcls keeps the last, the nearest to its minimum.
    has_one_optimum = True
    # What hfcls does not cut where nothing is said: an n-gram costs little, wherever in a text it is.
    reads_whole_texts = True

    def __init__(self, config: NgramLinearConfig):
        super().__init__(config)
        if config.num_labels < 2:
            raise ValueError(f"num_labels={config.num_labels}: log-count ratios compare classes, give at least two")
        # The last feature stands for no feature: it has the hash ABSENT, and its ratios are zero.
        self.register_buffer("hashes", torch.full((config.num_features + 1,), ABSENT))
        self.register_buffer("ratios", torch.zeros(config.num_features + 1, config.num_labels))
        self.weight = nn.Parameter(torch.zeros(config.num_features + 1, config.num_labels))
        self.bias = nn.Parameter(torch.zeros(config.num_labels))
        self.post_init()

    @property
    def own_loss(self) -> str:
        """The loss that `forward` computes."""
        several = self.config.problem_type == "multi_label_classification"
        return "binary_cross_entropy" if several else self.config.loss

    def divide_logits(self, temperature: float) -> None:
        """Divides all logits from now on, in the config, which is saved."""
        self.config.logit_scale /= temperature

    @torch.no_grad()
    def shift_logits(self, offsets: torch.Tensor) -> None:
        """Adds `offsets` (num_labels,) to all logits from now on, in the bias."""
        self.bias += offsets.to(self.bias) / self.config.logit_scale

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        init.constant_(self.hashes, ABSENT)
        for tensor in (self.ratios, self.weight, self.bias):
            init.zeros_(tensor)

    def hash_ngrams(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        """(B, L) twice → the hashes of every text's n-grams, each once and ABSENT for the rest, (B, orders * (L + 2)).

        `attention_mask` is 0 where a token is padding.
        """
        hashes = self.ngrams_in_order(input_ids, attention_mask).flatten(1).sort(dim=1).values
        repeated = F.pad(hashes[:, 1:] == hashes[:, :-1], (1, 0))
        return hashes.masked_fill(repeated, ABSENT)

    def ngrams_in_order(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        """(B, L) twice → the hash of the n-gram of each order that begins at each step, (B, orders, L + 2).

        Step 0 is the boundary in front; step i is the i-th token that is neither padding nor special; the boundary
        behind follows the last of them. ABSENT where an n-gram would reach beyond it.
        """
        real = attention_mask != 0
        for token in self.config.special_token_ids:
            real = real & (input_ids != token)
        # Tokens to the front in their order: n-grams span no hole, wherever padding and special tokens were.
        ids = input_ids.gather(1, real.logical_not().int().argsort(dim=1, stable=True))
        # The boundaries are 0 and 1, tokens come after them.
        lengths = real.sum(1, keepdim=True) + 2
        steps = torch.arange(ids.shape[1] + 2, device=ids.device)
        tokens = F.pad(ids + 2, (1, 1)).masked_fill(steps == lengths - 1, 1)

        state = torch.zeros_like(tokens)
        hashes = []
        for order in range(1, self.config.ngram_max + 1):
            # `state` is the hash of the order - 1 tokens from each step on; here the next one joins. Products wrap.
            joining = F.pad(tokens, (0, order - 1))[:, order - 1 :]
            state = (state + joining + order * ORDER_SALT) * MULTIPLIER
            # The mask turns an arithmetic shift into a logical one.
            state = state ^ ((state >> 32) & LOW_WORD)
            if order >= self.config.ngram_min:
                hashes.append(state.masked_fill(steps > lengths - order, ABSENT))
        return torch.stack(hashes, dim=1)

    def features_of(self, hashes: torch.Tensor) -> torch.Tensor:
        """The number of the feature that each hash is, `config.num_features` for one that is none."""
        features = torch.searchsorted(self.hashes, hashes)
        return features.masked_fill(self.hashes[features] != hashes, self.config.num_features)

    @torch.no_grad()
    def fit_log_count_ratios(self, batches: Iterable[Mapping[str, torch.Tensor]]) -> None:
        """Choose the features and take their log-count ratios, in one pass over the training data.

        Call it before an optimizer is made: it replaces `weight`. Every process of a distributed run has to see all the
        data. Memory: some 12 * (num_labels + 3) bytes for each distinct n-gram.

        Args:
            batches: `input_ids` and `attention_mask` (B, L), `labels` (B,) int64, or (B, num_labels) of zeros and ones.

        Raises:
            ValueError: no n-gram is in `config.min_count` texts.
        """
        num_labels, device = self.config.num_labels, self.bias.device
        hashes, counts = self.hashes[:0], torch.zeros(0, num_labels + 1, device=device)
        waiting, waiting_size = [], 0
        for batch in batches:
            labels = batch["labels"].to(device)
            targets = F.one_hot(labels, num_labels) if labels.dim() == 1 else labels
            found = self.hash_ngrams(batch["input_ids"].to(device), batch["attention_mask"].to(device))
            # The texts of each class that an n-gram is in and, in the last column, all of them.
            targets = F.pad(targets.float(), (0, 1), value=1).repeat_interleave((found != ABSENT).sum(1), dim=0)
            waiting.append((found[found != ABSENT], targets))
            waiting_size += len(targets)
            # Adding up only as much again as there is sorts every n-gram a few times, not once a batch.
            if waiting_size > len(hashes):
                hashes, counts = _add_up([(hashes, counts), *waiting])
                waiting, waiting_size = [], 0
        hashes, counts = _add_up([(hashes, counts), *waiting])

        kept = counts[:, -1] >= self.config.min_count
        if not kept.any():
            raise ValueError(f"no n-gram is in min_count={self.config.min_count} training texts: lower min_count")
        counts = counts[kept].double()
        inside, outside = counts[:, :-1], counts[:, -1:] - counts[:, :-1]
        ratios = _log_share(inside + self.config.smoothing) - _log_share(outside + self.config.smoothing)
        self.hashes = torch.cat([hashes[kept], hashes.new_tensor([ABSENT])])
        self.ratios = F.pad(ratios.float(), (0, 0, 0, 1))
        self.weight = nn.Parameter(torch.zeros_like(self.ratios))
        self.bias.zero_()
        self.config.num_features = len(ratios)

    def forward(
        self,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor | None = None,
        labels: torch.Tensor | None = None,
    ) -> SequenceClassifierOutput:
        """Logits (B, num_labels), and the loss when `labels` are given.

        Args:
            input_ids: (B, L) int64.
            attention_mask: (B, L), 0 where a token is padding. Absent: `input_ids != config.pad_token_id`, or all 1
                when the config has no pad token.
            labels: (B,) int64 for one label a row: `config.loss`; (B, num_labels) floats for several.

        Raises:
            RuntimeError: there are no features yet.
        """
        if self.config.num_features == 0:
            raise RuntimeError("the model has no features yet: call fit_log_count_ratios(batches) before training it")
        if attention_mask is None:
            pad = self.config.pad_token_id
            attention_mask = torch.ones_like(input_ids) if pad is None else input_ids != pad
        features = self.features_of(self.hash_ngrams(input_ids, attention_mask))
        none = self.config.num_features
        # With padding_idx the many entries that are no feature cost the backward pass nothing.
        if features.numel() * self.config.num_labels <= MANY:
            weights = F.embedding(features, self.weight, padding_idx=none) * F.embedding(features, self.ratios)
            sums = weights.sum(1)
        else:
            sums = F.embedding_bag(features, self.weight * self.ratios, mode="sum", padding_idx=none)
        scores = sums / (features != none).sum(1, keepdim=True).clamp(min=1).sqrt() + self.bias
        logits = scores * self.config.logit_scale
        loss = None
        if labels is not None and labels.dim() == 1 and self.config.loss == "squared_hinge":
            sides = 2 * F.one_hot(labels, self.config.num_labels) - 1
            loss = (1 - sides * scores).relu().square().sum(1).mean()
        elif labels is not None:
            loss = self.loss_function(labels=labels, pooled_logits=logits, config=self.config)
        return SequenceClassifierOutput(loss=loss, logits=logits)


def _add_up(counted: list[tuple[torch.Tensor, torch.Tensor]]) -> tuple[torch.Tensor, torch.Tensor]:
    """Pairs of hashes (N,) and counts (N, columns) → distinct hashes, sorted, and the sums of their counts."""
    hashes, counts = (torch.cat(tensors) for tensors in zip(*counted, strict=True))
    hashes, rows = hashes.unique(return_inverse=True)
    return hashes, counts.new_zeros(len(hashes), counts.shape[1]).index_add_(0, rows, counts)


def _log_share(counts: torch.Tensor) -> torch.Tensor:
    """Logarithms of the shares of (features, classes) in the sums of their columns."""
    return counts.log() - counts.sum(0).log()


AutoConfig.register(NgramLinearConfig.model_type, NgramLinearConfig, exist_ok=True)
AutoModelForSequenceClassification.register(NgramLinearConfig, NgramLinearForSequenceClassification, exist_ok=True)
NgramLinearConfig.register_for_auto_class()
NgramLinearForSequenceClassification.register_for_auto_class("AutoModelForSequenceClassification")
