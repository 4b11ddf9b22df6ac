"""What is served is what was measured: texts over the limit, cut by every rule, through every way to ask a model."""

import csv
import json
import random
import runpy
import sys
from copy import copy
from pathlib import Path

import numpy as np
import pytest
import torch
from tokenizers import ByteLevelBPETokenizer
from transformers import BertConfig, BertModel, RobertaConfig, RobertaModel, RobertaTokenizer, pipeline

from hfcls.inference.classifier import Classifier
from hfcls.models.truncation import Truncation, encode
from hfcls.runs.hub import files_to_push
from hfcls.text.arguments import BaselineArguments
from hfcls.text.tokenization import train_tokenizer, train_wordpiece_tokenizer
from hfcls.training.arguments import parse
from tests.hub_server import serve_hub
from tests.warm import run_apart

ROOT = Path(__file__).parents[2]
LABELS = ["high", "low"]
WORDS = {
    "en": "red green blue black white grey pink brown".split(),
    "zh": "股市 足球 电影 手机 大学 房价 天气 游戏".split(),
}
LIMIT = 12

# A name, and the flags that make the model.
MODELS = {
    "rnn_char_head": "--architecture text_rnn --hidden_size 4 --embedding_dim 4 --num_layers 1 --truncation head",
    "rnn_word_tail": "--architecture text_rnn --hidden_size 4 --embedding_dim 4 --tokens word --truncation tail",
    "rnn_jieba_head_tail": "--architecture text_rnn --hidden_size 4 --embedding_dim 4 --tokens jieba "
    "--truncation head_tail",
    "cnn_word_head": "--architecture text_cnn --embedding_dim 4 --tokens word --truncation head",
    "cnn_jieba_tail": "--architecture text_cnn --embedding_dim 4 --tokens jieba --truncation tail",
    "cnn_char_head_tail": "--architecture text_cnn --embedding_dim 4 --truncation head_tail",
    "dpcnn_jieba_head": "--architecture dpcnn --embedding_dim 4 --tokens jieba --truncation head",
    "dpcnn_char_tail": "--architecture dpcnn --embedding_dim 4 --truncation tail --padding_side left",
    "dpcnn_word_head_tail": "--architecture dpcnn --embedding_dim 4 --tokens word --truncation head_tail",
    "ngrams_char_head": "--architecture ngram_linear --min_count 1 --truncation head",
    "ngrams_word_tail": "--architecture ngram_linear --min_count 1 --tokens word --truncation tail",
    "ngrams_jieba_head_tail": "--architecture ngram_linear --min_count 1 --tokens jieba --truncation head_tail",
    **{
        f"{kind}_{keep}": f"--model_name_or_path {kind} --truncation {keep}"
        for kind in ("bert", "roberta")
        for keep in ("head", "tail", "head_tail")
    },
    "bert_pairs_head": "--model_name_or_path bert --text_pair_column below --truncation head",
    "bert_pairs_head_tail": "--model_name_or_path bert --text_pair_column below --truncation head_tail",
    "roberta_pairs_tail": "--model_name_or_path roberta --text_pair_column below --truncation tail",
    "cnn_pairs_tail": "--architecture text_cnn --embedding_dim 4 --tokens word --text_pair_column below "
    "--truncation tail",
}
PUSHED = "bert_pairs_head_tail"
SERVE = """
import json, re, sys
sys.modules["hfcls"] = None  # importing it raises ImportError, installed or not
answers = {}
given, pushed = json.load(sys.stdin)
given[f"tester/{pushed}"] = given[pushed]
for name, rows in given.items():
    folder = name.rpartition("/")[2]
    example = re.search("```python\\n(.*?)```", open(f"{folder}/README.md", encoding="utf-8").read(), re.DOTALL)[1]
    *lines, call = example.replace(f'"{folder}"', f'"{name}"').strip().splitlines()
    namespace = {}
    exec("\\n".join(lines), namespace)
    answers[name] = []
    for text, pair in rows:
        words = call.replace('"a text"', repr(text)).replace('"a second text"', repr(pair))
        answer = eval(words, namespace)
        answers[name].append(answer[0] if isinstance(answer, list) else answer)
print(json.dumps(answers))
"""


