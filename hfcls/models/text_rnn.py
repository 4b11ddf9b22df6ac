"""Recurrent text classifiers: TextRNN, TextRNN with attention, and TextRCNN, over an RNN, LSTM or GRU.

The file needs only torch and transformers: `save_pretrained` puts it beside the weights, and where hfcls is not
installed `AutoModelForSequenceClassification.from_pretrained(folder, trust_remote_code=True)` runs it from there.

Padding never changes a result. Wherever `attention_mask` is 0 (right, left or in between), the token does not exist:
logits are those of the same rows in a `PackedSequence`.
"""

import math
from typing import Literal

import torch
from huggingface_hub.dataclasses import strict
from torch import nn
from transformers import AutoConfig, AutoModelForSequenceClassification, PreTrainedConfig, PreTrainedModel
from transformers import initialization as init
from transformers.modeling_outputs import SequenceClassifierOutput


@strict
class TextRNNConfig(PreTrainedConfig):
    """What a `TextRNNForSequenceClassification` is made of.

    Args:
        vocab_size: number of rows of the embedding table.
        embedding_dim: width of a token vector.
        hidden_size: width of one direction's hidden state.
        num_layers: recurrent layers on top of each other.
        bidirectional: read every row also from its last token to its first, and concatenate.
        cell: `"rnn"` (Elman, tanh), `"lstm"`, `"gru"`, or `"lstm_by_hand"`: the LSTM from its equations, slower, with
            the same parameter names, so that the two load each other's weights.
        pooling: how the hidden states of a row become one vector. `"last"`: the final state of each direction, forward
            at the last token, backward at the first; `"max"`, `"mean"`, `"max_mean"` (both, concatenated): over the
            tokens; `"attention"`: Zhou et al. 2016; `"rcnn"`: Lai et al. 2015.
        dropout: on the token vectors and between layers (the same features at all steps), and before the classifier.
        initialization: `"default"`: torch's own, embeddings normal(0, 1), the others uniform within 1/sqrt(hidden_size)
            or 1/sqrt(fan_in); `"xavier"`: Glorot & Bengio 2010, uniform, gate by gate; `"orthogonal"`: the same, but
            every gate's hidden-to-hidden matrix is orthogonal (Saxe et al. 2014). These two start with zero biases, an
            LSTM's forget gate with 1 (Jozefowicz et al. 2015), and embeddings normal(0, 0.1): from normal(0, 1), what
            a rare word has learned stays small beside where it started.
        freeze_embeddings: the token vectors are not trained.
        pad_token_id: its vector is zero and stays so. Without an `attention_mask`, this token marks padding.
    """

    model_type = "text_rnn"

    vocab_size: int = 4762
    embedding_dim: int = 200
    hidden_size: int = 128
    num_layers: int = 2
    bidirectional: bool = True
    cell: Literal["rnn", "lstm", "gru", "lstm_by_hand"] = "lstm"
    pooling: Literal["last", "max", "mean", "max_mean", "attention", "rcnn"] = "max_mean"
    dropout: float | int = 0.3
    initialization: Literal["default", "xavier", "orthogonal"] = "default"
    freeze_embeddings: bool = False
    pad_token_id: int | None = 0


class LSTMByHand(nn.Module):
    """One layer of an LSTM in one direction, from its equations; equal to `torch.nn.LSTM(input_size, hidden_size)`.

    At step t, from the token vector x_t and the previous hidden and cell states h and c (zero before the first step):

        i_t = sigmoid(W_ii x_t + b_ii + W_hi h_(t-1) + b_hi)    input gate: how much of the candidate is written
        f_t = sigmoid(W_if x_t + b_if + W_hf h_(t-1) + b_hf)    forget gate: how much of the old cell is kept
        g_t = tanh   (W_ig x_t + b_ig + W_hg h_(t-1) + b_hg)    candidate
        o_t = sigmoid(W_io x_t + b_io + W_ho h_(t-1) + b_ho)    output gate: how much of the cell is shown
        c_t = f_t * c_(t-1) + i_t * g_t
        h_t = o_t * tanh(c_t)

    The cell is Hochreiter & Schmidhuber 1997, the forget gate Gers, Schmidhuber & Cummins 2000. The gates lie below
    each other in torch's order i, f, g, o: `weight_ih_l0` is (4H, D), `weight_hh_l0` (4H, H), a bias (4H,).
    """

    def __init__(self, input_size: int, hidden_size: int):
        super().__init__()
        self.hidden_size = hidden_size
        self.weight_ih_l0 = nn.Parameter(torch.empty(4 * hidden_size, input_size))
        self.weight_hh_l0 = nn.Parameter(torch.empty(4 * hidden_size, hidden_size))
        self.bias_ih_l0 = nn.Parameter(torch.empty(4 * hidden_size))
        self.bias_hh_l0 = nn.Parameter(torch.empty(4 * hidden_size))
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -(hidden_size**-0.5), hidden_size**-0.5)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, tuple[torch.Tensor, torch.Tensor]]:
        """(L, B, D) → hidden states (L, B, H), and the last (h, c), each (1, B, H)."""
        # What the gates get from the tokens does not wait for the previous step: one matrix product for all of them.
        from_tokens = nn.functional.linear(x, self.weight_ih_l0, self.bias_ih_l0 + self.bias_hh_l0)
        h = c = from_tokens.new_zeros(x.shape[1], self.hidden_size)
        recurrent = self.weight_hh_l0.t()
        outputs = []
        # unbind, because the gradient of from_tokens[t] would be a full (L, B, 4H) of zeros at every step.
        for from_token in from_tokens.unbind(0):
            i, f, g, o = torch.addmm(from_token, h, recurrent).chunk(4, dim=1)
            c = f.sigmoid() * c + i.sigmoid() * g.tanh()
            h = o.sigmoid() * c.tanh()
            outputs.append(h)
        return torch.stack(outputs), (h[None], c[None])


