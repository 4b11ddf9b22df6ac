"""What a finished run says of itself: the one schema of run.json.

It is written from these classes, and read into them by the report, the comparison, the model card, the sweep and
cross-validation.
"""

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from hfcls.errors import InputError
from hfcls.metrics.class_offsets import offsets_line
from hfcls.runs.floor import Floor
from hfcls.runs.json_files import from_json, read_json, write_json
from hfcls.runs.rounding import Rounding

NAME = "run.json"

# Version 1 had no version; it said `multi_label` instead of `target`, had neither `chosen_by` nor
# `greater_is_better`, and retrieval called its recall at 1 an accuracy.
VERSION = 2


@dataclass(frozen=True)
class Model:
    """The model that was trained or measured.

    Attributes:
        name: for people, "BERT mini, from scratch".
        architecture: the name of its class.
        base_model: the Hub name or folder of the pretrained weights; None for random ones.
        parameters: their number.
        loading: what was new or left over where weights of the base model were taken, one line each.
    """

    name: str
    architecture: str
    base_model: str | None
    parameters: int
    loading: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Length:
    """How long the rows of a split are before cutting, in `unit`s: "tokens".

    Attributes:
        mean, std, min, median, max: over the rows.
        edges, counts: the histogram, (bars + 1,) and (bars,); the last bar holds the longest 0.5 % as well.
    """

    unit: str
    mean: float
    std: float
    min: float
    median: float
    max: float
    edges: list[float]
    counts: list[int]

    def __post_init__(self):
        if not self.counts or len(self.edges) != len(self.counts) + 1:
            raise ValueError("edges must be one more than counts")


@dataclass(frozen=True)
class Answered:
    """How many texts of a split have a known picture, and how many images a known text."""

    texts: int
    images: int


@dataclass(frozen=True)
class Split:
    """One split of the corpus.

    Attributes:
        rows: of texts or pictures; in retrieval, of texts.
        labels: rows of each label; empty in retrieval.
        length: None where rows have no length.
        images, pairs, answered: in retrieval, the pictures, what belongs together, and what has a known answer.
    """

    rows: int
    labels: dict[str, int]
    length: Length | None = None
    images: int | None = None
    pairs: int | None = None
    answered: Answered | None = None


@dataclass(frozen=True)
class Repeated:
    """Rows whose content occurs more than once: `surplus` in each split, `leaks` in two splits ("train/test"), and
    `conflicts`, contents that have two labels.
    """

    surplus: dict[str, int]
    leaks: dict[str, int]
    conflicts: int


@dataclass(frozen=True)
class Data:
    """What was trained and measured on.

    Attributes:
        name: of the corpus.
        source: the folder's name, or "embedded sample".
        splits: by name; there always is "test".
        max_length: tokens kept of a text.
        covered: share of the training texts that are not longer.
        notes: what was said while reading, and what was chosen by the training rows, one line each.
        repeated: None where it was not counted.
        hub_dataset: the corpus's name on the Hub.
    """

    name: str
    source: str
    splits: dict[str, Split]
    max_length: int | None = None
    covered: float | None = None
    notes: list[str] = field(default_factory=list)
    repeated: Repeated | None = None
    hub_dataset: str | None = None

    def __post_init__(self):
        if "test" not in self.splits:
            raise ValueError("splits: 'test' is missing")


@dataclass(frozen=True)
class Hardware:
    """The machine: memory in GB, names of the GPUs."""

    cpu: str
    cores: int | None = None
    memory_gb: float | None = None
    gpus: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Fold:
    """The scores of one fold of a cross-validation, on the rows that it held out."""

    accuracy: float
    f1: float
    roc_auc: float | None = None


