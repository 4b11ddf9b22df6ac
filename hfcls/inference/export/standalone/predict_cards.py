"""What is this dataset for? python predict.py README.md owner/name [downloads [size [rows]]]

Needs onnxruntime and numpy, and tokenizers where there is a tokenizer.json.
"""

import json
import sys
from pathlib import Path

import numpy as np
import onnxruntime

FOLDER = Path(__file__).parent
sys.path.insert(0, str(FOLDER))
from card_ngrams import count_ngrams, name_words  # noqa: E402
from card_text import clean_card  # noqa: E402

MODEL = json.loads((FOLDER / "labels.json").read_text(encoding="utf-8"))
SESSION = onnxruntime.InferenceSession(str(FOLDER / MODEL["graph"]), providers=["CPUExecutionProvider"])
if "input_ids" in MODEL["inputs"]:
    from tokenizers import Tokenizer

    TOKENIZER = Tokenizer.from_file(str(FOLDER / "tokenizer.json"))
    TOKENIZER.encode_special_tokens = MODEL["encode_special_tokens"]
    TOKENIZER.enable_truncation(MODEL["max_length"])
    TOKENIZER.enable_padding(pad_id=MODEL["pad_token_id"])


def answer(cards):
    """Logits, probabilities and chosen labels of cards, (cards, labels) each.

    A card is its README.md, its name, and downloads, size and number of rows, None for what is not known.
    """
    texts = [clean_card(card) for card, *_ in cards]
    counts = [count_ngrams(text, name) for text, (_, name, *_) in zip(texts, cards, strict=True)]
    width = max(1, *map(len, counts))
    inputs = {
        "ngrams": np.full((len(cards), width), MODEL["absent"], np.int64),
        "counts": np.zeros((len(cards), width), np.float32),
        "numbers": np.array([[np.nan if n is None or n < 0 else n for n in card[2:]] for card in cards], np.float32),
    }
    for row, found in enumerate(counts):
        inputs["ngrams"][row, : len(found)] = list(found)
        inputs["counts"][row, : len(found)] = list(found.values())
    if "input_ids" in MODEL["inputs"]:
        words = [" ".join(name_words(name)) for _, name, *_ in cards]
        rows = TOKENIZER.encode_batch([f"{name}\n{text}" for name, text in zip(words, texts, strict=True)])
        inputs["input_ids"] = np.array([row.ids for row in rows])
        inputs["attention_mask"] = np.array([row.attention_mask for row in rows])
    return SESSION.run(["logits", "probabilities", "chosen"], inputs)


if __name__ == "__main__":
    numbers = [float(number) for number in sys.argv[3:6]] + [None] * (3 - len(sys.argv[3:6]))
    shares = answer([(Path(sys.argv[1]).read_text(encoding="utf-8"), sys.argv[2], *numbers)])[1][0]
    for place in np.argsort(-shares)[:3]:
        print(f"{shares[place]:.4f}  {MODEL['labels'][place]}")