def write_corpus(path: Path, language: str) -> None:
    """Texts of which the first, a middle and the last word tell the class; second texts alike."""
    draw = random.Random(0)
    words = WORDS[language]

    def text(label: int, length: int) -> str:
        chosen = [draw.choice(words) for _ in range(length)]
        for place in {0, length // 3, length - 1}:
            chosen[place] = draw.choice(words[label * 4 : label * 4 + 4])
        return (" " if language == "en" else "").join(chosen)

    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["text", "below", "label"])
        for row in range(100):
            label = row % 2
            pair = "" if row % 7 == 0 else text(label, draw.choice([3, 40]))
            writer.writerow([text(label, draw.choice([2, 9, 30, 60])), pair, LABELS[label]])


def write_encoders(folder: Path) -> None:
    """A BERT, and a RoBERTa with 34 positions, which hold 32 tokens; their weights are large, so texts differ."""
    size = {"hidden_size": 16, "num_attention_heads": 2, "num_hidden_layers": 1, "intermediate_size": 16}
    texts = [" ".join(WORDS["en"])] * 3
    torch.manual_seed(0)
    tokenizer = train_wordpiece_tokenizer(texts, max_length=64)
    BertModel(
        BertConfig(vocab_size=len(tokenizer), max_position_embeddings=64, initializer_range=0.5, **size)
    ).save_pretrained(folder / "bert")
    tokenizer.save_pretrained(folder / "bert")
    pieces = ByteLevelBPETokenizer()
    pieces.train_from_iterator(
        texts, 400, min_frequency=1, special_tokens=["<s>", "<pad>", "</s>", "<unk>", "<mask>"], show_progress=False
    )
    pieces.save_model(str(folder))
    tokenizer = RobertaTokenizer(str(folder / "vocab.json"), str(folder / "merges.txt"))
    config = RobertaConfig(
        vocab_size=len(tokenizer), max_position_embeddings=34, initializer_range=0.5, type_vocab_size=1, **size
    )
    RobertaModel(config).save_pretrained(folder / "roberta")
    tokenizer.save_pretrained(folder / "roberta")


def run(flags: str, output_dir: Path, monkeypatch) -> dict:
    """Runs the recipe in this process, in float32, and returns its results."""
    recipe = str(ROOT / "recipes" / "text_classification.py")
    shared = "--use_cpu --disable_tqdm True --bf16 False --learning_rate 2e-3 --report_to none"
    monkeypatch.setattr(sys, "argv", [recipe, *flags.split(), *shared.split(), "--output_dir", str(output_dir)])
    runpy.run_path(recipe, run_name="__main__")
    return json.loads((output_dir / "all_results.json").read_text(encoding="utf-8"))