@dataclass(frozen=True, kw_only=True)
class Record:
    """One run.

    Attributes:
        task: the recipe's name.
        target: what is predicted of a row.
        pipeline_tag: the Hub's name of the pipeline that uses the model.
        command: as it was typed, without secrets.
        started: ISO 8601.
        seconds: of the whole run.
        language: ISO 639-1 code; None where there are no texts.
        labels: names of the classes, by their number; none in retrieval.
        class_weights: of the training rows of each label in the loss, where they had any.
        temperature: what the logits were divided by, where they were calibrated.
        thresholds: (labels,) the probabilities from which labels are predicted, if not from 0.5.
        class_offsets: (labels,) what was added to the logits, before the temperature, for the greatest macro F1.
        chosen_by: the metric of validation by which runs compare, and checkpoints where one is chosen, "accuracy"; None
            where nothing was trained, or validation was trained on.
        greater_is_better: of that metric.
        folds: the scores of each fold, where this is their mean.
        floor: what a simple model reaches on the test rows; None where it was not measured.
        rounding: what saving the weights in fewer digits did; None where they are float32.
        settings: what decides the result, name → JSON scalar.
        versions: of the packages.
        precision: the type that matrix products are computed in.
        processes: that trained together.
        license: an identifier of the Hub.
        version: of this schema.
    """

    version: int = VERSION
    task: str
    target: Literal["one_label", "label_sets", "pairs"]
    pipeline_tag: str = "text-classification"
    command: str
    started: str
    seconds: float
    model: Model
    language: str | None = None
    labels: list[str]
    data: Data
    class_weights: dict[str, float] | None = None
    temperature: float | None = None
    thresholds: list[float] | None = None
    class_offsets: list[float] | None = None
    chosen_by: str | None = None
    greater_is_better: bool = True
    folds: list[Fold] | None = None
    floor: Floor | None = None
    rounding: Rounding | None = None
    settings: dict[str, object]
    versions: dict[str, str]
    hardware: Hardware
    precision: str
    processes: int
    license: str | None = None

    @property
    def offsets_line(self) -> str | None:
        """What report and model card say of `class_offsets`."""
        return None if self.class_offsets is None else offsets_line(self.labels, self.class_offsets)

    def __post_init__(self):
        if self.target == "pairs":
            lacking = [
                name
                for name in ("train", "validation", "test")
                if name not in self.data.splits or None in (self.data.splits[name].images, self.data.splits[name].pairs)
            ]
            if lacking:
                raise ValueError(f"data: splits: {lacking[0]}: 'images' or 'pairs' is missing")
        elif not self.labels or "" in self.labels or len({*self.labels}) < len(self.labels):
            raise ValueError("labels: must be names, at least one, each once")
        if self.temperature is not None and self.temperature <= 0:
            raise ValueError("temperature: must be above 0")
        if self.class_weights is not None and set(self.class_weights) != set(self.labels):
            raise ValueError("class_weights: need one for each label")
        if self.thresholds is not None and len(self.thresholds) != len(self.labels):
            raise ValueError("thresholds: need one for each label")
        if self.class_offsets is not None and len(self.class_offsets) != len(self.labels):
            raise ValueError("class_offsets: need one for each label")


def write_record(folder: Path, record: Record) -> None:
    """Writes `record` as `run.json` into `folder`."""
    write_json(folder / NAME, asdict(record))


def read_record(folder: str | Path) -> Record:
    """Reads the run.json in `folder`, of this version or an older one.

    Raises:
        InputError: the file is missing, torn, of a newer version, or lacks something; the message names file and key.
    """
    path = Path(folder) / NAME
    content = read_json(path)
    version = content.get("version", 1)
    if not isinstance(version, int) or version < 1:
        raise InputError(f"{path}: version: {version!r:.20} is none: run again with this version")
    if version > VERSION:
        raise InputError(f"{path}: is of version {version}, this hfcls knows {VERSION}: update hfcls to read it")
    if version == 1:
        content = _from_version_1(content)
    return from_json(Record, content, f"{path}: ")


def _from_version_1(content: dict[str, Any]) -> dict[str, Any]:
    """The keys of version 2 that say what those of version 1 said."""
    settings = content.get("settings")
    metric = settings.get("metric_for_best_model") if isinstance(settings, dict) else None
    if "--evaluate_only" in str(content.get("command")) or (metric and settings.get("train_on_validation")):
        metric = None
    target = "label_sets" if content.get("multi_label") else "one_label"
    if content.get("pipeline_tag") == "zero-shot-image-classification":
        target, metric = "pairs", "recall_at_1" if metric == "accuracy" else metric
    metric = metric.removeprefix("eval_") if isinstance(metric, str) else None
    return content | {
        "version": VERSION,
        "target": target,
        "chosen_by": metric,
        "greater_is_better": metric is None or not metric.endswith("loss"),  # what transformers takes for granted
    }
