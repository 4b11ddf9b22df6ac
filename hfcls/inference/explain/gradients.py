"""What each token adds to a logit by integrated gradients (Sundararajan et al. 2017, https://arxiv.org/abs/1703.01365).

The path leads from the text without its tokens, their vectors zero, to the text as it is. captum integrates; what is
here hands it a model whose input are vectors, whatever the architecture does with the numbers of its tokens.
"""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch.func import functional_call
from transformers import PreTrainedModel

from hfcls.errors import InputError
from hfcls.inference.explain.tokens import Tokens

STEPS = (32, 128, 512)  # of the integral: more where few leave too much unexplained
GAP = 0.05  # of the logit's change that may stay unexplained
BATCH_TOKENS = 8192


def token_weights(
    model: PreTrainedModel, tokens: Tokens, label: int, most_tokens: int | None = None
) -> tuple[np.ndarray, float, float]:
    """What each token adds to the logit of class `label`.

    Args:
        most_tokens: that are computed for it: those of the text, times the steps of the integral.

    Returns:
        Weights (tokens,); the logit of the text without its tokens; and the gap, the share of the change between both
        logits that the weights do not sum up to.

    Raises:
        InputError: captum is not installed, the model has no input embeddings, or `most_tokens` are too few.
    """
    steps, length = STEPS, len(tokens.spans)
    if most_tokens is not None:
        steps = tuple(number for number in STEPS if number * length <= most_tokens)
        if not steps:
            limit = f"more than the {most_tokens // STEPS[0]} of which texts are explained here"
            raise InputError(f"text: {length} tokens are read of it, {limit}: shorten it")
    vectors, kept = _vectors(model, tokens)
    forward = _VectorModel(model, tokens, label)
    rows = max(1, BATCH_TOKENS // len(vectors))
    weights, rest, gap = integrated_gradients(forward, vectors, vectors * kept[:, None], rows, steps)
    return weights.sum(1).double().cpu().numpy(), rest, gap


def integrated_gradients(
    forward: Callable[[torch.Tensor], torch.Tensor],
    point: torch.Tensor,
    baseline: torch.Tensor,
    rows: int,
    steps: Sequence[int] = STEPS,
) -> tuple[torch.Tensor, float, float]:
    """What each number of `point` adds to `forward`, which takes (B, *) and returns (B,), `rows` of them at once.

    `steps` of the integral are tried in their order, until no more than `GAP` is unexplained.

    Returns:
        Weights as `point` (*); `forward` of `baseline` (*); and the gap, the share of the change between both that the
        weights do not sum up to.

    Raises:
        InputError: captum is not installed.
    """
    try:
        from captum.attr import IntegratedGradients
    except ImportError as error:
        raise InputError("explaining this model needs an extra: pip install 'hfcls[explain]'") from error
    integral = IntegratedGradients(forward)
    with torch.no_grad():
        end, start = forward(torch.stack([point, baseline])).tolist()
    for n_steps in steps:
        with torch.backends.cudnn.flags(enabled=False):  # whose recurrent layers have no gradient outside of training
            weights = integral.attribute(point[None], baseline[None], n_steps=n_steps, internal_batch_size=rows)[0]
        gap = abs(end - start - weights.double().sum().item()) / max(abs(end - start), 1e-6)
        if gap <= GAP:
            break
    return weights, start, float(gap)


def _vectors(model: PreTrainedModel, tokens: Tokens) -> tuple[torch.Tensor, torch.Tensor]:
    """The vectors of the tokens (tokens, width); and 1 for each that stays what it is because it stands for no text."""
    embeddings = model.get_input_embeddings()
    ids = torch.tensor(tokens.inputs["input_ids"], device=model.device)
    kept = torch.tensor([begin == end for begin, end in tokens.spans], device=model.device)
    return embeddings.weight[ids].detach().float(), kept


class _VectorModel:
    """The logit of one class for texts that are given as vectors (rows, tokens, width) in place of numbers.

    The vectors become the table that the model looks its tokens up in, every token with a row of its own: so it holds
    for models that look up each distinct token once, too. No token has the number of the padding.
    """

    def __init__(self, model: PreTrainedModel, tokens: Tokens, label: int):
        self.model, self.label = model, label
        table = model.get_input_embeddings().weight
        self.name = next(name for name, weight in model.named_parameters() if weight is table)
        padding = model.config.pad_token_id
        self.first = 0 if padding is None else padding + 1
        inputs = {name: values for name, values in tokens.inputs.items() if name != "input_ids"}
        self.inputs = {name: torch.tensor([values], device=table.device) for name, values in inputs.items()}

    def __call__(self, vectors: torch.Tensor) -> torch.Tensor:
        rows, length, width = vectors.shape
        table = torch.cat([vectors.new_zeros(self.first, width), vectors.reshape(-1, width)])
        numbers = torch.arange(rows * length, device=vectors.device).view(rows, length) + self.first
        inputs = {name: values.expand(rows, -1) for name, values in self.inputs.items()}
        return functional_call(self.model, {self.name: table}, kwargs={"input_ids": numbers, **inputs}).logits[
            :, self.label
        ]
