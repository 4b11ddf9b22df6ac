"""Classifies texts: python predict.py "a text" "another"; a line of standard input each where none is named.

Needs onnxruntime, tokenizers and numpy; a model of jieba's words needs jieba in place of tokenizers. A text of a model
of pairs is two with a tab between them.
"""

import importlib
import json
import sys
from pathlib import Path

import numpy as np
import onnxruntime

FOLDER = Path(__file__).parent
MODEL = json.loads((FOLDER / "labels.json").read_text(encoding="utf-8"))
SESSION = onnxruntime.InferenceSession(str(FOLDER / MODEL["graph"]), providers=["CPUExecutionProvider"])
if MODEL["segmenter"]:  # jieba or rjieba
    CUT = importlib.import_module(MODEL["segmenter"]).cut
    VOCABULARY = json.loads((FOLDER / "vocab.json").read_text(encoding="utf-8"))
else:
    TOKENIZER = importlib.import_module("tokenizers").Tokenizer.from_file(str(FOLDER / "tokenizer.json"))
    TOKENIZER.no_padding()
    TOKENIZER.no_truncation()
    TOKENIZER.encode_special_tokens = MODEL["encode_special_tokens"]
    if MODEL["keep"] is None and MODEL["max_length"]:
        TOKENIZER.enable_truncation(MODEL["max_length"], direction=MODEL["truncation_side"])


def encode(text, pair):
    """Ids of a whole text, and where the second one begins."""
    if MODEL["segmenter"]:
        words = (word.lower() if MODEL["lowercase"] else word for word in CUT(text) if not word.isspace())
        ids = [VOCABULARY.get(word, MODEL["unknown"]) for word in words]
        return (ids if MODEL["keep"] else ids[: MODEL["max_length"]]), len(ids)
    encoding = TOKENIZER.encode(text, pair or None)
    return encoding.ids, encoding.sequence_ids.index(1) if 1 in encoding.sequence_ids else len(encoding.ids)


def tokens(text, pair):
    """Ids, and which of them are of the second text; a long row is cut as in training."""
    if pair and not MODEL["separator"]:
        text, pair = f"{text}\n{pair}", ""
    ids, second = encode(text, pair)
    if MODEL["keep"] is not None and len(ids) > MODEL["max_length"]:
        first, last = MODEL["special_tokens"]
        start = second if second < len(ids) else first
        head = start + (MODEL["max_length"] - start - last) * MODEL["head_of_510"] // 510
        head = min(head, MODEL["max_length"] - last)
        ids = ids[:head] + ids[len(ids) - (MODEL["max_length"] - head) :]
    return ids, [int(place >= second) for place in range(len(ids))]


def answer(texts, pairs=None):
    """Logits, probabilities and chosen labels of texts, (texts, labels) each."""
    rows = [tokens(text, pair) for text, pair in zip(texts, pairs or [""] * len(texts), strict=True)]
    inputs = {
        "input_ids": np.full((len(rows), max(1, *(len(ids) for ids, _ in rows))), MODEL["pad_token_id"], np.int64)
    }
    inputs |= {name: np.zeros_like(inputs["input_ids"]) for name in ("attention_mask", "token_type_ids")}
    for row, (ids, types) in enumerate(rows):
        for name, values in zip(inputs, (ids, [1] * len(ids), types), strict=True):
            inputs[name][row, : len(ids)] = values
    return SESSION.run(["logits", "probabilities", "chosen"], {name: inputs[name] for name in MODEL["inputs"]})


if __name__ == "__main__":
    for line in sys.argv[1:] or (line.rstrip("\r\n") for line in sys.stdin):
        text, _, pair = line.partition("\t") if MODEL["pairs"] else (line, "", "")
        _, shares, chosen = (output[0] for output in answer([text], [pair]))
        found = {MODEL["labels"][place]: round(float(shares[place]), 4) for place in np.flatnonzero(chosen)}
        print(json.dumps({"text": text, **({"pair": pair} if pair else {}), "labels": found}, ensure_ascii=False))
