"""Runs a recipe once for every combination of the values given for its flags, one run after the other."""

import itertools
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from hfcls.errors import InputError
from hfcls.runs import record, results
from hfcls.runs.lock import locked
from hfcls.terminal import print_lines
from hfcls.training.resume import is_finished

LAUNCHER = [sys.executable, "-m", "accelerate.commands.launch"]  # of this environment, whatever PATH says
LOCK = "sweep.lock"
ENDING_SECONDS = 30  # that an interrupted run gets before it is killed

_NOT_IN_NAMES = re.compile(r"[^\w.+-]+")  # what would be awkward in the name of a folder


@dataclass(frozen=True)
class PlannedRun:
    """One combination: its folder, the words after the recipe's name, and the values that tell it from the others."""

    name: str
    folder: Path
    flags: list[str]


def plan(words: list[str], output_dir: str) -> list[PlannedRun]:
    """The runs that `words` (flags and their values) ask for; the values of the last flag change fastest.

    The values of a flag are separated by commas: `--learning_rate 1e-3,3e-4`. A comma that belongs to a value is
    written `\\,`; what is in quotes of its own (`"'a,b'"`) or in brackets (JSON) is one value.

    Raises:
        InputError: a word that belongs to no flag, a flag or value given twice, or no value between two commas.
    """
    given = _group(words)
    choices = {flag: _split(flag, values) for flag, values in given.items()}
    varying = [flag for flag, values in choices.items() if len(values) > 1]
    runs = []
    for combination in itertools.product(*choices.values()):  # scikit-learn's ParameterGrid would sort the flags
        values = dict(zip(choices, combination, strict=True))
        name = "_".join(f"{flag.lstrip('-')}={_NOT_IN_NAMES.sub('-', values[flag][0])}" for flag in varying) or "run"
        flags = [word for flag, chosen in values.items() for word in (flag, *chosen)]
        folder = Path(output_dir, name)
        runs.append(PlannedRun(name, folder, [*flags, "--output_dir", str(folder)]))
    names = [run.name for run in runs]
    for name in names:
        if names.count(name) > 1:
            raise InputError(
                f"two runs would be called {name}: give each value once, and values that differ in letters"
            )
        if len(name.encode()) > 255:
            raise InputError(f"{name}: too long for a folder: let fewer flags vary at once")
    return runs


def run_sweep(
    recipe: str,
    words: list[str],
    output_dir: str,
    *,
    num_processes: int = 1,
    dry_run: bool = False,
    keep_checkpoints: bool = False,
) -> int:
    """Runs what `plan` gives and has not finished before, then writes `output_dir/comparison.html`.

    A run that was interrupted goes on from its last checkpoint; one that fails is reported, and the others run. What a
    run prints is appended to `log.txt` in its folder.

    Returns:
        The number of runs that failed.

    Raises:
        InputError: no such recipe, flags that make no plan, a folder whose run had other flags, that cannot be written
            to or that another sweep writes to, or no GPUs for several processes.
    """
    _check_recipe(recipe)
    if num_processes > 1:
        _check_gpus(num_processes)
    runs = plan(words, output_dir)
    commands = [[*_launcher(num_processes), recipe, *run.flags] for run in runs]
    for run, command in zip(runs, commands, strict=True):
        _check_same_command(run, _as_typed(command))
    if dry_run:
        for run, command in zip(runs, commands, strict=True):
            print_lines("# finished: " * is_finished(run.folder) + _as_typed(command))
        return 0

    try:
        Path(output_dir).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{output_dir}: {error.strerror}; give an --output_dir that can be written to") from error
    with locked(Path(output_dir, LOCK), output_dir, "--output_dir"):
        failed = []
        for number, (run, command) in enumerate(zip(runs, commands, strict=True), start=1):
            if not _run_once(f"[{number}/{len(runs)}] {run.name}", run, command):
                failed.append(run)
            elif not keep_checkpoints:
                for checkpoint in run.folder.glob("checkpoint-*"):
                    shutil.rmtree(checkpoint)
        _compare([run.folder for run in runs if run not in failed], output_dir)
    if failed:
        print_lines(f"failed: {', '.join(run.name for run in failed)}")
    return len(failed)


def _launcher(num_processes: int) -> list[str]:
    """What stands in front of the recipe. One process needs no launcher, which takes seconds to start and turns every
    exit code into 1."""
    return [sys.executable] if num_processes == 1 else [*LAUNCHER, *launch_flags(num_processes)]


def launch_flags(num_processes: int) -> list[str]:
    """What `accelerate launch` is told in front of the recipe, as `run.sh` tells it: it then asks for no config."""
    flags = ["--quiet", "--num_machines", "1", "--num_processes", str(num_processes)]
    flags += ["--mixed_precision", "no", "--dynamo_backend", "no"]  # the recipe's own flags choose the precision
    return [*flags, "--multi_gpu"] if num_processes > 1 else flags


def _run_once(title: str, run: PlannedRun, command: list[str]) -> bool:
    """Runs what has not finished before and says how it went; returns whether there is a finished run now."""
    if is_finished(run.folder):
        print_lines(f"{title}: finished before, {_validation(run.folder)}")
        return True
    print_lines(f"{title}: running")
    begun = time.monotonic()
    problem = _run(run, command)
    if problem is None:
        print_lines(f"{title}: {_validation(run.folder)} after {time.monotonic() - begun:.0f} s")
    else:
        print_lines(f"{title}: failed, {problem}")
    return problem is None


