"""Finished runs side by side: what differs in their settings, how well they do, and whether that is more than luck."""

import hashlib
import statistics
from dataclasses import dataclass, replace
from os.path import commonpath, relpath
from pathlib import Path

import numpy as np

from hfcls.errors import InputError
from hfcls.report.run import Run, load_run
from hfcls.report.scores import Scores, check_agreement, compute_scores
from hfcls.statistics import mcnemar

METRICS = ("accuracy", "f1", "roc_auc")

# Flags that say where a run lies or what it tells, and those that run.json says in other words.
_NOT_SETTINGS = frozenset(
    "output_dir resume_from_checkpoint run_name report_to disable_tqdm push_to_hub hub_model_id hub_token "
    "hub_private_repo hub_strategy logging_steps logging_strategy logging_first_step save_total_limit "
    "dataloader_num_workers dataloader_pin_memory data_dir evaluate_only max_train_samples".split()
)
_NAMES_OF_THE_MODEL = frozenset(["base_model", "model_name_or_path", "from_scratch", "architecture"])
_MACHINE = ("CPU", "GPU", "hfcls", "torch", "transformers")  # what makes a run faster, not better


@dataclass(frozen=True)
class Compared:
    """One run: `about` is its run.json, `results` all_results.json, `history` the Trainer's log or None.

    `settings` has a value for each of the comparison's; `test_rows` is equal where texts and labels of the test rows
    are; `correct` is (rows,). `p_value` is McNemar's against the best run; where it is None, `refusal` says why, and is
    empty for the best itself.
    """

    name: str
    about: dict
    results: dict
    history: list[dict] | None
    scores: Scores
    settings: dict[str, object]
    test_rows: str
    correct: np.ndarray
    p_value: float | None = None
    refusal: str = ""


@dataclass(frozen=True)
class SeedGroup:
    """Runs on the same test rows whose settings are alike but for the seed.

    `means` has (mean, standard deviation of the sample) for each of METRICS: the deviation is None for a single run,
    the pair is None where a run has no such score.
    """

    settings: dict[str, object]
    runs: list[Compared]
    means: dict[str, tuple[float, float | None] | None]


@dataclass(frozen=True)
class Comparison:
    """`runs` with the most accurate first, the names of the `settings` that differ between them, and `groups` of runs
    that differ in the seed, the highest mean accuracy first. `best` is the most accurate of the runs measured on the
    test rows that most of them share.
    """

    runs: list[Compared]
    settings: list[str]
    groups: list[SeedGroup]
    best: Compared


def compare(folders: list[str | Path]) -> Comparison:
    """Reads finished runs.

    Raises:
        InputError: a run is given twice, or one of its files is missing, torn or stale.
    """
    paths = [Path(folder).resolve() for folder in folders]
    for path in paths:
        if paths.count(path) > 1:
            raise InputError(f"{path}: is given twice")
    runs = [_read(name, path) for name, path in zip(_names(paths), paths, strict=True)]
    runs.sort(key=lambda one: one.scores.accuracy, reverse=True)
    settings = _differing([one.settings for one in runs])
    runs = [replace(one, settings={name: one.settings.get(name) for name in settings}) for one in runs]
    most_shared = max(runs, key=lambda one: sum(other.test_rows == one.test_rows for other in runs)).test_rows
    best = next(one for one in runs if one.test_rows == most_shared)
    runs = [_tested(one, best) for one in runs]
    return Comparison(runs, settings, _seed_groups(runs), best)


def _read(name: str, folder: Path) -> Compared:
    run = load_run(folder)
    if run.about["multi_label"]:
        raise InputError(f"{folder}: has several labels a row; runs with one class a row can be compared")
    scores = compute_scores(run.predictions, run.classes)
    check_agreement(run, scores)
    # Texts, probabilities and ROC curves are dropped here: of sixty runs they would not fit into memory.
    return Compared(
        name=name,
        about=run.about,
        results=run.results,
        history=run.history,
        scores=replace(scores, classes=[]),
        settings=_describe(run.about),
        test_rows=_digest(run),
        correct=run.predictions.labels == run.predictions.predicted,
    )


