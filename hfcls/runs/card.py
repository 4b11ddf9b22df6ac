"""README.md of a finished run: the model card that the Hub shows, from what the run wrote down.

The metadata follows https://huggingface.co/docs/hub/model-cards; what a card should tell, Mitchell et al., "Model Cards
for Model Reporting" (2019).
"""

import html
import json
import os
import re
from pathlib import Path

from huggingface_hub import EvalResult, ModelCard, ModelCardData
from huggingface_hub.errors import HFValidationError
from huggingface_hub.utils import validate_repo_id

from hfcls.errors import InputError
from hfcls.metrics.intervals import wilson_interval

TEMPLATE = Path(__file__).with_name("card.md")

# all_results.json without "test_" → the Hub's name of the metric, its name for people
METRICS = {
    "accuracy": ("accuracy", "Accuracy"),
    "f1": ("f1", "F1 (macro)"),
    "roc_auc": ("roc_auc", "ROC-AUC (macro, one class against the rest)"),
    "top_3_accuracy": ("top_3_accuracy", "Accuracy of the three most probable"),
    "any_true_label_accuracy": ("any_true_label_accuracy", "Accuracy, any true class of the row's card"),
    "coarse_accuracy": ("coarse_accuracy", "Accuracy of the coarse class"),
    "coarse_f1": ("coarse_f1", "F1 (macro) of the coarse classes"),
    "recall_at_1": ("recall_at_1", "Recall@1"),
    "recall_at_5": ("recall_at_5", "Recall@5"),
    "recall_at_10": ("recall_at_10", "Recall@10"),
    "mean_recall": ("mean_recall", "Mean recall"),
}

_TOKEN = re.compile(r"hf_[A-Za-z0-9]{20,}")
_ABSOLUTE_PATH = re.compile(r"(?<![\w:/\\.…~])(?:~|[A-Za-z]:)?(?:[/\\][^\s/\\'\"<>|:,;()]+)+[/\\]?")


def write_model_card(output_dir: str | Path, *, repo_id: str | None = None) -> Path:
    """Writes the model card of a finished run from its run.json, all_results.json and config.json.

    run.json may also carry "license" (an identifier of the Hub), "pipeline_tag" ("text-classification" by default) and,
    in "data", "hub_dataset" (the dataset's name on the Hub); what it does not carry, the card does not claim.

    Args:
        output_dir: the folder of the run.
        repo_id: NAMESPACE/NAME on the Hub, for the example of use; the folder's name by default.

    Returns:
        The path of README.md.

    Raises:
        InputError: a file is missing or torn, lacks something, or `repo_id` cannot be a repository's name.
    """
    folder = Path(output_dir)
    run, results, config = (_read(folder / name) for name in ("run.json", "all_results.json", "config.json"))
    if repo_id is not None:
        try:
            validate_repo_id(repo_id)
        except HFValidationError as error:
            raise InputError(f"{repo_id!r} cannot be a repository's name: use NAMESPACE/NAME") from error
    name = repo_id or folder.resolve().name
    try:
        card = ModelCard.from_template(
            _metadata(run, results, name), template_path=str(TEMPLATE), **_content(run, results, config, name)
        )
    except KeyError as error:
        raise InputError(f"{folder / 'run.json'}: has no {error}: run the recipe again") from error
    path = folder / "README.md"
    card.save(path)
    return path


def public(text: str) -> str:
    """`text` on one line and fit for strangers: absolute paths cut to their last component, Hub tokens hidden."""
    home = os.path.expanduser("~")
    if len(home) > 1:  # a home may hold a space, where the pattern for paths would stop
        text = text.replace(home, "~")
    text = "".join(letter if letter.isprintable() else " " for letter in _TOKEN.sub("***", text))
    return " ".join(_ABSOLUTE_PATH.sub(lambda path: _last_component(path[0]), text).split())


def escape(text: object) -> str:
    """`public(text)` with everything escaped that Markdown or HTML would read as markup."""
    return re.sub(r"([\\`*_{}\[\]#|!~$])", r"\\\1", html.escape(public(str(text)), quote=False))


