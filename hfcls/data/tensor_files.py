"""Pictures and labels in tensors that `torch.save` wrote.

This file needs numpy, torch, and `files.py` beside it.
"""

import os
import pickle
import struct

import numpy as np

from .files import regular

__all__ = ["TENSORS", "read_tensors"]

# What torch 2.13 was seen to raise on files of either of its formats with bytes changed or cut off.
_ODD = (
    *(pickle.UnpicklingError, EOFError, OSError, RuntimeError, ValueError, TypeError, AttributeError, LookupError),
    *(AssertionError, struct.error),
)
TENSORS = ["train_data", "train_labels", "test_data", "test_labels"]


def read_tensors(files: list[str]) -> dict[str, tuple[np.ndarray, np.ndarray, str, str]]:
    """By split, train and test: pictures (N, height, width) uint8, labels (N,), and the names of both for messages.

    Args:
        files: one, with a dict of `TENSORS`, or a file for each of them.

    Raises:
        ValueError: one line: a file is torn or holds something else.
    """
    import torch

    tensors, sources = {}, {}
    for path in files:
        try:
            content = torch.load(regular(path), map_location="cpu", weights_only=True)
        except _ODD:
            # torch's own message is a page about how to run the code that the pickle brings.
            raise ValueError(
                f"{path}: torn, or a pickle with more in it than tensors; save tensors with torch.save"
            ) from None
        if len(files) > 1:
            content = {os.path.basename(path).removesuffix(".pth"): content}
        if not isinstance(content, dict) or not set(TENSORS) & set(content):
            raise ValueError(f"{path}: holds no dict of {', '.join(TENSORS)}; save them as one")
        tensors |= content
        sources |= dict.fromkeys(content, path)
    for name in TENSORS:
        if not isinstance(tensors.get(name), torch.Tensor) or tensors[name].layout != torch.strided:
            raise ValueError(f"{sources.get(name, files[0])}: {name} is missing or no tensor; save it as one")
    splits = {}
    for split in ("train", "test"):
        data, labels = f"{split}_data", f"{split}_labels"
        images = _as_pictures(tensors[data].numpy(force=True), f"{sources[data]}: {data}")
        numbers = tensors[labels].numpy(force=True)
        if numbers.ndim != 1 or not np.isfinite(numbers).all() or (numbers != np.round(numbers)).any():
            raise ValueError(f"{sources[labels]}: {labels} must be (N,) whole numbers from 0 to 9; save them so")
        splits[split] = images, numbers, f"{sources[data]}: {data}", f"{sources[labels]}: {labels}"
    return splits


def _as_pictures(images: np.ndarray, where: str) -> np.ndarray:
    """(N, height, width) uint8 of a tensor with or without a channel axis, first or last, of bytes or floats."""
    shape = images.shape
    if images.ndim == 4 and 1 in (images.shape[1], images.shape[3]):
        images = images.squeeze(1 if images.shape[1] == 1 else 3)
    if images.ndim != 3 or 0 in images.shape:
        raise ValueError(f"{where} is {shape}; save pictures as (N, height, width) or (N, 1, height, width)")
    if images.dtype == np.uint8:
        return images
    if not np.isfinite(images).all() or images.min() < 0 or images.max() > 255:
        raise ValueError(f"{where} has values outside 0 to 255, or not finite; save pictures that are not normalised")
    scale = 255 if images.max() <= 1 else 1
    return np.round(images * scale).astype(np.uint8)