CELLS = {"rnn": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU, "lstm_by_hand": LSTMByHand}


class SharedDropout(nn.Dropout):
    """Dropout on (L, B, D) that drops the same features of a row at every step (Gal & Ghahramani 2016).

    The draws do not depend on L, so training does not depend on the padding either. And they are few: a CPU draws one
    float after the other, which for every feature of every step took a tenth of the training time.
    """

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * super().forward(torch.ones_like(x[0])) if self.training else x


class RecurrentEncoder(nn.Module):
    """Stacked recurrent layers over rows that begin at step 0 and have their padding behind them.

    Each direction is a module of its own. A bidirectional torch module would start reading backwards in the padding,
    and `pack_padded_sequence` loses what bf16 gains on a CPU; turning every row round within its own length gives the
    same numbers at full speed.
    """

    def __init__(self, config: TextRNNConfig):
        super().__init__()
        directions = 2 if config.bidirectional else 1
        sizes = [config.embedding_dim] + [directions * config.hidden_size] * (config.num_layers - 1)
        self.layers = nn.ModuleList(
            nn.ModuleList(CELLS[config.cell](size, config.hidden_size) for _ in range(directions)) for size in sizes
        )
        self.dropout = SharedDropout(config.dropout)

    def forward(self, x: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        """(L, B, D) and lengths (B,) → the top layer's states (L, B, directions * H), arbitrary behind a row's end."""
        step = torch.arange(x.shape[0], device=x.device)[:, None]
        mirrored = torch.where(step < lengths, lengths - 1 - step, step)  # (L, B)
        # Whole vectors by their number in (L * B, D): gather would look up every single float.
        turned = (mirrored * x.shape[1] + torch.arange(x.shape[1], device=x.device)).flatten()

        def turn(y: torch.Tensor) -> torch.Tensor:
            return y.flatten(0, 1).index_select(0, turned).view(y.shape)

        for layer in self.layers:
            x = self.dropout(x)
            outputs = [layer[0](x)[0]]
            if len(layer) == 2:
                outputs.append(turn(layer[1](turn(x))[0]))
            x = torch.cat(outputs, dim=-1)
        return x


class Pooling(nn.Module):
    """The hidden states of a row → one vector of `self.size` floats. `TextRNNConfig.pooling` says which.

    `"attention"`: alpha = softmax(w · tanh(h_t)), then tanh(sum alpha_t h_t) (Zhou et al. 2016, eq. 9–12; here the two
    directions are concatenated, as in the other poolings, not added). `"rcnn"`: the maximum over t of
    tanh(W [forward_t; x_t; backward_t] + b), x_t the token vector (Lai et al. 2015, eq. 3–5).
    """

    def __init__(self, config: TextRNNConfig):
        super().__init__()
        self.kind = config.pooling
        self.hidden_size = config.hidden_size
        states = config.hidden_size * (2 if config.bidirectional else 1)
        self.size = 2 * states if self.kind == "max_mean" else states
        if self.kind == "attention":
            self.score = nn.Linear(states, 1, bias=False)
        elif self.kind == "rcnn":
            self.project = nn.Linear(states + config.embedding_dim, states)

    def forward(self, states: torch.Tensor, x: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        """states (L, B, S), token vectors x (L, B, D), lengths (B,) → (B, size)."""
        real = (torch.arange(states.shape[0], device=states.device)[:, None] < lengths)[..., None]  # (L, B, 1)
        # Adding and multiplying, here and below, takes a third of the time of masked_fill on a CPU.
        minus_infinity = torch.zeros_like(real, dtype=states.dtype).masked_fill(~real, -math.inf)

        def maximum(y: torch.Tensor) -> torch.Tensor:
            return (y + minus_infinity).max(dim=0).values

        def mean() -> torch.Tensor:
            return (states * real).sum(dim=0) / lengths[:, None]

        match self.kind:
            case "last":
                rows = torch.arange(states.shape[1], device=states.device)
                forward, backward = states[lengths - 1, rows, : self.hidden_size], states[0, :, self.hidden_size :]
                return torch.cat([forward, backward], dim=-1)
            case "max":
                return maximum(states)
            case "mean":
                return mean()
            case "max_mean":
                return torch.cat([maximum(states), mean()], dim=-1)
            case "attention":
                alpha = (self.score(states.tanh()) + minus_infinity).softmax(dim=0)
                return (alpha * states).sum(dim=0).tanh()
            case "rcnn":
                forward, backward = states[..., : self.hidden_size], states[..., self.hidden_size :]
                return maximum(self.project(torch.cat([forward, x, backward], dim=-1)).tanh())


class TextRNNForSequenceClassification(PreTrainedModel):
    """Embeddings → recurrent layers → pooling → linear classifier.

    Pretrained vectors, (vocab_size, embedding_dim), go into `model.get_input_embeddings().weight`.
    """

    config: TextRNNConfig
    _input_embed_layer = "embeddings"
    # The loss is a mean over its own batch: it is for Trainer to divide it by the accumulation steps.
    accepts_loss_kwargs = False

    def __init__(self, config: TextRNNConfig):
        super().__init__(config)
        embeddings = nn.Embedding(config.vocab_size, config.embedding_dim, padding_idx=config.pad_token_id)
        self.set_input_embeddings(embeddings)
        self.encoder = RecurrentEncoder(config)
        self.pooling = Pooling(config)
        self.dropout = nn.Dropout(config.dropout)
        self.classifier = nn.Linear(self.pooling.size, config.num_labels)
        self.post_init()

    def set_input_embeddings(self, value: nn.Embedding) -> None:
        self.embeddings = value.requires_grad_(not self.config.freeze_embeddings)

    def train(self, mode: bool = True) -> "TextRNNForSequenceClassification":
        # from_pretrained makes every weight trainable that it loads, and then calls eval(), which comes here.
        self.embeddings.requires_grad_(not self.config.freeze_embeddings)
        return super().train(mode)

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
                when the config has no pad token. A row without any token (an empty text) is read as one padding token.
            labels: (B,) int64 for one label a row, (B, num_labels) floats for several, floats for regression.
        """
        if input_ids.shape[1] == 0:  # nothing but empty texts
            input_ids = nn.functional.pad(input_ids, (0, 1), value=self.config.pad_token_id or 0).long()
            attention_mask = torch.zeros_like(input_ids)
        if attention_mask is None:
            pad = self.config.pad_token_id
            attention_mask = torch.ones_like(input_ids) if pad is None else input_ids != pad
        real = attention_mask != 0
        lengths = real.sum(dim=1).clamp(min=1)
        # Tokens to the front in their order, padding behind: left padding and holes become right padding.
        ids = input_ids.gather(1, real.logical_not().int().argsort(dim=1, stable=True))

        # (L, B, D): steps first is what the recurrent kernels work in; batch_first would copy in every layer.
        x = self.embeddings(ids.t().contiguous())
        states = self.encoder(x, lengths)
        logits = self.classifier(self.dropout(self.pooling(states, x, lengths)))
        loss = None
        if labels is not None:
            loss = self.loss_function(labels=labels, pooled_logits=logits, config=self.config)
        return SequenceClassifierOutput(loss=loss, logits=logits)

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        torch_default = self.config.initialization == "default"
        if isinstance(module, nn.Embedding):
            vectors = torch.empty_like(module.weight).normal_(std=1.0 if torch_default else 0.1)
            if module.padding_idx is not None:
                vectors[module.padding_idx] = 0
            init.copy_(module.weight, vectors)  # unless the weights came from a file
        elif isinstance(module, nn.Linear):
            bound = module.in_features**-0.5
            if torch_default:
                init.uniform_(module.weight, -bound, bound)
            else:
                init.xavier_uniform_(module.weight)
            if module.bias is not None:
                init.uniform_(module.bias, -bound, bound) if torch_default else init.zeros_(module.bias)
        elif isinstance(module, tuple(CELLS.values())):
            self._init_cell(module, torch_default)

    def _init_cell(self, cell: nn.RNNBase | LSTMByHand, torch_default: bool) -> None:
        hidden = self.config.hidden_size
        gates = cell.weight_hh_l0.shape[0] // hidden
        if torch_default:
            for parameter in cell.parameters():
                init.uniform_(parameter, -(hidden**-0.5), hidden**-0.5)
            return
        # Every gate is a (hidden, fan_in) matrix of its own: the bound is that of one gate, not of the stacked weight.
        for weight in (cell.weight_ih_l0, cell.weight_hh_l0):
            bound = math.sqrt(6 / (weight.shape[1] + hidden))
            init.uniform_(weight, -bound, bound)
        if self.config.initialization == "orthogonal":
            blocks = [init.orthogonal_(torch.empty(hidden, hidden)) for _ in range(gates)]
            init.copy_(cell.weight_hh_l0, torch.cat(blocks))
        init.zeros_(cell.bias_hh_l0)
        bias = torch.zeros(gates, hidden)
        if gates == 4:
            bias[1] = 1
        init.copy_(cell.bias_ih_l0, bias.flatten())


AutoConfig.register(TextRNNConfig.model_type, TextRNNConfig, exist_ok=True)
AutoModelForSequenceClassification.register(TextRNNConfig, TextRNNForSequenceClassification, exist_ok=True)
TextRNNConfig.register_for_auto_class()
TextRNNForSequenceClassification.register_for_auto_class("AutoModelForSequenceClassification")
