"""Weighted losses against scikit-learn and hand-written loops, whole, accumulated and over two processes."""

import json
import math
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from sklearn.metrics import log_loss
from sklearn.utils.class_weight import compute_class_weight

from hfcls.errors import InputError
from hfcls.metrics.one_label import OneLabel
from hfcls.models.card_fusion import CardFusionConfig, CardFusionForSequenceClassification
from hfcls.models.label_similarity import LabelSimilarityConfig, LabelSimilarityForSequenceClassification
from hfcls.models.ngram_linear import NgramLinearConfig, NgramLinearForSequenceClassification
from hfcls.models.text_cnn import TextCNNConfig, TextCNNForSequenceClassification
from hfcls.training.arguments import RecipeArguments
from hfcls.training.losses import Loss, build_loss, class_weights
from tests import worker
from tests.launching import launch
from tests.text.test_baselines import run as run_recipe

ROOT = Path(__file__).parents[2]
RANDOM = np.random.default_rng(0)
LOGITS = RANDOM.normal(size=(40, 3)) * 3
LABELS = RANDOM.choice(3, 40, p=[0.7, 0.2, 0.1])
WEIGHTS = np.array([0.5, 1.0, 3.0])


def value(loss, logits=LOGITS, labels=LABELS, **options):
    outputs = SimpleNamespace(logits=torch.tensor(logits, dtype=torch.float32))
    return float(loss(outputs, torch.tensor(labels), **options))


def softmax(logits):
    exponentials = [math.exp(logit) for logit in logits]
    return [one / sum(exponentials) for one in exponentials]


def by_hand(name, logits, labels, weights, smoothing=0.0):
    total = 0.0
    for row, label in zip(logits.tolist(), labels.tolist(), strict=True):
        p = softmax(row)
        if name == "focal":
            loss = -((1 - p[label]) ** 2) * math.log(p[label])
        else:
            loss = -(1 - smoothing) * math.log(p[label]) - smoothing * sum(map(math.log, p)) / len(p)
        total += weights[label] * loss
    return total / len(labels)


def test_weighted_cross_entropy_is_that_of_sample_weights():
    loss = Loss("cross_entropy", torch.tensor(WEIGHTS, dtype=torch.float32))
    probabilities = torch.tensor(LOGITS).softmax(-1).numpy()
    expected = log_loss(LABELS, probabilities, sample_weight=WEIGHTS[LABELS], normalize=False) / len(LABELS)
    assert value(loss) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(("name", "smoothing"), [("focal", 0.0), ("cross_entropy", 0.0), ("cross_entropy", 0.1)])
def test_losses_by_hand(name, smoothing):
    loss = Loss(name, torch.tensor(WEIGHTS, dtype=torch.float32), label_smoothing=smoothing)
    assert value(loss) == pytest.approx(by_hand(name, LOGITS, LABELS, WEIGHTS, smoothing), abs=1e-6)
    halves = sum(value(loss, LOGITS[part], LABELS[part], num_items_in_batch=40) for part in (slice(9), slice(9, 40)))
    assert halves == pytest.approx(value(loss), abs=1e-6)


def test_balanced_weights_are_those_of_scikit_learn():
    expected = compute_class_weight("balanced", classes=np.arange(3), y=LABELS)
    np.testing.assert_allclose(class_weights("balanced", LABELS, ["a", "b", "c"]), expected, rtol=1e-12)
    weights = class_weights("balanced", LABELS * 2, ["a", "absent", "b", "absent too", "c"])
    np.testing.assert_allclose(weights, [expected[0], 0, expected[1], 0, expected[2]], rtol=1e-12)


def test_effective_numbers_lie_between_none_and_balanced():
    labels = np.repeat([0, 1], [20000, 100])
    weights = class_weights("class_balanced", labels, ["a", "b"])
    assert weights[labels].mean() == pytest.approx(1)
    effective = [sum(0.9999**i for i in range(n)) for n in (20000, 100)]
    assert weights[1] / weights[0] == pytest.approx(effective[0] / effective[1])
    assert 1 < weights[1] / weights[0] < 200


def test_without_weights_the_squared_hinge_is_the_models_own():
    model = NgramLinearForSequenceClassification(NgramLinearConfig(num_labels=3, min_count=1))
    batch = {"input_ids": torch.randint(5, 30, (12, 6)), "labels": torch.arange(12) % 3}
    batch["attention_mask"] = torch.ones_like(batch["input_ids"])
    model.fit_log_count_ratios([batch])
    torch.nn.init.normal_(model.weight)
    outputs = model(**batch)
    loss = Loss("squared_hinge", logit_scale=model.config.logit_scale)
    assert loss(outputs, batch["labels"]).item() == pytest.approx(outputs.loss.item(), rel=1e-6)
    doubled = Loss("squared_hinge", torch.full((3,), 2.0), logit_scale=model.config.logit_scale)
    assert doubled(outputs, batch["labels"]).item() == pytest.approx(2 * outputs.loss.item(), rel=1e-6)


