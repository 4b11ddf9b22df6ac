"""TextCNN: convolutions over a text's embeddings, and the largest value of each filter."""

import torch
import torch.nn.functional as F
from torch import nn
from transformers import AutoConfig, AutoModelForSequenceClassification, PreTrainedConfig, PreTrainedModel
from transformers import initialization as init
from transformers.modeling_outputs import SequenceClassifierOutput


class TextCnnConfig(PreTrainedConfig):
    """Configuration of `TextCnnForSequenceClassification`.

    Args:
        vocab_size: number of token ids.
        embedding_dim: width of the token embeddings.
        filter_widths: tokens that a filter sees, one group of filters for each width.
        num_filters: filters of each width.
        dropout: applied to the pooled features while training.
        freeze_embeddings: keep the embeddings as they were given.
    """

    model_type = "text_cnn"

    vocab_size: int = 4762
    embedding_dim: int = 200
    filter_widths: list[int] | tuple[int, ...] = (2, 3, 4)
    num_filters: int = 256
    dropout: float | int = 0.5
    freeze_embeddings: bool = False


class TextCnnForSequenceClassification(PreTrainedModel):
    """Text classifier of Kim (2014), https://aclanthology.org/D14-1181.

    A filter of width k is laid over every k consecutive tokens of the text and its largest value kept. A text shorter
    than k tokens is one window, filled up with zeros. Padding is in no window, so the columns a batch is padded to
    change nothing.

    Windows overlap, tokens recur within a batch, and of all windows only one reaches the output of a filter. So each
    distinct token is multiplied by the filters once, windows are sums of looked-up products, and the gradient is
    followed through the winning windows alone. That costs a fraction of a convolution over all positions and equals it.
    """

    config: TextCnnConfig
    _input_embed_layer = "embedding"
    accepts_loss_kwargs = False

    def __init__(self, config: TextCnnConfig):
        super().__init__(config)
        self.embedding = nn.Embedding(config.vocab_size, config.embedding_dim)
        self.embedding.weight.requires_grad = not config.freeze_embeddings
        # They hold the weights in the usual layout; `_pool` computes what they would.
        self.convolutions = nn.ModuleList(
            nn.Conv1d(config.embedding_dim, config.num_filters, width) for width in config.filter_widths
        )
        self.dropout = nn.Dropout(config.dropout)
        self.classifier = nn.Linear(config.num_filters * len(config.filter_widths), config.num_labels)
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
        mask = attention_mask.bool()
        lengths = mask.sum(1)
        # The id after the last one stands for padding: its embedding is zero whatever the tokenizer pads with.
        padding = self.embedding.num_embeddings
        input_ids = input_ids.masked_fill(~mask, padding)
        input_ids = input_ids.gather(1, (~mask).int().argsort(dim=1, stable=True))  # padding goes to the right
        tokens, positions = input_ids.unique(return_inverse=True)
        vectors = self.embedding(tokens.clamp(max=padding - 1)) * (tokens != padding).unsqueeze(-1)
        vectors = F.pad(vectors, (0, 0, 0, 1))  # a row of zeros for what `_pool` appends
        features = [self._pool(convolution, vectors, positions, lengths) for convolution in self.convolutions]
        logits = self.classifier(self.dropout(torch.cat(features, dim=-1).relu()))
        loss = None
        if labels is not None:
            loss = self.loss_function(labels=labels, pooled_logits=logits, config=self.config)
        return SequenceClassifierOutput(loss=loss, logits=logits)

    @staticmethod
    def _pool(convolution: nn.Conv1d, vectors: torch.Tensor, positions: torch.Tensor, lengths: torch.Tensor):
        """Largest value of each filter over each text, (batch, filters).

        `vectors` (distinct tokens, embedding_dim) ends in a row of zeros; `positions` (batch, length) index its rows,
        of which the first `lengths` (batch,) are text.
        """
        filters, _, width = convolution.weight.shape
        # (distinct tokens × width, filters): what a token adds to a window when it is that window's first, second, ...
        taps = F.linear(vectors, convolution.weight.permute(2, 0, 1).flatten(0, 1)).view(-1, filters)
        positions = F.pad(positions, (0, width), value=len(vectors) - 1)  # one window a column, and one if there is none
        windows = positions.unfold(1, width, 1) * width + torch.arange(width, device=positions.device)
        with torch.no_grad():
            values = F.embedding_bag(windows.flatten(0, 1), taps, mode="sum").view(*windows.shape[:2], filters)
            steps = torch.arange(windows.shape[1], device=positions.device)
            outside = steps >= (lengths.unsqueeze(1) - width + 1).clamp(min=1)
            values.masked_fill_(outside.unsqueeze(-1), -torch.inf)
            best = F.max_pool1d(values.transpose(1, 2), len(steps), return_indices=True)[1]  # (batch, filters, 1)
        rows = windows.gather(1, best.expand(-1, -1, width)).transpose(1, 2)  # (batch, width, filters)
        return taps.gather(0, rows.flatten(0, 1)).view(rows.shape).sum(1) + convolution.bias


TextCnnConfig.register_for_auto_class()
TextCnnForSequenceClassification.register_for_auto_class("AutoModelForSequenceClassification")
AutoConfig.register(TextCnnConfig.model_type, TextCnnConfig, exist_ok=True)
AutoModelForSequenceClassification.register(TextCnnConfig, TextCnnForSequenceClassification, exist_ok=True)
