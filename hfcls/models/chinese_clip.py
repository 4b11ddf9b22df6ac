"""Chinese-CLIP from random weights (Yang et al. 2022, "Chinese CLIP"), sized after the pictures it is to see."""

from torch import nn
from transformers import ChineseCLIPConfig, ChineseCLIPModel, PreTrainedTokenizerBase

# name: (layers of the picture tower, layers of the text tower, width of both); heads are 32 wide.
SIZES = {"tiny": (2, 1, 64), "mini": (4, 2, 128)}

# The usual spread of random weights, 0.02, is made for a width of 768. In small towers it hides the order of things:
# after 40 epochs, "左边是零，右边是二" and its mirror image still had the same features (cosine 0.998). So attention is
# drawn by the width, and positions of patches as large as the patches that they are added to.
POSITION_STD = 0.5

GRID, MAX_PATCH, MAX_SIDE = 4, 16, 224  # patches along a side of small pictures; of large ones, the published geometry


def chinese_clip_from_scratch(
    size: str, tokenizer: PreTrainedTokenizerBase, longest_side: int, max_length: int
) -> ChineseCLIPModel:
    """Two towers with random weights and a common space as wide as they are.

    Pictures are squares of `model.config.vision_config.image_size`, the least multiple of the patch that holds
    `longest_side` pixels, at most 224.
    """
    vision_layers, text_layers, width = SIZES[size]
    patch = min(MAX_PATCH, -(-longest_side // GRID))
    shared = {"hidden_size": width, "num_attention_heads": width // 32, "intermediate_size": 4 * width}
    config = ChineseCLIPConfig(
        vision_config={
            **shared,
            "num_hidden_layers": vision_layers,
            "image_size": min(MAX_SIDE, patch * -(-longest_side // patch)),
            "patch_size": patch,
            "projection_dim": width,
        },
        text_config={
            **shared,
            "num_hidden_layers": text_layers,
            "vocab_size": len(tokenizer),
            "max_position_embeddings": max(512, max_length),
            "pad_token_id": tokenizer.pad_token_id,
            "initializer_range": width**-0.5,
            "hidden_dropout_prob": 0.0,  # captions are few and short: dropout only slows their towers down
            "attention_probs_dropout_prob": 0.0,
        },
        projection_dim=width,
    )
    model = ChineseCLIPModel(config)
    nn.init.normal_(model.vision_model.embeddings.position_embedding.weight, std=POSITION_STD)
    return model
