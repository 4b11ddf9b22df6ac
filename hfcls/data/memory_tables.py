"""Tables that are in memory, a pandas frame or what `datasets` loaded, as files that every builder reads."""

import hashlib
import os
import tempfile
from pathlib import Path
from typing import TypeAlias

import datasets
import pandas
import pyarrow

from hfcls.data.files import digest
from hfcls.errors import InputError

Table: TypeAlias = pandas.DataFrame | datasets.Dataset | datasets.DatasetDict


def saved_table(table: Table) -> str:
    """The path of a Parquet file, or of a folder with one a split, that holds `table`.

    It lies in the cache of `datasets`, beside what is prepared from it, and is named by its content: the same table is
    written once.

    Raises:
        InputError: it is no table, or a column holds values of several kinds.
    """
    if not isinstance(table, Table):
        kind = type(table).__name__
        raise InputError(f"data is of {kind}: give a path, a pandas DataFrame, or a Dataset or DatasetDict of datasets")
    splits = table if isinstance(table, datasets.DatasetDict) else {"table": table}
    cache = Path(datasets.config.HF_DATASETS_CACHE, "hfcls_tables")
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache) as folder:
        content = hashlib.blake2b(digest_size=16)
        for name, split in splits.items():
            path = Path(folder, f"{name}.parquet")
            _write(split, path)
            content.update(name.encode() + digest(str(path)))
        named = cache / content.hexdigest()
        if not named.is_dir():
            kept = Path(tempfile.mkdtemp(dir=cache))
            for path in Path(folder).iterdir():
                os.replace(path, kept / path.name)
            try:
                kept.replace(named)
            except OSError:  # another process was faster
                if not named.is_dir():
                    raise
    return str(named if isinstance(table, datasets.DatasetDict) else named / "table.parquet")


def _write(table: pandas.DataFrame | datasets.Dataset, path: Path) -> None:
    try:
        if isinstance(table, pandas.DataFrame):
            table.to_parquet(path, index=False)
        else:
            table.to_parquet(path)
    except (pyarrow.ArrowException, ValueError) as error:
        raise InputError(f"data: {' '.join(str(error).split())}: give each column values of one kind") from error