def _read(path: Path) -> dict:
    try:
        content = json.loads(path.read_text(encoding="utf-8"), parse_constant=lambda _: None)  # NaN is not measured
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}): name the folder of a finished run") from error
    except ValueError as error:
        raise InputError(f"{path}: not JSON ({error}): run the recipe again") from error
    if not isinstance(content, dict):
        raise InputError(f"{path}: not a JSON object: run the recipe again")
    return content


def _metadata(run: dict, results: dict, name: str) -> ModelCardData:
    """The YAML block. A key without a value is left out by ModelCardData."""
    data, task = run["data"], run.get("pipeline_tag", "text-classification")
    dataset = public(data["name"])
    measured = {key: results[f"test_{key}"] for key in METRICS if results.get(f"test_{key}") is not None}
    evaluations = [
        EvalResult(
            task_type=task,
            task_name=task.replace("-", " ").capitalize(),
            dataset_type=data.get("hub_dataset") or re.sub(r"\W+", "_", dataset.lower()),
            dataset_name=dataset,
            dataset_split="test",
            metric_type=METRICS[key][0],
            metric_name=METRICS[key][1],
            metric_value=round(value, 4),
        )
        for key, value in measured.items()
    ]
    return ModelCardData(
        language=run.get("language"),
        license=run.get("license"),
        library_name="transformers",
        tags=["hfcls", task, public(run["task"])],
        pipeline_tag=task,
        base_model=_hub_name(run["model"].get("base_model")),
        datasets=[data["hub_dataset"]] if data.get("hub_dataset") else None,
        metrics=[METRICS[key][0] for key in measured] or None,
        model_name=name,
        eval_results=evaluations or None,
    )


def _content(run: dict, results: dict, config: dict, name: str) -> dict:
    """What the template shows. Free text is escaped there, or here if it comes with markup."""
    model, data, hardware = run["model"], run["data"], run["hardware"]
    splits = data["splits"]
    command = _public_command(run["command"], keep=model.get("base_model"))
    rows = {split: f"{about['rows']:,}" for split, about in splits.items()}
    return {
        "md": escape,
        "count": "{:,}".format,
        "task": run["task"],
        "model": model,
        "data": {"notes": [], "max_length": None, **data},
        "base_model": _hub_name(model.get("base_model")),
        "labels": run["labels"],
        "pipeline_tag": run.get("pipeline_tag", "text-classification"),
        "name_literal": json.dumps(name, ensure_ascii=False),
        "code_files": _code_files(config),
        "own_pipeline": "custom_pipelines" in config,
        "own_architecture": "auto_map" in config,
        "pairs": config.get("long_texts", {}).get("pairs", False),
        "demonstration": data["source"] == "embedded sample",
        "train_rows": rows.get("train"),
        "test_rows": rows.get("test"),
        "results": [(METRICS[key][1], _value(results, key)) for key in METRICS if f"test_{key}" in results],
        "limitations": _limitations(run, results),
        "data_table": _data_table(run["labels"], splits),
        "lengths": _lengths(data),
        "settings": [(key, value) for key, value in run["settings"].items() if not key.endswith("token")],
        "command": command,
        "fence": "`" * max(3, 1 + max(map(len, re.findall("`+", command)), default=0)),
        "duration": _duration(run["seconds"]),
        "hardware": _hardware(hardware),
        "processes": "1 process" if run["processes"] == 1 else f"{run['processes']} processes",
        "precision": run["precision"],
        "versions": run["versions"].items(),
    }


def _value(results: dict, key: str) -> str:
    value = results[f"test_{key}"]
    return "not measured" if value is None else f"{value:.4f}"


