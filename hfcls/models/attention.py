"""Attention functions that a model of transformers calls by name (`AttentionInterface`).

`sdpa` of transformers asks the device, in every forward pass, whether the mask masks anything: until the answer is
there, nothing further can be started, and a GPU waits for Python with every batch. `GIVEN_MASK` computes the same, and
takes a mask to mask something: collators leave it out where no row is padded.
"""

import torch
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface, AttentionMaskInterface, PreTrainedModel
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

GIVEN_MASK = "sdpa_given_mask"
PADDING_FREE = "sdpa_padding_free"
UNKNOWN = ("softcap", "s_aux", "position_bias")  # what some models add to the scores, and the function below does not


def use_given_masks(model: PreTrainedModel) -> bool:
    """Makes `model` take masks as they are given, and tells whether it does: if its attention is transformers' `sdpa`.

    The name is not saved with the model.
    """
    # Private in transformers, read in 5.23: without it, asking would warn of models that have attention of their own.
    if model.config._attn_implementation == "sdpa" and model._can_set_attn_implementation():
        model.set_attn_implementation(GIVEN_MASK)
    return model.config._attn_implementation in (GIVEN_MASK, PADDING_FREE)


def mask_as_given(
    *, attention_mask=None, allow_is_causal_skip: bool = True, allow_is_bidirectional_skip: bool = False, **options
) -> torch.Tensor | None:
    """`sdpa_mask` that leaves the mask out only where none was given, whatever is in it."""
    absent = attention_mask is None
    return sdpa_mask(
        attention_mask=attention_mask,
        allow_is_causal_skip=allow_is_causal_skip and absent,
        allow_is_bidirectional_skip=allow_is_bidirectional_skip and absent,
        **options,
    )


def padding_free_attention(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    *,
    cu_seq_lens_q: torch.Tensor | None = None,
    max_length_q: int | None = None,
    dropout: float = 0.0,
    scaling: float | None = None,
    sliding_window: int | None = None,
    is_causal: bool | None = None,
    **options,
) -> tuple[torch.Tensor, None]:
    """Attention within rows that lie end to end; without `cu_seq_lens_q`, that of padded rows.

    Args:
        query, key, value: (1, heads, tokens, width); keys and values may have fewer heads.
        attention_mask: of padded rows.
        cu_seq_lens_q: where each row begins, and where the last one ends, (rows + 1,) int32.
        max_length_q: tokens of the longest row, or more.
        sliding_window: a token sees those that are nearer than this.

    Returns:
        (1, tokens, heads, width), and None in the place of the weights.

    Raises:
        ValueError: the model adds something to the scores that is not known here.
    """
    if cu_seq_lens_q is None:
        options |= {"dropout": dropout, "scaling": scaling, "is_causal": is_causal}
        return sdpa_attention_forward(module, query, key, value, attention_mask, **options)
    added = [name for name in UNKNOWN if options.get(name) is not None]
    if added:
        raise ValueError(f"attention with {', '.join(added)}")
    causal = getattr(module, "is_causal", True) if is_causal is None else is_causal
    compute = _rows_at_once if query.device.type in ("cuda", "meta") else _row_by_row
    tokens_first = (tensor[0].transpose(0, 1) for tensor in (query, key, value))  # (tokens, heads, width)
    output = compute(*tokens_first, cu_seq_lens_q, max_length_q, dropout, scaling, causal, sliding_window)
    return output.unsqueeze(0), None


def _rows_at_once(query, key, value, starts, longest, dropout, scaling, causal, window) -> torch.Tensor:
    """(tokens, heads, width) by the kernel of `torch.nn.attention.varlen`, which only takes halves.

    That function drops nothing: models are trained with a dropout of the weights, so its kernel is called here as it
    is there. Private in torch, read in 2.13; tests/models/test_padding_free.py fails when its arguments move.
    """
    reach = -1 if window is None else window - 1
    return torch.ops.aten._flash_attention_forward(
        *(query, key, value, starts, starts, longest, longest, dropout, causal, False),
        scale=scaling,
        window_size_left=reach,
        window_size_right=0 if causal and window is not None else reach,
    )[0]


def _row_by_row(query, key, value, starts, longest, dropout, scaling, causal, window) -> torch.Tensor:
    """(tokens, heads, width), for the CPU: one call for each row."""
    lengths = starts.diff().tolist()
    rows = zip(*(tensor.transpose(0, 1).split(lengths, dim=1) for tensor in (query, key, value)), strict=True)
    options = {"dropout_p": dropout, "scale": scaling, "enable_gqa": key.shape[1] != query.shape[1]}
    outputs = []
    for length, row in zip(lengths, rows, strict=True):
        mask = None if window is None or length <= window else _near(length, window, causal, query.device)
        options |= {"attn_mask": mask, "is_causal": causal and mask is None}
        # Four dimensions: with three, the CPU takes the slow way.
        outputs.append(scaled_dot_product_attention(*(part.unsqueeze(0) for part in row), **options)[0])
    return torch.cat(outputs, dim=1).transpose(0, 1)


def _near(length: int, window: int, causal: bool, device: torch.device) -> torch.Tensor:
    """(length, length) which tokens are nearer than `window`; with `causal`, those that are not behind."""
    place = torch.arange(length, device=device)
    distance = place[:, None] - place
    return (distance.abs() < window) & (distance >= 0 if causal else True)


AttentionInterface.register(GIVEN_MASK, sdpa_attention_forward)
AttentionMaskInterface.register(GIVEN_MASK, mask_as_given)
AttentionInterface.register(PADDING_FREE, padding_free_attention)
AttentionMaskInterface.register(PADDING_FREE, mask_as_given)
