"""What is added to rows of texts by a Chinese-CLIP: the embedding, and whether the text is longer than what is read."""

import numpy as np
import pyarrow
import torch
from torch.nn.functional import normalize

from hfcls.data.table_files import text_cell
from hfcls.errors import InputError
from hfcls.inference.bulk.job import Job
from hfcls.inference.loading import load_chinese_clip
from hfcls.models.truncation import Truncation

BATCH_SIZE = 64


class TextEmbeddings:
    """The text tower of a Chinese-CLIP at work on windows of rows.

    Raises:
        InputError: the model cannot be loaded, or second texts or probabilities are asked of it.
    """

    window_rows = 8192  # that are sorted by length together

    def __init__(self, job: Job):
        if job.text_pair_column is not None or job.all_probabilities:
            raise InputError(
                f"{job.model}: is a Chinese-CLIP, which embeds one text a row: leave out --text_pair_column and "
                "--all_probabilities"
            )
        self.batch_size = job.batch_size or BATCH_SIZE
        processor, model = load_chinese_clip(job.model)
        self.tokenizer = processor.tokenizer
        self.truncation = Truncation.of("head", self.tokenizer.model_max_length, self.tokenizer)
        self.model = model.to("cuda" if torch.cuda.is_available() else "cpu").eval()

    def read_cell(self, cell, where: str) -> str:
        """A text, as training reads it."""
        return text_cell(cell, where)

    def columns(self, columns: list[list[str]], taken: list[str]) -> dict[str, pyarrow.Array]:
        """The columns to add: `embedding`, of length 1, and `truncated`."""
        (texts,) = columns
        rows = self.tokenizer(texts, verbose=False)["input_ids"] if texts else []
        lengths = np.array([len(ids) for ids in rows], dtype=np.int64)
        kept = [self.truncation.cut(row, len(row)) for row in rows]
        vectors = np.empty((len(texts), self.model.config.projection_dim), dtype=np.float32)
        order = np.argsort(-lengths, kind="stable")
        for start in range(0, len(order), self.batch_size):
            chosen = order[start : start + self.batch_size]
            vectors[chosen] = self._embedded([kept[row] for row in chosen])
        embeddings = pyarrow.FixedSizeListArray.from_arrays(pyarrow.array(vectors.ravel()), vectors.shape[1])
        return {"embedding": embeddings, "truncated": pyarrow.array(lengths > self.truncation.max_length)}

    def _embedded(self, ids: list[list[int]]) -> np.ndarray:
        """(texts, dimensions) float32, each of length 1."""
        batch = self.tokenizer.pad({"input_ids": ids}, return_tensors="pt").to(self.model.device)
        with torch.inference_mode():
            return normalize(self.model.get_text_features(**batch).pooler_output, dim=-1).float().cpu().numpy()
