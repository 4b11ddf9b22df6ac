"""Models of dataset cards: against scikit-learn, against a reload where hfcls is not, and fitted on train alone."""

import copy
import csv
import json

import numpy as np
import pytest
import scipy.sparse
import torch
from sklearn.feature_extraction.text import TfidfVectorizer
from transformers import BertConfig, BertModel, TrainingArguments

from hfcls import DatasetCardClassifier
from hfcls.cards import build as cards
from hfcls.cards.arguments import CardArguments
from hfcls.cards.metrics import CardMetrics
from hfcls.cards.sentence_embedder import SentenceEmbedder, saved
from hfcls.cards.statistics import count_features, feature_matrix, ridge_regression, set_features, singular_vectors
from hfcls.errors import InputError
from hfcls.models.card_features import TASK_CATEGORIES, CardFeatureExtractor, NgramBag, coarse_logits, pad
from hfcls.models.card_ngrams import PAIR, name_words
from hfcls.runs.hub import EMBEDDING_MODEL
from hfcls.text.tokenization import train_wordpiece_tokenizer
from hfcls.training.calibration import check_scalable, scale_logits
from tests.hub_server import serve_hub
from tests.warm import run_apart

TASKS = {"summarization": "NLP", "translation": "NLP", "audio-classification": "Audio"}
HEADER = "page_link,download_time,dataset_size,dataset_number,bclass,sclass,dataset_viewer".split(",")
MODELS = {
    "fusion": {"architecture": "fusion", "target": "both"},
    "inception": {"architecture": "label_similarity"},
    "svm": {"architecture": "label_similarity", "classifier": "svm"},
    "numbers": {"architecture": "label_similarity", "similarities": False},
    "encoder": {"architecture": "fusion", "target": "both", "from_scratch": "tiny", "max_length": 24},
    "embedded": {"architecture": "fusion", "embedding_model": "tiny_bert"},
}
INPUTS = [
    ["# Set\n## Dataset Summary\nA corpus for translation", "", "nothing known here"],
    ["owner/trans_set", "x", ""],
    [12.0, None, None],
    [None, 3.5, None],
    [1e12, None, None],
]

PUSH = """
import json, sys
from hfcls.runs import hub
for folder, repository in json.load(sys.stdin):
    hub.check_hub(repository)
    hub.push_folder(folder, repository)
"""

LOAD = """
import json, sys
sys.modules["hfcls"] = None  # importing it raises ImportError, installed or not
import torch
from transformers import AutoFeatureExtractor, AutoModelForSequenceClassification, AutoTokenizer
given, result = json.load(sys.stdin), {}
for name in given["names"]:
    extractor = AutoFeatureExtractor.from_pretrained(name, trust_remote_code=True)
    model = AutoModelForSequenceClassification.from_pretrained(name, trust_remote_code=True).eval()
    inputs = dict(extractor(*given["inputs"]))
    if getattr(model.config, "text_config", None) is not None:
        tokenizer = AutoTokenizer.from_pretrained(name)
        inputs |= tokenizer(given["texts"], truncation=True, padding=True, return_tensors="pt")
        del inputs["token_type_ids"]
    with torch.no_grad():
        result[name] = model(**inputs).logits.softmax(1).tolist()
print(json.dumps(result))
"""

ASK = """
import json, sys
import hfcls
name, questions, classes = json.load(sys.stdin)
classifier = hfcls.DatasetCardClassifier.from_pretrained(name)
print(json.dumps([classifier(card, **about, top_k=classes) for card, about in questions]))
"""


