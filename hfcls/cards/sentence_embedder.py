"""Embeddings of texts by any model of sentence-transformers, which is an extra."""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

import datasets
import numpy as np
import torch
from datasets.fingerprint import Hasher

from hfcls.errors import InputError
from hfcls.inference.download import model_folder
from hfcls.inference.load_report import quiet_loading
from hfcls.runs.hub import EMBEDDING_MODEL

PROMPT = "hfcls"  # the name in the saved model of the prompt that hfcls was told


class SentenceEmbedder:
    """A model of sentence-transformers, whose embeddings have length 1.

    Args:
        name_or_path: as `model_folder` takes it.
        prompt: what stands in front of every text, saved with the model; absent: what the model itself brings.
        trust_remote_code: whether to run code that comes with the model.
        device: absent: the GPU, if there is one.

    Raises:
        InputError: sentence-transformers is not installed, the model cannot be loaded, or needs its own code.
    """

    def __init__(
        self,
        name_or_path: str,
        *,
        prompt: str | None = None,
        trust_remote_code: bool = False,
        device: torch.device | None = None,
    ):
        try:
            from sentence_transformers import SentenceTransformer
        except ImportError as error:
            raise InputError(f"{name_or_path} needs an extra: pip install 'hfcls[embeddings]'") from error
        folder = model_folder(name_or_path, instead="leave --embedding_model out")
        try:
            _refuse_foreign_code(name_or_path, folder, trust_remote_code)
            with quiet_loading():
                model = SentenceTransformer(
                    folder,
                    device=None if device is None else str(device),
                    trust_remote_code=trust_remote_code,
                    prompts=None if prompt is None else {PROMPT: prompt},
                    default_prompt_name=None if prompt is None else PROMPT,
                )
            self.model = model.float()  # in whatever it was saved: on a CPU, halves take minutes
        except (OSError, ValueError) as error:
            reason = str(error).strip().splitlines()[0]
            raise InputError(
                f"{name_or_path}: cannot be loaded ({reason}): fetch it again, or leave --embedding_model out"
            ) from error

    @property
    def fingerprint(self) -> str:
        """The same for the same architecture, weights and prompt, and different for others."""
        prompt = self.model.prompts.get(self.model.default_prompt_name, "")
        digest = hashlib.blake2b(f"{self.model} {self.model.max_seq_length} {prompt}".encode(), digest_size=16)
        for name, tensor in sorted(self.model.state_dict().items()):
            digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
            digest.update(tensor.cpu().contiguous().view(torch.uint8).numpy())
        return digest.hexdigest()

    def __call__(self, texts: Sequence[str]) -> np.ndarray:
        """Embeddings (texts, size) float32."""
        return self.model.encode(list(texts), normalize_embeddings=True, show_progress_bar=False).astype(np.float32)

    def cached(self, texts: Sequence[str]) -> np.ndarray:
        """Embeddings (texts, size) float32, with a progress bar; from the cache of `datasets` if these texts were
        embedded before.
        """
        key = Hasher.hash([self.fingerprint, list(texts)])
        cache = Path(datasets.config.HF_DATASETS_CACHE) / "hfcls_embeddings"
        cache.mkdir(parents=True, exist_ok=True)
        rows = datasets.Dataset.from_dict({"text": list(texts)}).map(
            lambda batch: {"embedding": self(batch["text"])},
            batched=True,
            batch_size=64,
            remove_columns="text",
            new_fingerprint=key,
            cache_file_name=str(cache / f"{key}.arrow"),
            desc="embedding",
        )
        return rows.with_format("numpy")["embedding"][:].astype(np.float32)

    def save(self, output_dir: str | Path) -> None:
        """Puts the model into a folder of `output_dir`, where `saved` finds it."""
        self.model.save(str(Path(output_dir) / EMBEDDING_MODEL), create_model_card=False)


def saved(folder: str, *, trust_remote_code: bool = False) -> SentenceEmbedder:
    """The embedding model that was saved with the classifier in `folder`.

    Raises:
        InputError: there is none, or it cannot be loaded.
    """
    inside = Path(folder, EMBEDDING_MODEL)
    if not inside.is_dir():
        raise InputError(f"{folder}: has no {EMBEDDING_MODEL}, which its classifier needs: give the folder of the run")
    return SentenceEmbedder(str(inside), trust_remote_code=trust_remote_code)


def _refuse_foreign_code(name_or_path: str, folder: str, trust_remote_code: bool) -> None:
    """Without its code a model may load all the same, as a related one with random weights: jina-embeddings-v2
    does (https://github.com/embeddings-benchmark/mteb/issues/1862).
    """
    path = Path(folder, "config.json")  # models of words alone have none
    config = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    if "AutoModel" in config.get("auto_map", {}) and not trust_remote_code:
        raise InputError(
            f"{name_or_path} runs code that comes with it ({config['auto_map']['AutoModel']}): read it, and give "
            f"--trust_remote_code True, or choose another model"
        )
