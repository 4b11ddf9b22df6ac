"""What a run was begun with, so that it goes on only with the same; and whether it is finished.

`setup.json` is written when training begins, by the main process, and gets `"finished": true` after the last file of
the run. A folder without it is of an older version.
"""

import dataclasses
import json
import logging
import os
import re
from pathlib import Path

from hfcls import own_code
from hfcls.errors import InputError

logger = logging.getLogger(__name__)

FILE = "setup.json"

# Flags that may change on the way: where things are written and how they are shown, how fast rows are read and
# evaluated. All others decide the weights, --num_train_epochs through the learning rate's course, or what is measured.
MAY_CHANGE = re.compile(
    r"output_dir|resume_from_checkpoint|use_cpu|do_.*|debug|hub_.*|push_to_hub|trackio_.*|report_to|run_name|project|"
    r"floor|save_dtype|disable_tqdm|log_.*|logging_.*|skip_memory_metrics|torch_empty_cache_steps|"
    r"save_total_limit|save_on_each_node|local_rank|ddp_.*|per_device_eval_batch_size|eval_accumulation_steps|"
    r"preprocessing_num_workers|"
    r"dataloader_(num_workers|pin_memory|persistent_workers|prefetch_factor|multiprocessing_context)"
)
# What `parse` leaves open until the rows are read, and the value that says so; a run that was begun tells its number.
BY_ROWS = ("num_train_epochs", "per_device_train_batch_size")
LEFT_OPEN = dict.fromkeys(BY_ROWS, "auto") | {"ngram_max": None}
FILES = ("data_dir", "vocab", "embeddings", "embedding_model", "model_name_or_path")  # may lie elsewhere


def begin(arguments, training_args, corpus: dict) -> None:
    """Writes down what the run is begun with; or, where it goes on from a checkpoint, makes sure that it is the same.

    Args:
        arguments, training_args: what `parse` returned.
        corpus: what was learned from, name to JSON value: fingerprints of rows and vocabulary, labels.

    Raises:
        InputError: the checkpoint was made with something else; the message names all of it.
    """
    path = Path(training_args.output_dir, FILE)
    before = folder_before(path.parent, training_args.resume_from_checkpoint)
    if before is not None:
        check_same(before, flags_of(arguments, training_args), corpus)
    if training_args.process_index == 0 and (before is None or not path.is_file()):
        content = {"flags": flags_of(arguments, training_args), "processes": training_args.world_size, "corpus": corpus}
        _write(path, content)


def folder_before(output_dir: Path, checkpoint: str | None) -> Path | None:
    """The folder of the run that is gone on with: that of `checkpoint`, or `output_dir` where something of it lies.

    Cross-validation keeps its checkpoints with the folds.
    """
    if checkpoint is not None:
        return Path(checkpoint).parent
    begun = any(Path(output_dir).glob("checkpoint-*")) or Path(output_dir, "fold_1").is_dir()
    return Path(output_dir) if begun else None


def finish(output_dir: Path) -> None:
    """Marks the run of `output_dir` as finished: to be called after its last file is written."""
    _write(Path(output_dir, FILE), _read(output_dir) | {"finished": True})


def is_finished(output_dir: Path) -> bool:
    """Whether the run of `output_dir` has written its last file."""
    if Path(output_dir, FILE).is_file():
        return _read(output_dir).get("finished", False)
    try:
        return Path(output_dir, "report.html").is_file() and all(
            json.loads(Path(output_dir, name).read_bytes()) for name in ("all_results.json", "run.json")
        )
    except (OSError, ValueError):
        return False


def processes(output_dir: Path) -> int | None:
    """How many processes the run of `output_dir` was begun with; None if that is not known."""
    return _read(output_dir).get("processes")


def flags_of(arguments, training_args) -> dict:
    """The flags that decide the result, as JSON has them."""
    values = training_args.to_dict() | {f.name: getattr(arguments, f.name) for f in dataclasses.fields(arguments)}
    values |= {name: Path(values[name]).name for name in FILES if values.get(name)}
    values |= {name: own_code.without_folder(values[name]) for name in own_code.FLAGS if values.get(name)}
    kept = {name: value for name, value in values.items() if not MAY_CHANGE.fullmatch(name)}
    return json.loads(json.dumps(kept, default=str))


def check_same(folder: Path, flags: dict, corpus: dict | None = None) -> None:
    """Makes sure that the run of `folder` was begun with these `flags` and, if given, this `corpus`.

    Raises:
        InputError: it was not; the message says what it was begun with.
    """
    before = _read(folder)
    if not before:
        logger.warning("%s: no %s, so its flags and corpus are taken to be what they were", folder, FILE)
        return
    different = [
        f"--{name} {_shown(before['flags'][name])} (now {_shown(value)})"
        for name, value in flags.items()
        if name in before["flags"]
        and before["flags"][name] != value
        and not (name in LEFT_OPEN and value == LEFT_OPEN[name])
    ]
    number = int(os.environ.get("WORLD_SIZE", "1"))
    if before["processes"] != number:
        different.append(f"{before['processes']} process(es) (now {number})")
    for name, value in (corpus or {}).items():
        was = before["corpus"].get(name)
        if was != value:
            different.append(f"{name} {_shown(was)} (now {_shown(value)})")
    if different:
        raise InputError(
            f"{folder}: was begun with {', '.join(different)}: go on with what it was begun with, "
            f"or start anew with another --output_dir"
        )


def _shown(value) -> str:
    text = ",".join(map(str, value)) if isinstance(value, list) else str(value)
    return text if len(text) <= 60 else f"{text[:60]}…"


def _read(folder: Path) -> dict:
    path = Path(folder, FILE)
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}


def _write(path: Path, content: dict) -> None:
    part = path.with_suffix(".part")
    part.write_text(json.dumps(content, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
    part.replace(path)
