"""What tells finished runs apart: their names, the settings that differ, and groups of runs that differ in the seed."""

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from os.path import commonpath, relpath
from pathlib import Path

from hfcls.errors import InputError
from hfcls.report.ranking import ComparedRun, Criterion
from hfcls.runs.record import Record

# Flags that say where a run lies or what it tells, and those that run.json says in other words.
_NOT_SETTINGS = frozenset(
    "output_dir resume_from_checkpoint run_name report_to disable_tqdm push_to_hub hub_model_id hub_token "
    "hub_private_repo hub_strategy logging_steps logging_strategy logging_first_step save_total_limit "
    "dataloader_num_workers dataloader_pin_memory data_dir evaluate_only max_train_samples floor".split()
)
_NAMES_OF_THE_MODEL = frozenset(["base_model", "model_name_or_path", "from_scratch", "architecture"])
_MACHINE = ("CPU", "GPU", "hfcls", "torch", "transformers")  # what makes a run faster, not better


@dataclass(frozen=True)
class SeedGroup:
    """Runs on the same test rows whose settings are alike but for the seed.

    Attributes:
        settings: without the seed.
        runs: in the order of all.
        validation: the score that they are ranked by: its mean and the standard deviation of the sample. The deviation
            is None for a single run, the pair is None where a run is not ranked.
        means: the same of each metric of the test rows.
    """

    settings: dict[str, object]
    runs: list[ComparedRun]
    validation: tuple[float, float | None] | None
    means: dict[str, tuple[float, float | None] | None]


def distinct(folders: Sequence[str | Path]) -> dict[str, Path]:
    """Name → folder of each run; the names are the paths as seen from the folder that they have in common.

    Raises:
        InputError: a run is given twice.
    """
    paths = [Path(folder).resolve() for folder in folders]
    for path in paths:
        if paths.count(path) > 1:
            raise InputError(f"{path}: is given twice; name each run once")
    common = commonpath([path.parent for path in paths])
    return {relpath(path, common): path for path in paths}


def describe(record: Record) -> dict[str, object]:
    """What decides the result of a run; the flags of its command that stand nowhere else come last."""
    train = record.data.splits.get("train")
    described = {
        "task": record.task,
        "model": record.model.name,
        "base_model": record.model.base_model,
        "data": record.data.name,
        "source": record.data.source,
        "train rows": None if train is None else train.rows,
        "max_length": record.data.max_length,
        **record.settings,
        "precision": record.precision,
        "processes": record.processes,
    }
    flags = {
        name: value
        for name, value in _flags(record.command).items()
        if name not in described and name not in _NOT_SETTINGS
    }
    versions = [record.versions.get(name) for name in _MACHINE[2:]]
    machine = [record.hardware.cpu, ", ".join(record.hardware.gpus), *versions]
    return described | flags | dict(zip(_MACHINE, machine, strict=True))


def _flags(command: str) -> dict[str, str]:
    """Flags of a command and what follows each: `--fp16` and `--fp16 True` are the same."""
    flags, name = {}, None
    for word in command.split():
        if word.startswith("--"):
            flag, _, value = word.partition("=")
            name = flag.lstrip("-").replace("-", "_")
            flags[name] = value
        elif name is not None:
            flags[name] = f"{flags[name]} {word}".strip()
    return {name: value or "True" for name, value in flags.items()}


def differing(described: list[dict[str, object]]) -> list[str]:
    """The names whose values differ between runs, but for those that only call the model by another name."""
    names = list(dict.fromkeys(name for settings in described for name in settings))
    values = {name: [repr(settings.get(name)) for settings in described] for name in names}
    differing = [name for name in names if len(set(values[name])) > 1]

    def says_the_same(name: str) -> bool:
        pairs = set(zip(values[name], values["model"], strict=True))
        return len(pairs) == len(set(values[name])) == len(set(values["model"]))

    return [name for name in differing if name not in _NAMES_OF_THE_MODEL or not says_the_same(name)]


def seed_groups(
    runs: Sequence[ComparedRun],
    criterion: Criterion | None,
    metrics: Sequence[str],
    score: Callable[[ComparedRun, str], float | None],
) -> list[SeedGroup]:
    """Groups of `runs`, the best mean validation score first; those with a run that is not ranked come last."""
    groups: dict[tuple, list] = {}
    for one in runs:
        groups.setdefault((one.test_rows, *map(repr, _without_seed(one.settings).values())), []).append(one)
    result = [
        SeedGroup(
            settings=_without_seed(group[0].settings),
            runs=group,
            validation=_mean([None if one.unranked else one.validation for one in group]),
            means={metric: _mean([score(one, metric) for one in group]) for metric in metrics},
        )
        for group in groups.values()
    ]
    if criterion is None:
        return result
    return sorted(result, key=lambda group: criterion.order(group.validation and group.validation[0]))


def _without_seed(settings: dict[str, object]) -> dict[str, object]:
    return {name: value for name, value in settings.items() if name not in ("seed", *_MACHINE)}


def _mean(values: list[float | None]) -> tuple[float, float | None] | None:
    if None in values:
        return None
    return statistics.fmean(values), statistics.stdev(values) if len(values) > 1 else None
