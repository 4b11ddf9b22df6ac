"""README.md of a finished run: the model card that the Hub shows, from what the run wrote down.

The metadata follows https://huggingface.co/docs/hub/model-cards; what a card should tell, Mitchell et al., "Model Cards
for Model Reporting" (2019).
"""

import json
import re
from pathlib import Path

from huggingface_hub import EvalResult, ModelCard, ModelCardData
from huggingface_hub.errors import HFValidationError
from huggingface_hub.utils import validate_repo_id

from hfcls.errors import InputError
from hfcls.metrics.intervals import wilson_interval
from hfcls.runs.custom_code import code_references
from hfcls.runs.json_files import read_json
from hfcls.runs.model_names import HubModel, hub_model
from hfcls.runs.record import Hardware, Record, Split, read_record
from hfcls.runs.redaction import escape, redact, redact_command
from hfcls.runs.results import read_results

TEMPLATE = Path(__file__).with_name("card.md")

# all_results.json without "test_", which is the Hub's name of the metric too → its name for people
METRICS = {
    "accuracy": "Accuracy",
    "f1": "F1 (macro)",
    "roc_auc": "ROC-AUC (macro, one class against the rest)",
    "top_3_accuracy": "Accuracy of the three most probable",
    "any_true_label_accuracy": "Accuracy, any true class of the row's card",
    "coarse_accuracy": "Accuracy of the coarse class",
    "coarse_f1": "F1 (macro) of the coarse classes",
    "recall_at_1": "Recall@1",
    "recall_at_5": "Recall@5",
    "recall_at_10": "Recall@10",
    "mean_recall": "Mean recall",
}


def write_model_card(output_dir: str | Path, *, repo_id: str | None = None) -> Path:
    """Writes the model card of a finished run from its run.json, all_results.json and config.json.

    What the record does not know (license, the dataset's name on the Hub), the card does not claim.

    Args:
        output_dir: the folder of the run.
        repo_id: NAMESPACE/NAME on the Hub, for the example of use; the folder's name by default.

    Returns:
        The path of README.md.

    Raises:
        InputError: a file is missing or torn, lacks something, or `repo_id` cannot be a repository's name.
    """
    if repo_id is not None:
        try:
            validate_repo_id(repo_id)
        except HFValidationError as error:
            raise InputError(f"{repo_id!r} cannot be a repository's name: use NAMESPACE/NAME") from error
    folder = Path(output_dir)
    record = read_record(folder)
    results, config = read_results(folder, record.target), read_json(folder / "config.json")
    name = repo_id or folder.resolve().name
    card = ModelCard.from_template(
        _metadata(record, results, name), template_path=str(TEMPLATE), **_content(record, results, config, name)
    )
    path = folder / "README.md"
    card.save(path)
    return path


def _metadata(record: Record, results: dict[str, float | None], name: str) -> ModelCardData:
    """The YAML block. A key without a value is left out by ModelCardData."""
    data, task = record.data, record.pipeline_tag
    base = _base(record)
    dataset = redact(data.name)
    measured = {key: results[f"test_{key}"] for key in METRICS if results.get(f"test_{key}") is not None}
    evaluations = [
        EvalResult(
            task_type=task,
            task_name=task.replace("-", " ").capitalize(),
            dataset_type=data.hub_dataset or re.sub(r"\W+", "_", dataset.lower()),
            dataset_name=dataset,
            dataset_split="test",
            metric_type=key,
            metric_name=METRICS[key],
            metric_value=round(value, 4),
        )
        for key, value in measured.items()
    ]
    return ModelCardData(
        language=record.language,
        license=record.license,
        library_name="transformers",
        tags=["hfcls", task, redact(record.task)],
        pipeline_tag=task,
        base_model=base.repo if base is not None and not base.on_modelscope else None,
        datasets=[data.hub_dataset] if data.hub_dataset else None,
        metrics=list(measured) or None,
        model_name=name,
        eval_results=evaluations or None,
    )


def _content(record: Record, results: dict[str, float | None], config: dict, name: str) -> dict:
    """What the template prints. Free text is escaped there, or here if it comes with markup."""
    splits = record.data.splits
    command = redact_command(record.command, keep=record.model.base_model)
    rows = {name: f"{split.rows:,}" for name, split in splits.items()}
    return {
        "md": escape,
        "count": "{:,}".format,
        "record": record,
        "base": _base(record),
        "name_literal": json.dumps(name, ensure_ascii=False),
        "code_files": sorted({f"{name.partition('.')[0]}.py" for name in code_references(config)}),
        "own_pipeline": "custom_pipelines" in config,
        "own_architecture": "auto_map" in config,
        "pairs": config.get("long_texts", {}).get("pairs", False),
        "demonstration": record.data.source == "embedded sample",
        "train_rows": rows.get("train"),
        "test_rows": rows.get("test"),
        "results": _results(record, results),
        "floor": _floor(record, results),
        "rounding": record.rounding.comparison(results) if record.rounding else None,
        "limitations": _limitations(record, results),
        "data_table": _data_table(record.labels, splits),
        "lengths": _lengths(splits),
        "settings": [(key, value) for key, value in record.settings.items() if not key.endswith("token")],
        "command": command,
        "fence": "`" * max(3, 1 + max(map(len, re.findall("`+", command)), default=0)),
        "duration": _duration(record.seconds),
        "hardware": _hardware(record.hardware),
        "processes": "1 process" if record.processes == 1 else f"{record.processes} processes",
    }


