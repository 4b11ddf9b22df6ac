"""A data set of the Hub as a folder of Parquet files, which the builder `Table` reads like anyone's own."""

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import datasets

from hfcls.data.prepare import Prepared, prepare
from hfcls.data.split_files import SPLIT_OF
from hfcls.data.table import Table
from hfcls.errors import InputError

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class HubTable:
    """The data set NAMESPACE/NAME, or NAMESPACE/NAME:CONFIG, of the Hub."""

    name: str
    language: str | None = None

    def prepare(self, data_dir: None, **options) -> Prepared:
        """Its splits as the builder `Table` makes them; `options` are the builder's.

        Raises:
            InputError: it cannot be fetched or read.
        """
        notes: list[str] = []
        folder = str(fetch_table(self.name, notes.append))
        for line in notes:
            logger.warning("%s", line)
        prepared = prepare(Table, folder, title=self.name, language=self.language, **options)
        return replace(prepared, source=self.name, notes=[*notes, *prepared.notes])


def fetch_table(name: str, note: Callable[[str], None]) -> Path:
    """Downloads `name` (NAMESPACE/NAME, or NAMESPACE/NAME:CONFIG) and returns the folder with a file for each split.

    Class numbers become the names that the data set gives them. Splits other than train, validation and test are left
    out; `note` takes a line about each. Code that a data set brings is never run: `datasets` no longer does.

    Raises:
        InputError: it is not there, there is no network, or it has no training split.
    """
    path, _, config = name.partition(":")
    try:
        found = datasets.load_dataset(path, config or None)
    except (OSError, ValueError, RuntimeError, datasets.exceptions.DatasetsError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise InputError(
            f"--dataset {name}: cannot be loaded ({reason}). Without a network: set HF_ENDPOINT to a mirror, or give "
            f"downloaded files as --data_dir"
        ) from error
    splits = {SPLIT_OF[split]: rows for split, rows in found.items() if split in SPLIT_OF}
    if "train" not in splits:
        raise InputError(f"--dataset {name}: has the splits {', '.join(found)}, none of them train: give its files")
    for split in found:
        if split not in SPLIT_OF:
            note(f"{name}: the split {split} is left out")
    folder = Path(datasets.config.HF_DATASETS_CACHE, "hfcls_tables", splits["train"]._fingerprint)
    for split, rows in splits.items():
        file = folder / f"{split}.parquet"
        if not file.is_file():
            file.parent.mkdir(parents=True, exist_ok=True)
            part = file.with_suffix(".part")
            _with_names(rows).to_parquet(part)
            part.replace(file)
    return folder


def _with_names(rows: datasets.Dataset) -> datasets.Dataset:
    """`rows` with the names of classes in place of their numbers."""
    for column, feature in rows.features.items():
        label = feature.feature if isinstance(feature, datasets.List) else feature
        if not isinstance(label, datasets.ClassLabel):
            continue
        several, names = feature is not label, [*label.names, ""]  # -1, no label, is the last
        named = [[names[i] for i in cell] if several else names[cell] for cell in rows[column]]
        rows = rows.remove_columns(column).add_column(column, named)
    return rows
