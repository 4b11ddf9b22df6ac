"""Which kind of model a folder or Hub name holds, and how that kind is served."""

from pathlib import Path
from typing import Any

from hfcls.inference.classifier import Classifier
from hfcls.inference.onnx_classifier import OnnxClassifier
from hfcls.inference.serve import texts
from hfcls.inference.serve.app import Served
from hfcls.inference.text_classifier import TextClassifier


def load(name_or_path: str, *, onnx: bool = False, trust_remote_code: bool = False) -> Served:
    """The model, ready to be served; with `onnx` one that `hfcls export` wrote.

    Raises:
        InputError: it is not there, or cannot be served; as `Classifier`.
    """
    classifier = OnnxClassifier(name_or_path) if onnx else Classifier(name_or_path, trust_remote_code=trust_remote_code)
    name = Path(name_or_path).resolve().name if Path(name_or_path).is_dir() else name_or_path
    return Served(
        name,
        texts.TextEngine(classifier),
        lambda app, service: texts.add_routes(app, service, classifier),
        _text_info(classifier),
    )


def _text_info(classifier: TextClassifier) -> dict[str, Any]:
    labels, thresholds = classifier.labels, classifier.thresholds
    limit = classifier.max_length if classifier.truncation is None else classifier.truncation.max_length
    return {
        "input": "text",
        "model_type": {
            "classifier": {
                "id2label": {str(number): label for number, label in enumerate(labels)},
                "label2id": {label: number for number, label in enumerate(labels)},
            }
        },
        "model_dtype": "float32",
        "max_input_length": limit,
        "takes_pairs": texts.takes_pairs(classifier),
        "long_texts": None if classifier.truncation is None else classifier.truncation.keep,
        "explains": isinstance(classifier, Classifier),
        "problem_type": classifier.config.problem_type,
        "thresholds": None if thresholds is None else [float(f"{threshold:.6g}") for threshold in thresholds],
    }
