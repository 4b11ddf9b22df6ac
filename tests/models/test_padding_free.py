"""Rows without padding give the logits and gradients of padded rows; masks that are given are not asked about."""

import copy

import numpy as np
import pytest
import torch
import transformers

from hfcls.models import attention
from hfcls.models.attention import GIVEN_MASK, given_mask_attention, row_boundaries, use_given_masks
from hfcls.models.padding_free import boundaries, difference, padding_free
from hfcls.text.collator import PaddingCollator

LENGTHS = (19, 3, 25, 1, 12)
SIZE = {"vocab_size": 200, "hidden_size": 64, "num_hidden_layers": 3, "num_attention_heads": 4}
SIZE |= {"intermediate_size": 128, "pad_token_id": 1, "num_labels": 3}
SPECIAL = {"bos_token_id": 2, "cls_token_id": 2, "eos_token_id": 3, "sep_token_id": 3}
MODERN = SIZE | SPECIAL | {"local_attention": 8}  # some layers see four tokens to each side
DECODER = SIZE | {"num_key_value_heads": 2, "use_cache": False}
ARCHITECTURES = {
    "Bert": SIZE | {"pad_token_id": 0},
    "Roberta": SIZE,
    "XLMRoberta": SIZE,
    "Electra": SIZE | {"embedding_size": 32},
    "DistilBert": {"vocab_size": 200, "dim": 64, "n_layers": 2, "n_heads": 4, "hidden_dim": 128, "num_labels": 3},
    "ModernBert": MODERN,
    "ModernBert, mean": MODERN | {"classifier_pooling": "mean"},
    "Qwen2": DECODER,
    "Mistral": DECODER | {"sliding_window": 6},
}


def build(name: str):
    """A model with weights so large that every token tells, without dropout."""
    torch.manual_seed(0)
    architecture = name.split(",")[0]
    config = getattr(transformers, f"{architecture}Config")(**ARCHITECTURES[name])
    model = getattr(transformers, f"{architecture}ForSequenceClassification")(config).eval()
    for weight in model.parameters():
        if weight.ndim > 1:
            torch.nn.init.normal_(weight, std=0.2)
    return model


def batch_of(model, padding_side: str = "right", **options) -> dict:
    random = np.random.default_rng(0)
    rows = [{"input_ids": random.integers(5, 200, length), "labels": int(random.integers(3))} for length in LENGTHS]
    if isinstance(model, transformers.BertForSequenceClassification):
        for row in rows:
            row["token_type_ids"] = (np.arange(len(row["input_ids"])) > 2).astype(np.int64)
    return PaddingCollator(model.config.pad_token_id, padding_side, **options)(rows)


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_logits_and_gradients_are_those_of_padded_rows(name):
    usual = build(name)
    model = copy.deepcopy(usual)
    padding_free(model)
    tokens = []
    model.base_model.get_input_embeddings().register_forward_hook(lambda *call: tokens.append(call[1][0].numel()))
    found, expected = model(**batch_of(model, padding_free=True)), usual(**batch_of(usual))
    assert tokens == [sum(LENGTHS)]
    torch.testing.assert_close(found.logits, expected.logits, atol=1e-5, rtol=0)
    found.loss.backward()
    expected.loss.backward()
    for (path, weight), other in zip(model.named_parameters(), usual.parameters(), strict=True):
        assert (weight.grad is None) == (other.grad is None), path
        if weight.grad is not None:
            torch.testing.assert_close(weight.grad, other.grad, atol=1e-5, rtol=1e-5, msg=path)
    assert expected.logits.std() > 0.3


def test_robertas_positions_begin_behind_the_padding_token():
    """Counted from zero, or on through the batch, they would be others; the tokens of padding have one of their own."""
    model = build("Roberta")
    padding_free(model)
    seen = []
    model.roberta.embeddings.position_embeddings.register_forward_hook(lambda *call: seen.append(call[1][0]))
    model(**batch_of(model, padding_free=True))
    assert seen[0].tolist() == [[2 + place for length in LENGTHS for place in range(length)]]


def test_batches_without_boundaries_are_computed_as_ever():
    usual = build("ModernBert")
    model = copy.deepcopy(usual)
    padding_free(model)
    assert torch.equal(model(**batch_of(model)).logits, usual(**batch_of(usual)).logits)


def test_padding_on_the_left():
    model = build("Qwen2")
    usual = copy.deepcopy(model)
    padding_free(model)
    found = model(**batch_of(model, "left", padding_free=True)).logits
    torch.testing.assert_close(found, usual(**batch_of(usual, "right")).logits, atol=1e-5, rtol=0)


def test_models_with_attention_of_their_own_are_refused():
    model = transformers.DebertaV2ForSequenceClassification(transformers.DebertaV2Config(**SIZE))
    with pytest.raises(ValueError, match="attention of its own"):
        padding_free(model)
    assert not use_given_masks(model)


