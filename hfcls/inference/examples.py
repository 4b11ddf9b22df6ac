"""A few rows classified as a user would, by a model that was saved in a folder."""

import datasets
import transformers

from hfcls.inference.classifier import Classifier
from hfcls.inference.loading import load_image_classifier
from hfcls.training.setup import joined_texts


def classify_texts(rows: datasets.Dataset, saved: str) -> tuple[list[str], list[dict]]:
    """The texts of `rows`, and the answer to each of them."""
    classifier = Classifier(saved)
    pairs = list(rows["text_pair"]) if "text_pair" in rows.column_names else None
    probabilities = classifier.probabilities(list(rows["text"]), pairs=pairs)
    answers = [{"label": classifier.labels[scores.argmax()], "score": float(scores.max())} for scores in probabilities]
    return joined_texts(rows), answers


def classify_images(rows: datasets.Dataset, saved: str) -> tuple[list[str], list[dict]]:
    """The ids of `rows`, and the answer to each picture."""
    processor, model = load_image_classifier(saved)
    classify = transformers.pipeline("image-classification", model=model, image_processor=processor, device="cpu")
    return rows["id"][:], [answer for (answer,) in classify(rows["image"][:], top_k=1)]