def _limitations(run: dict, results: dict) -> list[str]:
    """What a reader must know before using the model, as far as the run shows it."""
    data, splits = run["data"], run["data"]["splits"]
    name, test = escape(data["name"]), splits.get("test", {})
    lines = []
    if data["source"] == "embedded sample":
        lines.append("The sample was made to show that the program works. The numbers above say nothing of real data.")
    if not run["model"].get("base_model"):
        lines.append("The weights were random before training: the model knows nothing but the training split.")
    lines.append(f"Measured on {name} alone. Another source, time, domain or language is likely to give less.")
    if results.get("test_accuracy") is not None and test.get("rows"):
        low, high = wilson_interval(results["test_accuracy"], test["rows"])
        lines.append(
            f"With {test['rows']:,} test rows, the 95 % interval of the accuracy is {low:.4f} to {high:.4f} (Wilson), "
            "and this is one run with one seed."
        )
    for split, consequence in {"train": "the model never answers with them", "test": "untested"}.items():
        absent = [label for label in run["labels"] if splits.get(split, {}).get("labels", {}).get(label, 1) == 0]
        if absent:
            lines.append(f"Without a row in the {split} split, so {consequence}: {', '.join(map(escape, absent))}.")
    max_length, covered = data.get("max_length"), data.get("covered")
    if max_length is not None and covered is not None and covered < 1:
        lines.append(f"Texts are cut at {max_length} tokens: {covered:.1%} of the training texts fit.")
    if run.get("multi_label"):
        lines.append("It answers with every label that is probable enough, which may be none.")
    elif run["labels"]:
        lines.append("The model always answers with one of its labels, whatever it is given.")
    lines.append("It was not examined for unequal treatment of groups of people.")
    return lines


def _data_table(labels: list[str], splits: dict) -> str:
    """Rows per label and split."""
    lines = [["id", "label", *splits], ["---:", "---", *["---:" for _ in splits]]]
    for number, label in enumerate(labels):
        counts = [about.get("labels", {}).get(label) for about in splits.values()]
        lines.append([str(number), escape(label), *["" if count is None else f"{count:,}" for count in counts]])
    lines.append(["", "**rows**", *[f"{about['rows']:,}" for about in splits.values()]])
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _lengths(data: dict) -> str | None:
    length = data["splits"].get("train", {}).get("length")
    if not length:
        return None
    spread = f"{length['mean']:.1f} ± {length['std']:.1f} {length['unit']}"
    return f"A training text has {spread} (median {length['median']:g}, longest {length['max']:,})."


def _code_files(config: dict) -> list[str]:
    """The modules that `auto_map` and `custom_pipelines` name; none where all is of transformers."""
    references = [pipeline["impl"] for pipeline in config.get("custom_pipelines", {}).values()]
    for names in config.get("auto_map", {}).values():
        references += [names] if isinstance(names, str) else names  # a tokenizer has two, of which one may be null
    return sorted({f"{name.split('.')[0]}.py" for name in references if name})


def _hub_name(base_model: str | None) -> str | None:
    """`base_model` if it is a name on the Hub. A folder is not: the same rule as in from_pretrained."""
    if base_model is None or os.path.isdir(base_model):
        return None
    try:
        validate_repo_id(base_model)
    except HFValidationError:
        return None
    return base_model


def _public_command(command: str, keep: str | None) -> str:
    """The command without the values of tokens, and with paths cut to their last component.

    `keep` is a name that looks like a path; where a recipe lies in hfcls is no secret, and needed to run it.
    """
    words, hide = [], False
    for word in command.split():
        name, equals, value = word.partition("=") if word.startswith("-") else ("", "", word)
        if hide:
            value = "***"
        hide = name.endswith("token") and not equals
        if name.endswith("token") and equals:
            value = "***"
        elif value != keep and not re.fullmatch(r"recipes/\w+\.py", value):
            value = _last_component(value)
        words.append(public(f"{name}{equals}{value}"))
    return " ".join(words)


def _last_component(path: str) -> str:
    return re.split(r"[/\\]", path.rstrip("/\\"))[-1]


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s" if minutes else f"{rest} s"


def _hardware(hardware: dict) -> str:
    gpus = [f"{hardware['gpus'].count(gpu)} × {gpu}" for gpu in dict.fromkeys(hardware["gpus"])]
    memory = [f"{hardware['memory_gb']} GB memory"] if hardware.get("memory_gb") else []
    return escape(", ".join([*gpus, hardware["cpu"], f"{hardware['cores']} cores", *memory]))
