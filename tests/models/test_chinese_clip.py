"""Chinese-CLIP from random weights."""

import pytest
import torch

from hfcls.models.chinese_clip import chinese_clip_from_scratch
from hfcls.text.tokenization import train_wordpiece_tokenizer

MIRRORED = ["左边是零，右边是二", "左边是二，右边是零"]


@pytest.mark.parametrize("size", ["tiny", "mini"])
@torch.no_grad()
def test_random_weights_tell_an_order_from_its_mirror_image(size):
    """Features that hardly differ get hardly a gradient: with transformers' own spread this is below 1e-5."""
    tokenizer = train_wordpiece_tokenizer(MIRRORED * 2, max_length=52)
    torch.manual_seed(0)
    model = chinese_clip_from_scratch(size, tokenizer, 56, 52).eval()
    inputs = tokenizer(MIRRORED, return_tensors="pt")
    texts = model.get_text_features(inputs["input_ids"], inputs["attention_mask"]).pooler_output
    picture = torch.randn(1, 3, 56, 56)
    swapped = picture.roll(28, dims=3)  # the left half and the right one
    images = model.get_image_features(torch.cat([picture, swapped])).pooler_output
    for left, right in (texts, images):
        assert 1 - torch.cosine_similarity(left, right, dim=0) > 1e-4
