"""Runs of a recipe that are killed by SIGKILL and repeated: `python tests/killed_recipe.py DIR`.

Every run is a fork of this process, so that imports are paid once. In DIR there is a folder for each of SCENARIOS; what
a run of it prints goes to OUTPUT_DIR.log, and DIR/<scenario>/error.txt says what a scenario ended with if it failed.
"""

import contextlib
import json
import logging
import os
import random
import runpy
import shutil
import signal
import socket
import sys
import traceback
from pathlib import Path

import transformers
from transformers.trainer_callback import DefaultFlowCallback

from hfcls import sweep
from tests.warm_server import import_recipes

RECIPE = "recipes/text_classification.py"
FLAGS = (
    "--architecture text_cnn --embedding_dim 8 --tokens word --per_device_train_batch_size 16 --logging_steps 3 "
    "--learning_rate 1e-2 --use_cpu --bf16 False --disable_tqdm True"
)

# Of a loss that falls, the first checkpoint is the "best": surely not the last.
BEST = (
    "--num_train_epochs 4 --save_strategy best --early_stopping_patience 9 "
    "--metric_for_best_model loss --greater_is_better True"
)


def write_rows(path: Path) -> None:
    """120 rows of three classes that a word tells apart, which a third of the rows lack."""
    draw = random.Random(0)
    lines = ["text,label"]
    for number in range(120):
        label = "abc"[number % 3]
        words = [label * 2 if draw.random() < 0.7 else "x", *(draw.choice("pqrstuvw") * 2 for _ in range(6))]
        lines.append(f"{' '.join(words)},{label}")
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def recipe(output_dir: Path, flags: str, *, resume=False, kill_at=None, kill_after_training=False, kill_at_file=None):
    """Runs the recipe in a fork and returns the process's wait status: 0, 256 times its exit code, or the signal.

    Args:
        resume: with `--resume_from_checkpoint auto`.
        kill_at: the number of the step that ends it.
        kill_after_training: ends it before the test.
        kill_at_file: ends it when a file of this name is opened for writing, and has no content yet.
    """
    argv = [RECIPE, *FLAGS.split(), "--data_dir", str(output_dir.parent / "rows.csv"), "--output_dir", str(output_dir)]
    argv += [*flags.split(), *(["--resume_from_checkpoint", "auto"] if resume else [])]

    def run():
        if kill_at is not None:
            _patch(DefaultFlowCallback, "on_step_end", lambda state: state.global_step == kill_at)
        if kill_after_training:
            _patch(transformers.TrainerCallback, "on_train_end", lambda state: True)
        if kill_at_file is not None:
            sys.addaudithook(_die_at(kill_at_file))
        sys.argv = argv
        runpy.run_path(RECIPE, run_name="__main__")

    return fork(run, output_dir.with_suffix(".log"))


def _patch(cls, name: str, condition) -> None:
    method = getattr(cls, name)

    def killing(self, args, state, control, **kwargs):
        if condition(state):
            os.kill(os.getpid(), signal.SIGKILL)
        return method(self, args, state, control, **kwargs)

    setattr(cls, name, killing)


def _die_at(name: str):
    def hook(event, arguments):
        if event == "open" and str(arguments[0]).endswith(f"/{name}") and "w" in (arguments[1] or ""):
            os.kill(os.getpid(), signal.SIGKILL)

    return hook


def fork(function, log: Path) -> int:
    child = start(function, log)
    return os.waitpid(child, 0)[1]


def start(function, log: Path) -> int:
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        with log.open("a", buffering=1) as file, contextlib.redirect_stdout(file), contextlib.redirect_stderr(file):
            try:
                function()
                code = 0
            except SystemExit as error:
                code = error.code or 0
            except BaseException:
                logging.getLogger("worker").exception("failed")
                raise
    finally:
        os._exit(code)


def expect(status: int, expected: int, what: str) -> None:
    assert status == expected, f"{what}: ended with {status}, not {expected}"


EARLY = "--num_train_epochs 12 --early_stopping_patience 3"


def early_stopping(directory: Path) -> None:
    """Patience ends `whole`; `often` is killed in every second epoch, and needs more epochs than that to lose it."""
    expect(recipe(directory / "whole", EARLY), 0, "whole")
    steps_per_epoch = 6
    expect(recipe(directory / "often", EARLY, kill_at=9), signal.SIGKILL, "often")
    for epochs in range(3, 12, 2):
        status = recipe(directory / "often", EARLY, resume=True, kill_at=epochs * steps_per_epoch + 3)
        if status == 0:
            return
        expect(status, signal.SIGKILL, f"often, {epochs}")
    expect(recipe(directory / "often", EARLY, resume=True), 0, "often")


def best(directory: Path) -> None:
    """`killed` has a checkpoint of its best evaluation only, which is not the last."""
    expect(recipe(directory / "whole", BEST), 0, "whole")
    expect(recipe(directory / "killed", BEST, kill_at=23), signal.SIGKILL, "killed")
    expect(recipe(directory / "killed", BEST, resume=True), 0, "killed")


def older(directory: Path) -> None:
    """A checkpoint as older versions wrote them: without setup.json, and without totals."""
    flags = "--num_train_epochs 2"
    expect(recipe(directory / "killed", flags, kill_at=9), signal.SIGKILL, "killed")
    (directory / "killed" / "setup.json").unlink()
    path = directory / "killed" / "checkpoint-6" / "trainer_state.json"
    state = json.loads(path.read_text())
    del state["stateful_callbacks"]["RunTotals"]
    path.write_text(json.dumps(state))
    expect(recipe(directory / "killed", flags, resume=True), 0, "killed")


