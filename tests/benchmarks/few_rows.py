"""Which model when: n-grams, a frozen sentence encoder under a linear model, and the encoder fine-tuned, on few rows.

    python tests/benchmarks/few_rows.py headlines thucnews_titles --encoder multilingual-e5-small --prompt "query: "
    python tests/benchmarks/few_rows.py imdb aclImdb --encoder all-MiniLM-L6-v2 --max_length 128

Trains on 10, 50, 200 and 1,000 rows of each class, each step holding the rows of the step before, with as many
validation rows of each class (at most 50), and tests on 2,000 rows drawn once. Results are kept in `--output_dir`, and
what is there is not measured again; the table is printed and figures.json written after every run.

- n-grams: `text_classification --architecture ngram_linear`, whole texts; and the floor that each run reports.
- frozen: embeddings of sentence-transformers and scikit-learn's logistic regression, C chosen on validation. This is
  outside the recipes.
- fine-tuned: `text_classification --model_name_or_path ENCODER`, with more epochs the fewer the rows.
- zero rows: the class whose description is nearest to the text by the encoder's cosine.
"""

import argparse
import json
import math
import os
import subprocess
import sys
import time
from pathlib import Path

import datasets
import numpy as np

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))
from hfcls.cards.sentence_embedder import SentenceEmbedder  # noqa: E402
from hfcls.data.corpora import CORPORA  # noqa: E402
from hfcls.metrics.one_label import score  # noqa: E402

CORPUS = {"headlines": "thucnews", "imdb": "imdb"}
STEPS = (10, 50, 200, 1000)  # rows of each class
TEST_ROWS = 2000
MOST_VALIDATION = 50  # rows of each class
LEAST_STEPS = 60  # of the optimizer, however few the rows
REGULARIZATION = (1, 10, 100, 1000)
WORDS = {"imdb": ("word", 3)}  # tokens of the n-grams, and the longest
# What a text of each class is called without any row of it; a class that is not here is called by its name.
DESCRIPTIONS = {"neg": "a negative review of a bad film", "pos": "a positive review of a good film"}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpus", choices=list(CORPUS))
    parser.add_argument("data_dir", metavar="DIR")
    parser.add_argument("--encoder", required=True, help="a folder or a name of the Hub")
    parser.add_argument("--prompt", help="what the encoder wants in front of a text where it is frozen")
    parser.add_argument("--max_length", default="auto", help="tokens that the fine-tuned encoder reads, head and tail")
    parser.add_argument("--rows", nargs="+", type=int, default=list(STEPS), choices=STEPS)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0], help="each draws other rows")
    parser.add_argument("--methods", nargs="+", default=["n-grams", "frozen", "fine-tuned"])
    parser.add_argument("--output_dir", required=True)
    options = parser.parse_args()
    splits = CORPORA[CORPUS[options.corpus]].prepare(options.data_dir).splits
    splits["test"] = splits["test"].shuffle(seed=0).select(range(TEST_ROWS))
    folder = Path(options.output_dir)
    folder.mkdir(parents=True, exist_ok=True)
    if "frozen" in options.methods:
        once(folder / "zero.json", lambda: zero_shot(splits["test"], options))
    for rows in options.rows:
        for seed in options.seeds:
            drawn = draw(splits, rows, seed)
            for method in options.methods:
                measure = {"n-grams": ngrams, "frozen": frozen, "fine-tuned": fine_tuned}[method]
                name = f"{method}_{rows}_{seed}"
                if once(folder / f"{name}.json", lambda m=measure, d=drawn, n=name: m(d, folder / n, options)):
                    print_table(folder)
    print_table(folder)


def once(path: Path, measure) -> bool:
    """Writes what `measure` returns, and the seconds it took, into the file `path`; whether it was not there yet."""
    if path.exists():
        return False
    begun = time.monotonic()
    result = measure()
    path.write_text(json.dumps(result | {"seconds": round(time.monotonic() - begun, 1)}))
    return True


def draw(splits: datasets.DatasetDict, rows: int, seed: int) -> dict[str, datasets.Dataset]:
    """`rows` of each class to train on, as many to choose by, and the test rows."""
    train = first_of_each_class(splits["train"].shuffle(seed=seed), rows)
    validation = first_of_each_class(splits["validation"].shuffle(seed=seed), min(rows, MOST_VALIDATION))
    return {"train": train, "validation": validation, "test": splits["test"]}


def first_of_each_class(split: datasets.Dataset, rows: int) -> datasets.Dataset:
    labels = np.asarray(split["label"])
    chosen = np.sort(np.concatenate([np.flatnonzero(labels == label)[:rows] for label in np.unique(labels)]))
    return split.select(chosen)