def write(folder, changed=()):
    """60 cards, of which every third has two tasks; those in `changed` have another text."""
    rows = []
    for i in range(60):
        text = "something else entirely, all of it new" if i in changed else f"A corpus of kind {i % 7} for"
        first = list(TASKS)[i % 3]
        about = f"\n\t# Set {i}\n## Dataset Summary\n{text} {first.replace('-', ' ')}\n"
        for task in [first, "translation"][: 2 if i % 3 == 0 else 1]:
            numbers = [-1 if i % 4 else i, i * 10, ""]
            rows.append([f"owner/{first[:5]}_set{i}", *numbers, TASKS[task], task, about])
    with open(folder / "cards.csv", "w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([HEADER, *rows])


def build(folder, **settings):
    write_to = TrainingArguments(output_dir=str(folder / "out"), use_cpu=True, report_to="none")
    arguments = CardArguments(data_dir=str(folder), embedding_size=16, **settings)
    if arguments.embedding_model == "tiny_bert":
        arguments.embedding_model = save_tiny_bert(folder / "tiny_bert")
    return cards.build(arguments, write_to, cards.load_cards(arguments, write_to))


def save_tiny_bert(folder):
    """A transformer with random weights, which sentence-transformers takes for one whose states are averaged."""
    tokenizer = train_wordpiece_tokenizer([*TASKS, "A corpus of kind for set owner"] * 2, max_length=32)
    config = BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=1,
        intermediate_size=32,
        max_position_embeddings=32,
        initializer_range=0.5,
    )
    torch.manual_seed(0)
    for part in (tokenizer, BertModel(config)):
        part.save_pretrained(folder)
    return str(folder)


@pytest.fixture(scope="module")
def setups(tmp_path_factory):
    """Each model after three steps of descent, saved in a folder of its name."""
    folder = tmp_path_factory.mktemp("cards")
    write(folder)
    built = {}
    for name, settings in MODELS.items():
        torch.manual_seed(0)
        setup = build(folder, **settings)
        optimizer = torch.optim.SGD(setup.model.parameters(), lr=0.1)
        batch = setup.collator([setup.rows.train[row] for row in range(24)])
        losses = []
        for _ in range(3):
            optimizer.zero_grad()
            loss = setup.model.train()(**batch).loss
            loss.backward()
            optimizer.step()
            losses.append(float(loss.detach()))
        assert np.isfinite(losses).all()
        setup.model.eval()
        for part in (setup.processor, setup.model):
            part.save_pretrained(folder / name)
        if setup.processor.embedder is not None:
            setup.processor.embedder.save(folder / name)
        built[name] = (folder / name, setup)
    return built


@pytest.fixture(scope="module")
def stranger(setups, tmp_path_factory):
    """Runs a program with what it reads where every model is on the Hub, and nothing in the cache."""
    folder = tmp_path_factory.mktemp("hub")
    with serve_hub() as hub:

        def run(program, given, home, **environment):
            environment = hub.environment(folder / home, **environment)
            done = run_apart("-c", program, given=json.dumps(given), environment=environment, check=True)
            return done.stdout.splitlines()

        run(PUSH, [(str(saved), f"tester/{name}") for name, (saved, _) in setups.items()], "author")
        yield lambda program, given, home: json.loads(run(program, given, home, HF_TOKEN=None)[-1])


def test_the_hubs_copy_answers_the_same_without_hfcls(setups, stranger):
    names = [f"tester/{name}" for name in setups if name != "embedded"]
    texts = [f"{' '.join(name_words(name))}\n{card}" for card, name in zip(*INPUTS[:2], strict=True)]
    answers = stranger(LOAD, {"names": names, "inputs": INPUTS, "texts": texts}, "stranger")
    for name in names:
        setup = setups[name.partition("/")[2]][1]
        with torch.no_grad():
            expected = setup.model(**setup.processor(*INPUTS)).logits.softmax(1)
        assert expected.std(dim=0).max() > 1e-4
        torch.testing.assert_close(torch.tensor(answers[name]), expected, rtol=0, atol=1e-6)


def test_a_prompt_stands_in_front_of_every_text_and_is_saved(tmp_path):
    plain = SentenceEmbedder(save_tiny_bert(tmp_path / "tiny_bert"))
    prompted = SentenceEmbedder(str(tmp_path / "tiny_bert"), prompt="for set owner ")
    np.testing.assert_allclose(prompted(["audio"]), plain(["for set owner audio"]), atol=1e-6)
    assert np.abs(prompted(["audio"]) - plain(["audio"])).max() > 0.01
    prompted.save(tmp_path)
    np.testing.assert_array_equal(saved(str(tmp_path))(["audio"]), prompted(["audio"]))
    np.testing.assert_array_equal(prompted.cached(["audio"]), prompted(["audio"]))
    np.testing.assert_array_equal(plain.cached(["audio"]), plain(["audio"]))


