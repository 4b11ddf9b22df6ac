"""Programs in processes of their own that pay for few imports: forks of tests/warm_server.py.

What a fresh interpreter does itself (how long it imports, what it imports first) is for `subprocess`.
"""

import functools
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.launching import free_port

ROOT = Path(__file__).parents[1]


def run_warm(*words: str | Path) -> subprocess.CompletedProcess[str]:
    """Runs a script with its arguments in the root of the repository, in the environment of this process.

    It has imported what recipes import: libraries have read then what they read of the environment.
    """
    (done,) = _run([str(word) for word in words], [{}], recipes=True)
    return done


def run_apart(
    *words: str | Path,
    environment: dict[str, str] | None = None,
    folder: Path | str = ROOT,
    given: str | bytes = "",
    check: bool = False,
) -> subprocess.CompletedProcess[str]:
    """Runs `python *words` (a script, `-c` or `-m`) with nothing of Hugging Face or hfcls imported before.

    Args:
        environment: all that the process has of one; that of this process by default.
        folder: where it runs.
        given: what it reads from its standard input.
        check: whether another exit code than 0 raises CalledProcessError, which then tells the end of what was said.
    """
    environment = dict(os.environ) if environment is None else environment
    (done,) = _run([str(word) for word in words], [environment], recipes=False, folder=folder, given=given)
    if check and done.returncode:
        error = subprocess.CalledProcessError(done.returncode, done.args, done.stdout, done.stderr)
        error.add_note(done.stderr[-3000:])
        raise error
    return done


def run_together(processes: int, *words: str | Path) -> None:
    """Runs a script in so many processes that train together, without a launcher.

    Raises:
        CalledProcessError: one failed.
    """
    world = {"WORLD_SIZE": str(processes), "LOCAL_WORLD_SIZE": str(processes)}
    world |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port())}
    ranks = [{"RANK": str(rank), "LOCAL_RANK": str(rank)} for rank in range(processes)]
    for done in _run([str(word) for word in words], [world | rank for rank in ranks], recipes=True):
        done.check_returncode()


def _run(
    words: list[str],
    environments: list[dict[str, str]],
    *,
    recipes: bool,
    folder: Path | str = ROOT,
    given: str | bytes = "",
) -> list[subprocess.CompletedProcess[str]]:
    """A process for each of `environments`, all at once; those of recipes have that of this process besides."""
    ours = {**os.environ, "PYTHONPATH": str(ROOT)} if recipes else {}
    with tempfile.TemporaryDirectory() as place:
        files = [[str(Path(place, f"{name}{n}")) for name in ("in", "out", "err")] for n in range(len(environments))]
        for path, *_ in files:
            Path(path).write_bytes(given.encode() if isinstance(given, str) else given)
        starts = [[words, str(folder), of, ours | more] for of, more in zip(files, environments, strict=True)]
        server = _server()
        server.stdin.write(json.dumps([recipes, starts]) + "\n")
        server.stdin.flush()
        codes = json.loads(server.stdout.readline())
        texts = [[Path(path).read_text(encoding="utf-8") for path in of[1:]] for of in files]
    return [subprocess.CompletedProcess(words, code, *text) for code, text in zip(codes, texts, strict=True)]


@functools.cache
def _server() -> subprocess.Popen[str]:
    """Ends when this process does: its standard input is closed then."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}
    return subprocess.Popen(
        [sys.executable, "-I", str(Path(__file__).with_name("warm_server.py"))],
        cwd=ROOT,
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
