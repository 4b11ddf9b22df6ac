"""The files of a retrieval run: predictions.jsonl, what its report shows, and what run.json says of data."""

import json
import logging
from pathlib import Path

import numpy as np
import torch

from hfcls.retrieval.corpus import RetrievalSplit
from hfcls.runs import examples
from hfcls.runs.examples import Picture, Query
from hfcls.runs.record import Answered, Split
from hfcls.runs.thumbnails import thumbnail
from hfcls.training.describe import length_summary

logger = logging.getLogger(__name__)

SHOWN, BEST = 12, 5  # queries drawn at random, and as many that failed; pictures of each


def write_predictions(output_dir: Path, split: RetrievalSplit, found: torch.Tensor) -> None:
    """Writes predictions.jsonl, the official submission: a line a text with its `text_id` and ten `image_ids`.

    `found` (texts, 10) are rows of pictures, best first.
    """
    if found.shape[1] < 10:
        logger.warning("predictions.jsonl has %d images a text: there are no more", found.shape[1])
    ids = np.asarray(split.images["id"])[found.numpy()].tolist()
    with (output_dir / "predictions.jsonl").open("w", encoding="utf-8") as file:
        for text_id, image_ids in zip(split.texts["id"], ids, strict=True):
            file.write(json.dumps({"text_id": text_id, "image_ids": image_ids}) + "\n")


def write_examples(output_dir: Path, split: RetrievalSplit, found: torch.Tensor) -> None:
    """Writes `examples.json`: queries drawn at random, then some whose first picture is wrong, each with its best five.

    `found` (texts, 10) are rows of pictures, best first.
    """
    order = np.random.default_rng(0).permutation(len(split.texts)).tolist()
    answers = split.texts["image_ids"]
    image_ids = split.images["id"][:]
    failed = [row for row in order[SHOWN:] if answers[row] and image_ids[found[row, 0]] not in answers[row]]
    queries = []
    for kind, rows in (("random", order[:SHOWN]), ("failed", failed[:SHOWN])):
        for row in rows:
            pictures = []
            best = found[row, :BEST].tolist()
            for place, picture in zip(best, split.decode(best), strict=True):
                right = image_ids[place] in answers[row] if answers[row] else None
                pictures.append(Picture(id=image_ids[place], right=right, png=thumbnail(picture)))
            text = split.texts[row]
            queries.append(Query(kind=kind, text_id=text["id"], text=text["text"], pictures=pictures))
    examples.write_examples(output_dir, queries)


def describe_split(split: RetrievalSplit, lengths: np.ndarray) -> Split:
    """What the record of a run says of `split`; `lengths` (texts,) are the tokens of its texts."""
    images, texts = (len(np.unique(rows)) for rows in split.pairs.T)
    return Split(
        rows=len(split.texts),
        labels={},
        length=length_summary(lengths),
        images=len(split.images),
        pairs=len(split.pairs),
        answered=Answered(texts=texts, images=images),
    )
