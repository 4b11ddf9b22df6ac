"""What the Hub accepts as the metadata of a model card: the rules behind POST /api/validate-yaml of `hub_server`.

Source: https://huggingface.co/docs/hub/model-cards and the model-index of https://github.com/huggingface/hub-docs.
"""

import math
import re

import yaml


def card_problems(content: str) -> tuple[list[str], list[str]]:
    """Errors and warnings about the YAML block of a model card (https://huggingface.co/docs/hub/model-cards)."""
    block = re.match(r"\s*---\n(.*?)\n---\s*(\n|$)", content, flags=re.DOTALL)
    if block is None:
        return [], ["empty or missing yaml metadata in repo card"]
    try:
        data = yaml.safe_load(block[1])
    except yaml.YAMLError as error:
        return [f"the metadata is not YAML: {error}"], []
    if not isinstance(data, dict):
        return ["the metadata is not a mapping"], []

    errors = []
    for key in ("license", "library_name", "pipeline_tag"):
        if not isinstance(data.get(key, ""), str):
            errors.append(f'"{key}" must be a string')
    for key in ("tags", "metrics", "datasets", "base_model", "language"):
        value = data.get(key, [])
        values = value if isinstance(value, list) else [value]
        if not all(isinstance(item, str) and item for item in values) or (
            key in ("tags", "metrics") and values == [value]
        ):
            errors.append(f'"{key}" must be a list of strings')
        if key in ("datasets", "base_model") and not all(re.fullmatch(r"([\w.-]+/)?[\w.-]+", str(v)) for v in values):
            errors.append(f'"{key}" must hold names of the Hub')
        if key == "language" and not all(re.fullmatch(r"[a-z]{2,3}|multilingual|code", str(v)) for v in values):
            errors.append('"language" must hold ISO 639 codes')
    if "model-index" in data:
        errors += model_index_problems(data["model-index"])
    return errors, []


def model_index_problems(index) -> list[str]:
    """Errors in `model-index`: a list of models, each with results that name task, dataset and measured values."""
    if not isinstance(index, list) or not index:
        return ['"model-index" must be a list that is not empty']
    errors = []

    def check(value, path: str, /, **types) -> bool:
        if not isinstance(value, dict):
            errors.append(f'"{path}" must be a mapping')
            return False
        missing = [name for name, kind in types.items() if not isinstance(value.get(name), kind)]
        errors.extend(f'"{path}.{name}" is required' for name in missing)
        return not missing

    for m, model in enumerate(index):
        if not check(model, f"model-index[{m}]", name=str, results=list):
            continue
        for r, result in enumerate(model["results"]):
            path = f"model-index[{m}].results[{r}]"
            if not check(result, path, task=dict, dataset=dict, metrics=list):
                continue
            check(result["task"], f"{path}.task", type=str)
            check(result["dataset"], f"{path}.dataset", type=str, name=str)
            for i, metric in enumerate(result["metrics"]):
                if check(metric, f"{path}.metrics[{i}]", type=str, value=(int, float, str)):
                    value = metric["value"]
                    if isinstance(value, float) and not math.isfinite(value):
                        errors.append(f'"{path}.metrics[{i}].value" must be finite')
    return errors
