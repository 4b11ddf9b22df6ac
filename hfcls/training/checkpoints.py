"""Checkpoints of an interrupted run: finding the one to go on from, and saying why one could not be written."""

import json
import logging
import os
import shutil
import sys
from contextlib import contextmanager
from pathlib import Path
from pickle import UnpicklingError

from safetensors import SafetensorError

from hfcls.errors import InputError
from hfcls.terminal import print_lines
from hfcls.training import output_folder, resume

logger = logging.getLogger(__name__)

# What Trainer restores without a word if it is there, by the patterns of its names: alone, with FSDP, with DeepSpeed
# (whose folder holds both). Without one of them a resumed run would end in other weights.
RESTORED = {
    "weights": ("*.safetensors", "pytorch_model*", "global_step*"),
    "optimizer.pt": ("optimizer*", "global_step*"),
    "scheduler.pt": ("scheduler.pt", "global_step*"),
    "random state": ("rng_state*.pth",),
}


def end_if_finished(arguments, training_args) -> None:
    """Ends the program if it is to go on with a run that has come to its end; every file stays as it is.

    Raises:
        InputError: the run was made with other flags.
    """
    if not finished_before(arguments, training_args):
        return
    output_dir = Path(training_args.output_dir)
    if training_args.process_index == 0:
        push = "; push it with `hfcls push`" if training_args.push_to_hub else ""
        print_lines(f"{output_dir}: finished before, nothing to do{push}; report: {output_dir / 'report.html'}")
    sys.exit(0)


def finished_before(arguments, training_args) -> bool:
    """Whether the run that is to be gone on with has come to its end.

    Raises:
        InputError: it was made with other flags.
    """
    output_dir = Path(training_args.output_dir)
    if training_args.resume_from_checkpoint is None or not resume.is_finished(output_dir):
        return False
    resume.check_same(output_dir, resume.flags_of(arguments, training_args))
    return True


def checkpoint_to_resume(arguments, training_args) -> str | None:
    """The checkpoint to go on from, which was made with the same flags; None for a start from the beginning.

    Raises:
        InputError: `--output_dir` holds something and is not to be resumed; the checkpoint is none, or of other flags.
    """
    output_dir = Path(training_args.output_dir)
    checkpoint = training_args.resume_from_checkpoint
    if checkpoint is None:
        is_main_process = training_args.process_index == 0  # the others may find what it has written
        if is_main_process and any(path.name != output_folder.LOCK for path in output_dir.iterdir()):
            raise InputError(
                f"{output_dir} is not empty: give another --output_dir, or --resume_from_checkpoint auto to go on there"
            )
        return None
    if checkpoint != "auto":
        check_checkpoint(Path(checkpoint))
    before = resume.folder_before(output_dir, None if checkpoint == "auto" else checkpoint)
    if before is not None:
        resume.check_same(before, resume.flags_of(arguments, training_args))
    checkpoint = last_complete_checkpoint(output_dir) if checkpoint == "auto" else checkpoint
    if checkpoint is None or arguments.early_stopping_patience is None:
        return checkpoint
    # What a run of an older version was begun with is not known, and Trainer would fail at its next save.
    if "EarlyStoppingCallback" not in trainer_state(Path(checkpoint)).get("stateful_callbacks", {}):
        raise InputError(f"{checkpoint}: was made without --early_stopping_patience, so go on without it")
    return checkpoint


def last_complete_checkpoint(output_dir: Path) -> str | None:
    """The newest complete `checkpoint-<step>` of `output_dir`, or None for a start from the beginning.

    Newer ones that a kill left half written are removed: they hold nothing that can be used, and would count towards
    `save_total_limit`.

    Raises:
        InputError: the newest one cannot be gone on from, and no kill is the reason; see `check_checkpoint`.
    """
    checkpoints = sorted(
        (path for path in Path(output_dir).glob("checkpoint-*") if path.name.rpartition("-")[2].isdecimal()),
        key=lambda path: int(path.name.rpartition("-")[2]),
        reverse=True,
    )
    processes = resume.processes(output_dir)
    for checkpoint in checkpoints:
        if is_complete(checkpoint, processes):
            check_checkpoint(checkpoint)
            return str(checkpoint)
        if os.environ.get("RANK", "0") == "0":
            logger.warning("%s was left half written by an interrupted run and is removed", checkpoint)
            shutil.rmtree(checkpoint, ignore_errors=True)
    return None


def is_complete(checkpoint: Path, processes: int | None = None) -> bool:
    """Whether the Trainer finished writing `checkpoint`, of a run of so many `processes`.

    The main process writes `trainer_state.json` last; another one may not have come to its random state then.
    """
    random_states = len([*checkpoint.glob("rng_state*.pth")])
    return bool(trainer_state(checkpoint)) and (random_states == 0 or random_states >= (processes or 1))


def check_checkpoint(checkpoint: Path) -> None:
    """Makes sure that everything of `checkpoint` will be restored that decides the weights a run ends in.

    Raises:
        InputError: it is no checkpoint, or something is missing; the message says what.
    """
    state = trainer_state(checkpoint)
    if not state:
        raise InputError(f"{checkpoint}: not a checkpoint (no trainer_state.json); give one, or auto for the last one")
    missing = [name for name, patterns in RESTORED.items() if not any([*checkpoint.glob(p)] for p in patterns)]
    if missing:
        raise InputError(
            f"{checkpoint}: has no {', no '.join(missing)} (saved with --save_only_model, or removed since), and going "
            f"on from it would end in other weights: start anew with another --output_dir"
        )
    processes = int(os.environ.get("WORLD_SIZE", "1"))
    expected = {"rng_state.pth"} if processes == 1 else {f"rng_state_{rank}.pth" for rank in range(processes)}
    found = {path.name for path in checkpoint.glob("rng_state*.pth")}
    if not expected <= found:
        raise InputError(
            f"{checkpoint}: was written by {len(found)} process(es), and this run has {processes}: "
            f"go on with as many as before"
        )
    best = state.get("best_model_checkpoint")
    if best and not Path(best).is_dir() and not (checkpoint.parent / Path(best).name).is_dir():
        raise InputError(
            f"{checkpoint}: the best checkpoint so far, {best}, is gone: start anew with another --output_dir"
        )


def training_is_over(checkpoint: str) -> bool:
    """Whether `checkpoint` is of the last step: that of the flags, or the one where patience had an end."""
    state = trainer_state(Path(checkpoint))
    stopping = state["stateful_callbacks"].get("EarlyStoppingCallback")
    return state["global_step"] >= state["max_steps"] or (
        stopping is not None
        and stopping["attributes"]["early_stopping_patience_counter"] >= stopping["args"]["early_stopping_patience"]
    )


def trainer_state(checkpoint: Path) -> dict:
    """The content of `trainer_state.json`; empty if it is not there or not whole."""
    try:
        return json.loads((checkpoint / "trainer_state.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}


@contextmanager
def unreadable_said(checkpoint: str | None):
    """Turns what torch raises where a file of `checkpoint` is torn, or a pickle with code, into one line.

    Raises:
        InputError: there is such a file; code is not run.
    """
    try:
        yield
    except (UnpicklingError, EOFError, SafetensorError, RuntimeError) as error:
        of_training = type(error) is RuntimeError and not str(error).startswith("PytorchStreamReader")
        if checkpoint is None or of_training:
            raise
        raise InputError(
            f"{checkpoint}: one of its files is torn, or holds code, which is not run: remove it and go on "
            "from the one before, or start anew with another --output_dir"
        ) from error


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
