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

ROOT = Path(__file__).parents[1]


def run_warm(*words: str) -> subprocess.CompletedProcess[str]:
    """Runs a script with its arguments in the root of the repository, in the environment of this process."""
    words = [str(word) for word in words]
    with tempfile.TemporaryDirectory() as folder:
        outputs = [str(Path(folder, name)) for name in ("stdout", "stderr")]
        server = _server()
        server.stdin.write(json.dumps([words, outputs, dict(os.environ)]) + "\n")
        server.stdin.flush()
        code = json.loads(server.stdout.readline())
        return subprocess.CompletedProcess(words, code, *(Path(path).read_text(encoding="utf-8") for path in outputs))


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
        words, outputs, environment = json.loads(line)
        child = os.fork()
        if child == 0:  # which leaves the loop, and ends as any interpreter does
            answers.close()
            for number, path in enumerate(outputs, start=1):
                os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT), number)
            os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
            os.environ.clear()
            os.environ.update(environment)
            sys.argv = words
            runpy.run_path(words[0], run_name="__main__")
            return
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), file=answers, flush=True)


if __name__ == "__main__":
    _serve()