def test_lsa_takes_no_prompt():
    with pytest.raises(InputError, match="--embedding_prompt"):
        CardArguments(embedding_prompt="query: ")


def test_the_hubs_copy_brings_its_embedding_model(setups, stranger):
    _, setup = setups["embedded"]
    with torch.no_grad():
        expected = setup.model(**setup.processor(*INPUTS)).logits.softmax(1)
    similarities = setup.processor(*INPUTS)["similarities"]
    assert similarities.std(dim=0).min() > 1e-3
    names = ("name", "downloads", "size", "num_rows")
    questions = [(card, dict(zip(names, about, strict=True))) for card, *about in zip(*INPUTS, strict=True)]
    answers = stranger(ASK, ["tester/embedded", questions, 3], "questioner")
    for row, answer in zip(expected, answers, strict=True):
        scores = {setup.model.config.label2id[one["label"]]: one["score"] for one in answer}
        assert [scores[i] for i in range(3)] == pytest.approx(row.tolist(), abs=1e-6)
    with pytest.raises(ValueError, match="similarities are missing: tiny_bert makes them"):
        setup.model(**setup.processor.extractor(*INPUTS))


def test_similarities_are_cosines_and_found_in_the_cache(setups, monkeypatch):
    _, setup = setups["embedded"]
    embedder = setup.processor.embedder
    rows = setup.rows.test
    body = setup.corpus.splits["test"]["text"][0].partition("\n")[2]
    card, task = embedder.model.encode([body, "audio classification"])
    cosine = float(card @ task / np.linalg.norm(card) / np.linalg.norm(task))
    assert float(
        rows.split.similarities[rows.split.card[0], TASK_CATEGORIES.index("audio-classification")]
    ) == pytest.approx(cosine, abs=1e-5)
    before = embedder.cached(["one", "two"])
    monkeypatch.setattr(embedder.model, "encode", None)  # calling it would fail
    np.testing.assert_array_equal(embedder.cached(["one", "two"]), before)


def test_foreign_code_is_not_run(tmp_path):
    """A config as Jina's: without its code, a BERT with random weights would be loaded."""
    folder = tmp_path / "foreign"
    save_tiny_bert(folder)
    config = json.loads((folder / "config.json").read_text())
    config["auto_map"] = {"AutoModel": "jinaai/jina-bert-implementation--modeling_bert.JinaBertModel"}
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(InputError, match="--trust_remote_code True"):
        SentenceEmbedder(str(folder))


def test_foreign_modules_of_a_downloaded_folder_are_not_run(tmp_path):
    """What lies beside a classifier of the Hub is read as a local folder, and is no more to be trusted for that."""
    folder = tmp_path / EMBEDDING_MODEL
    save_tiny_bert(folder)
    (folder / "evil.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\n")
    (folder / "modules.json").write_text(json.dumps([{"idx": 0, "name": "0", "path": "", "type": "evil.Evil"}]))
    with pytest.raises(InputError, match="not part of Sentence Transformers"):
        saved(str(tmp_path))
    assert not (tmp_path / "ran").exists()


def test_encoder_learns_and_reads_its_own_tokens(setups):
    _, setup = setups["encoder"]
    batch = setup.collator([setup.rows.train[row] for row in range(8)])
    assert batch["input_ids"].shape == batch["attention_mask"].shape
    assert batch["input_ids"].shape[1] <= 24
    model = setup.model.train()
    model.zero_grad()
    model(**batch).loss.backward()
    assert [name for name, parameter in model.named_parameters() if parameter.grad is None] == []
    model.eval()
    row = setup.collator([setup.rows.train[0]])
    alone, among = model(**row).logits[0], model(**batch).logits[0]
    torch.testing.assert_close(alone, among, rtol=0, atol=1e-5)  # padding changes nothing
    hidden = model.text.encoder(row["input_ids"], row["attention_mask"]).last_hidden_state
    expected = model.text.classifier(hidden.mean(1)) + model.classifier(model.tower(row["table"]))
    torch.testing.assert_close(alone, expected[0], rtol=0, atol=1e-5)