def predictions(folder: Path) -> list[dict]:
    with (folder / "predictions.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def data(name: str) -> str:
    return "zh.csv" if "jieba" in name or "char" in name else "en.csv"


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder of a finished run for each of MODELS, and by name the test texts in the order of predictions.csv."""
    folder = tmp_path_factory.mktemp("long")
    write_encoders(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for language in WORDS:
            write_corpus(Path(f"{language}.csv"), language)
        for name, flags in MODELS.items():
            run(f"--data_dir {data(name)} {flags} --max_length {LIMIT} --num_train_epochs 1", folder / name, patch)
    return folder


def rows_of(folder: Path, name: str) -> list[tuple[str, str]]:
    """The test rows as text and second text, of which predictions.csv has both, joined."""
    with (folder / data(name)).open(encoding="utf-8", newline="") as file:
        known = [(row["text"], row["below"] if "pairs" in name else "") for row in csv.DictReader(file)]
    by_joined = {f"{text}\n{pair}" if pair else text: (text, pair) for text, pair in known}
    return [by_joined[row["text"]] for row in predictions(folder / name)]


@pytest.fixture(scope="module")
def served(trained):
    """What the example of each card answers in a process without hfcls; that of PUSHED, from the Hub too."""
    given = {name: rows_of(trained, name) for name in MODELS}
    with serve_hub() as hub:
        options = {"environment": hub.environment(trained / "home"), "check": True}
        run_apart("-m", "hfcls.cli", "push", trained / PUSHED, f"tester/{PUSHED}", **options)
        answers = run_apart("-c", SERVE, given=json.dumps([given, PUSHED]), folder=trained, **options)
    return json.loads(answers.stdout.splitlines()[-1])


@pytest.mark.parametrize("name", [*MODELS, f"tester/{PUSHED}"])
def test_the_example_of_the_card_gives_the_predictions(trained, served, name):
    rows = predictions(trained / name.rpartition("/")[2])
    assert len(rows) == len(served[name]) >= 10
    for row, answer in zip(rows, served[name], strict=True):
        assert answer["label"] == row["prediction"]
        assert answer["score"] == pytest.approx(float(row[answer["label"]]), abs=1e-4)


def probabilities(classifier, rows) -> np.ndarray:
    texts, pairs = zip(*rows, strict=True)
    return classifier.probabilities(list(texts), pairs=list(pairs) if any(pairs) else None)


@pytest.mark.parametrize("name", MODELS)
def test_predict_gives_the_predictions_and_the_cut_decides(trained, name):
    expected = [[float(row[label]) for label in LABELS] for row in predictions(trained / name)]
    classifier = Classifier(str(trained / name))
    rows = rows_of(trained, name)
    np.testing.assert_allclose(probabilities(classifier, rows), expected, atol=1e-4)
    others = [
        Truncation.of(keep, LIMIT, classifier.tokenizer)
        for keep in ("head", "tail", "head_tail")
        if keep != classifier.truncation.keep
    ]
    for other in others:  # a cut elsewhere gives other numbers: the agreement above is one
        differently = copy(classifier)
        differently.truncation = other
        wrong = probabilities(differently, rows)
        assert np.abs(wrong - expected).max() > 1e-3


SOME = ["rnn_jieba_head_tail", "ngrams_word_tail", "roberta_tail", "bert_pairs_head_tail"]


@pytest.mark.parametrize("name", SOME)
def test_evaluate_only_measures_what_was_saved(trained, name, monkeypatch, capsys):
    monkeypatch.chdir(trained)
    flags = f"--data_dir {data(name)} --evaluate_only {name}"
    if "pairs" in name:
        flags += " --text_pair_column below"
    again = run(flags, trained / f"{name}_again", monkeypatch)
    before = json.loads((trained / name / "all_results.json").read_text(encoding="utf-8"))
    assert again["test_loss"] == pytest.approx(before["test_loss"], abs=1e-6)
    expected = predictions(trained / name)
    assert predictions(trained / f"{name}_again") == expected
    printed = capsys.readouterr().out.partition("reloaded from")[2].splitlines()[1:4]
    assert [line.split()[:2] for line in printed] == [
        [row["prediction"], f"{float(row[row['prediction']]):.3f}"] for row in expected[:3]
    ]


def test_a_flag_that_is_given_counts_more_than_what_was_saved(trained, monkeypatch, caplog):
    monkeypatch.chdir(trained)
    flags = "--data_dir en.csv --evaluate_only ngrams_word_tail"
    other = run(f"{flags} --truncation head --max_length 8", trained / "other", monkeypatch)
    before = json.loads((trained / "ngrams_word_tail" / "all_results.json").read_text(encoding="utf-8"))
    assert abs(other["test_loss"] - before["test_loss"]) > 1e-3
    assert "measured on the head of 8 tokens, where the saved model reads the tail of 12" in caplog.text


def test_what_a_recipe_does_by_default_counts_less(tmp_path):
    arguments, _ = parse(
        BaselineArguments,
        task="test",
        description="",
        defaults=lambda given: {"max_length": "256", "truncation": "head_tail", "learning_rate": 0.5},
        argv=["--evaluate_only", "saved", "--output_dir", str(tmp_path / "out")],
    )
    assert (arguments.max_length, arguments.truncation) == (None, None)
    arguments, training_args = parse(
        BaselineArguments,
        task="test",
        description="",
        defaults=lambda given: {"max_length": "256", "truncation": "head_tail", "learning_rate": 0.5},
        argv=["--output_dir", str(tmp_path / "out")],
    )
    assert (arguments.max_length, arguments.truncation, training_args.learning_rate) == ("256", "head_tail", 0.5)


@pytest.mark.parametrize("length", ["12", "auto"])
def test_folds_are_asked_as_they_were_trained(trained, length, monkeypatch):
    monkeypatch.chdir(trained)
    flags = "--data_dir en.csv --architecture ngram_linear --min_count 1 --tokens word --truncation tail --num_folds 2"
    folder = trained / f"folds_{length}"
    run(f"{flags} --max_length {length} --num_train_epochs 1", folder, monkeypatch)
    with (folder / "predictions.csv").open(encoding="utf-8", newline="") as file:
        texts = [row["text"] for row in csv.DictReader(file)]
    for fold in (folder / "fold_1", folder / "fold_2"):
        saved = Classifier(str(fold)).probabilities(texts)
        np.testing.assert_allclose(np.load(fold / "probabilities.npz")["test"], saved, atol=1e-4)


def test_positions_that_a_roberta_does_not_have(trained, monkeypatch, capsys):
    """Of 34 positions, two are not for tokens."""
    monkeypatch.chdir(trained)
    flags = "--data_dir en.csv --model_name_or_path roberta --num_train_epochs 1"
    with pytest.raises(SystemExit):
        run(f"{flags} --max_length 33", trained / "too_long", monkeypatch)
    assert "error: --max_length 33: the model has 32 positions; give at most that" in capsys.readouterr().err
    run(f"{flags} --max_length auto", trained / "auto", monkeypatch)
    assert json.loads((trained / "auto" / "run.json").read_text(encoding="utf-8"))["data"]["max_length"] == 32


@pytest.mark.parametrize(
    ("name", "needed"), [("bert_tail", False), ("bert_head_tail", True), ("bert_pairs_head", True)]
)
def test_the_pipeline_goes_where_the_model_goes(trained, tmp_path, name, needed):
    folders = [trained / name, *(trained / name).glob("checkpoint-*")]
    assert len(folders) > 1
    assert all((folder / "truncation.py").is_file() == needed for folder in folders)
    assert ((trained / name / "truncation.py") in files_to_push(trained / name)) == needed
    classify = pipeline("text-classification", model=str(trained / name), trust_remote_code=True)
    classify.save_pretrained(tmp_path)
    rows = [{"text": "red green " * 20, "text_pair": "blue " * 9 + "black " * 9}] if "pairs" in name else ["red " * 9]
    again = pipeline("text-classification", model=str(tmp_path), trust_remote_code=True)
    assert again(rows, truncation=True) == classify(rows, truncation=True)


def test_without_consent_the_saved_pipeline_is_refused_not_replaced(trained):
    with pytest.raises(ValueError, match="trust_remote_code=True"):
        pipeline("text-classification", model=str(trained / "bert_head_tail"))


def test_the_pipeline_takes_what_callers_usually_give(trained):
    classify = pipeline("text-classification", model=str(trained / "bert_head_tail"), trust_remote_code=True)
    text = " ".join(WORDS["en"] * 6)
    cut = classify(text)[0]["score"]
    assert classify(text, truncation=True, max_length=512, padding=True)[0]["score"] == cut
    assert classify([text, "red"], batch_size=2, top_k=None)[0][0]["score"] == pytest.approx(cut, abs=1e-6)
    rule = Truncation.from_config(classify.model.config, classify.tokenizer)
    assert len(classify.preprocess(text)["input_ids"][0]) == rule.max_length == LIMIT
    assert len(classify.preprocess(text, max_length=5)["input_ids"][0]) == 5
    assert len(classify.preprocess(text, truncation=False)["input_ids"][0]) == 50


@pytest.mark.parametrize("level", ["char", "word", "jieba", "wordpiece"])
def test_a_second_text_of_white_space_is_no_second_text(level):
    texts = ["red green", "股市"]
    if level == "wordpiece":
        tokenizer = train_wordpiece_tokenizer(texts * 3, max_length=12)
    else:
        tokenizer = train_tokenizer(texts, level=level, vocab_size=None, max_length=12)
    rows, starts = encode(tokenizer, texts, [" ", ""])
    assert starts is None or starts == [len(row) for row in rows]