def _results(record: Record, results: dict[str, float | None]) -> list[tuple[str, str]]:
    """Name and value of what was measured on test; a ROC-AUC that is not defined is said to be missing."""
    lines = []
    for key, name in METRICS.items():
        value = results.get(f"test_{key}")
        if value is not None:
            lines.append((name, f"{value:.4f}"))
        elif key == "roc_auc" and record.target != "pairs":
            lines.append((name, "not measured"))
    return lines


def _floor(record: Record, results: dict[str, float | None]) -> str | None:
    floor = record.floor
    if floor is None:
        return None
    comparison = floor.comparison(results["test_accuracy"], results["test_f1"])
    return f"{comparison[0].upper()}{comparison[1:]}. It is {floor.method}, fitted on the same training rows."


def _limitations(record: Record, results: dict[str, float | None]) -> list[str]:
    """What a reader must know before using the model, as far as the run shows it."""
    data, splits = record.data, record.data.splits
    test_rows = splits["test"].rows
    lines = []
    if data.source == "embedded sample":
        lines.append("The sample was made to show that the program works. The numbers above say nothing of real data.")
    if not record.model.base_model:
        lines.append("The weights were random before training: the model knows nothing but the training split.")
    lines.append(
        f"Measured on {escape(data.name)} alone. Another source, time, domain or language is likely to give less."
    )
    if results.get("test_accuracy") is not None and test_rows:
        low, high = wilson_interval(results["test_accuracy"], test_rows)
        lines.append(
            f"With {test_rows:,} test rows, the 95 % interval of the accuracy is {low:.4f} to {high:.4f} (Wilson), "
            "and this is one run with one seed."
        )
    for split, consequence in {"train": "the model never answers with them", "test": "untested"}.items():
        counts = splits[split].labels if split in splits else {}
        absent = [label for label in record.labels if counts.get(label, 1) == 0]
        if absent:
            lines.append(f"Without a row in the {split} split, so {consequence}: {', '.join(map(escape, absent))}.")
    if data.max_length is not None and data.covered is not None and data.covered < 1:
        lines.append(f"Texts are cut at {data.max_length} tokens: {data.covered:.1%} of the training texts fit.")
    if record.target == "label_sets":
        lines.append("It answers with every label that is probable enough, which may be none.")
    elif record.target == "one_label":
        lines.append("The model always answers with one of its labels, whatever it is given.")
    lines.append("It was not examined for unequal treatment of groups of people.")
    return lines


def _data_table(labels: list[str], splits: dict[str, Split]) -> str:
    """Rows per label and split."""
    lines = [["id", "label", *splits], ["---:", "---", *["---:" for _ in splits]]]
    for number, label in enumerate(labels):
        counts = [split.labels.get(label) for split in splits.values()]
        lines.append([str(number), escape(label), *["" if count is None else f"{count:,}" for count in counts]])
    lines.append(["", "**rows**", *[f"{split.rows:,}" for split in splits.values()]])
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _lengths(splits: dict[str, Split]) -> str | None:
    length = splits["train"].length if "train" in splits else None
    if length is None:
        return None
    spread = f"{length.mean:.1f} ± {length.std:.1f} {length.unit}"
    return f"A training text has {spread} (median {length.median:g}, longest {length.max:,})."


def _base(record: Record) -> HubModel | None:
    """The model of a hub that was fine-tuned, if it was one. In the metadata, the Hub takes names of its own only: that
    a model of ModelScope has a namesake on the Hub does not make them the same.
    """
    return None if record.model.base_model is None else hub_model(record.model.base_model)


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s" if minutes else f"{rest} s"


def _hardware(hardware: Hardware) -> str:
    gpus = [f"{hardware.gpus.count(gpu)} × {gpu}" for gpu in dict.fromkeys(hardware.gpus)]
    memory = [f"{hardware.memory_gb} GB memory"] if hardware.memory_gb else []
    return escape(", ".join([*gpus, hardware.cpu, f"{hardware.cores} cores", *memory]))