def _compare(finished: list[Path], output_dir: str) -> None:
    """Writes the page of the finished runs and prints its tables."""
    if not finished:
        return
    from hfcls.report import write_comparison

    page, tables = write_comparison(finished, Path(output_dir, "comparison.html"))
    print_lines(f"\n{tables}\n")
    print_lines(f"comparison: {page}")


def _group(words: list[str]) -> dict[str, list[str]]:
    """Flags and the words that follow each."""
    given = {}
    flag = None
    for word in words:
        if word.startswith("--"):
            flag, equals, value = word.partition("=")
            if flag in given:
                raise InputError(f"{flag} is given twice: separate its values by commas")
            given[flag] = [value] if equals else []
        elif flag is None:
            raise InputError(f"{word}: belongs to no flag; the recipe comes first, then --flag value")
        else:
            given[flag].append(word)
    return given


def _split(flag: str, values: list[str]) -> list[list[str]]:
    """The values to try, each as the words of one command."""
    if len(values) != 1:
        return [values]
    (value,) = values
    if len(value) > 1 and value[0] == value[-1] and value[0] in "'\"":
        return [[value[1:-1]]]
    if value[:1] in ("{", "["):
        return [[value]]
    parts = [part.replace("\\,", ",") for part in re.split(r"(?<!\\),", value)]
    if len(parts) > 1 and "" in parts:
        raise InputError(f"{flag} {value}: no value between two commas; a comma of a value itself is written \\,")
    return [[part] for part in parts]


def _run(run: PlannedRun, command: list[str]) -> str | None:
    """Runs the recipe to its end; returns what went wrong, None if nothing."""
    run.folder.mkdir(parents=True, exist_ok=True)
    log = run.folder / "log.txt"
    with log.open("ab") as file:
        if file.tell() == 0:
            file.write(f"$ {_as_typed(command)}\n".encode())
            file.flush()
        process = subprocess.Popen(
            # `auto` starts from the beginning where there is no checkpoint.
            [*command, "--resume_from_checkpoint", "auto"],
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            # A log file is no terminal, and is UTF-8 whatever the terminal's encoding.
            env={**os.environ, "TQDM_DISABLE": "1", "PYTHONIOENCODING": "utf-8"},
            start_new_session=True,
        )
        with _ended_with_this_process(process):
            code = process.wait()
    if code == 0 and is_finished(run.folder):
        return None
    lines = log.read_text(encoding="utf-8", errors="replace").split("\n")
    errors = [line.strip() for line in lines if re.match(r"(error|\w*Error)\b", line.strip())]
    return f"exit code {code}{': ' + errors[-1] if errors else ''} (see {log})"


@contextmanager
def _ended_with_this_process(process: subprocess.Popen) -> Iterator[None]:
    """Ends the launcher and what it started when the block is left early: Ctrl-C and SIGTERM are exceptions here."""
    try:
        yield
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGTERM)
            try:
                process.wait(ENDING_SECONDS)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


def _validation(folder: Path) -> str:
    """What a run scored on validation, by which settings are chosen; its test scores stand in the comparison."""
    about = record.read_record(folder)
    if about.chosen_by is None:
        return "no validation score"
    score = results.validation_score(about, results.read_results(folder, about.target), about.chosen_by)
    return "no validation score" if score is None else f"validation {results.metric_title(about.chosen_by)} {score:.4f}"


def _as_typed(command: list[str]) -> str:
    """The command as one would type it, without the values of secrets."""
    several = command[: len(LAUNCHER)] == LAUNCHER
    words = ["accelerate", "launch", *command[len(LAUNCHER) :]] if several else ["python", *command[1:]]
    for index, word in enumerate(words[:-1]):
        if word.startswith("--") and word.endswith("token"):
            words[index + 1] = "***"
    return shlex.join(words)


def _check_same_command(run: PlannedRun, command: str) -> None:
    """The first line of a log is the command: a folder is not taken for the result of other flags."""
    log = run.folder / "log.txt"
    if log.is_file():
        with log.open(encoding="utf-8", errors="replace") as file:
            before = file.readline().strip().removeprefix("$ ")
        launched = f"accelerate launch {shlex.join(launch_flags(1))} "  # as earlier versions started one process
        if before.replace(launched, "python ") != command:
            raise InputError(f"{run.folder}: was run as `{before}`: give another --output_dir for other flags")
    elif run.folder.is_dir() and any(run.folder.iterdir()):
        raise InputError(f"{run.folder}: holds what is not of a sweep: give another --output_dir")


def _check_recipe(recipe: str) -> None:
    if not Path(recipe).is_file():
        known = ", ".join(str(path) for path in sorted(Path("recipes").glob("*.py"))) or "none in ./recipes"
        raise InputError(f"{recipe}: no such recipe; there are: {known}")


def _check_gpus(num_processes: int) -> None:
    import torch  # not needed to plan a sweep

    if num_processes > torch.cuda.device_count():
        raise InputError(
            f"--num_processes {num_processes}: there are {torch.cuda.device_count()} GPUs, and each process needs one"
        )