def launch_two(directory):
    launch("two_machines.yaml", "tests/worker.py", "losses", str(directory), processes=2, machines=2)


@pytest.fixture(scope="module")
def references(tmp_path_factory):
    """Loss and gradient of the first 16 rows, from the loop above written in torch and differentiated."""
    trainer, rows = worker.build(tmp_path_factory.mktemp("reference"), [], dropout=0.0)
    batch = trainer.data_collator(rows.train.__getitems__(range(16)))
    labels = rows.train.labels
    model = trainer.model.train()
    count = np.bincount(labels)
    effective = 1 / np.array([sum(0.9999**i for i in range(n)) for n in count])
    weights = {
        "weights_and_smoothing": len(labels) / (3 * count),
        "focal": WEIGHTS,
        "class_balanced": effective * len(labels) / (effective @ count),
        "smoothing": np.ones(3),
    }
    results = {}
    for name, weight in weights.items():
        smoothing = 0.1 if "smoothing" in name else 0.0
        total = 0.0
        inputs = {key: tensor for key, tensor in batch.items() if key != "labels"}
        for row, label in zip(model(**inputs).logits, batch["labels"].tolist(), strict=True):
            p = row.exp() / row.exp().sum()
            loss = -(1 - smoothing) * p[label].log() - smoothing * p.log().mean()
            if name == "focal":
                loss = -((1 - p[label]) ** 2) * p[label].log()
            total = total + weight[label] * loss / 16
        gradients = torch.autograd.grad(total, list(model.parameters()))
        results[name] = float(total.detach()), torch.cat([g.flatten() for g in gradients]).numpy()
    return results


@pytest.mark.parametrize("processes", [1, 2])
def test_trained_gradients_are_those_of_the_loop(processes, references, tmp_path):
    (worker.losses if processes == 1 else launch_two)(tmp_path)
    result = np.load(tmp_path / "result.npz")
    assert result["processes"] == processes
    for name, (loss, gradient) in references.items():
        for steps in (1, 4):
            assert result[f"{name}_loss_{steps}"] == pytest.approx(loss, abs=1e-6), (name, steps)
            found = result[f"{name}_gradient_{steps}"]
            np.testing.assert_allclose(found, gradient, atol=1e-6, err_msg=f"{name} {steps}")
        assert np.abs(gradient).max() > 0.01


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ({"class_weight": "heavy"}, "--class_weight heavy: give none, balanced"),
        ({"class_weight": "1,nan"}, "a number of at least 0"),
        ({"class_weight": "1,-2"}, "a number of at least 0"),
        ({"loss": "class_balanced", "class_weight": "balanced"}, "leave --class_weight out"),
    ],
)
def test_flags_that_do_not_fit(flags, message):
    with pytest.raises(InputError, match=message):
        RecipeArguments(**flags)


def setup(model):
    rows = SimpleNamespace(train=SimpleNamespace(labels=np.array([0, 0, 1])))
    target = OneLabel(["good", "bad"])
    return SimpleNamespace(model=model, rows=rows, target=target)


@pytest.mark.parametrize(
    ("flags", "smoothing", "message"),
    [
        ({"class_weight": "1,2,3"}, 0.0, "3 numbers, the corpus 2 classes: give one for each of good, bad, in this"),
        ({"loss": "focal"}, 0.1, "not of the focal loss"),
        ({}, 0.1, "not of the squared_hinge loss: give --label_smoothing_factor 0 or --loss cross_entropy"),
    ],
)
def test_what_cannot_be_combined_is_said(flags, smoothing, message):
    model = NgramLinearForSequenceClassification(NgramLinearConfig(num_labels=2))
    with pytest.raises(InputError, match=message):
        build_loss(setup(model), RecipeArguments(**flags), smoothing)
    assert build_loss(setup(model), RecipeArguments(evaluate_only="m", **flags), smoothing) is None


CARDS = {"fusion": CardFusionForSequenceClassification(CardFusionConfig(num_labels=2, num_features=3))}
for name, more in (("inception", {}), ("svm", {"classifier": "svm"}), ("both", {"coarse_of": [0, 0]})):
    CARDS[name] = LabelSimilarityForSequenceClassification(LabelSimilarityConfig(num_labels=2, **more))