END_POINTS = {
    "after_training": {"kill_after_training": True},
    "before_run": {"kill_at_file": "run.part"},
    "before_report": {"kill_at_file": "report.html"},
    "before_card": {"kill_at_file": "README.md"},
}


def end(directory: Path) -> None:
    """The runs stop by patience, in the middle of an epoch; resumed, they die if they train one step."""
    flags = "--num_train_epochs 6 --eval_strategy steps --eval_steps 4 --early_stopping_patience 2"
    expect(recipe(directory / "whole", flags), 0, "whole")
    for name, point in END_POINTS.items():
        expect(recipe(directory / name, flags, **point), signal.SIGKILL, name)
        _forbid_steps(directory / name, flags)
    # the same with the last step that the flags allow
    expect(recipe(directory / "all_steps", "--max_steps 8", kill_after_training=True), signal.SIGKILL, "all_steps")
    _forbid_steps(directory / "all_steps", "--max_steps 8")
    shutil.copytree(directory / "whole", directory / "before")
    _forbid_steps(directory / "whole", flags)


def _forbid_steps(output_dir: Path, flags: str) -> None:
    def run():
        _patch(DefaultFlowCallback, "on_step_end", lambda state: True)
        sys.argv = [RECIPE, *FLAGS.split(), *flags.split(), "--resume_from_checkpoint", "auto"]
        sys.argv += ["--data_dir", str(output_dir.parent / "rows.csv"), "--output_dir", str(output_dir)]
        runpy.run_path(RECIPE, run_name="__main__")

    expect(fork(run, output_dir.with_suffix(".log")), 0, f"{output_dir.name}, again")


def folds(directory: Path) -> None:
    """Killed inside the first fold, between it and the second, and before the last files."""
    flags = "--num_train_epochs 2 --num_folds 2"
    expect(recipe(directory / "whole", flags), 0, "whole")
    folder = directory / "killed"
    expect(recipe(folder, flags, kill_at=5), signal.SIGKILL, "inside the first fold")
    expect(recipe(folder, flags, resume=True, kill_at_file="part.probabilities.npz"), signal.SIGKILL, "after the first")
    shutil.copy(folder / "fold_1" / "run.json", directory)
    expect(recipe(folder, flags, resume=True, kill_at_file="out_of_fold.csv"), signal.SIGKILL, "after the last")
    expect(recipe(folder, flags, resume=True), 0, "killed")


def sweeps(directory: Path) -> None:
    """Killed inside the second run. The launcher is replaced by a fork; the rest is `run_sweep` itself."""
    words = f"{FLAGS} --data_dir {directory / 'rows.csv'} --num_train_epochs 2 --seed 1,2".split()

    class Forked:
        def __init__(self, command, *, stdout, **options):
            def run():
                if (directory / "kill").exists() and Path(stdout.name).parent.name == "seed=2":
                    _patch(DefaultFlowCallback, "on_step_end", lambda state: state.global_step == 8)
                sys.argv = command[command.index(RECIPE) :]
                runpy.run_path(RECIPE, run_name="__main__")

            self.pid = start(run, Path(stdout.name))

        def wait(self):
            self.returncode = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
            return self.returncode

        def poll(self):
            return self.returncode

    sweep.subprocess.Popen = Forked
    with (directory / "sweep.log").open("w") as log, contextlib.redirect_stdout(log):
        assert sweep.run_sweep(RECIPE, words, str(directory / "whole")) == 0
        (directory / "kill").touch()
        assert sweep.run_sweep(RECIPE, words, str(directory / "killed")) == 1
        (directory / "kill").unlink()
        shutil.copytree(directory / "killed" / "seed=1", directory / "first")
        assert sweep.run_sweep(RECIPE, words, str(directory / "killed")) == 0


def processes(directory: Path) -> None:
    """Two processes: `whole`, then the same command again, which has nothing to do; and `killed` inside an epoch."""
    two_processes(directory / "whole", "first", 0)
    shutil.copytree(directory / "whole", directory / "before")
    two_processes(directory / "whole", "second", 0)
    two_processes(directory / "killed", "killed", signal.SIGKILL, kill_at=5)
    two_processes(directory / "killed", "resumed", 0)


def two_processes(output_dir: Path, name: str, status: int, kill_at: int | None = None) -> None:
    argv = [RECIPE, *FLAGS.split(), "--num_train_epochs", "2", "--data_dir", str(output_dir.parent / "rows.csv")]
    argv += ["--output_dir", str(output_dir), "--resume_from_checkpoint", "auto"]
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])

    def run(rank):
        os.environ |= {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2"}
        os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
        if kill_at is not None:
            _patch(DefaultFlowCallback, "on_step_end", lambda state: state.global_step == kill_at)
        sys.argv = argv
        runpy.run_path(RECIPE, run_name="__main__")

    children = [start(lambda rank=rank: run(rank), output_dir.parent / f"{name}_{rank}.log") for rank in "01"]
    for child in children:
        expect(os.waitpid(child, 0)[1], status, name)


SCENARIOS = {
    "early_stopping": early_stopping,
    "best": best,
    "end": end,
    "older": older,
    "folds": folds,
    "sweep": sweeps,
    "processes": processes,
}

if __name__ == "__main__":
    import_recipes()
    for name, scenario in SCENARIOS.items():
        directory = Path(sys.argv[1], name)
        directory.mkdir()
        write_rows(directory / "rows.csv")
        try:
            scenario(directory)
        except Exception:  # the others go on; a test reads what is said here
            (directory / "error.txt").write_text(traceback.format_exc())
