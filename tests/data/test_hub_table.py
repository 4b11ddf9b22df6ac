"""A data set as the Hub would give it. Where the network ends, `load_dataset` takes a folder as it takes a name."""

import json
from pathlib import Path

import datasets
import pytest

from hfcls.data.hub_table import fetch_table
from hfcls.data.table import Table
from hfcls.errors import InputError
from tests.text.test_baselines import run


@pytest.fixture
def published(tmp_path, monkeypatch):
    """`reviews/` with numbered classes, a list of tags, and a split that is none of ours; used as NAMESPACE/NAME."""
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    monkeypatch.chdir(tmp_path)
    kinds, tags = datasets.ClassLabel(names=["good", "bad"]), datasets.ClassLabel(names=["long", "short"])
    features = datasets.Features({"review": datasets.Value("string"), "kind": kinds, "tags": datasets.List(tags)})
    for split, rows in {"train": 80, "test": 20, "unsupervised": 4}.items():
        columns = {
            "review": [f"{('good', 'awful')[row % 2]} {split} number {row}" for row in range(rows)],
            "kind": [row % 2 for row in range(rows)],
            "tags": [[0, 1][: row % 3] for row in range(rows)],
        }
        file = tmp_path / "someone" / "reviews" / "data" / f"{split}-00000.parquet"
        file.parent.mkdir(parents=True, exist_ok=True)
        datasets.Dataset.from_dict(columns, features).to_parquet(file)
    files = "".join(f"  - split: {split}\n    path: data/{split}-*\n" for split in ("train", "test", "unsupervised"))
    card = f"---\nconfigs:\n- config_name: default\n  data_files:\n{files}---\n"
    (tmp_path / "someone" / "reviews" / "README.md").write_text(card)
    return "someone/reviews"


def test_numbers_become_names_and_splits_stay(published):
    notes = []
    folder = fetch_table(published, notes.append)
    assert sorted(file.name for file in folder.iterdir()) == ["test.parquet", "train.parquet"]
    assert notes == [f"{published}: the split unsupervised is left out"]
    builder = Table(data_dir=str(folder), text_column="review", label_column="kind")
    builder.download_and_prepare()
    splits = builder.as_dataset()
    assert {name: len(split) for name, split in splits.items()} == {"train": 72, "validation": 8, "test": 20}
    names = splits["test"].features["label"].names
    assert [names[row["label"]] for row in splits["test"]] == ["good", "bad"] * 10
    tagged = Table(data_dir=str(folder), text_column="review", label_column="tags", multi_label=True)
    assert tagged.config.labels == ["long", "short"]


def test_recipe(published, tmp_path, monkeypatch):
    recipe = str(Path(__file__).parents[2] / "recipes" / "text_classification.py")
    flags = f"--dataset {published} --text_column review --label_column kind --tokens word"
    flags += " --architecture ngram_linear --per_device_train_batch_size 16"
    assert run(recipe, flags, tmp_path / "out", monkeypatch)["test_accuracy"] > 0.9
    data = json.loads((tmp_path / "out" / "run.json").read_text())["data"]
    assert (data["name"], data["source"]) == (published, published)
    assert f"{published}: the split unsupervised is left out" in data["notes"]


def test_without_a_network(tmp_path, monkeypatch):
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    with pytest.raises(InputError, match="--dataset nobody/nothing: cannot be loaded .* set HF_ENDPOINT to a mirror"):
        fetch_table("nobody/nothing", print)
