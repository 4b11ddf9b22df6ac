"""From a corpus of dataset cards to batches, and the models that are trained on them."""

import datasets
import numpy as np
import torch
from transformers import AutoConfig, TrainingArguments

from hfcls import baselines
from hfcls.card_arguments import CardArguments
from hfcls.card_metrics import CardMetrics
from hfcls.card_statistics import count_features, fit_bag, fit_table, number_statistics
from hfcls.corpus import Corpus, align_labels, load_corpus
from hfcls.data.dataset_cards import DatasetCards
from hfcls.errors import InputError
from hfcls.loading import load, register_models
from hfcls.models.card_features import PAIR, CardFeatureExtractor, CardTable, as_numbers, pad
from hfcls.models.card_fusion import CardFusionConfig, CardFusionForSequenceClassification
from hfcls.models.label_similarity import LabelSimilarityConfig, LabelSimilarityForSequenceClassification
from hfcls.preprocessing import Rows
from hfcls.text_arguments import BaselineArguments
from hfcls.training import Setup

TASK = "tabular-classification"


def load_cards(arguments: CardArguments, training_args: TrainingArguments) -> Corpus:
    """The corpus, its rows grouped by card.

    Raises:
        InputError: it cannot be read.
    """
    target = "coarse" if arguments.target == "coarse" else "fine"
    corpus = load_corpus(
        DatasetCards,
        arguments,
        training_args,
        name="dataset cards",
        language="en",
        target=target,
        seed=arguments.split_seed,
    )
    corpus.shown = "id"  # cards are long
    for name, split in corpus.splits.items():
        corpus.splits[name] = split.add_column("group", list(split["id"]))  # folds keep a card together
    if arguments.train_on_validation:
        pool = [corpus.splits["train"], corpus.splits["validation"]]
        corpus.splits["train"] = datasets.concatenate_datasets(pool)
        corpus.notes.append("the validation cards were trained on, too: nothing was chosen by them")
    return corpus


class CardRows(torch.utils.data.Dataset):
    """The rows of one split: the features of each card, counted once for all its rows, numbers and labels.

    Attributes:
        cards: features of the distinct cards.
        card: of each row, its place in `cards`, (rows,).
        lengths: features of each row's card, (rows,).
        numbers: (rows, 3) with NaN for missing.
        labels: (rows,).
        table: what the model's `CardTable` makes of each row, (rows, N), once `tabulate` was called.
    """

    def __init__(self, split: datasets.Dataset, extractor: CardFeatureExtractor):
        names = list(split["id"])
        places = {name: place for place, name in enumerate(dict.fromkeys(names))}
        texts = dict(zip(names, split["text"], strict=True))
        # The first line of a text are the words of the name, which the extractor adds itself.
        self.cards = [extractor.ngrams(texts[name].partition("\n")[2], name) for name in places]
        self.card = np.array([places[name] for name in names])
        self.lengths = np.array([len(self.cards[place][0]) for place in self.card])
        self.numbers = as_numbers(zip(split["downloads"], split["size"], split["num_rows"], strict=True))
        self.labels = np.asarray(split["label"], dtype=np.int64)

    @torch.inference_mode()
    def tabulate(self, table: CardTable) -> None:
        """Computes once what every epoch would compute again."""
        parts = [
            table(
                *pad([self.cards[place] for place in self.card[start : start + 16]]), self.numbers[start : start + 16]
            )
            for start in range(0, len(self), 16)
        ]
        self.table = torch.cat(parts).clone()

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, row: int) -> dict:
        content = {"numbers": self.numbers[row], "table": self.table[row], "labels": self.labels[row]}
        return {"card": self.cards[self.card[row]], **content}


def collate(rows: list[dict]) -> dict[str, torch.Tensor]:
    """Rows of `CardRows` → `ngrams` and `counts` (B, L), `numbers` (B, 3), `table` (B, N), `labels` (B,)."""
    ngrams, counts = pad([row["card"] for row in rows])
    return {
        "ngrams": ngrams,
        "counts": counts,
        "numbers": torch.stack([row["numbers"] for row in rows]),
        "table": torch.stack([row["table"] for row in rows]),
        "labels": torch.from_numpy(np.array([row["labels"] for row in rows])),
    }


