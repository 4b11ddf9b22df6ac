"""The n-grams at their defaults beside TF-IDF with a linear support vector machine, on six corpora in four languages.

    for l in de ja; do apt-get download libreoffice-help-$l && dpkg-deb -x libreoffice-help-${l}_*.deb help; done
    python tests/benchmarks/default_baselines.py --output_dir outputs/default_baselines \\
        --headlines thucnews_titles --imdb aclImdb.tar.xz --ccf ccf_sentiment --cards hf_dataset_cards.csv \\
        --help_pages help/usr/share/libreoffice/help

A corpus whose flag is absent is left out. scikit-learn learns from the training rows and answers the test rows of the
very splits that the recipes use; nothing of either is chosen by a test row. Prints a Markdown table of test accuracies.

German and Japanese are paragraphs of LibreOffice's help (MPL-2.0, packages of Debian), in pieces of some 200 and 100
characters, which are to be told apart by the application they are about; pages are split, never pieces. Some of the
Japanese pages are not translated. Cards are a plain table of text and fine class, classes of fewer than ten rows left
out, cards split, never rows. Their test rows are few: `--draws 4` splits the pages of such a table four times more.
"""

import argparse
import csv
import html
import itertools
import json
import random
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.svm import LinearSVC

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))
from hfcls.data.corpora import CORPORA, NamedCorpus  # noqa: E402
from hfcls.data.files import csv_reader  # noqa: E402
from hfcls.training.setup import joined_texts  # noqa: E402

REFERENCES = {
    "words": {},
    "words and pairs": {"ngram_range": (1, 2), "sublinear_tf": True},
    "1 to 4 characters": {"analyzer": "char", "ngram_range": (1, 4), "sublinear_tf": True},
}
NGRAMS = ["--architecture", "ngram_linear"]
APPLICATIONS = {"sbasic", "scalc", "schart", "sdatabase", "simpress", "smath", "swriter"}
PARAGRAPH = re.compile(r'<p[^>]*class="paragraph"[^>]*>(.*?)</p>', re.DOTALL)
PIECES = {"de": 200, "ja": 100}  # characters, at least
LEAST_ROWS = 10


def scikit_learn(splits) -> dict[str, float]:
    """Test accuracy of each of `REFERENCES`."""
    train, test = joined_texts(splits["train"]), joined_texts(splits["test"])
    scores = {}
    for name, settings in REFERENCES.items():
        vectorizer = TfidfVectorizer(**settings)
        model = LinearSVC(random_state=0).fit(vectorizer.fit_transform(train), splits["train"]["label"])
        scores[name] = float(np.mean(model.predict(vectorizer.transform(test)) == splits["test"]["label"]))
    return scores


def recipe(name: str, flags: list[str], output_dir: Path) -> float:
    """Test accuracy of a recipe at its defaults; a run that is finished is not repeated."""
    command = [sys.executable, str(ROOT / "recipes" / f"{name}.py"), *flags, *NGRAMS, "--output_dir", str(output_dir)]
    resume = ["--resume_from_checkpoint", "auto"] if output_dir.is_dir() else []
    subprocess.run([*command, "--disable_tqdm", "True", "--floor", "no", *resume], check=True)
    return json.loads((output_dir / "all_results.json").read_text(encoding="utf-8"))["test_accuracy"]


def draw(table: Path, seed: int) -> Path:
    """A folder of splits of a table: a tenth of its pages each in validation and test."""
    with table.open(encoding="utf-8", newline="") as file:
        header, *rows = csv_reader(file)
    page = header.index("page")
    pages = sorted({row[page] for row in rows})
    random.Random(seed).shuffle(pages)
    tenth = len(pages) // 10
    place = {name: "test" if i < tenth else "dev" if i < 2 * tenth else "train" for i, name in enumerate(pages)}
    folder = table.with_name(f"{table.stem}_{seed}")
    folder.mkdir(exist_ok=True)
    for split in ("train", "dev", "test"):
        _write(folder / f"{split}.csv", header, [row for row in rows if place[row[page]] == split])
    return folder


