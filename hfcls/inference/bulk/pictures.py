"""What is added to rows of pictures: label and probability, or of a Chinese-CLIP the embedding."""

import io
import struct
import zlib

import numpy as np
import pyarrow
import torch
from PIL import Image
from torch.nn.functional import normalize
from transformers import ChineseCLIPConfig, PreTrainedConfig
from transformers.image_utils import load_image

from hfcls.inference.bulk.job import Job
from hfcls.inference.bulk.storage import local_copy
from hfcls.inference.bulk.texts import labelled, shares
from hfcls.inference.download import model_folder
from hfcls.inference.loading import load_chinese_clip, load_image_classifier, register_models
from hfcls.inference.text_classifier import probabilities_of

BATCH_SIZE = 64

# What Pillow raises for files that are torn or worse.
UNREADABLE = (OSError, SyntaxError, ValueError, EOFError, struct.error, zlib.error, Image.DecompressionBombError)


class PictureAnswers:
    """A classifier of pictures, or a Chinese-CLIP, at work on windows of rows.

    Raises:
        InputError: the model cannot be loaded.
    """

    window_rows = 256  # whose pixels are in memory together

    def __init__(self, job: Job):
        self.job = job
        register_models()
        config, _ = PreTrainedConfig.get_config_dict(model_folder(job.model))
        self.embeds = config.get("model_type") == ChineseCLIPConfig.model_type
        load = load_chinese_clip if self.embeds else load_image_classifier
        processor, model = load(job.model)
        self.processor = processor.image_processor if self.embeds else processor
        self.model = model.to("cuda" if torch.cuda.is_available() else "cpu").eval()

    def read_cell(self, cell, where: str) -> torch.Tensor:
        """The pixels (C, H, W) of a picture: its bytes, what `datasets` writes of one, or its path or address.

        Raises:
            ValueError: there is no picture; `where` is file and line.
        """
        content = cell.get("bytes") or cell.get("path") if isinstance(cell, dict) else cell
        if not isinstance(content, (bytes, str)) or not content:
            raise ValueError(f"{where}: no picture; give its bytes or its path")
        try:
            if isinstance(content, str):
                with local_copy(content) as path, Image.open(path) as image:
                    picture = load_image(image)
            else:
                with Image.open(io.BytesIO(content)) as image:
                    picture = load_image(image)
        except UNREADABLE as error:
            raise ValueError(f"{where}: the picture cannot be read ({error})") from None
        return self.processor(images=[picture], return_tensors="pt")["pixel_values"][0]

    def columns(self, columns: list[list[torch.Tensor]], taken: list[str]) -> dict[str, pyarrow.Array]:
        """The columns to add; `taken` are the names that there are already."""
        (pictures,) = columns
        outputs = self._outputs(pictures)
        if self.embeds:
            flat = pyarrow.array(outputs.ravel())
            return {"embedding": pyarrow.FixedSizeListArray.from_arrays(flat, outputs.shape[1])}
        labels = [str(self.model.config.id2label[number]) for number in range(self.model.config.num_labels)]
        scores = probabilities_of(outputs, self.model.config)
        added = labelled(scores, labels, None)
        return added | (shares(scores, labels, [*taken, *added]) if self.job.all_probabilities else {})

    def _outputs(self, pictures: list[torch.Tensor]) -> np.ndarray:
        """Logits (pictures, classes), or vectors of length 1 (pictures, dimensions), float32. Those of pictures of one
        size are computed together.
        """
        config = self.model.config
        found = np.empty((len(pictures), config.projection_dim if self.embeds else config.num_labels), np.float32)
        sizes, size_of_batch = [tuple(pixels.shape) for pixels in pictures], self.job.batch_size or BATCH_SIZE
        with torch.inference_mode():
            for size in dict.fromkeys(sizes):
                rows = [row for row, own in enumerate(sizes) if own == size]
                for start in range(0, len(rows), size_of_batch):
                    chosen = rows[start : start + size_of_batch]
                    found[chosen] = self._computed(torch.stack([pictures[row] for row in chosen])).float().cpu().numpy()
        return found

    def _computed(self, pixels: torch.Tensor) -> torch.Tensor:
        pixels = pixels.to(self.model.device)
        if self.embeds:
            return normalize(self.model.get_image_features(pixel_values=pixels).pooler_output, dim=-1)
        return self.model(pixel_values=pixels).logits
