"""The surest mistakes of a finished run of pictures, with the parts marked that spoke for the wrong label."""

import base64
import io
from itertools import islice

from PIL import Image
from tqdm import tqdm
from transformers import BaseImageProcessor, PreTrainedModel

from hfcls.inference.explain.picture_page import drawn, encoded
from hfcls.inference.explain.pictures import explain_picture
from hfcls.inference.explain.run import MISTAKES
from hfcls.report.run import Run


def mark_mistakes(processor: BaseImageProcessor, model: PreTrainedModel, run: Run) -> dict[int, str]:
    """By row, counted from 1: the picture that the report shows, marked, as a PNG file in base64.

    A run keeps small pictures of its mistakes, and no others: of a picture with more pixels, what is explained is how
    the model answers the small one.

    Raises:
        InputError: captum is not installed.
    """
    marked = {}
    pictures = list(islice(run.thumbnails.items(), MISTAKES))
    for row, content in tqdm(pictures, desc="explaining", unit="row", disable=None, leave=False):
        label = run.classes[run.predictions.predicted[row - 1]]
        with Image.open(io.BytesIO(base64.b64decode(content))) as picture:
            marked[row] = encoded(drawn(explain_picture(processor, model, picture, f"row {row}", label))[1])
    return marked
