"""Runs every command of the READMEs as it stands, one page after the other, on small inputs: for a nightly job.

    python tests/docs/run_pages.py                  # all pages
    python tests/docs/run_pages.py recipes/data.md   # some

Files and folders have the names that the pages use (tests/docs/inputs.py), the Hub is one on the loopback address with
tiny models under the names of the real ones. Recipes get a few steps at most. What cannot be run so is listed with its
reason. Exit code 1 if a command fails.
"""

import os
import re
import shlex
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.docs.inputs import save_hub_models, write_inputs
from tests.hub_server import Repo, serve_hub

ROOT = Path(__file__).parents[2]
PAGES = ["README.md", *sorted(f"recipes/{path.name}" for path in (ROOT / "recipes").glob("*.md"))]
FEW = "--max_steps 4 --eval_steps 4 --save_steps 4 --max_test_samples 60 --max_eval_samples 60"

# What a command names → why it is not run here.
LEFT_OUT = {
    "./run.sh test": "the suite itself",
    "fancyzhx/ag_news": "a data set of the Hub",
    "clip_cn_vit-b-16.pt": "a checkpoint of cn-clip",
    "s3://": "needs a bucket",
    "spark://": "needs a cluster",
    "--address auto": "needs a cluster",
    "modelscope:": "needs ModelScope",
    "pip install": "installs packages",
    "/models/": "a folder of the reader's",
    "hub.example.org": "a mirror of the reader's",
}
REVIEWS = "./run.sh text_classification --data_dir reviews.csv --text_column review --label_column stars"
# Runs that a page takes for granted, made when a command names them.
BEFORE = {
    "outputs/thucnews_rnn": "./run.sh thucnews_rnn --architecture ngram_linear",
    "outputs/thucnews_bert": "./run.sh thucnews_bert --from_scratch tiny",
    "outputs/a": "./run.sh thucnews_rnn --architecture ngram_linear",
    "outputs/b": "./run.sh thucnews_rnn --architecture text_cnn",
    "outputs/other": f"{REVIEWS} --architecture text_cnn",
    "outputs/reviews": f"{REVIEWS} --architecture ngram_linear",
    "outputs/text_classification": f"{REVIEWS} --architecture ngram_linear",
}
OUTPUTS = "outputs/run-"  # of recipes that are not told where


def commands(page: str) -> list[str]:
    """The commands of the code blocks of a page, each on one line."""
    text = (ROOT / page).read_text(encoding="utf-8")
    lines = []
    for block in re.findall(r"```bash\n(.*?)```", text, flags=re.DOTALL):
        for line in block.replace("\\\n", " ").splitlines():
            command = " ".join(re.sub(r"\s#.*|^#.*", "", line).split())
            if command:
                lines.append(command)
    return lines


def write_checkout(folder: Path) -> str:
    """Makes `folder` look like a checkout after installing, whose recipes take a few steps; returns its PATH."""
    (folder / "recipes").symlink_to(ROOT / "recipes")
    (folder / "bin").mkdir()
    python = shlex.quote(sys.executable)
    recipe = f"""#!/bin/bash
if [ $# = 0 ]; then set -- thucnews_bert --from_scratch tiny; fi
task=$1; shift
[ -f "recipes/$task.py" ] && task=recipes/$task.py
[[ "$*" == *--output_dir* || "$*" == *--resume_from_checkpoint* ]] || set -- "$@" --output_dir {OUTPUTS}$RANDOM
exec {python} "$task" "$@" {FEW}
"""
    verb = f"""#!/bin/bash
[ "$1" = sweep ] && set -- "$@" {FEW}
exec {python} -m hfcls.cli "$@"
"""
    for path, script in ((folder / "run.sh", recipe), (folder / "bin" / "hfcls", verb)):
        path.write_text(script, encoding="utf-8")
        path.chmod(0o755)
    return os.pathsep.join([str(folder / "bin"), str(Path(sys.executable).parent), os.environ["PATH"]])


def run(page: str, folder: Path, environment: dict[str, str]) -> list[str]:
    """The commands of the page that failed."""
    failed, variables = [], ""
    for command in commands(page):
        reason = next((why for what, why in LEFT_OUT.items() if what in command), None)
        if reason:
            print(f"  not run ({reason}): {command}")
            continue
        if re.fullmatch(r'[A-Z]+="[^"]*"', command):  # of the shell, for the commands below
            variables += f"{command}; "
            continue
        for name, before in BEFORE.items():
            used = re.search(rf"{name}\b", command) and f"--output_dir {name}" not in command
            if used and not (folder / name).exists():
                execute(f"{before} --output_dir {name}", folder, environment)
        began = time.monotonic()
        done = execute(variables + command.replace("USER/", "tester/"), folder, environment)
        print(
            f"  {'ok' if done.returncode == 0 else 'FAILED'} {time.monotonic() - began:5.1f} s  {command}", flush=True
        )
        if done.returncode:
            print("\n".join(done.stderr.strip().splitlines()[-3:]))
            failed.append(command)
    return failed


def execute(command: str, folder: Path, environment: dict[str, str]) -> subprocess.CompletedProcess:
    return subprocess.run(
        ["bash", "-c", command], cwd=folder, env=environment, capture_output=True, text=True, timeout=900
    )


def main() -> None:
    failed = []
    with tempfile.TemporaryDirectory() as home, serve_hub() as hub:
        for name, path in save_hub_models(Path(home, "models")).items():
            files = {file.name: file.read_bytes() for file in path.iterdir()}
            hub.repos[name] = Repo(private=False, branches={"main": files})
        environment = hub.environment(Path(home, "hf"), HF_DATASETS_CACHE=str(Path(home, "cache")), TQDM_DISABLE="1")
        environment["OMP_NUM_THREADS"] = os.environ.get("OMP_NUM_THREADS", "1")
        for page in sys.argv[1:] or PAGES:
            if page == "recipes/own.md":
                print(f"{page}: run by tests/test_worked_examples.py")
                continue
            folder = Path(home, page.replace("/", "_"))
            folder.mkdir()
            write_inputs(folder)
            print(page)
            failed += run(page, folder, environment | {"PATH": write_checkout(folder)})
    sys.exit(f"{len(failed)} commands failed" if failed else 0)


if __name__ == "__main__":
    main()