def test_the_documented_call_is_what_was_trained_on(setups):
    folder, setup = setups["fusion"]
    classifier = DatasetCardClassifier.from_pretrained(str(folder))
    row = setup.corpus.splits["test"][0]
    with torch.no_grad():
        expected = setup.model(**setup.collator([setup.rows.test[0]]))
    card = "\n<b></b>" + row["text"].partition("\n")[2]
    numbers = {"downloads": row["downloads"], "size": row["size"], "num_rows": -1}
    answers = classifier(card, name=row["id"], **numbers, top_k=3)
    scores = {setup.model.config.label2id[answer["label"]]: answer["score"] for answer in answers}
    assert [scores[i] for i in range(3)] == pytest.approx(expected.logits.softmax(1)[0].tolist(), abs=1e-6)
    coarse = expected.coarse_logits.softmax(1)[0]
    assert answers[0]["coarse"] == setup.model.config.coarse_labels[int(coarse.argmax())]
    assert answers[0]["coarse_score"] == pytest.approx(float(coarse.max()), abs=1e-6)


@pytest.mark.parametrize("name", ["fusion", "inception", "encoder"])
def test_statistics_come_from_train_alone(setups, name, tmp_path):
    _, setup = setups[name]
    held_out = [*setup.corpus.splits["test"]["id"], *setup.corpus.splits["validation"]["id"]]
    write(tmp_path, changed={int(card.rpartition("set")[2]) for card in held_out})
    torch.manual_seed(0)
    changed = build(tmp_path, **MODELS[name])
    assert changed.corpus.splits["test"]["text"][0] != setup.corpus.splits["test"]["text"][0]
    torch.manual_seed(0)
    write(tmp_path)
    first = build(tmp_path, **MODELS[name])
    assert changed.model.config.to_dict() == first.model.config.to_dict()
    for key, value in first.model.state_dict().items():
        assert torch.equal(value, changed.model.state_dict()[key]), key
    assert torch.equal(first.rows.train.table, changed.rows.train.table)


def test_the_bag_is_scikit_learns_and_its_embedding_that_of_a_dense_decomposition():
    texts = [
        "a dataset of movie reviews",
        "movie questions and movie answers",
        "speech of a dataset",
        "reviews of speech",
    ]
    extractor = CardFeatureExtractor()
    features = [extractor.ngrams(text, "") for text in texts]
    ids, idf = count_features(features, below=2 * PAIR)
    bag = NgramBag(len(ids))
    set_features(bag, ids, idf)
    ours = feature_matrix([bag(*pad(features))], len(ids))
    theirs = TfidfVectorizer(sublinear_tf=True, ngram_range=(1, 2), min_df=2).fit_transform(texts)
    np.testing.assert_allclose((ours @ ours.T).toarray(), (theirs @ theirs.T).toarray(), atol=1e-6)

    vectors = singular_vectors(ours, 3)
    expected = np.linalg.svd(ours.toarray())[2][:3]
    np.testing.assert_allclose(np.abs(vectors.T @ expected.T), np.eye(3), atol=1e-4)


def test_singular_vectors_of_few_independent_cards():
    random = np.random.default_rng(0)
    independent = random.normal(size=(4, 30)) * (random.random((4, 30)) < 0.5)
    cards = scipy.sparse.csr_matrix(np.vstack([independent, independent[:3] * 2]).astype(np.float32))
    vectors = singular_vectors(cards, 10)
    assert vectors.shape == (30, 10) and not vectors[:, 4:].any()
    np.testing.assert_allclose(vectors[:, :4].T @ vectors[:, :4], np.eye(4), atol=1e-5)
    np.testing.assert_allclose(cards @ vectors @ vectors.T, cards.toarray(), atol=1e-5)
    lengths = np.linalg.norm(cards @ vectors, axis=0)
    assert (np.diff(lengths) < 0)[:3].all()
    assert (vectors[np.abs(vectors[:, :4]).argmax(0), np.arange(4)] > 0).all()
    np.testing.assert_array_equal(singular_vectors(cards[::-1], 10) > 0.01, vectors > 0.01)


