"""Rows without padding: between embeddings and head, the rows of a batch lie end to end in one long row.

A classifier of transformers is a base model (`model.base_model`) and a head that looks at the first token of each row,
at the last one, or at all. `padding_free` puts a hook on both sides of the base model: in front, padded rows
(rows, width) become one (1, tokens) with the boundaries between them; behind, its hidden states become padded rows
again, which the head, whatever it is, finds as ever. Everything that is computed for each token, which is nearly
all, is computed for no padding.

Dao-AILab's and ModernBERT's unpadding (Portes et al. 2023, https://arxiv.org/abs/2312.17482) for any model whose
attention goes through `AttentionInterface`. Whether it does is found by trying: `difference`.
"""

import inspect

import numpy as np
import torch
from transformers import PreTrainedModel

from .attention import has_kernel, use_given_masks

# The names are those of transformers' FlashAttentionKwargs; where each token stands in the padded batch is ours.
BOUNDARIES, LONGEST, PLACES = "cu_seq_lens_q", "max_length_q", "token_places"


def boundaries(mask: np.ndarray) -> dict[str, torch.Tensor | int]:
    """What a batch must have besides to be computed without padding, from its mask (rows, width) of booleans.

    It is made beside the batch, on the CPU: a GPU asked for the number of its tokens would have to finish first.
    """
    return {
        PLACES: torch.from_numpy(np.flatnonzero(mask)),  # (tokens,) in the flattened batch
        BOUNDARIES: torch.from_numpy(np.concatenate([[0], mask.sum(axis=1).cumsum()]).astype(np.int32)),  # (rows + 1,)
        LONGEST: mask.shape[1],
    }


def padding_free(model: PreTrainedModel) -> None:
    """Makes `model` compute batches that have `boundaries` without padding; others as before.

    Raises:
        ValueError: its attention does not go through `AttentionInterface`.
    """
    if not use_given_masks(model):
        raise ValueError(f"{type(model).__name__} has attention of its own")
    model.base_model.register_forward_pre_hook(_lay_end_to_end, with_kwargs=True)
    model.base_model.register_forward_hook(_lay_side_by_side, with_kwargs=True)


def difference(model: PreTrainedModel, batch: dict) -> float:
    """The largest difference between logits of `batch`, which has `boundaries`, computed without padding and with it.

    Raises:
        TypeError, ValueError, RuntimeError: it cannot be computed without.
    """
    training = model.training
    model.eval()
    padded = {name: value for name, value in batch.items() if name not in (BOUNDARIES, LONGEST, PLACES)}
    with torch.no_grad():
        largest = (model(**batch).logits - model(**padded).logits).abs().max().item()
    model.train(training)
    return largest


def _lay_end_to_end(base: torch.nn.Module, args: tuple, kwargs: dict) -> tuple[tuple, dict]:
    """Padded rows → one row of all tokens but those of padding, with its boundaries."""
    if BOUNDARIES not in kwargs:
        return args, kwargs
    given = inspect.signature(base.forward).bind_partial(*args).arguments | kwargs
    input_ids, places, starts = given["input_ids"], given[PLACES], given[BOUNDARIES]
    if not has_kernel(input_ids.device, base.dtype):
        return (), {name: value for name, value in given.items() if name not in (BOUNDARIES, LONGEST, PLACES)}
    positions = given.get("position_ids")
    if positions is None:
        positions = _positions(base, input_ids, places, starts)
    else:
        positions = positions.expand(input_ids.shape).flatten()[places]
    given |= {"input_ids": input_ids.flatten()[places][None], "position_ids": positions[None]}
    if given.get("token_type_ids") is not None:
        given["token_type_ids"] = given["token_type_ids"].flatten()[places][None]
    # Of four dimensions, which transformers takes to be ready: it would make one of (tokens, tokens).
    given["attention_mask"] = torch.empty((1, 1, 1, 1), dtype=torch.bool, device=input_ids.device)
    return (), given


def _lay_side_by_side(base: torch.nn.Module, args: tuple, kwargs: dict, output):
    """Hidden states of one long row (1, tokens, width) → of padded rows (rows, longest, width), zero at padding."""
    if BOUNDARIES not in kwargs:
        return output
    shape = len(kwargs[BOUNDARIES]) - 1, kwargs[LONGEST]
    states = output.last_hidden_state[0]
    padded = states.new_zeros(shape[0] * shape[1], states.shape[1]).index_copy(0, kwargs[PLACES], states)
    output["last_hidden_state"] = padded.view(*shape, -1)
    if output.get("pooler_output") is not None:
        output["pooler_output"] = base.pooler(output["last_hidden_state"])  # it was that of the first row alone
    return output


def _positions(
    base: torch.nn.Module, input_ids: torch.Tensor, places: torch.Tensor, starts: torch.Tensor
) -> torch.Tensor:
    """The position of each token in its row, (tokens,), as `base` would count it in padded rows.

    RoBERTa and its kin begin behind the number of the padding token, and say how in their embeddings.
    """
    embeddings = getattr(base, "embeddings", None)
    if hasattr(embeddings, "create_position_ids_from_input_ids"):
        return embeddings.create_position_ids_from_input_ids(input_ids, embeddings.padding_idx).flatten()[places]
    first = torch.repeat_interleave(starts[:-1], starts.diff(), output_size=len(places))
    return torch.arange(len(places), device=places.device) - first
