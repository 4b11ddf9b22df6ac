"""The attention function that models of hfcls call by name (transformers' `AttentionInterface`).

`sdpa` of transformers asks the device, in every forward pass, whether the mask masks anything: until the answer is
there, nothing further can be started, and a GPU waits for Python with every batch. `GIVEN_MASK` computes the same, and
takes a mask to mask something: collators leave it out where no row is padded.

In halves, a GPU computes masked rows by its kernel for rows that lie end to end (FlashAttention's), the padding of a
row being a row of its own: no mask of (tokens, tokens) is made or read, and shapes stay those of the batch.
"""

import torch
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface, AttentionMaskInterface, PreTrainedConfig, PreTrainedModel
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import bidirectional_mask_function, sdpa_mask

GIVEN_MASK = "sdpa_given_mask"
DROPOUTS = ("attention_probs_dropout_prob", "attention_dropout")  # what configs call the share of its weights dropped
UNKNOWN = ("softcap", "s_aux", "position_bias")  # what some models add to the scores, and the kernel does not


def dropout_field(config: PreTrainedConfig) -> str | None:
    """What `config` calls the share of attention weights that training drops; None where it has no such field."""
    return next((name for name in DROPOUTS if hasattr(config, name)), None)


def use_given_masks(model: PreTrainedModel) -> bool:
    """Makes `model` take masks as they are given, and tells whether it does: if its attention is transformers' `sdpa`.

    The name is not saved with the model.
    """
    # Private in transformers, read in 5.23: without it, asking would warn of models that have attention of their own.
    if model.config._attn_implementation == "sdpa" and model._can_set_attn_implementation():
        model.set_attn_implementation(GIVEN_MASK)
    return model.config._attn_implementation == GIVEN_MASK


def has_kernel(device: torch.device, dtype: torch.dtype) -> bool:
    """Whether attention of tensors of `dtype`, or what autocast makes of it, has a kernel for rows that lie end to end.

    A GPU has one for halves only; for the CPU there is one here.
    """
    if device.type != "cuda":
        return True
    computed = torch.get_autocast_dtype("cuda") if torch.is_autocast_enabled("cuda") else dtype
    return computed in (torch.float16, torch.bfloat16)


def mask_as_given(
    *,
    attention_mask: torch.Tensor | None = None,
    dtype: torch.dtype = torch.float32,
    mask_function=None,
    allow_is_causal_skip: bool = True,
    allow_is_bidirectional_skip: bool = False,
    **options,
) -> torch.Tensor | None:
    """`sdpa_mask` that leaves the mask out only where none was given, whatever is in it.

    On a GPU with a kernel for them, `row_boundaries` of a mask that hides padding and nothing else.
    """
    absent = attention_mask is None
    only_padding = mask_function is bidirectional_mask_function
    if not absent and only_padding and _is_faster_apart(attention_mask.device, dtype):
        return row_boundaries(attention_mask)
    return sdpa_mask(
        attention_mask=attention_mask,
        mask_function=mask_function,
        allow_is_causal_skip=allow_is_causal_skip and absent,
        allow_is_bidirectional_skip=allow_is_bidirectional_skip and absent,
        **options,
    )


def _is_faster_apart(device: torch.device, dtype: torch.dtype) -> bool:
    """Whether padding is better computed as rows of its own than masked."""
    return device.type == "cuda" and has_kernel(device, dtype)


def row_boundaries(mask: torch.Tensor) -> torch.Tensor:
    """Where in the flattened batch each row and each padding begins, and the last ends, as (3 rows + 1,) int32.

    Args:
        mask: (rows, width), not zero at the tokens of a row, which follow each other; padding is in front or behind.
    """
    mask = mask.bool()
    rows, width = mask.shape
    begin = torch.arange(0, rows * width + 1, width, dtype=torch.int32, device=mask.device)
    first = mask.int().argmax(dim=1).int() + begin[:-1]
    last = first + mask.sum(dim=1, dtype=torch.int32)
    return torch.cat([torch.stack([begin[:-1], first, last], dim=1).flatten(), begin[-1:]])


def given_mask_attention(
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
    """Attention of padded rows, or of rows that lie end to end with their boundaries.

    Args:
        query, key, value: (rows, heads, tokens, width); keys and values may have fewer heads.
        attention_mask: of padded rows; or their `row_boundaries`.
        cu_seq_lens_q: of one long row: where each row in it begins, and where the last one ends, (rows + 1,) int32.
        max_length_q: tokens of the longest row, or more.
        sliding_window: a token sees those that are nearer than this.

    Returns:
        (rows, tokens, heads, width), and None in the place of the weights.

    Raises:
        ValueError: the model adds something to the scores that is not known here.
    """
    boundaries, longest, causal = cu_seq_lens_q, max_length_q, is_causal
    if boundaries is None and attention_mask is not None and attention_mask.ndim == 1:
        boundaries, longest, causal, sliding_window = attention_mask, query.shape[2], False, None
    if boundaries is None:
        options |= {"dropout": dropout, "scaling": scaling, "is_causal": is_causal}
        return sdpa_attention_forward(module, query, key, value, attention_mask, **options)
    added = [name for name in UNKNOWN if options.get(name) is not None]
    if added:
        raise ValueError(f"attention with {', '.join(added)}")
    causal = getattr(module, "is_causal", True) if causal is None else causal
    compute = _rows_at_once if query.device.type in ("cuda", "meta") else _row_by_row
    tokens_first = (tensor.transpose(1, 2).flatten(0, 1) for tensor in (query, key, value))  # (tokens, heads, width)
    output = compute(*tokens_first, boundaries, longest, dropout, scaling, causal, sliding_window)
    return output.unflatten(0, (query.shape[0], query.shape[2])), None


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


AttentionInterface.register(GIVEN_MASK, given_mask_attention)
AttentionMaskInterface.register(GIVEN_MASK, mask_as_given)
