"""Which kind of model a folder or Hub name holds, and how that kind is served."""

from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedConfig

from hfcls.inference.classifier import Classifier
from hfcls.inference.loading import load_image_classifier, register_models
from hfcls.inference.onnx_classifier import OnnxClassifier
from hfcls.inference.serve import pictures, texts
from hfcls.inference.serve.app import Served
from hfcls.inference.text_classifier import TextClassifier


def load(name_or_path: str, *, onnx: bool = False, trust_remote_code: bool = False) -> Served:
    """The model, ready to be served; with `onnx` one that `hfcls export` wrote.

    Raises:
        InputError: it is not there, or cannot be served; as `Classifier`.
    """
    name = Path(name_or_path).resolve().name if Path(name_or_path).is_dir() else name_or_path
    if not onnx and _classifies_pictures(name_or_path):
        processor, model = load_image_classifier(name_or_path)
        device = "cuda" if torch.cuda.is_available() else "cpu"
        model = model.to(device).eval()
        return Served(
            name,
            pictures.PictureEngine(model),
            lambda app, service: pictures.add_routes(app, service, model, processor),
            {"input": "image", "problem_type": None, **_classes(pictures.labels_of(model))},
        )
    classifier = OnnxClassifier(name_or_path) if onnx else Classifier(name_or_path, trust_remote_code=trust_remote_code)
    return Served(
        name,
        texts.TextEngine(classifier),
        lambda app, service: texts.add_routes(app, service, classifier),
        _text_info(classifier),
    )


def _classifies_pictures(name_or_path: str) -> bool:
    """Whether the config names a classifier of pictures. Whatever cannot be read is left to the loading of texts."""
    register_models()
    try:
        named = PreTrainedConfig.get_config_dict(name_or_path)[0].get("architectures") or [""]
    except (OSError, ValueError):
        return False
    return named[0].endswith("ForImageClassification")


def _classes(labels: list[str]) -> dict[str, Any]:
    numbers = {label: number for number, label in enumerate(labels)}
    id2label = {str(number): label for label, number in numbers.items()}
    return {"model_type": {"classifier": {"id2label": id2label, "label2id": numbers}}, "model_dtype": "float32"}


def _text_info(classifier: TextClassifier) -> dict[str, Any]:
    labels, thresholds = classifier.labels, classifier.thresholds
    limit = classifier.max_length if classifier.truncation is None else classifier.truncation.max_length
    return {
        "input": "text",
        **_classes(labels),
        "max_input_length": limit,
        "takes_pairs": texts.takes_pairs(classifier),
        "long_texts": None if classifier.truncation is None else classifier.truncation.keep,
        "explains": isinstance(classifier, Classifier),
        "problem_type": classifier.config.problem_type,
        "thresholds": None if thresholds is None else [float(f"{threshold:.6g}") for threshold in thresholds],
    }
