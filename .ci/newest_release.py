"""Makes sure that the tests run with the newest transformers that pyproject.toml admits.

Its upper bound is what was tested: parts of the house rest on how Trainer works inside. Without a package index there
is nothing to compare with, which is said and is no failure.
"""

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

root = Path(__file__).parents[1]
dependencies = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]["dependencies"]
admitted = next(line for line in dependencies if re.match(r"transformers\b", line))
locked = re.search(r"^transformers==(\S+)$", (root / "requirements.lock").read_text(encoding="utf-8"), re.M).group(1)

ask = (
    "install --dry-run --no-deps --ignore-installed --only-binary :all: --quiet --disable-pip-version-check --report -"
)
answer = subprocess.run([sys.executable, "-m", "pip", *ask.split(), admitted], capture_output=True, text=True)
if answer.returncode != 0:
    print(f"not checked: no package index says which release of {admitted} is the newest")
    sys.exit(0)
newest = json.loads(answer.stdout)["install"][0]["metadata"]["version"]
if newest != locked:
    sys.exit(
        f"error: pyproject.toml admits transformers {newest}, and requirements.lock tests {locked}: "
        f"test {newest} and lock it, or lower the bound"
    )
print(f"transformers {locked} is the newest release of {admitted}")
