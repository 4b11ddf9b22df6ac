"""The process of tests/warm.py: it imports what is dear, and runs programs in forks of itself.

A line of its standard input, `[recipes, starts]`, names programs that run at the same time; each start holds what
`become` takes. The line of its answer holds their exit codes. Forks have imported torch and the libraries around it,
none of which reads an address, a token or a folder from the environment; not those of Hugging Face, which do, and not
hfcls. Where `recipes` is true they have imported these, too.
"""

import gc
import importlib
import json
import os
import runpy
import socket
import sys
import types
from pathlib import Path
from typing import TextIO

ROOT = Path(__file__).parents[1]
LIBRARIES = (
    "torch._dynamo torch.distributed.checkpoint torch.distributed.fsdp torch.distributed.tensor.parallel "
    "torch.utils.data PIL.Image jinja2 pandas psutil pyarrow.dataset pyarrow.parquet scipy.optimize scipy.stats "
    "sklearn.feature_extraction.text sklearn.linear_model sklearn.metrics sklearn.svm"
).split()


def import_libraries() -> None:
    for name in LIBRARIES:
        importlib.import_module(name)
    gc.freeze()  # Trainer collects garbage after each run, which takes half a second among all of this


def import_recipes() -> None:
    """Imports what a recipe imports on its way, and reads the template of its report."""
    sys.path.insert(0, str(ROOT))
    import_libraries()
    import hfcls.data.table
    import hfcls.models.text_cnn
    import hfcls.report.page
    import hfcls.text.baselines
    import hfcls.text.corpus
    import hfcls.text.recipe
    import hfcls.training.folds  # noqa: F401
    from hfcls.pages.templates import environment

    environment(hfcls.report.page.HERE).get_template("report.html")
    gc.freeze()


def serve(requests: TextIO, answers: TextIO) -> list | None:
    """Returns in each fork, with what it shall become; and None when there are no more requests."""
    of_recipes = None
    for line in requests:
        recipes, starts = json.loads(line)
        if recipes:
            if of_recipes is None:
                ours, theirs = socket.socketpair()
                if os.fork() == 0:
                    ours.close()
                    import_recipes()
                    return serve(theirs.makefile("r"), theirs.makefile("w"))
                theirs.close()
                of_recipes = ours.makefile("rw")
            print(json.dumps([False, starts]), file=of_recipes, flush=True)
            print(of_recipes.readline(), end="", file=answers, flush=True)
            continue
        children = []
        for start in starts:
            child = os.fork()
            if child == 0:
                return start
            children.append(child)
        codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
        print(json.dumps(codes), file=answers, flush=True)
    return None


def become(words: list[str], folder: str, files: list[str], environment: dict[str, str]) -> None:
    """Runs `python *words` in `folder`; its standard input, output and error are the three files."""
    for number, path in enumerate(files):
        os.dup2(os.open(path, os.O_RDWR | os.O_CREAT), number)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    isolated = words[0] == "-I"
    program, *arguments = words[isolated:]
    if program in ("-c", "-m"):
        code, *arguments = arguments
    if not isolated:
        beside = folder if program in ("-c", "-m") else str(Path(program).resolve().parent)
        sys.path[:0] = [beside, *filter(None, environment.get("PYTHONPATH", "").split(os.pathsep))]
    sys.argv = [program, *arguments]
    if program == "-c":
        main = sys.modules["__main__"] = types.ModuleType("__main__")
        exec(compile(code, "<string>", "exec"), vars(main))
    elif program == "-m":
        runpy.run_module(code, run_name="__main__", alter_sys=True)
    else:
        runpy.run_path(program, run_name="__main__")


if __name__ == "__main__":
    import_libraries()
    start = serve(sys.stdin, os.fdopen(os.dup(1), "w"))
    if start is not None:  # and the fork ends as any interpreter does
        become(*start)
