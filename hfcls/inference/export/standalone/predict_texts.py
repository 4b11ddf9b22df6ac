"""Classifies texts: python predict.py "a text" "another", or a text a line of standard input; a tab parts a pair."""

import json
import sys
from pathlib import Path

import numpy as np
import onnxruntime
from tokenizers import Tokenizer

FOLDER = Path(__file__).parent
MODEL = json.loads((FOLDER / "labels.json").read_text(encoding="utf-8"))
SESSION = onnxruntime.InferenceSession(str(FOLDER / MODEL["graph"]), providers=["CPUExecutionProvider"])
TOKENIZER = Tokenizer.from_file(str(FOLDER / "tokenizer.json"))
TOKENIZER.encode_special_tokens = MODEL["encode_special_tokens"]
TOKENIZER.no_padding()
TOKENIZER.no_truncation()
if MODEL["keep"] is None and MODEL["max_length"]:
    TOKENIZER.enable_truncation(MODEL["max_length"], direction=MODEL["truncation_side"])


def tokens(text, pair):
    """Ids, and which of them are of the second text; a long row is cut as in training."""
    joined = bool(pair) and not MODEL["separator"]
    encoding = TOKENIZER.encode(f"{text}\n{pair}" if joined else text, None if joined else pair or None)
    ids, sources = encoding.ids, encoding.sequence_ids
    second = sources.index(1) if 1 in sources else len(ids)
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
    shape = len(rows), max(1, *(len(ids) for ids, _ in rows))
    inputs = {name: np.zeros(shape, np.int64) for name in ("input_ids", "attention_mask", "token_type_ids")}
    inputs["input_ids"] += MODEL["pad_token_id"]
    for row, (ids, types) in enumerate(rows):
        for name, values in zip(inputs, (ids, 1, types), strict=True):
            inputs[name][row, : len(ids)] = values
    return SESSION.run(["logits", "probabilities", "chosen"], {name: inputs[name] for name in MODEL["inputs"]})


if __name__ == "__main__":
    for line in sys.argv[1:] or (line.rstrip("\r\n") for line in sys.stdin):
        text, _, pair = line.partition("\t") if MODEL["pairs"] else (line, "", "")
        _, shares, chosen = (output[0] for output in answer([text], [pair]))
        labels = {MODEL["labels"][place]: round(float(shares[place]), 4) for place in np.flatnonzero(chosen)}
        print(json.dumps({"text": line, "labels": labels}, ensure_ascii=False))
