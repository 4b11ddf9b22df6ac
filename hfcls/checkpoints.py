"""Finding the checkpoint from which an interrupted run goes on."""

import json
import logging
import os
import shutil
from pathlib import Path

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
