import re
import subprocess
import sys
from pathlib import Path

import pytest

from hfcls.data.builder import CorpusBuilder
from hfcls.data.corpora import CORPORA, corpus_names

ROOT = Path(__file__).parent.parent.parent


def test_the_table_and_the_help_load_nothing_heavy():
    script = """
import sys
import hfcls.data.files
from hfcls.data.corpora import CORPORA
from hfcls.cli import main
try:
    main(["check", "--help"])
except SystemExit:
    pass
heavy = {name.split(".")[0] for name in sys.modules} & {"torch", "datasets", "transformers", "numpy", "pyarrow"}
assert not heavy, heavy
"""
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert all(name in done.stdout for name in CORPORA)


def test_a_corpus_is_named_in_the_table_only():
    """To add one is a builder and a row: no other module of the package has its name in a literal."""
    for path in (ROOT / "hfcls").rglob("*.py"):
        if path.parent.name == "data" and (path.stem == "corpora" or path.stem in CORPORA):
            continue
        code = re.sub(r'CORPORA\["\w+"\]|"""(?:.|\n)*?"""|hfcls\.\S+ import', "", path.read_text(encoding="utf-8"))
        named = [name for name in CORPORA if re.search(rf"[\"'\s]{name}[\"'\s,;]", code)]
        assert not named, (path, named)


@pytest.mark.parametrize("name", [name for name in CORPORA if name != "dataset_cards"])
def test_every_row_prepares_its_sample(name, tmp_path):
    prepared = CORPORA[name].prepare(None, cache_dir=str(tmp_path))
    assert isinstance(prepared.builder, CorpusBuilder) and prepared.source == "embedded sample"
    assert all(len(prepared.splits[split]) for split in ("train", "validation", "test"))
    group = CORPORA[name].group_column
    assert group is None or group in prepared.splits["train"].column_names


def test_kinds():
    assert corpus_names("text") == ["thucnews", "imdb", "ccf_sentiment"]
