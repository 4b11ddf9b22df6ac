"""The wheel holds all that an installed hfcls needs: the recipes, the pages, the samples, and one version."""

import subprocess
import sys
import zipfile
from pathlib import Path

import hfcls

ROOT = Path(__file__).parents[1]


def test_the_wheel_holds_every_file_of_the_package_and_the_recipes(tmp_path):
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    tracked = [name for name in listed.split("\0") if name and (ROOT / name).is_file()]
    for name in tracked:  # setuptools writes beside the sources
        if name.split("/")[0] in ("hfcls", "recipes", "setup.py", "pyproject.toml", "README.md", "LICENSE"):
            copy = tmp_path / "source" / name
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes((ROOT / name).read_bytes())
    build = "from setuptools.build_meta import build_wheel; build_wheel('../wheel')"
    subprocess.run([sys.executable, "-c", build], cwd=tmp_path / "source", check=True, capture_output=True)
    (wheel,) = (tmp_path / "wheel").iterdir()
    assert wheel.name == f"hfcls-{hfcls.__version__}-py3-none-any.whl"
    with zipfile.ZipFile(wheel) as archive:
        packed = {name for name in archive.namelist() if ".dist-info/" not in name}
        metadata = archive.read(f"hfcls-{hfcls.__version__}.dist-info/METADATA").decode()
    expected = {name for name in tracked if name.startswith("hfcls/")}
    expected |= {f"hfcls/{name}" for name in tracked if name.startswith("recipes/")}
    assert packed == expected
    assert f"Version: {hfcls.__version__}\n" in metadata and "License-Expression: Apache-2.0" in metadata


def test_the_version_is_that_of_the_newest_entry_of_the_changelog():
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert f"\n## [{hfcls.__version__}]" in text