def write_help(pages: Path, language: str, path: Path) -> None:
    """Pieces of the pages of one language as a table: text, label, page."""
    rows, known = [], set()
    for page in sorted((pages / language / "text").rglob("*.html")):
        application, piece = page.relative_to(pages / language / "text").parts[0], ""
        for found in PARAGRAPH.findall(page.read_text(encoding="utf-8")):
            paragraph = " ".join(html.unescape(re.sub(r"<[^>]+>", "", found)).split())
            if application in APPLICATIONS and paragraph not in known:
                known.add(paragraph)
                piece = f"{piece} {paragraph}".strip()
            if len(piece) >= PIECES[language]:
                rows.append((piece, application, page.relative_to(pages)))
                piece = ""
    _write(path, ["text", "label", "page"], rows)


def write_cards(source: Path, path: Path) -> None:
    """The cards as a table: text, label, page."""
    with source.open(encoding="utf-8", newline="") as file:
        header, *rows = csv_reader(file)
    text, label, page = (header.index(name) for name in ("dataset_viewer", "sclass", "page_link"))
    counts = Counter(row[label] for row in rows)
    kept = [(row[text], row[label], row[page]) for row in rows if counts[row[label]] >= LEAST_ROWS]
    _write(path, ["text", "label", "page"], kept)


def _write(path: Path, header: list[str], rows: list[tuple]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([header, *rows])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("headlines", "imdb", "ccf", "cards", "help_pages", "output_dir"):
        parser.add_argument(f"--{name}", type=Path, required=name == "output_dir")
    parser.add_argument("--draws", type=int, default=0)
    given = parser.parse_args()
    given.output_dir.mkdir(parents=True, exist_ok=True)
    corpora = []  # name, data, name for hfcls, recipe of its own
    for name, data, dataset, own in (
        ("headlines", given.headlines, "thucnews", "thucnews_rnn"),
        ("IMDB", given.imdb, "imdb", "imdb_lstm"),
        ("CCF", given.ccf, "ccf_sentiment", None),
    ):
        if data is not None:
            corpora.append((name, data, dataset, own))
    if given.cards is not None:
        write_cards(given.cards, given.output_dir / "cards.csv")
        corpora.append(("dataset cards", given.output_dir / "cards.csv", None, None))
    for language in itertools.chain(PIECES if given.help_pages is not None else ()):
        write_help(given.help_pages, language, given.output_dir / f"{language}.csv")
        corpora.append((f"help, {language}", given.output_dir / f"{language}.csv", None, None))
    for name, data, dataset, _ in [*corpora]:
        if dataset is None:
            corpora += [(f"{name}, draw {n}", draw(data, n), None, None) for n in range(1, given.draws + 1)]
    lines = []
    for name, data, dataset, own in corpora:
        folder = given.output_dir / name.replace(", ", "_").replace(" ", "_").lower()
        flags = ["--data_dir", str(data)]
        if dataset is not None:
            splits = CORPORA[dataset].prepare(str(data)).splits
            scores = [recipe(own, flags, Path(f"{folder}_recipe"))] if own else [None]
            flags += ["--dataset", dataset]
        else:
            splits = NamedCorpus(name, "table:Table", "text", None).prepare(str(data), group_column="page").splits
            scores = [None]
            flags += ["--group_column", "page"]
        scores.append(recipe("text_classification", flags, folder))
        scores = [*scikit_learn(splits).values(), *scores]
        cells = ["–" if score is None else f"{score:.4f}" for score in scores]
        lines.append([name, f"{len(splits['train']):,}", f"{len(splits['test']):,}", *cells])
        print(lines[-1], flush=True)
    header = ["corpus", "train", "test", *(f"TF-IDF, {name}" for name in REFERENCES), "recipe", "text_classification"]
    for cells in (header, ["---", *["---:"] * (len(header) - 1)], *lines):
        print(f"| {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
