"""The program of the README, run as it stands: trained, tested, asked, pushed and reloaded from the Hub."""

import re
import subprocess
import sys
from pathlib import Path

from tests.docs.inputs import write_reviews
from tests.hub_server import serve_hub

ROOT = Path(__file__).parents[2]


def test_it_runs(tmp_path):
    (program,) = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), flags=re.DOTALL)
    write_reviews(tmp_path)
    with serve_hub() as hub:
        done = subprocess.run(
            [sys.executable, "-c", program.replace("USER/", "tester/")],
            cwd=tmp_path,
            env=hub.environment(tmp_path / "hf", OMP_NUM_THREADS="1"),
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr[-3000:]
        assert "model.safetensors" in hub.repos["tester/reviews"].files
    *_, measured, label, reloaded = done.stdout.strip().splitlines()
    accuracy, report = measured.split()
    assert 0 <= float(accuracy) <= 1 and (tmp_path / report).is_file()
    assert label == "5" and "'5': " in reloaded