@pytest.mark.parametrize("name", ["fusion", "svm", "both"])
@pytest.mark.parametrize(
    ("flags", "smoothing", "message"),
    [
        ({"loss": "focal"}, 0.0, "--loss focal: .* a loss of its own, .*: leave --loss out"),
        ({"loss": "cross_entropy", "class_weight": "balanced"}, 0.0, ": leave --loss and --class_weight out"),
        ({"class_weight": "1,2"}, 0.0, "--class_weight 1,2: .*: leave --class_weight out"),
        ({}, 0.1, "--label_smoothing_factor 0.1: .*: leave --label_smoothing_factor out"),
    ],
)
def test_a_loss_of_the_models_own_is_not_replaced(name, flags, smoothing, message):
    with pytest.raises(InputError, match=message) as refused:
        build_loss(setup(CARDS[name]), RecipeArguments(**flags), smoothing)
    assert type(CARDS[name]).__name__ in str(refused.value) and "\n" not in str(refused.value)
    assert build_loss(setup(CARDS[name]), RecipeArguments(), 0.0) is None


def test_a_plain_head_takes_every_loss():
    for model in (CARDS["inception"], TextCNNForSequenceClassification(TextCNNConfig(num_labels=2, vocab_size=9))):
        assert build_loss(setup(model), RecipeArguments(loss="focal", class_weight="1,2"), 0.0).name == "focal"
        assert build_loss(setup(model), RecipeArguments(loss="cross_entropy"), 0.1).label_smoothing == 0.1
        assert build_loss(setup(model), RecipeArguments(), 0.1) is None  # Trainer smooths


def test_a_model_that_names_its_losses_gets_no_other():
    class Picky(TextCNNForSequenceClassification):
        accepted_losses = ("cross_entropy",)

    model = Picky(TextCNNConfig(num_labels=2, vocab_size=9))
    with pytest.raises(InputError, match="--loss focal: Picky accepts cross_entropy: give one of them"):
        build_loss(setup(model), RecipeArguments(loss="focal"), 0.0)
    assert build_loss(setup(model), RecipeArguments(loss="class_balanced"), 0.0).name == "cross_entropy"


SETS = (RANDOM.random((40, 3)) < 0.3).astype(np.float32)


@pytest.mark.parametrize("smoothing", [0.0, 0.3])
def test_smoothed_labels_by_hand(smoothing):
    total = 0.0
    for row, labels in zip(LOGITS.tolist(), SETS.tolist(), strict=True):
        for logit, label in zip(row, labels, strict=True):
            p, y = 1 / (1 + math.exp(-logit)), label * (1 - smoothing) + smoothing / 2
            total -= y * math.log(p) + (1 - y) * math.log(1 - p)
    loss = Loss("binary_cross_entropy", label_smoothing=smoothing)
    assert value(loss, labels=SETS) == pytest.approx(total / SETS.size, abs=1e-6)
    halves = [value(loss, LOGITS[part], SETS[part], num_items_in_batch=120) for part in (slice(9), slice(9, 40))]
    assert sum(halves) == pytest.approx(total / SETS.size, abs=1e-6)
    if not smoothing:
        expected = torch.nn.BCEWithLogitsLoss()(torch.tensor(LOGITS).float(), torch.tensor(SETS))
        assert value(loss, labels=SETS) == pytest.approx(expected.item(), abs=1e-6)


@pytest.mark.parametrize("architecture", ["ngram_linear", "text_cnn"])
def test_smoothing_of_label_sets_is_trained(architecture, tmp_path, monkeypatch):
    rows = [
        {"text": f"{'warm' if i % 2 else 'cold'} day {i}", "label": ["red"] if i % 2 else ["blue"]} for i in range(120)
    ]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    flags = f"--data_dir {tmp_path / 'rows.jsonl'} --multi_label --tokens word --architecture {architecture}"
    flags += " --num_train_epochs 6 --learning_rate 0.05 --per_device_train_batch_size 8 --bf16 False"
    flags += " --gradient_accumulation_steps 2"
    losses = {}
    for share in ("0", "0.6"):
        out = tmp_path / share
        more = f" --label_smoothing_factor {share}"
        losses[share] = run_recipe("text_classification.py", flags + more, out, monkeypatch)["test_loss"]
        assert json.loads((out / "run.json").read_text())["settings"]["label_smoothing_factor"] == float(share)
    # The targets are 0.3 and 0.7: a model that has learned them loses -ln 0.7 on what is true.
    assert losses["0"] < 0.1 and losses["0.6"] == pytest.approx(-math.log(0.7), abs=0.1)


def test_weights_are_saved_and_shown(tmp_path, monkeypatch):
    flags = "--architecture ngram_linear --class_weight 1,1,1,1,1,1,1,1,1,7.25 --num_train_epochs 1"
    run_recipe("thucnews_rnn.py", flags, tmp_path / "out", monkeypatch)
    weights = json.loads((tmp_path / "out" / "run.json").read_text())["class_weights"]
    assert list(weights.values()) == [1.0] * 9 + [7.25]
    assert "<td>7.2500</td>" in (tmp_path / "out" / "report.html").read_text()
