"""What is to be classified, and how: what a worker has to know."""

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

from hfcls.data.files import digest
from hfcls.errors import InputError
from hfcls.inference.bulk.storage import exists, file_system, find_files, is_remote, local_copy, written_whole
from hfcls.inference.export.manifest import GRAPH, INT8_GRAPH

NAME = "job.json"


@dataclass(frozen=True)
class Fragment:
    """A file of texts, and the Parquet file that its answers go to."""

    input: str
    output: str

    @property
    def bad(self) -> str:
        """The file of its rows that cannot be read, if there are any."""
        return f"{self.output.removesuffix('.parquet')}.bad.jsonl"

    def count_bad_rows(self) -> int:
        """How many rows are in `bad`, which has to be there."""
        with local_copy(self.bad) as copy, open(copy, "rb") as file:
            return sum(1 for _ in file)


@dataclass(frozen=True)
class Job:
    """How the fragments of one output folder are classified.

    Attributes:
        model: a folder of this machine, the same on all workers, or a Hub name.
        text_column, text_pair_column: of the texts, and of second texts.
        image_column: of pictures, in the place of texts.
        encoding: of text files; None: UTF-8, or GB18030.
        batch_size: most texts or pictures of a batch; None leaves it to the model.
        all_probabilities: a column for each class as well.
        max_bad_rows: rows that cannot be read and may be left out, of all fragments together.
        trust_remote_code: run code that the model brings.
        threads: that a worker computes with.
    """

    model: str
    text_column: str = "text"
    text_pair_column: str | None = None
    image_column: str | None = None
    encoding: str | None = None
    batch_size: int | None = None
    all_probabilities: bool = False
    max_bad_rows: int = 0
    trust_remote_code: bool = False
    threads: int = 1

    @property
    def columns(self) -> list[str]:
        """Of the texts, and of second texts if there are such; or of the pictures."""
        if self.image_column is not None:
            return [self.image_column]
        return [self.text_column] + ([] if self.text_pair_column is None else [self.text_pair_column])

    @property
    def answers(self) -> dict[str, object]:
        """What the answers follow from."""
        files = (Path(self.model, name) for name in ("model.safetensors", INT8_GRAPH, GRAPH))
        weights = next((file for file in files if file.is_file()), None)
        settings = asdict(self)
        for name in ("batch_size", "max_bad_rows", "trust_remote_code", "threads"):
            del settings[name]
        if self.image_column is None:  # as jobs were noted before there were pictures
            del settings["image_column"]
        return settings | {"weights": None if weights is None else digest(str(weights)).hex()}


def find_fragments(inputs: str, output: str) -> list[Fragment]:
    """The files that `inputs` names, each with a file of its own under `output`, called as it is.

    Raises:
        InputError: there is no file, or one is of a format that is not read.
    """
    files = find_files(inputs)
    root = os.path.commonpath([os.path.dirname(path) for path in files]) if not is_remote(files[0]) else None
    if root is None:
        root = os.path.commonprefix([os.path.dirname(path) + "/" for path in files]).rpartition("/")[0]
    fragments = []
    for path in files:
        name = path[len(root) :].lstrip("/" + os.sep)
        name = name if name.endswith(".parquet") else f"{name}.parquet"
        fragments.append(Fragment(path, f"{output.rstrip('/')}/{name}"))
    return fragments


def begin(job: Job, output: str) -> None:
    """Notes the job in its output folder.

    Raises:
        InputError: the folder holds answers of another job, or cannot be written.
    """
    path = f"{output.rstrip('/')}/{NAME}"
    content = json.dumps(job.answers, ensure_ascii=False, indent=2) + "\n"
    try:
        if exists(path):
            with local_copy(path) as copy:
                earlier = Path(copy).read_text(encoding="utf-8")
            if earlier != content:
                raise InputError(f"{output}: holds the answers of another job ({path}): give another --output")
            return
        if _holds_files(output):
            raise InputError(f"{output}: holds files of another origin: give an empty or new folder as --output")
        with written_whole(path) as part:
            Path(part).write_text(content, encoding="utf-8")
    except OSError as error:
        raise InputError(f"{output}: {error.strerror or error}; give an --output that can be written to") from error


def _holds_files(output: str) -> bool:
    if is_remote(output):
        system, name = file_system(output)
        return system.exists(name) and bool(system.find(name))
    return os.path.exists(output) and (not os.path.isdir(output) or bool(os.listdir(output)))
