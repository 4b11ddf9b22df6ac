"""Saved models as exported folders, each made once: exporting is what these tests wait for."""

from pathlib import Path

import pytest

SAVED = Path(__file__).parents[2] / "saved_models"


@pytest.fixture(scope="session")
def exported_folder(tmp_path_factory):
    """A function: the name of a saved model → the folder that it was exported to."""
    from hfcls.inference.export.export import Wanted, export

    folders = {}

    def folder_of(name: str) -> Path:
        if name not in folders:
            folders[name] = tmp_path_factory.mktemp(name) / "onnx"
            lines = export(str(SAVED / name), str(folders[name]), Wanted(rows=20))
            assert len(lines) == 1 and lines[0].startswith("20 rows of predictions.csv: logits equal to ")
        return folders[name]

    return folder_of