def test_a_head_that_pools_otherwise_is_found_by_trying():
    config = transformers.AlbertConfig(**SIZE, embedding_size=32)
    model = transformers.AlbertForSequenceClassification(config)
    padding_free(model)
    batch = batch_of(model, padding_free=True)
    del batch["labels"]
    with pytest.raises(RuntimeError):
        difference(model, batch)


def test_dropout_drops():
    model = build("Bert")
    padding_free(model)
    model.train()
    batch = batch_of(model, padding_free=True)
    assert not torch.equal(model(**batch).logits, model(**batch).logits)


@pytest.mark.parametrize(("causal", "window"), [(False, None), (True, None), (False, 9), (True, 9)])
def test_the_kernel_of_a_gpu_gets_what_the_rows_get(causal, window):
    """Without a GPU: shapes and gradients of the operator, and that torch still has it with these arguments."""
    query = torch.empty(1, 4, 60, 16, device="meta", dtype=torch.bfloat16, requires_grad=True)
    key = torch.empty(1, 2, 60, 16, device="meta", dtype=torch.bfloat16, requires_grad=True)
    starts = torch.empty(6, dtype=torch.int32, device="meta")
    options = {"cu_seq_lens_q": starts, "max_length_q": 25, "is_causal": causal, "sliding_window": window}
    output, _ = given_mask_attention(torch.nn.Module(), query, key, key, None, dropout=0.1, scaling=0.25, **options)
    assert output.shape == (1, 60, 4, 16)
    output.sum().backward()
    assert query.grad.shape == query.shape and key.grad.shape == key.shape


@pytest.mark.parametrize("name", [name for name in ARCHITECTURES if name != "ModernBert, mean"])
@pytest.mark.parametrize("lengths", [LENGTHS, (7, 7, 7)])
def test_given_masks_change_no_bit(name, lengths, monkeypatch):
    monkeypatch.setitem(globals(), "LENGTHS", lengths)
    usual = build(name)
    model = copy.deepcopy(usual)
    assert use_given_masks(model) and model.config._attn_implementation == GIVEN_MASK
    batch = batch_of(model, omit_full_mask=True)
    assert ("attention_mask" in batch) == (lengths == LENGTHS and len(set(lengths)) > 1)
    found, expected = model(**batch), usual(**batch_of(usual))
    assert torch.equal(found.logits, expected.logits)
    assert model.config.to_json_string() == usual.config.to_json_string()


@pytest.mark.parametrize(
    ("name", "padding_side"),
    [
        ("Bert", "right"),
        ("Roberta", "right"),
        ("DistilBert", "right"),
        ("ModernBert", "right"),
        ("ModernBert, mean", "left"),
    ],
)
def test_padding_as_rows_of_its_own(name, padding_side, monkeypatch):
    """What a GPU computes in halves, here in float32: tokens see those of their own row, whatever padding becomes."""
    usual = build(name)
    model = copy.deepcopy(usual)
    asked = []
    monkeypatch.setattr(attention, "_is_faster_apart", lambda *given: not asked.append(given))
    assert use_given_masks(model)
    batch = batch_of(model, padding_side)
    found, expected = model(**batch), usual(**batch)
    assert len(asked) == 1  # of layers that see only what is near, the mask is as ever
    torch.testing.assert_close(found.logits, expected.logits, atol=1e-5, rtol=0)
    found.loss.backward()
    expected.loss.backward()
    for weight, other in zip(model.parameters(), usual.parameters(), strict=True):
        torch.testing.assert_close(weight.grad, other.grad, atol=1e-5, rtol=1e-5)


def test_row_boundaries():
    mask = torch.tensor([[0, 1, 1, 0], [1, 1, 1, 1], [0, 0, 0, 1]])
    assert row_boundaries(mask).tolist() == [0, 1, 3, 4, 4, 8, 8, 11, 12, 12]


def test_the_names_are_not_saved(tmp_path):
    model = build("Bert")
    padding_free(model)
    assert model.config._attn_implementation == GIVEN_MASK
    model.save_pretrained(tmp_path)
    assert GIVEN_MASK not in (tmp_path / "config.json").read_text()
    reloaded = transformers.BertForSequenceClassification.from_pretrained(tmp_path)
    assert reloaded.config._attn_implementation == "sdpa"


def test_boundaries():
    mask = np.array([[1, 1, 1, 0], [1, 0, 0, 0]], dtype=bool)
    found = boundaries(mask)
    assert found["token_places"].tolist() == [0, 1, 2, 4]
    assert found["cu_seq_lens_q"].tolist() == [0, 3, 4] and found["max_length_q"] == 4
