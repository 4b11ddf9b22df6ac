"""Classifies pictures: python predict.py picture.png …

Needs onnxruntime, numpy and Pillow.
"""

import json
import sys
from pathlib import Path

import numpy as np
import onnxruntime

FOLDER = Path(__file__).parent
sys.path.insert(0, str(FOLDER))
from pictures import pixel_values  # noqa: E402

MODEL = json.loads((FOLDER / "labels.json").read_text(encoding="utf-8"))
SESSION = onnxruntime.InferenceSession(str(FOLDER / MODEL["graph"]), providers=["CPUExecutionProvider"])


def answer(pictures):
    """Logits, probabilities and chosen labels of files or Pillow images, (pictures, labels) each."""
    batch = np.stack([pixel_values(picture, MODEL["pictures"]) for picture in pictures])
    return SESSION.run(["logits", "probabilities", "chosen"], {"pixel_values": batch})


if __name__ == "__main__":
    for path in sys.argv[1:]:
        _, shares, chosen = (output[0] for output in answer([path]))
        found = {MODEL["labels"][place]: round(float(shares[place]), 4) for place in np.flatnonzero(chosen)}
        print(json.dumps({"picture": path, "labels": found}, ensure_ascii=False))
