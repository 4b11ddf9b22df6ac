"""Scripts in processes of their own that pay for no imports: forks of a process which has imported what recipes import.

For tests of what a command prints and ends with. What a fresh interpreter does itself (its imports, what libraries read
of the environment while they are imported) is for `subprocess`.
"""

import functools
import gc
import json
import os
import runpy
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.launching import free_port

ROOT = Path(__file__).parents[1]


def run_warm(*words: str | Path) -> subprocess.CompletedProcess[str]:
    """Runs a script with its arguments in the root of the repository, in the environment of this process."""
    (done,) = _run([str(word) for word in words], [{}])
    return done


def run_together(processes: int, *words: str | Path) -> None:
    """Runs a script in so many processes that train together, without a launcher.

    Raises:
        CalledProcessError: one failed.
    """
    world = {"WORLD_SIZE": str(processes), "LOCAL_WORLD_SIZE": str(processes)}
    world |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port())}
    ranks = [{"RANK": str(rank), "LOCAL_RANK": str(rank)} for rank in range(processes)]
    for done in _run([str(word) for word in words], [world | rank for rank in ranks]):
        if done.returncode:
            raise subprocess.CalledProcessError(done.returncode, done.args, done.stdout, done.stderr)


def _run(words: list[str], environments: list[dict[str, str]]) -> list[subprocess.CompletedProcess[str]]:
    """A process for each of `environments`, which are over that of this process; all at once."""
    with tempfile.TemporaryDirectory() as folder:
        places = [[str(Path(folder, f"{name}{n}")) for name in ("out", "err")] for n in range(len(environments))]
        starts = [[words, place, os.environ | more] for place, more in zip(places, environments, strict=True)]
        server = _server()
        server.stdin.write(json.dumps(starts) + "\n")
        server.stdin.flush()
        codes = json.loads(server.stdout.readline())
        texts = [[Path(path).read_text(encoding="utf-8") for path in place] for place in places]
    return [subprocess.CompletedProcess(words, code, *text) for code, text in zip(codes, texts, strict=True)]


@functools.cache
def _server() -> subprocess.Popen[str]:
    """Ends when this process does: its standard input is closed then."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT), "TOKENIZERS_PARALLELISM": "false"}
    return subprocess.Popen(
        [sys.executable, __file__], cwd=ROOT, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


def preload() -> None:
    """Imports what a recipe imports on its way, and reads the template of its report, so that forks need not."""
    import sklearn.feature_extraction.text
    import sklearn.linear_model
    import sklearn.svm  # noqa: F401

    import hfcls.data.table
    import hfcls.models.text_cnn
    import hfcls.report.page
    import hfcls.text.baselines
    import hfcls.text.corpus
    import hfcls.text.recipe
    import hfcls.training.folds  # noqa: F401
    from hfcls.pages.templates import environment

    environment(hfcls.report.page.HERE).get_template("report.html")
    gc.freeze()  # Trainer collects garbage after each run, which takes half a second among all of this


def _serve() -> None:
    preload()
    answers = os.fdopen(os.dup(1), "w")
    for line in sys.stdin:
        children = []
        for start in json.loads(line):
            child = os.fork()
            if child == 0:  # which leaves the loops, and ends as any interpreter does
                answers.close()
                _become(*start)
                return
            children.append(child)
        codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
        print(json.dumps(codes), file=answers, flush=True)


def _become(words: list[str], outputs: list[str], environment: dict[str, str]) -> None:
    for number, path in enumerate(outputs, start=1):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT), number)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = words
    runpy.run_path(words[0], run_name="__main__")


if __name__ == "__main__":
    _serve()
