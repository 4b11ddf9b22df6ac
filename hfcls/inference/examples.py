"""A few rows classified as a user would: by the pipeline of a model that was saved in a folder."""

import datasets
import transformers

from hfcls.inference.loading import load
from hfcls.training.setup import joined_texts


def classify_texts(rows: datasets.Dataset, saved: str) -> tuple[list[str], list[dict]]:
    """The texts of `rows`, and the answer to each of them."""
    tokenizer, model = load(saved)
    classify = transformers.pipeline("text-classification", model=model, tokenizer=tokenizer, device="cpu")
    texts = inputs = joined_texts(rows)
    if "text_pair" in rows.column_names and tokenizer.sep_token is not None:
        inputs = [{"text": row["text"], "text_pair": row["text_pair"] or None} for row in rows]
    return texts, classify(inputs, truncation=True)


def classify_images(rows: datasets.Dataset, saved: str) -> tuple[list[str], list[dict]]:
    """The ids of `rows`, and the answer to each picture."""
    processor, model = load(saved, task="image-classification")
    classify = transformers.pipeline("image-classification", model=model, image_processor=processor, device="cpu")
    return rows["id"][:], [answer for (answer,) in classify(rows["image"][:], top_k=1)]
