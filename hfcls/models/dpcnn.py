"""DPCNN: a pyramid of convolutions that halves a text until one position is left.

The file needs only torch and transformers: `save_pretrained` puts it beside the weights, and where hfcls is not
installed `AutoModelForSequenceClassification.from_pretrained(folder, trust_remote_code=True)` runs it from there.
"""

import torch
import torch.nn.functional as F
from huggingface_hub.dataclasses import strict
from torch import nn
from transformers import AutoConfig, AutoModelForSequenceClassification, PreTrainedConfig, PreTrainedModel
from transformers import initialization as init
from transformers.modeling_outputs import SequenceClassifierOutput


@strict
class DPCNNConfig(PreTrainedConfig):
    """What a `DPCNNForSequenceClassification` is made of.

    Args:
        vocab_size: number of rows of the embedding table.
        embedding_dim: width of a token vector.
        num_filters: width of everything between the token vectors and the classifier.
        dropout: on the token vectors and before the classifier.
        freeze_embeddings: the token vectors are not trained.
        pad_token_id: without an `attention_mask`, this token marks padding.
    """

    model_type = "dpcnn"

    vocab_size: int = 4762
    embedding_dim: int = 200
    num_filters: int = 250
    dropout: float | int = 0.3
    freeze_embeddings: bool = False
    pad_token_id: int | None = 0


class PreActivationBlock(nn.Module):
    """Two convolutions of width 3, each after its activation, and a shortcut around both."""

    def __init__(self, num_filters: int):
        super().__init__()
        self.first = nn.Conv1d(num_filters, num_filters, 3, padding=1)
        self.second = nn.Conv1d(num_filters, num_filters, 3, padding=1)

    def forward(self, hidden: torch.Tensor, real: torch.Tensor) -> torch.Tensor:
        """(B, num_filters, L) → the same; both are zero where `real` (B, 1, L) is false."""
        inner = self.first(hidden.relu()) * real
        return hidden + self.second(inner.relu()) * real


class DPCNNForSequenceClassification(PreTrainedModel):
    """Text classifier of Johnson & Zhang (2017), https://aclanthology.org/P17-1052.

    A linear embedding of three-token regions and a pre-activation block; then pooling (width 3, stride 2) and a block
    again, until one position is left. The paper gives each of a fixed number of levels its own weights; here all levels
    after the first share one block, so that a text of any length has as many as it needs. Their number, and what they
    see, follow from a text's own length: padding never changes a result.
    """

    config: DPCNNConfig
    _input_embed_layer = "embeddings"
    # The loss is a mean over its own batch: it is for Trainer to divide it by the accumulation steps.
    accepts_loss_kwargs = False

    def __init__(self, config: DPCNNConfig):
        super().__init__(config)
        self.set_input_embeddings(nn.Embedding(config.vocab_size, config.embedding_dim))
        self.region = nn.Conv1d(config.embedding_dim, config.num_filters, 3, padding=1)
        self.base = PreActivationBlock(config.num_filters)
        self.pyramid = PreActivationBlock(config.num_filters)
        self.dropout = nn.Dropout(config.dropout)
        self.classifier = nn.Linear(config.num_filters, config.num_labels)
        self.post_init()

    def set_input_embeddings(self, value: nn.Embedding) -> None:
        self.embeddings = value.requires_grad_(not self.config.freeze_embeddings)

    def train(self, mode: bool = True) -> "DPCNNForSequenceClassification":
        # from_pretrained makes every weight trainable that it loads, and then calls eval(), which comes here.
        self.embeddings.requires_grad_(not self.config.freeze_embeddings)
        return super().train(mode)

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        if isinstance(module, nn.Embedding):
            init.normal_(module.weight, std=0.1)
        elif isinstance(module, nn.Conv1d | nn.Linear):
            init.xavier_uniform_(module.weight)
            init.zeros_(module.bias)

    def forward(
        self,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor | None = None,
        labels: torch.Tensor | None = None,
    ) -> SequenceClassifierOutput:
        """Logits (B, num_labels), and the loss `config.problem_type` asks for when `labels` are given.

        Args:
            input_ids: (B, L) int64.
            attention_mask: (B, L), 0 where a token is padding. Absent: `input_ids != config.pad_token_id`, or all 1
                when the config has no pad token. A text without any token is one position of zeros.
            labels: (B,) int64 for one label a row, (B, num_labels) floats for several, floats for regression.
        """
        if input_ids.shape[1] == 0:  # nothing but empty texts
            input_ids = F.pad(input_ids, (0, 1))
            attention_mask = torch.zeros_like(input_ids)
        if attention_mask is None:
            pad = self.config.pad_token_id
            attention_mask = torch.ones_like(input_ids) if pad is None else input_ids != pad
        # Tokens to the front in their order, padding behind, so that strides begin at the first token.
        real, order = (attention_mask != 0).sort(dim=1, descending=True, stable=True)
        lengths = real.sum(1).clamp(min=1)
        real = real.unsqueeze(1)  # (B, 1, L)
        vectors = self.dropout(self.embeddings(input_ids.gather(1, order))).transpose(1, 2) * real
        hidden = self.base(self.region(vectors) * real, real)

        if torch.compiler.is_exporting():  # a graph has as many levels as its longest text needs
            width = 2 ** self._levels()
            hidden = F.pad(hidden, (0, width - hidden.shape[2]))
            real = F.pad(real, (0, width - real.shape[2]))
        while hidden.shape[2] > 1:
            finished = lengths == 1  # such a text waits in position 0 for the longer ones
            lengths = torch.where(finished, lengths, lengths // 2)
            # Minus infinity in the padding: a maximum of real positions is the same wherever the batch ends.
            pooled = F.max_pool1d(F.pad(hidden.masked_fill(~real, -torch.inf), (0, 1), value=-torch.inf), 3, stride=2)
            real = (torch.arange(pooled.shape[2], device=lengths.device) < lengths.unsqueeze(1)).unsqueeze(1)
            smaller = self.pyramid(pooled.masked_fill(~real, 0), real)
            hidden = torch.where(finished.view(-1, 1, 1), hidden[:, :, : smaller.shape[2]], smaller)
        if torch.compiler.is_exporting():
            hidden = hidden.masked_fill(lengths.view(-1, 1, 1) > 1, torch.nan)

        logits = self.classifier(self.dropout(hidden.squeeze(2)))
        loss = None
        if labels is not None:
            loss = self.loss_function(labels=labels, pooled_logits=logits, config=self.config)
        return SequenceClassifierOutput(loss=loss, logits=logits)

    def _levels(self) -> int:
        """Levels of a graph: for the longest text that the model reads, for 512 tokens if it does not say. The logits
        of a longer one are NaN.
        """
        noted = getattr(self.config, "long_texts", None)
        return 9 if noted is None else (noted["max_length"] - 1).bit_length()


AutoConfig.register(DPCNNConfig.model_type, DPCNNConfig, exist_ok=True)
AutoModelForSequenceClassification.register(DPCNNConfig, DPCNNForSequenceClassification, exist_ok=True)
DPCNNConfig.register_for_auto_class()
DPCNNForSequenceClassification.register_for_auto_class("AutoModelForSequenceClassification")
