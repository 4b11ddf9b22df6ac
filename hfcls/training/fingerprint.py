"""What a model learns from, in a few characters: a corpus that was edited is another one."""

import hashlib
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import datasets
import pyarrow
from transformers import PreTrainedTokenizerBase

from hfcls.data.mapped_files import parts

ROWS = 10_000  # hashed at once


def describe(
    tables: Mapping[str, tuple[datasets.Dataset, ...]],
    labels: Sequence[str],
    processor: object = None,
    model: object = None,
) -> dict:
    """What a run was begun with, for `setup.json`: the rows of every split, the names of the labels, the vocabulary,
    and the code of a model that is in a file of the user's own.

    Args:
        tables: of each split, what its rows are made of.
        labels: in the order of their numbers.
        processor: whose tokenizer, or which itself, knows the numbers of the tokens; None where there are none yet.
        model: None where there is none yet.
    """
    found = {f"the {name} rows": fingerprint(*contents) for name, contents in tables.items()}
    found["labels"] = list(labels)
    tokenizer = getattr(processor, "tokenizer", processor)
    if isinstance(tokenizer, PreTrainedTokenizerBase):
        vocabulary = json.dumps(tokenizer.get_vocab(), sort_keys=True)
        found["the vocabulary"] = hashlib.sha256(vocabulary.encode()).hexdigest()[:8]
    module = type(model).__module__
    if module.partition(".")[0] not in ("builtins", "hfcls", "transformers"):
        code = Path(sys.modules[module].__file__)
        found[f"the code in {code.name}"] = hashlib.sha256(code.read_bytes()).hexdigest()[:8]
    return found


def fingerprint(*tables: datasets.Dataset) -> str:
    """Of the content of `tables`, whatever files it was read from: their number of rows, and a hash."""
    hashed = hashlib.sha256()
    for table in tables:
        for part in parts(table.with_format("arrow"), ROWS) if len(table) else ():
            rows = part[:].replace_schema_metadata(None).combine_chunks()
            sink = pyarrow.BufferOutputStream()
            with pyarrow.ipc.new_stream(sink, rows.schema) as stream:
                stream.write_table(rows)
            hashed.update(sink.getvalue())
    return f"{len(tables[0])}:{hashed.hexdigest()[:8]}"
