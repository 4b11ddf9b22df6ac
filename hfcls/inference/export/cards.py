"""A classifier of dataset cards as a folder that needs onnxruntime, numpy and, with a transformer, tokenizers only."""

import random
import shutil
from pathlib import Path

import numpy as np
import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

import hfcls.data.card_text
import hfcls.models.card_ngrams
from hfcls.data.card_text import clean_card
from hfcls.errors import InputError
from hfcls.inference.download import model_folder
from hfcls.inference.export.check import Agreement, compare, load_script, script_outputs
from hfcls.inference.export.graph import Answers, write_graph
from hfcls.inference.export.images import STANDALONE
from hfcls.inference.export.manifest import GRAPH, NAME
from hfcls.inference.loading import load_model, loading_errors
from hfcls.models.card_features import ABSENT, LSA, TASK_CATEGORIES, CardFeatureExtractor
from hfcls.models.card_ngrams import name_words
from hfcls.runs.json_files import write_json

RANDOM_CARDS = 64
Card = tuple[str, str, float | None, float | None, float | None]  # README.md, name, downloads, size, rows


def load_cards(name_or_path: str) -> tuple[PreTrainedTokenizerBase | None, PreTrainedModel]:
    """The model, and its tokenizer where a transformer reads the text.

    Raises:
        InputError: it is not there, or its similarities come from an embedding model.
    """
    with loading_errors(name_or_path):
        model = load_model(AutoModelForSequenceClassification, name_or_path).eval()
        if model.config.embedding_model not in (None, LSA):
            raise InputError(
                f"{name_or_path}: compares embeddings of {model.config.embedding_model}, which is not exported with "
                "it: export a model that was trained without --embedding_model"
            )
        with_tokens = getattr(model.config, "text_config", None) is not None
        if not with_tokens:
            return None, model
        return AutoTokenizer.from_pretrained(model_folder(name_or_path), trust_remote_code=False), model


def write_cards(tokenizer: PreTrainedTokenizerBase | None, model: PreTrainedModel, folder: Path) -> None:
    """Writes graph, labels.json, predict.py and what it imports into `folder`.

    Raises:
        InputError: the model cannot be exported.
    """
    inputs = _inputs(tokenizer, random_cards()[:2])
    names = list(inputs)
    axes = {name: {0: "batch", 1: "tokens" if name in ("input_ids", "attention_mask") else "ngrams"} for name in names}
    axes["numbers"] = {0: "batch"}
    answers = Answers(model, names, None)
    write_graph(answers, inputs, answers.outputs, folder / GRAPH, axes)
    content = {
        "kind": "cards",
        "graph": GRAPH,
        "labels": [str(model.config.id2label[number]) for number in range(model.config.num_labels)],
        "coarse_labels": model.config.coarse_labels,
        "coarse_of": model.config.coarse_of,
        "inputs": names,
        "absent": ABSENT,
    }
    if tokenizer is not None:
        content |= {
            "max_length": tokenizer.model_max_length,
            "pad_token_id": tokenizer.pad_token_id,
            "encode_special_tokens": bool(tokenizer.backend_tokenizer.encode_special_tokens),
        }
        tokenizer.save_pretrained(folder)
    write_json(folder / NAME, content)
    shutil.copyfile(STANDALONE / "predict_cards.py", folder / "predict.py")
    for module in (hfcls.models.card_ngrams, hfcls.data.card_text):
        shutil.copy(module.__file__, folder)


def check_cards(tokenizer: PreTrainedTokenizerBase | None, model: PreTrainedModel, folder: Path) -> Agreement:
    """The agreement of `folder` with the model on generated cards.

    Raises:
        InputError: they disagree.
    """
    cards = random_cards()
    with torch.inference_mode():
        expected = model(**_inputs(tokenizer, cards)).logits.float().numpy()
    chosen = expected.argmax(axis=1)[:, None] == np.arange(expected.shape[1])
    script = load_script(folder / "predict.py")
    found = script_outputs(script.answer, cards, [len(card) for card, *_ in cards])
    return compare(expected, chosen, found, "generated cards")


def random_cards() -> list[Card]:
    """Cards of words of the Hub's tasks under the headings of the template, always the same."""
    draw = random.Random(0)
    words = sorted(
        {word for task in TASK_CATEGORIES for word in task.split("-")} | {"dataset", "english", "中文", "the"}
    )
    headings = ["# Dataset Card", "## Dataset Summary", "### Supported Tasks", "## Dataset Structure", "## Licensing"]
    cards = []
    for _ in range(RANDOM_CARDS):
        lines = [
            line for heading in headings for line in (heading, " ".join(draw.choices(words, k=draw.randint(0, 40))))
        ]
        numbers = [draw.choice([None, draw.uniform(0, 1e6)]) for _ in range(3)]
        cards.append(("\n".join(lines), f"me/{'_'.join(draw.choices(words, k=2))}", *numbers))
    return cards


def _inputs(tokenizer: PreTrainedTokenizerBase | None, cards: list[Card]) -> dict[str, torch.Tensor]:
    """What the model gets of cards."""
    texts, names, *numbers = (list(column) for column in zip(*cards, strict=True))
    texts = [clean_card(text) for text in texts]
    inputs = dict(CardFeatureExtractor()(texts, names, *numbers))
    if tokenizer is not None:
        rows = [f"{' '.join(name_words(name))}\n{text}" for name, text in zip(names, texts, strict=True)]
        tokens = tokenizer(rows, truncation=True, padding=True, return_tensors="pt")
        inputs |= {name: tokens[name] for name in ("input_ids", "attention_mask")}
    return inputs
