"""How near pictures are to a text: python predict.py "a text" picture.png …

Needs onnxruntime, tokenizers, numpy and Pillow.
"""

import json
import sys
from pathlib import Path

import numpy as np
import onnxruntime
from tokenizers import Tokenizer

FOLDER = Path(__file__).parent
sys.path.insert(0, str(FOLDER))
from pictures import pixel_values  # noqa: E402

MODEL = json.loads((FOLDER / "labels.json").read_text(encoding="utf-8"))
TEXTS, PICTURES = (
    onnxruntime.InferenceSession(str(FOLDER / MODEL[graph]), providers=["CPUExecutionProvider"])
    for graph in ("text_graph", "picture_graph")
)
TOKENIZER = Tokenizer.from_file(str(FOLDER / "tokenizer.json"))
TOKENIZER.encode_special_tokens = MODEL["encode_special_tokens"]
TOKENIZER.enable_truncation(MODEL["max_length"])
TOKENIZER.enable_padding(pad_id=MODEL["pad_token_id"])


def embed_texts(texts):
    """Embeddings of unit length, (texts, size)."""
    rows = TOKENIZER.encode_batch(list(texts))
    inputs = {
        "input_ids": np.array([row.ids for row in rows]),
        "attention_mask": np.array([row.attention_mask for row in rows]),
        "token_type_ids": np.array([row.type_ids for row in rows]),
    }
    return TEXTS.run(["text_embeds"], {name: inputs[name] for name in MODEL["inputs"]})[0]


def embed_pictures(pictures):
    """Embeddings of unit length of files or Pillow images, (pictures, size)."""
    batch = np.stack([pixel_values(picture, MODEL["pictures"]) for picture in pictures])
    return PICTURES.run(["image_embeds"], {"pixel_values": batch})[0]


if __name__ == "__main__":
    cosines = embed_pictures(sys.argv[2:]) @ embed_texts(sys.argv[1:2])[0]
    for place in np.argsort(-cosines):
        print(f"{cosines[place]:.4f}  {sys.argv[2:][place]}")
