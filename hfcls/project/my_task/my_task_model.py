"""A deep averaging network (Iyyer et al. 2015, https://aclanthology.org/P15-1162): a place to start from.

The file is saved with the weights and pushed with them, so it imports only torch and transformers.
"""

from torch import nn
from transformers import PreTrainedConfig, PreTrainedModel
from transformers.modeling_outputs import SequenceClassifierOutput


class MyTaskConfig(PreTrainedConfig):
    """Each field is filled by the flag of its name: `--embedding_dim 100`, `--dropout 0.5`."""

    model_type = "my_task"

    vocab_size: int = 30000
    embedding_dim: int = 200
    hidden_size: int = 128
    dropout: float = 0.3
    pad_token_id: int | None = 0


class MyTaskForSequenceClassification(PreTrainedModel):
    """Its name gives it the loss of one label or several."""

    config: MyTaskConfig

    def __init__(self, config):
        super().__init__(config)
        self.embed_tokens = nn.Embedding(config.vocab_size, config.embedding_dim)
        self.dropout = nn.Dropout(config.dropout)
        self.hidden = nn.Linear(config.embedding_dim, config.hidden_size)
        self.classifier = nn.Linear(config.hidden_size, config.num_labels)
        self.post_init()

    def forward(self, input_ids, attention_mask=None, labels=None):
        """`input_ids` and `attention_mask` are (rows, tokens), `labels` (rows,); logits are (rows, labels)."""
        if attention_mask is None:
            attention_mask = input_ids != self.config.pad_token_id
        real = attention_mask.unsqueeze(2)  # padding changes nothing
        mean = (self.embed_tokens(input_ids) * real).sum(1) / real.sum(1).clamp(min=1)
        logits = self.classifier(self.dropout(self.hidden(self.dropout(mean)).relu()))
        loss = None
        if labels is not None:
            loss = self.loss_function(labels=labels, pooled_logits=logits, config=self.config)
        return SequenceClassifierOutput(loss=loss, logits=logits)