@pytest.mark.parametrize("num_features", [3, 40])
def test_ridge_regression_is_least_squares_with_a_row_for_each_penalty(num_features):
    random = np.random.default_rng(1)
    features, targets = random.normal(size=(12, num_features)), random.normal(size=(12, 2))
    rows = np.vstack([features, np.sqrt(0.3) * np.eye(num_features)])
    expected = np.linalg.lstsq(rows, np.vstack([targets, np.zeros((num_features, 2))]), rcond=None)[0]
    sparse = scipy.sparse.csr_matrix(features)
    np.testing.assert_allclose(ridge_regression(sparse, targets, 0.3), expected, atol=1e-10)


@pytest.mark.parametrize("name", [name for name in MODELS if name != "embedded"])
def test_logits_are_divided_in_the_weights(setups, name):
    _, setup = setups[name]
    model = copy.deepcopy(setup.model).eval()
    batch = setup.collator([setup.rows.test[row] for row in range(4)])
    check_scalable(model, batch)
    with torch.no_grad():
        before = model(**batch)
        scale_logits(model, 1.7)
        after = model(**batch)
    assert before.logits.std() > 0.01
    torch.testing.assert_close(after.logits, before.logits / 1.7)


def test_metrics_know_all_classes_of_a_card(setups):
    split = setups["fusion"][1].corpus.splits["test"]
    logits = np.random.default_rng(0).normal(size=(len(split), 3))
    logits[1] = np.nan
    scores = CardMetrics(split, [0, 1, 1], ["Audio", "NLP"])(logits)
    labels, names = list(split["label"]), list(split["id"])
    true = [{label for label, other in zip(labels, names, strict=True) if other == name} for name in names]
    answers = logits.argmax(1)
    right = [i != 1 and answers[i] in true[i] for i in range(len(split))]
    assert scores["any_true_label_accuracy"] == pytest.approx(np.mean(right))
    assert scores["top_3_accuracy"] == pytest.approx((len(split) - 1) / len(split))
    shares = np.exp(logits) @ np.eye(2)[[0, 1, 1]]
    coarse = [i != 1 and shares[i].argmax() == min(labels[i], 1) for i in range(len(split))]
    assert scores["coarse_accuracy"] == pytest.approx(np.mean(coarse))


def test_coarse_probabilities_are_sums():
    logits = torch.randn(5, 4, generator=torch.Generator().manual_seed(0))
    coarse = coarse_logits(logits, [1, 0, 1, 2]).softmax(1)
    fine = logits.softmax(1)
    torch.testing.assert_close(coarse, torch.stack([fine[:, 1], fine[:, 0] + fine[:, 2], fine[:, 3]], dim=1))


def test_no_coarse_class_twice(tmp_path):
    write(tmp_path)
    content = (tmp_path / "cards.csv").read_text().replace("Audio,audio-cl", "Speech,audio-cl", 1)
    (tmp_path / "cards.csv").write_text(content)
    with pytest.raises(InputError, match="audio-classification is of several coarse classes"):
        build(tmp_path, target="both")


def test_fields_of_a_card():
    ids, counts = CardFeatureExtractor().ngrams(
        "# Card\n## Dataset Summary\nfirst words\n## Other\nlast", "me/MovieReviews"
    )
    by_field = np.bincount((ids >> 33).tolist(), weights=counts.tolist(), minlength=6)
    # text: me movie reviews card dataset summary first words other last and the pairs of neighbours
    assert by_field.tolist() == [19, 3, 0, 0, by_field[4], 3]
