"""Which kind of model a folder or Hub name holds, and how that kind is served."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import ChineseCLIPModel, PreTrainedConfig, PreTrainedModel

from hfcls.errors import InputError
from hfcls.inference.classifier import Classifier
from hfcls.inference.download import model_folder
from hfcls.inference.loading import load_chinese_clip, load_image_classifier, register_models
from hfcls.inference.onnx_classifier import OnnxClassifier, is_exported
from hfcls.inference.serve import pictures, retrieval, texts
from hfcls.inference.serve.app import Served
from hfcls.inference.serve.neighbours import Neighbours
from hfcls.inference.text_classifier import TextClassifier

_OF_PICTURES = "ForImageClassification"


@dataclass(frozen=True)
class LabelledTexts:
    """The table whose rows are shown as neighbours of a text, and its columns."""

    path: str
    text_column: str = "text"
    label_column: str = "label"


def load(
    name_or_path: str,
    *,
    onnx: bool = False,
    trust_remote_code: bool = False,
    pictures_dir: str | None = None,
    labelled_texts: LabelledTexts | None = None,
) -> Served:
    """The model, ready to be served; with `onnx` it has to be one that `hfcls export` wrote.

    Args:
        pictures_dir: what a model of retrieval searches.
        labelled_texts: among which a classifier of texts finds neighbours.

    Raises:
        InputError: it is not there, or cannot be served; as `Classifier`.
    """
    name = Path(name_or_path).resolve().name if Path(name_or_path).is_dir() else name_or_path
    onnx = onnx or is_exported(name_or_path)
    architecture = "" if onnx else _architecture(name_or_path)
    if labelled_texts is not None and (
        onnx or architecture == ChineseCLIPModel.__name__ or architecture.endswith(_OF_PICTURES)
    ):
        raise InputError(
            f"--neighbours: is of classifiers of texts that torch computes, and {name_or_path} is none: leave it out"
        )
    if architecture == ChineseCLIPModel.__name__:
        return _retrieval(name, name_or_path, pictures_dir)
    if pictures_dir is not None:
        raise InputError(
            f"--pictures: {name_or_path} does not search pictures: leave the flag out, or name a Chinese-CLIP"
        )
    if architecture.endswith(_OF_PICTURES):
        return _pictures(name, name_or_path)
    classifier = OnnxClassifier(name_or_path) if onnx else Classifier(name_or_path, trust_remote_code=trust_remote_code)
    neighbours = None if labelled_texts is None else _neighbours(labelled_texts, classifier)
    return Served(
        name,
        texts.TextEngine(classifier, neighbours),
        lambda app, service: texts.add_routes(app, service, classifier, neighbours),
        _text_info(classifier) | {"neighbours": 0 if neighbours is None else len(neighbours)},
    )


def _neighbours(of: LabelledTexts, classifier: Classifier) -> Neighbours:
    if texts.takes_pairs(classifier):
        raise InputError(
            f"--neighbours: are those of single texts, and {classifier.name_or_path} reads pairs: leave it out"
        )
    return Neighbours(of.path, of.text_column, of.label_column, classifier)


def _architecture(name_or_path: str) -> str:
    """The class of the model by its config. Whatever cannot be read is left to the loading of texts, which says so."""
    register_models()
    try:
        return (PreTrainedConfig.get_config_dict(model_folder(name_or_path))[0].get("architectures") or [""])[0]
    except (OSError, ValueError):
        return ""


def _pictures(name: str, name_or_path: str) -> Served:
    processor, model = load_image_classifier(name_or_path)
    model = _at_work(model)
    return Served(
        name,
        pictures.PictureEngine(model),
        lambda app, service: pictures.add_routes(app, service, model, processor),
        {"input": "image", "problem_type": None, **_classes(pictures.labels_of(model))},
    )


def _retrieval(name: str, name_or_path: str, pictures_dir: str | None) -> Served:
    processor, model = load_chinese_clip(name_or_path)
    engine = retrieval.RetrievalEngine(_at_work(model), processor)
    gallery = None if pictures_dir is None else retrieval.Gallery(pictures_dir, engine)
    return Served(
        name,
        engine,
        lambda app, service: retrieval.add_routes(app, service, engine, gallery),
        {
            "input": "retrieval",
            "model_type": {"embedding": {"pooling": "cls"}},
            "model_dtype": "float32",
            "dimensions": model.config.projection_dim,
            "max_input_length": processor.tokenizer.model_max_length,
            "pictures": 0 if gallery is None else len(gallery.paths),
        },
    )


def _at_work(model: PreTrainedModel) -> PreTrainedModel:
    return model.to("cuda" if torch.cuda.is_available() else "cpu").eval()


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