def _names(paths: list[Path]) -> list[str]:
    """The paths as seen from the folder that they have in common."""
    common = commonpath([path.parent for path in paths])
    return [relpath(path, common) for path in paths]


def _digest(run: Run) -> str:
    """A fingerprint of texts and labels of the test rows, in their order."""
    digest = hashlib.sha256(run.predictions.column.encode())
    for text, label in zip(run.predictions.texts, run.predictions.labels, strict=True):
        for part in (text, run.classes[label]):
            content = part.encode("utf-8", "surrogatepass")
            digest.update(b"%d:%b" % (len(content), content))
    return digest.hexdigest()


def _describe(about: dict) -> dict[str, object]:
    """What decides the result of a run, from run.json; the flags of its command that stand nowhere else come last."""
    data, hardware, versions = about["data"], about["hardware"], about["versions"]
    described = {
        "task": about["task"],
        "model": about["model"]["name"],
        "base_model": about["model"]["base_model"],
        "data": data["name"],
        "source": data["source"],
        "train rows": data["splits"].get("train", {}).get("rows"),
        "max_length": data["max_length"],
        **about["settings"],
        "precision": about["precision"],
        "processes": about["processes"],
    }
    flags = {
        name: value
        for name, value in _flags(about["command"]).items()
        if name not in described and name not in _NOT_SETTINGS
    }
    machine = [hardware["cpu"], ", ".join(map(str, hardware["gpus"])), *(versions.get(name) for name in _MACHINE[2:])]
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


def _differing(described: list[dict[str, object]]) -> list[str]:
    """The names whose values differ between runs, but for those that only call the model by another name."""
    names = list(dict.fromkeys(name for settings in described for name in settings))
    values = {name: [repr(settings.get(name)) for settings in described] for name in names}
    differing = [name for name in names if len(set(values[name])) > 1]

    def says_the_same(name: str) -> bool:
        pairs = set(zip(values[name], values["model"], strict=True))
        return len(pairs) == len(set(values[name])) == len(set(values["model"]))

    return [name for name in differing if name not in _NAMES_OF_THE_MODEL or not says_the_same(name)]


def _tested(one: Compared, best: Compared) -> Compared:
    if one is best:
        return one
    if one.test_rows == best.test_rows:
        return replace(one, p_value=mcnemar(one.correct, best.correct))
    classes, best_classes = set(one.about["labels"]), set(best.about["labels"])
    if classes != best_classes:
        absent, other = sorted(best_classes - classes), sorted(classes - best_classes)
        parts = [f"without {', '.join(absent)}"] * bool(absent) + [f"with {', '.join(other)}"] * bool(other)
        return replace(one, refusal=f"other classes: {' and '.join(parts)}")
    if len(one.correct) != len(best.correct):
        return replace(one, refusal=f"other test rows: {len(one.correct):,} instead of {len(best.correct):,}")
    return replace(one, refusal="other test rows: as many, but not the same texts and labels in the same order")


def _seed_groups(runs: list[Compared]) -> list[SeedGroup]:
    groups: dict[tuple, list[Compared]] = {}
    for one in runs:
        settings = {name: value for name, value in one.settings.items() if name not in ("seed", *_MACHINE)}
        groups.setdefault((one.test_rows, *map(repr, settings.values())), []).append(one)
    result = [
        SeedGroup(
            settings={name: value for name, value in group[0].settings.items() if name not in ("seed", *_MACHINE)},
            runs=group,
            means={metric: _mean([getattr(one.scores, metric) for one in group]) for metric in METRICS},
        )
        for group in groups.values()
    ]
    return sorted(result, key=lambda group: group.means["accuracy"][0], reverse=True)


def _mean(values: list[float | None]) -> tuple[float, float | None] | None:
    if None in values:
        return None
    return statistics.fmean(values), statistics.stdev(values) if len(values) > 1 else None
