"""DPCNN: a pyramid of convolutions that halves the text until one position is left."""

import torch
import torch.nn.functional as F
from torch import nn
from transformers import AutoConfig, AutoModelForSequenceClassification, PreTrainedConfig, PreTrainedModel
from transformers import initialization as init
from transformers.modeling_outputs import SequenceClassifierOutput


class DpcnnConfig(PreTrainedConfig):
    """Configuration of `DpcnnForSequenceClassification`.

    Args:
        vocab_size: number of token ids.
        embedding_dim: width of the token embeddings.
        num_filters: width of everything after them.
        dropout: applied to the embeddings and to the last position while training.
        freeze_embeddings: keep the embeddings as they were given.
    """

    model_type = "dpcnn"

    vocab_size: int = 4762
    embedding_dim: int = 200
    num_filters: int = 250
    dropout: float | int = 0.5
    freeze_embeddings: bool = False


class PreActivationBlock(nn.Module):
    """Two convolutions of width 3, each after its activation, and a shortcut around both."""

    def __init__(self, num_filters: int):
        super().__init__()
        self.first = nn.Conv1d(num_filters, num_filters, 3, padding=1)
        self.second = nn.Conv1d(num_filters, num_filters, 3, padding=1)

    def forward(self, hidden: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """`hidden` (batch, num_filters, length), zero where `mask` (batch, 1, length) is; so is what is returned."""
        inner = self.first(hidden.relu()) * mask
        return hidden + self.second(inner.relu()) * mask


class DpcnnForSequenceClassification(PreTrainedModel):
    """Text classifier of Johnson & Zhang (2017), https://aclanthology.org/P17-1052.

    A linear embedding of three-token regions, a pre-activation block, then pooling (width 3, stride 2) and a block
    again, until one position is left. The paper gives a fixed number of levels weights of their own; here all levels
    after the first share one block, so that a text of any length has as many levels as it needs. How many those are,
    and what they see, follows from the row's own length, not from what the batch is padded to.
    """

    config: DpcnnConfig
    _input_embed_layer = "embedding"
    accepts_loss_kwargs = False

    def __init__(self, config: DpcnnConfig):
        super().__init__(config)
        self.embedding = nn.Embedding(config.vocab_size, config.embedding_dim)
        self.embedding.weight.requires_grad = not config.freeze_embeddings
        self.region = nn.Conv1d(config.embedding_dim, config.num_filters, 3, padding=1)
        self.base = PreActivationBlock(config.num_filters)
        self.pyramid = PreActivationBlock(config.num_filters)
        self.dropout = nn.Dropout(config.dropout)
        self.classifier = nn.Linear(config.num_filters, config.num_labels)
        self.post_init()

    @torch.no_grad()
    def _init_weights(self, module):
        if isinstance(module, nn.Embedding):
            init.normal_(module.weight, std=0.1)
        elif isinstance(module, nn.Conv1d | nn.Linear):
            init.xavier_uniform_(module.weight)
            init.zeros_(module.bias)

    def forward(
        self,
        input_ids: torch.LongTensor,
        attention_mask: torch.Tensor | None = None,
        labels: torch.Tensor | None = None,
    ) -> SequenceClassifierOutput:
        """Classify token ids (batch, length); `attention_mask`, of the same shape, is 0 at padding on either side."""
        if attention_mask is None:
            attention_mask = torch.ones_like(input_ids)
        # Padding goes to the right, so that every row starts at the same phase of the strided pooling.
        attention_mask, order = attention_mask.sort(dim=1, descending=True, stable=True)
        input_ids = input_ids.gather(1, order)
        mask = attention_mask.bool().unsqueeze(1)  # (batch, 1, length)
        vectors = self.dropout(self.embedding(input_ids)).transpose(1, 2) * mask
        hidden = self.base(self.region(vectors) * mask, mask)

        lengths = attention_mask.sum(1).clamp(min=1)
        while hidden.shape[2] > 1:
            done = lengths == 1  # such a row waits in position 0 for the longer ones
            pooled = F.max_pool1d(F.pad(hidden.masked_fill(~mask, -torch.inf), (0, 1), value=-torch.inf), 3, 2)
            lengths = torch.where(done, lengths, lengths // 2)
            mask = (torch.arange(pooled.shape[2], device=lengths.device) < lengths.unsqueeze(1)).unsqueeze(1)
            reduced = self.pyramid(pooled.masked_fill(~mask, 0), mask)
            hidden = torch.where(done.view(-1, 1, 1), hidden[:, :, : reduced.shape[2]], reduced)

        logits = self.classifier(self.dropout(hidden.squeeze(2)))
        loss = None
        if labels is not None:
            loss = self.loss_function(labels=labels, pooled_logits=logits, config=self.config)
        return SequenceClassifierOutput(loss=loss, logits=logits)


DpcnnConfig.register_for_auto_class()
DpcnnForSequenceClassification.register_for_auto_class("AutoModelForSequenceClassification")
AutoConfig.register(DpcnnConfig.model_type, DpcnnConfig, exist_ok=True)
AutoModelForSequenceClassification.register(DpcnnConfig, DpcnnForSequenceClassification, exist_ok=True)
