"""TextCNN: convolutions over the token vectors of a text, and the largest value of each filter.

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
class TextCNNConfig(PreTrainedConfig):
    """What a `TextCNNForSequenceClassification` is made of.

    Args:
        vocab_size: number of rows of the embedding table.
        embedding_dim: width of a token vector.
        filter_widths: how many tokens a filter sees, one group of filters for each width.
        num_filters: filters of each width.
        dropout: on the features before the classifier.
        freeze_embeddings: the token vectors are not trained.
        pad_token_id: without an `attention_mask`, this token marks padding.
    """

    model_type = "text_cnn"

    vocab_size: int = 4762
    embedding_dim: int = 200
    filter_widths: list[int] | tuple[int, ...] = (2, 3, 4)
    num_filters: int = 256
    dropout: float | int = 0.5
    freeze_embeddings: bool = False
    pad_token_id: int | None = 0


class TextCNNForSequenceClassification(PreTrainedModel):
    """Text classifier of Kim (2014), https://aclanthology.org/D14-1181.

    A filter of width k is laid over every k consecutive tokens, and its largest value is kept. A text shorter than k
    tokens is one window, filled up with zeros. Padding is in no window, so it changes nothing.

    Tokens recur within a batch, windows overlap, and of all windows only one reaches the output of a filter. So each
    distinct token meets the filters once, a window is a sum of looked-up products, and gradients follow the winning
    windows alone. The result is that of `torch.nn.Conv1d`, the time on a CPU about half of it.
    """

    config: TextCNNConfig
    _input_embed_layer = "embeddings"
    # The loss is a mean over its own batch: it is for Trainer to divide it by the accumulation steps.
    accepts_loss_kwargs = False

    def __init__(self, config: TextCNNConfig):
        super().__init__(config)
        self.set_input_embeddings(nn.Embedding(config.vocab_size, config.embedding_dim))
        # They hold the weights in the usual layout; `_largest` computes what they would.
        self.convolutions = nn.ModuleList(
            nn.Conv1d(config.embedding_dim, config.num_filters, width) for width in config.filter_widths
        )
        self.dropout = nn.Dropout(config.dropout)
        self.classifier = nn.Linear(config.num_filters * len(config.filter_widths), config.num_labels)
        self.post_init()

    def set_input_embeddings(self, value: nn.Embedding) -> None:
        self.embeddings = value.requires_grad_(not self.config.freeze_embeddings)

    def train(self, mode: bool = True) -> "TextCNNForSequenceClassification":
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
                when the config has no pad token. A text without any token is one window of zeros.
            labels: (B,) int64 for one label a row, (B, num_labels) floats for several, floats for regression.
        """
        if attention_mask is None:
            pad = self.config.pad_token_id
            attention_mask = torch.ones_like(input_ids) if pad is None else input_ids != pad
        real = attention_mask != 0
        # Tokens to the front in their order, padding behind: left padding and holes become right padding. Ids are moved
        # up by one, because padding needs an id of its own: its vector is zero whatever the tokenizer pads with.
        ids = (input_ids + 1).masked_fill(~real, 0).gather(1, (~real).int().argsort(dim=1, stable=True))
        ids = F.pad(ids, (0, max(self.config.filter_widths)))  # so that a window begins at every token
        lengths = real.sum(1)
        # A graph cannot depend on how many distinct tokens a batch has, and a GPU would have to be asked.
        if torch.compiler.is_exporting() or ids.is_cuda:
            features = [
                self._largest_of_all(convolution, self._vectors(ids), lengths) for convolution in self.convolutions
            ]
        else:
            tokens, positions = ids.unique(return_inverse=True)
            vectors = self._vectors(tokens)
            features = [self._largest(convolution, vectors, positions, lengths) for convolution in self.convolutions]
        logits = self.classifier(self.dropout(torch.cat(features, dim=1).relu()))
        loss = None
        if labels is not None:
            loss = self.loss_function(labels=labels, pooled_logits=logits, config=self.config)
        return SequenceClassifierOutput(loss=loss, logits=logits)

    def _vectors(self, ids: torch.Tensor) -> torch.Tensor:
        """Vectors (…, D) of ids (…), which are moved up by one; that of padding is zero."""
        return self.embeddings((ids - 1).clamp(min=0)) * (ids > 0).unsqueeze(-1)

    @staticmethod
    def _largest_of_all(convolution: nn.Conv1d, vectors: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        """As `_largest`, by the convolution itself, of vectors (B, L, D) in their places."""
        values = convolution(vectors.transpose(1, 2))  # (B, filters, W)
        starts = torch.arange(values.shape[2], device=values.device)
        outside = starts >= (lengths.unsqueeze(1) - convolution.kernel_size[0] + 1).clamp(min=1)
        return values.masked_fill(outside.unsqueeze(1), -torch.inf).amax(dim=2)

    @staticmethod
    def _largest(
        convolution: nn.Conv1d, vectors: torch.Tensor, positions: torch.Tensor, lengths: torch.Tensor
    ) -> torch.Tensor:
        """The largest value of each filter in each text, (B, filters).

        Args:
            convolution: its weights and bias are used.
            vectors: of the distinct tokens of the batch, (T, D).
            positions: which of them stands where, (B, L), texts to the left.
            lengths: of the texts, (B,).
        """
        filters, _, width = convolution.weight.shape
        # (T * width, filters): what a token adds to a window as its first, its second, … token.
        taps = F.linear(vectors, convolution.weight.permute(2, 0, 1).flatten(0, 1)).view(-1, filters)
        windows = positions.unfold(1, width, 1) * width + torch.arange(width, device=positions.device)  # (B, W, width)
        with torch.no_grad():
            values = F.embedding_bag(windows.flatten(0, 1), taps, mode="sum").view(*windows.shape[:2], filters)
            starts = torch.arange(windows.shape[1], device=positions.device)
            outside = starts >= (lengths.unsqueeze(1) - width + 1).clamp(min=1)
            values.masked_fill_(outside.unsqueeze(2), -torch.inf)
            # Not argmax, which takes 30 times as long on a CPU.
            best = F.max_pool1d(values.transpose(1, 2), len(starts), return_indices=True)[1]  # (B, filters, 1)
        rows = windows.gather(1, best.expand(-1, -1, width)).transpose(1, 2)  # (B, width, filters)
        return taps.gather(0, rows.flatten(0, 1)).view(rows.shape).sum(1) + convolution.bias


AutoConfig.register(TextCNNConfig.model_type, TextCNNConfig, exist_ok=True)
AutoModelForSequenceClassification.register(TextCNNConfig, TextCNNForSequenceClassification, exist_ok=True)
TextCNNConfig.register_for_auto_class()
TextCNNForSequenceClassification.register_for_auto_class("AutoModelForSequenceClassification")
