"""Data sets that lie in pieces are read whole, or refused."""

import datasets
import pytest

from hfcls.audit.sources import load_tables
from hfcls.data.table import Table
from hfcls.inference.text_files import TextFile
from tests.data.test_one_reader import TEXTS


def test_pieces_of_splits(tmp_path):
    """As a data set of the Hub lies on a disk, and as `save_to_disk` leaves it."""
    names = datasets.ClassLabel(names=["股市", "球队"])
    features = datasets.Features({"text": datasets.Value("string"), "label": names})
    rows = datasets.Dataset.from_dict({"text": TEXTS, "label": [0, 1] * 20}, features)
    (tmp_path / "hub" / "data").mkdir(parents=True)
    for piece, part in enumerate((range(30), range(30, 40))):
        rows.select(part).to_parquet(tmp_path / "hub" / "data" / f"train-0000{piece}-of-00002.parquet")
    rows.save_to_disk(tmp_path / "saved", num_shards=2)
    datasets.DatasetDict({"train": rows}).save_to_disk(tmp_path / "splits")
    (tmp_path / "converted" / "train").mkdir(parents=True)
    for piece, part in enumerate((range(30), range(30, 40))):
        rows.select(part).to_parquet(tmp_path / "converted" / "train" / f"000{piece}.parquet")
    for folder in ("hub", "saved", "splits", "converted"):
        config = Table(data_dir=str(tmp_path / folder)).config
        assert config.labels == ["球队", "股市"]
        found = {(row["text"], *row["labels"]) for split in config.splits.values() for row in split}
        assert found == {(text, ["股市", "球队"][row % 2]) for row, text in enumerate(TEXTS)}
        corpus = load_tables(str(tmp_path / folder), text_column="text", label_column="label")
        assert list(corpus.contents) == TEXTS and corpus.classes == config.labels
        assert [row[0] for row in TextFile(str(tmp_path / folder))] == TEXTS
    with pytest.raises(ValueError, match="train-00000-of-00002.parquet: is one of 2 pieces; give their folder"):
        Table(data_dir=str(tmp_path / "hub" / "data" / "train-00000-of-00002.parquet"))
    with pytest.raises(ValueError, match="no train.csv.*; give the folder converted in it, or another"):
        Table(data_dir=str(tmp_path))
    (tmp_path / "hub" / "data" / "train-00001-of-00002.parquet").unlink()
    with pytest.raises(ValueError, match="train-00000-of-00002.parquet: 1 of 2 pieces are there; fetch the others"):
        Table(data_dir=str(tmp_path / "hub"))
