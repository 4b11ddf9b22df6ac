"""A classifier of texts as a folder that needs onnxruntime, tokenizers and numpy only."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from hfcls.inference.classifier import Classifier
from hfcls.inference.export.check import Agreement, compare, load_script, script_outputs
from hfcls.inference.export.graph import Answers, write_graph
from hfcls.inference.export.manifest import INT8_GRAPH, TextManifest
from hfcls.inference.export.quantization import Accuracies, measure, quantize
from hfcls.inference.export.rows import CheckedTexts
from hfcls.inference.text_classifier import probabilities_of

STANDALONE = Path(__file__).parent / "standalone"
NAME = "predict.py"


def write_texts(classifier: Classifier, folder: Path) -> TextManifest:
    """Writes graph, labels.json, tokenizer and predict.py into `folder`.

    Raises:
        InputError: the model cannot be exported.
    """
    manifest = TextManifest.of(classifier)
    answers = Answers(classifier.model, manifest.inputs, manifest.thresholds)
    ids = torch.ones(2, 8, dtype=torch.int64)
    mask = torch.tensor([[1] * 8, [1] * 5 + [0] * 3])
    examples = {"input_ids": ids, "attention_mask": mask, "token_type_ids": torch.zeros_like(ids)}
    examples = {name: examples[name] for name in manifest.inputs}
    axes = {name: {0: "batch", 1: "sequence"} for name in examples}
    write_graph(answers, examples, answers.outputs, folder / manifest.graph, axes)
    classifier.tokenizer.save_pretrained(folder)
    for code in folder.glob("*.py"):  # of a tokenizer of this project, which predict.py does without
        code.unlink()
    manifest.write(folder)
    script = "predict_words.py" if manifest.segmenter else "predict_texts.py"
    shutil.copyfile(STANDALONE / script, folder / NAME)
    return manifest


def text_logits(classifier: Classifier, rows: CheckedTexts) -> np.ndarray:
    """Logits (rows, classes) of the model itself."""
    return classifier.encoded_logits(classifier.encode(rows.texts, rows.pairs))


def check_texts(classifier: Classifier, folder: Path, rows: CheckedTexts, expected: np.ndarray) -> Agreement:
    """The agreement of `folder` with `expected`, the model's logits of `rows`.

    Raises:
        InputError: they disagree.
    """
    return compare(expected, chosen_labels(classifier, expected), script_answers(folder, rows), rows.what)


def quantize_texts(classifier: Classifier, folder: Path, rows: CheckedTexts, expected: np.ndarray) -> Accuracies:
    """Adds an int8 graph to `folder`, by which predict.py answers from now on.

    Args:
        rows: of the test split, with their labels.
        expected: the model's logits of `rows`.
    """
    quantize(folder)
    replace(TextManifest.read(folder), graph=INT8_GRAPH).write(folder)
    chosen = chosen_labels(classifier, expected), script_answers(folder, rows)[1]
    return measure(*(_correct(labels, rows) for labels in chosen))


def _correct(chosen: np.ndarray, rows: CheckedTexts) -> np.ndarray:
    """(rows,) whether exactly the right labels are chosen, (rows, classes)."""
    if rows.labels.ndim == 2:
        return (chosen == rows.labels).all(axis=1)
    return chosen[np.arange(len(chosen)), rows.labels]


def script_answers(folder: Path, rows: CheckedTexts) -> tuple[np.ndarray, np.ndarray]:
    """Logits and chosen labels of the predict.py in `folder`, (rows, classes) each."""
    script = load_script(folder / NAME)
    pairs = rows.pairs or [""] * len(rows.texts)
    columns = list(zip(rows.texts, pairs, strict=True))
    return script_outputs(
        lambda batch: script.answer(*map(list, zip(*batch, strict=True))), columns, list(map(len, rows.texts))
    )


def chosen_labels(classifier: Classifier, logits: np.ndarray) -> np.ndarray:
    """(rows, classes) bool: which labels the model chooses by its `logits`."""
    shares = probabilities_of(logits, classifier.config)
    if classifier.thresholds is not None:
        return shares >= classifier.thresholds
    if classifier.config.problem_type == "regression":
        return np.ones(shares.shape, dtype=bool)
    return shares.argmax(axis=1)[:, None] == np.arange(shares.shape[1])
