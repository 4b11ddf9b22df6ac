"""Classifies texts, word by word: python predict.py "a text" "another", or a text a line; a tab parts a pair."""

import importlib
import json
import sys
from pathlib import Path

import numpy as np
import onnxruntime

FOLDER = Path(__file__).parent
MODEL = json.loads((FOLDER / "labels.json").read_text(encoding="utf-8"))
SESSION = onnxruntime.InferenceSession(str(FOLDER / MODEL["graph"]), providers=["CPUExecutionProvider"])
CUT = importlib.import_module(MODEL["segmenter"]).cut  # jieba's or rjieba's
VOCABULARY = json.loads((FOLDER / "vocab.json").read_text(encoding="utf-8"))


def tokens(text, pair):
    """Ids of the words; a long row is cut as in training."""
    words = [word for word in CUT(f"{text}\n{pair}" if pair else text) if not word.isspace()]
    ids = [VOCABULARY.get(word.lower() if MODEL["lowercase"] else word, MODEL["unknown"]) for word in words]
    limit = MODEL["max_length"]
    if limit is None or len(ids) <= limit:
        return ids
    head = limit if MODEL["keep"] is None else limit * MODEL["head_of_510"] // 510
    return ids[:head] + ids[len(ids) - (limit - head) :]


def answer(texts, pairs=None):
    """Logits, probabilities and chosen labels of texts, (texts, labels) each."""
    rows = [tokens(text, pair) for text, pair in zip(texts, pairs or [""] * len(texts), strict=True)]
    shape = len(rows), max(1, *map(len, rows))
    inputs = {"input_ids": np.full(shape, MODEL["pad_token_id"]), "attention_mask": np.zeros(shape, np.int64)}
    for row, ids in enumerate(rows):
        inputs["input_ids"][row, : len(ids)] = ids
        inputs["attention_mask"][row, : len(ids)] = 1
    return SESSION.run(["logits", "probabilities", "chosen"], {name: inputs[name] for name in MODEL["inputs"]})


if __name__ == "__main__":
    for line in sys.argv[1:] or (line.rstrip("\r\n") for line in sys.stdin):
        text, _, pair = line.partition("\t") if MODEL["pairs"] else (line, "", "")
        _, shares, chosen = (output[0] for output in answer([text], [pair]))
        labels = {MODEL["labels"][place]: round(float(shares[place]), 4) for place in np.flatnonzero(chosen)}
        print(json.dumps({"text": line, "labels": labels}, ensure_ascii=False))
