"""Checkpoints of an interrupted run: finding the one to go on from, and saying why one could not be written."""

import json
import logging
import os
import shutil
from contextlib import contextmanager
from pathlib import Path

from hfcls.errors import InputError

logger = logging.getLogger(__name__)


def is_complete(checkpoint: Path) -> bool:
    """Whether the Trainer finished writing `checkpoint`.

    The Trainer writes `trainer_state.json` after everything else of its own process, and each process its random state.
    """
    try:
        json.loads((checkpoint / "trainer_state.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    random_states = [path.name for path in checkpoint.glob("rng_state*.pth")]
    weights = [*checkpoint.glob("*.safetensors"), *checkpoint.glob("global_step*"), *checkpoint.glob("pytorch_model*")]
    return bool(random_states) and bool(weights)


def last_complete_checkpoint(output_dir: Path) -> str | None:
    """The newest complete `checkpoint-<step>` of `output_dir`, or None for a start from the beginning.

    Newer ones that a kill left half written are removed: they hold nothing that can be used, and would count towards
    `save_total_limit`.
    """
    checkpoints = sorted(
        (path for path in Path(output_dir).glob("checkpoint-*") if path.name.rpartition("-")[2].isdecimal()),
        key=lambda path: int(path.name.rpartition("-")[2]),
        reverse=True,
    )
    for checkpoint in checkpoints:
        if is_complete(checkpoint):
            return str(checkpoint)
        if os.environ.get("RANK", "0") == "0":
            logger.warning("%s was left half written by an interrupted run and is removed", checkpoint)
            shutil.rmtree(checkpoint, ignore_errors=True)
    return None


@contextmanager
def full_disk_said(output_dir: Path):
    """Turns what torch or safetensors raise when a write fails into one line, if the reason is that the disk is full.

    Raises:
        InputError: there is no space left in `output_dir`.
    """
    try:
        yield
    except Exception as error:  # OSError, RuntimeError or SafetensorError, none of which names the reason reliably
        if shutil.disk_usage(output_dir).free > 2**20:
            raise
        raise InputError(
            f"{output_dir}: the disk is full ({error}); free some space and go on with --resume_from_checkpoint auto, "
            f"complete checkpoints are kept"
        ) from error