def build(arguments: CardArguments, training_args: TrainingArguments, corpus: Corpus) -> Setup:
    """The model that `--architecture` names, its statistics taken from train, or the saved one of `--evaluate_only`.

    Raises:
        InputError: the model cannot be loaded, or does not fit the corpus.
    """
    if _is_ngram_linear(arguments):
        setup = baselines.build(_baseline(arguments), training_args, corpus)
        setup.test_metrics = CardMetrics(setup.corpus.splits["test"])
        return setup
    if arguments.evaluate_only is not None:
        extractor, model = load(arguments.evaluate_only, task=TASK)
        corpus = align_labels(corpus, model)
    else:
        extractor, model = CardFeatureExtractor(), None
    rows = {name: CardRows(split, extractor) for name, split in corpus.splits.items()}
    if model is None:
        model = build_model(arguments, corpus, rows["train"])
    for split in rows.values():
        split.tabulate(model.table)
    return Setup(
        corpus,
        extractor,
        Rows(**rows),
        collate,
        model,
        arguments.evaluate_only or _name(arguments),
        pipeline_task=TASK,
        test_metrics=CardMetrics(corpus.splits["test"], model.config.coarse_of, model.config.coarse_labels),
        classify=classify,
    )


def build_model(arguments: CardArguments, corpus: Corpus, rows: CardRows):
    """A model that knows the statistics of the training `rows`, and nothing of any other.

    Raises:
        InputError: `--target both`, and a fine class is of two coarse classes.
    """
    shared = {
        "num_terms": len(count_features(rows.cards, below=PAIR)[0]) if arguments.similarities else 0,
        "embedding_size": arguments.embedding_size if arguments.similarities else 1,
        "id2label": dict(enumerate(corpus.labels)),
        "label2id": {label: i for i, label in enumerate(corpus.labels)},
        **number_statistics(rows.numbers[np.unique(rows.card, return_index=True)[1]]),
    }
    if arguments.target == "both":
        shared |= _coarse_classes(corpus)
    batches = [pad(rows.cards[start : start + 16]) for start in range(0, len(rows.cards), 16)]
    if arguments.architecture == "fusion":
        num_features = len(count_features(rows.cards)[0])
        model = CardFusionForSequenceClassification(CardFusionConfig(num_features=num_features, **shared))
        fit_bag(model, rows.cards, batches, _shares(rows, len(corpus.labels)), arguments.ridge)
    else:
        config = LabelSimilarityConfig(classifier=arguments.classifier, **shared)
        model = LabelSimilarityForSequenceClassification(config)
    if arguments.similarities:
        fit_table(model.table, rows.cards, batches)
    return model


def classify(rows: datasets.Dataset, extractor: CardFeatureExtractor, model) -> tuple[list[str], list[dict]]:
    """Names and answers of a few rows of the corpus."""
    from hfcls.card_classifier import DatasetCardClassifier

    classifier = DatasetCardClassifier(extractor, model)
    answers = [
        classifier(
            row["text"].partition("\n")[2],
            name=row["id"],
            downloads=row["downloads"],
            size=row["size"],
            num_rows=row["num_rows"],
        )[0]
        for row in rows
    ]
    return list(rows["id"]), answers


def _shares(rows: CardRows, num_labels: int) -> np.ndarray:
    """Of each card, the share of its rows that each class has, (cards, classes)."""
    counts = np.zeros((len(rows.cards), num_labels))
    np.add.at(counts, (rows.card, rows.labels), 1)
    return counts / counts.sum(1, keepdims=True)


def _coarse_classes(corpus: Corpus) -> dict:
    """`coarse_of` and `coarse_labels` of the config."""
    pairs = {pair for split in corpus.splits.values() for pair in zip(split["label"], split["coarse"], strict=True)}
    if len(pairs) > len(corpus.labels):
        of = [label for label, _ in sorted(pairs)]
        twice = next(corpus.labels[label] for label in of if of.count(label) > 1)
        raise InputError(f"--target both: {twice} is of several coarse classes; give --target fine")
    names = sorted({coarse for _, coarse in pairs})
    return {"coarse_of": [names.index(coarse) for _, coarse in sorted(pairs)], "coarse_labels": names}


def _is_ngram_linear(arguments: CardArguments) -> bool:
    if arguments.evaluate_only is None:
        return arguments.architecture == "ngram_linear"
    register_models()
    try:
        return AutoConfig.from_pretrained(arguments.evaluate_only).model_type == "ngram_linear"
    except (OSError, ValueError) as error:
        reason = str(error).strip().splitlines()[0]
        raise InputError(f"--evaluate_only {arguments.evaluate_only}: cannot be loaded ({reason})") from error


def _baseline(arguments: CardArguments) -> BaselineArguments:
    return BaselineArguments(
        evaluate_only=arguments.evaluate_only,
        architecture="ngram_linear",
        tokens="word",
        ngram_max=2,
        max_length="20000",
    )


def _name(arguments: CardArguments) -> str:
    names = {
        "fusion": "n-grams, similarities and numbers",
        "label_similarity": f"{arguments.classifier} on similarities",
    }
    return names[arguments.architecture] if arguments.similarities else f"{arguments.architecture}, numbers only"