def recipe(drawn: dict, folder: Path, flags: list[str]) -> dict:
    """The results of `text_classification` on tables of the rows, its output in the file FOLDER.log."""
    tables = folder.with_name(f"{folder.name}_tables")
    tables.mkdir(exist_ok=True)
    names = drawn["train"].features["label"].names
    for split, file in (("train", "train"), ("validation", "dev"), ("test", "test")):
        lines = ({"text": row["text"], "label": names[row["label"]]} for row in drawn[split])
        text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
        (tables / f"{file}.jsonl").write_text(text, encoding="utf-8")
    command = [sys.executable, "recipes/text_classification.py", "--data_dir", str(tables), *flags]
    command += ["--output_dir", str(folder), "--resume_from_checkpoint", "auto"]
    with folder.with_name(f"{folder.name}.log").open("w") as log:
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        subprocess.run(command, cwd=ROOT, env=environment, stdout=log, stderr=log, check=True)
    results = json.loads((folder / "all_results.json").read_text())
    floor = json.loads((folder / "run.json").read_text()).get("floor") or {}
    return {"accuracy": results["test_accuracy"], "f1": results["test_f1"], "floor": floor.get("accuracy")}


def ngrams(drawn: dict, folder: Path, options) -> dict:
    tokens, longest = WORDS.get(options.corpus, ("char", 3))
    batch = 16 if len(drawn["train"]) < 1000 else 64
    flags = ["--architecture", "ngram_linear", "--tokens", tokens, "--ngram_max", str(longest), "--min_count", "1"]
    flags += ["--max_length", "4096", "--floor", "yes", *epochs(drawn, batch)]
    return recipe(drawn, folder, flags)


def fine_tuned(drawn: dict, folder: Path, options) -> dict:
    batch = 16 if len(drawn["train"]) < 1000 else 32
    flags = ["--model_name_or_path", options.encoder, "--max_length", options.max_length, "--truncation", "head_tail"]
    flags += ["--linear_probe", "True", "--floor", "no", "--save_total_limit", "1"]
    return recipe(drawn, folder, [*flags, *epochs(drawn, batch)])


def epochs(drawn: dict, batch: int) -> list[str]:
    """Batches of `batch`, three epochs, or as many as it takes to make LEAST_STEPS steps."""
    number = max(3, math.ceil(LEAST_STEPS / math.ceil(len(drawn["train"]) / batch)))
    return ["--per_device_train_batch_size", str(batch), "--num_train_epochs", str(number)]


def frozen(drawn: dict, folder: Path, options) -> dict:
    from sklearn.linear_model import LogisticRegression

    embedder = SentenceEmbedder(options.encoder, prompt=options.prompt)
    vectors = {name: embedder.cached(list(split["text"])) for name, split in drawn.items()}
    labels = {name: np.asarray(split["label"]) for name, split in drawn.items()}
    models = [LogisticRegression(C=c, max_iter=1000).fit(vectors["train"], labels["train"]) for c in REGULARIZATION]
    best = max(models, key=lambda model: model.score(vectors["validation"], labels["validation"]))
    found = score(best.predict_log_proba(vectors["test"]), labels["test"])
    return {"accuracy": found["accuracy"], "f1": found["f1"], "C": best.C}


def zero_shot(test: datasets.Dataset, options) -> dict:
    embedder = SentenceEmbedder(options.encoder, prompt=options.prompt)
    classes = embedder([DESCRIPTIONS.get(name, name) for name in test.features["label"].names])
    found = score(embedder.cached(list(test["text"])) @ classes.T, np.asarray(test["label"]))
    return {"accuracy": found["accuracy"], "f1": found["f1"]}


def print_table(folder: Path) -> None:
    """What has been measured so far: test accuracy, mean and standard deviation over the seeds."""
    figures: dict[str, dict[int, list[float]]] = {}
    if (folder / "zero.json").exists():
        figures["frozen"] = {0: [json.loads((folder / "zero.json").read_text())["accuracy"]]}
    for path in sorted(folder.glob("*_*_*.json")):
        method, rows, _ = path.stem.rsplit("_", 2)
        result = json.loads(path.read_text())
        figures.setdefault(method, {}).setdefault(int(rows), []).append(result["accuracy"])
        if method == "n-grams":
            figures.setdefault("floor", {}).setdefault(int(rows), []).append(result["floor"])
    (folder / "figures.json").write_text(json.dumps(figures))
    steps = (0, *STEPS)
    print("| rows of each class |" + "|".join(f" {rows:,} " for rows in steps) + "|\n|---|" + "---:|" * len(steps))
    for method, values in sorted(figures.items()):
        cells = []
        for rows in steps:
            found = values.get(rows, [])
            spread = f" ± {np.std(found, ddof=1):.3f}" if len(found) > 1 else ""
            cells.append(f" {np.mean(found):.3f}{spread} " if found else " – ")
        print(f"| {method} |" + "|".join(cells) + "|", flush=True)


if __name__ == "__main__":
    main()
