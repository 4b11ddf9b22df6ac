"""BERT from random weights, in the sizes of Turc et al. 2019 ("Well-read students learn better")."""

from transformers import BertConfig, BertForSequenceClassification, PreTrainedTokenizerBase

# name: (layers, hidden size); heads are 64 wide and the feed-forward part is four times the hidden size.
SIZES = {"tiny": (2, 128), "mini": (4, 256), "small": (4, 512), "base": (12, 768)}


def bert_from_scratch(
    size: str,
    tokenizer: PreTrainedTokenizerBase,
    labels: list[str],
    max_length: int,
    attention_dropout: float | None = None,
) -> BertForSequenceClassification:
    """A classifier over `labels` with random weights.

    It has at least BERT's 512 positions, so that texts longer than the `max_length` it is trained on do not break a
    pipeline that does not truncate. `attention_dropout` is the share of attention weights that training drops; None for
    BERT's.
    """
    layers, hidden = SIZES[size]
    config = BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=hidden,
        num_hidden_layers=layers,
        num_attention_heads=hidden // 64,
        intermediate_size=4 * hidden,
        max_position_embeddings=max(512, max_length),
        pad_token_id=tokenizer.pad_token_id,
        id2label=dict(enumerate(labels)),
        label2id={label: i for i, label in enumerate(labels)},
    )
    if attention_dropout is not None:
        config.attention_probs_dropout_prob = attention_dropout
    return BertForSequenceClassification(config)
