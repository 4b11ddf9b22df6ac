"""Every model of dataset cards beside TF-IDF with a linear support vector machine, on five splits by card, 80/20.

    python tests/benchmarks/dataset_cards.py DIR
    python tests/benchmarks/dataset_cards.py DIR --models fusion
    python tests/benchmarks/dataset_cards.py DIR --embedding_model DIR/e5 --embedding_prompt "query: "

Prints a line for each split and model, then means and standard deviations. All train on four fifths of the cards with
settings that do not look at the test cards: nothing is chosen by them, nor early. A row is one (card, class) pair; of a
row that counts by "any true class", the answer is one of the card's classes.
"""

import argparse
import functools
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.svm import LinearSVC
from transformers import TrainingArguments, set_seed

sys.path.insert(0, str(Path(__file__).parents[2]))
from hfcls.cards import build as cards  # noqa: E402
from hfcls.cards.arguments import CardArguments  # noqa: E402
from hfcls.cards.metrics import CardMetrics  # noqa: E402
from hfcls.metrics.one_label import score  # noqa: E402
from hfcls.models.card_features import CardFeatureExtractor  # noqa: E402
from recipes.dataset_cards import FUSION, SIMILARITY  # noqa: E402

MODELS = {
    "fusion": {"architecture": "fusion"},
    "fusion, both": {"architecture": "fusion", "target": "both"},
    "inception": {"architecture": "label_similarity"},
    "inception, no similarities": {"architecture": "label_similarity", "similarities": False},
    "svm": {"architecture": "label_similarity", "classifier": "svm"},
    "svm, no similarities": {"architecture": "label_similarity", "classifier": "svm", "similarities": False},
}
COLUMNS = "coarse accuracy, fine accuracy, any true class, fine macro-F1, top 3".split(", ")


def measure(settings: dict, data_dir: str, seed: int) -> list[float]:
    fine = _train(settings, data_dir, seed)
    if settings.get("target") == "both":
        coarse = fine["coarse_accuracy"]
    else:
        coarse = _train(settings | {"target": "coarse"}, data_dir, seed)["accuracy"]
    return [coarse, fine["accuracy"], fine["any_true_label_accuracy"], fine["f1"], fine["top_3_accuracy"]]


def _train(settings: dict, data_dir: str, seed: int) -> dict[str, float]:
    flags = FUSION if settings["architecture"] == "fusion" else SIMILARITY
    with tempfile.TemporaryDirectory() as folder:
        training_args = TrainingArguments(
            output_dir=folder, save_strategy="no", report_to="none", disable_tqdm=True, use_cpu=True, seed=seed,
            remove_unused_columns=False, logging_strategy="no", **flags,
        )  # fmt: skip
        set_seed(seed)
        arguments = CardArguments(data_dir=data_dir, split_seed=seed, train_on_validation=True, **settings)
        setup = cards.build(arguments, training_args, cards.load_cards(arguments, training_args))
        trainer = setup.build_trainer(arguments, training_args)
        trainer.train()
        logits = trainer.predict(setup.rows.test).predictions
    return score(logits, setup.rows.test.labels) | setup.test_metrics(logits)


def measure_floor(data_dir: str, seed: int) -> list[float]:
    """Words and pairs of words of the name and the card; linear, one class against the rest."""
    scores = {}
    for target in ("fine", "coarse"):
        arguments = CardArguments(data_dir=data_dir, split_seed=seed, train_on_validation=True, target=target)
        splits = cards.load_cards(arguments, TrainingArguments(output_dir="unused", use_cpu=True)).splits
        train, test = splits["train"], splits["test"]
        vectorizer = TfidfVectorizer(sublinear_tf=True, ngram_range=(1, 2), min_df=2)
        svm = LinearSVC().fit(vectorizer.fit_transform(train["text"]), train["label"])
        found = svm.decision_function(vectorizer.transform(test["text"]))
        logits = np.full((len(test), len(test.features["label"].names)), -1e3)  # classes without a training row
        logits[:, svm.classes_] = found
        scores[target] = score(logits, np.asarray(test["label"])) | CardMetrics(test)(logits)
    fine = scores["fine"]
    return [
        scores["coarse"]["accuracy"],
        *(fine[name] for name in ("accuracy", "any_true_label_accuracy", "f1", "top_3_accuracy")),
    ]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data_dir", metavar="DIR")
    parser.add_argument("--models", nargs="+", choices=list(MODELS), default=list(MODELS))
    parser.add_argument("--seeds", nargs="+", type=int, default=list(range(5)))
    parser.add_argument("--embedding_model", default="lsa", help="as the recipe takes it, for the similarities")
    parser.add_argument("--embedding_prompt", help="as the recipe takes it")
    options = parser.parse_args()
    embedding = {"embedding_model": options.embedding_model, "embedding_prompt": options.embedding_prompt}
    # The features of a card do not depend on the split.
    CardFeatureExtractor.ngrams = functools.cache(CardFeatureExtractor.ngrams)
    extractor = CardFeatureExtractor()
    cards.CardFeatureExtractor = lambda: extractor

    results: dict[str, list[list[float]]] = {}
    for seed in options.seeds:
        for name in ["TF-IDF, LinearSVC", *options.models]:
            begun = time.process_time()
            if name in MODELS:
                row = measure(MODELS[name] | embedding, options.data_dir, seed)
            else:
                row = measure_floor(options.data_dir, seed)
            results.setdefault(name, []).append(row)
            numbers = " ".join(f"{value:.3f}" for value in row)
            print(f"split {seed}  {name:<28} {numbers}  {time.process_time() - begun:.0f} s of CPU", flush=True)
    print(f"\n| mean ± sd of {len(options.seeds)} splits | {' | '.join(COLUMNS)} |\n|---|{'---:|' * len(COLUMNS)}")
    for name, rows in results.items():
        cells = [f"{mean:.3f} ± {sd:.3f}" for mean, sd in zip(np.mean(rows, 0), np.std(rows, 0), strict=True)]
        print(f"| {name} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
