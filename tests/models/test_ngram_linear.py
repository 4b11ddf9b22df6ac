"""The n-gram model against n-grams counted in Python, against scikit-learn, and through Trainer."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from huggingface_hub.errors import StrictDataclassClassValidationError
from sklearn.feature_extraction.text import CountVectorizer
from transformers import Trainer, TrainingArguments

from hfcls.models import ngram_linear
from hfcls.models.ngram_linear import ABSENT, LOW_WORD, NgramLinearConfig, NgramLinearForSequenceClassification

CLS, SEP = 30, 31
MULTIPLIER, ORDER_SALT, WORD = 0xBF58476D1CE4E5B9, 2**40, 2**64 - 1


def random_rows(count, vocab_size, longest, seed=0):
    """Texts of 0 to `longest` tokens, none of them 0."""
    generator = np.random.default_rng(seed)
    return [generator.integers(1, vocab_size, generator.integers(0, longest + 1)).tolist() for _ in range(count)]


def padded(rows, width, side="right"):
    ids, mask = torch.zeros(len(rows), width, dtype=torch.long), torch.zeros(len(rows), width, dtype=torch.long)
    for n, row in enumerate(rows):
        place = slice(0, len(row)) if side == "right" else slice(width - len(row), width)
        ids[n, place], mask[n, place] = torch.tensor(row, dtype=torch.long), 1
    return {"input_ids": ids, "attention_mask": mask}


def hashed(ngram):
    """The model's hash in Python's unbounded integers."""
    state = 0
    for order, token in enumerate(ngram, 1):
        state = (state + token + order * ORDER_SALT) * MULTIPLIER & WORD
        state ^= state >> 32
    return state - 2**64 if state >= 2**63 else state


def ngrams(row, config):
    """Distinct n-grams of a text between its boundaries 0 and 1."""
    tokens = [0, *(token + 2 for token in row if token not in config.special_token_ids), 1]
    orders = range(config.ngram_min, config.ngram_max + 1)
    return {tuple(tokens[i : i + n]) for n in orders for i in range(len(tokens) - n + 1)}


def new_model(**changes):
    settings = {"num_labels": 3, "min_count": 1}
    return NgramLinearForSequenceClassification(NgramLinearConfig(**{**settings, **changes})).eval()


def fitted_model(rows, labels, **changes):
    model = new_model(**changes)
    model.fit_log_count_ratios([{**padded(rows, 12), "labels": torch.tensor(labels)}])
    torch.manual_seed(0)
    torch.nn.init.normal_(model.weight)
    torch.nn.init.normal_(model.bias)
    return model


@pytest.mark.parametrize("side", ["right", "left"])
@pytest.mark.parametrize("orders", [(1, 1), (1, 3), (2, 4)])
def test_hashes_are_those_of_the_distinct_ngrams(orders, side):
    model = new_model(ngram_min=orders[0], ngram_max=orders[1])
    rows = random_rows(50, 8, 12)
    for width in (12, 20):
        for row, found in zip(rows, model.hash_ngrams(**padded(rows, width, side)).tolist(), strict=True):
            assert sorted(h for h in found if h != ABSENT) == sorted(hashed(n) for n in ngrams(row, model.config))


def test_special_tokens_are_in_no_ngram():
    model = new_model(special_token_ids=[CLS, SEP])
    rows = random_rows(20, 8, 10)
    with_special = model.hash_ngrams(**padded([[CLS, *row, SEP] for row in rows], 14))
    assert torch.equal(with_special, model.hash_ngrams(**padded(rows, 14)))


def test_ngrams_do_not_share_hashes():
    """All 10**6 triples of neighbouring ids: none share 64 bits, and as few share 32 of them as if drawn by lot."""
    triples = torch.cartesian_prod(*[torch.arange(100)] * 3)
    hashes = new_model(ngram_min=3).hash_ngrams(triples, torch.ones_like(triples))
    hashes = hashes[hashes != ABSENT].unique()
    count = 100**3 + 2 * 100**2  # with a boundary before or after
    assert len(hashes) == count
    for word in (hashes & LOW_WORD, hashes >> 32):
        assert count - len(word.unique()) < 1.5 * count**2 / 2**33


def test_log_count_ratios_equal_those_of_counted_ngrams():
    """Counted in scikit-learn from all rows at once, in the model from batches of any size."""
    rows, smoothing = random_rows(200, 12, 9), 0.3
    labels = np.random.default_rng(1).integers(0, 3, len(rows))
    model = new_model(min_count=2, smoothing=smoothing)
    batch = {**padded(rows, 12), "labels": torch.tensor(labels)}
    model.fit_log_count_ratios(
        [{key: value[part] for key, value in batch.items()} for part in torch.arange(200).split(30)]
    )

    vectorizer = CountVectorizer(analyzer=lambda row: sorted(ngrams(row, model.config)), min_df=2)
    counts = vectorizer.fit_transform(rows).toarray()
    names = list(vectorizer.vocabulary_)
    features = [model.hashes.tolist().index(hashed(name)) for name in names]
    assert len(set(features)) == len(names) == model.config.num_features
    for label in range(3):
        inside = counts[labels == label].sum(0) + smoothing
        outside = counts[labels != label].sum(0) + smoothing
        expected = np.log(inside / inside.sum()) - np.log(outside / outside.sum())
        columns = [vectorizer.vocabulary_[name] for name in names]
        np.testing.assert_allclose(model.ratios[features, label], expected[columns], rtol=1e-5, atol=1e-6)
    assert (model.ratios[-1] == 0).all()


def test_one_label_is_a_row_of_zeros_and_a_one():
    rows, labels = random_rows(60, 8, 9), torch.randint(0, 3, (60,))
    single, several = new_model(), new_model()
    single.fit_log_count_ratios([{**padded(rows, 9), "labels": labels}])
    several.fit_log_count_ratios([{**padded(rows, 9), "labels": F.one_hot(labels, 3).float()}])
    assert torch.equal(single.ratios, several.ratios)


@pytest.mark.parametrize("side", ["right", "left"])
def test_logits_equal_explicit_sums(side):
    train, rows = random_rows(60, 8, 9), [*random_rows(20, 8, 9, seed=1), [20, 21], []]  # 20 and 21 are unknown
    model = fitted_model(train, [n % 3 for n in range(60)], min_count=3)
    known = {value: feature for feature, value in enumerate(model.hashes.tolist()[:-1])}
    expected = []
    for row in rows:
        features = [known[hashed(ngram)] for ngram in ngrams(row, model.config) if hashed(ngram) in known]
        score = model.bias.clone()
        for feature in features:
            score += model.weight[feature] * model.ratios[feature] / math.sqrt(len(features))
        expected.append(score * model.config.logit_scale)
    expected = torch.stack(expected)
    for width in (9, 30):
        torch.testing.assert_close(model(**padded(rows, width, side)).logits, expected, rtol=1e-5, atol=1e-5)
    assert expected.isfinite().all()
    torch.testing.assert_close(model(padded(rows, 12)["input_ids"]).logits, expected, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(model(torch.empty(1, 0, dtype=torch.long)).logits, expected[-1:])


def test_many_summands_are_not_kept_and_give_the_same_sums(monkeypatch):
    rows = random_rows(40, 12, longest=10)
    labels = np.arange(40) % 3
    model = fitted_model(rows, labels)
    batch = {**padded(rows, 12), "labels": torch.tensor(labels)}
    found = []
    for most in (ngram_linear.MANY, 0):
        monkeypatch.setattr(ngram_linear, "MANY", most)
        model.zero_grad()
        outputs = model(**batch)
        outputs.loss.backward()
        found.append((outputs.logits.detach(), model.weight.grad.clone(), model.bias.grad.clone()))
    for kept, summed in zip(*found, strict=True):
        torch.testing.assert_close(summed, kept)
    assert not model.weight.grad[-1].any()


def test_loss():
    rows, labels = random_rows(60, 8, 9), [n % 3 for n in range(60)]
    batch = {**padded(rows, 9), "labels": torch.tensor(labels)}
    hinge = fitted_model(rows, labels)
    output = hinge(**batch)
    scores = output.logits / hinge.config.logit_scale
    sides = [[1 if label == c else -1 for c in range(3)] for label in labels]
    expected = sum(
        max(0, 1 - side * score) ** 2
        for line, row in zip(sides, scores.tolist(), strict=True)
        for side, score in zip(line, row, strict=True)
    )
    assert output.loss.item() == pytest.approx(expected / 60, rel=1e-5)
    entropy = fitted_model(rows, labels, loss="cross_entropy")
    output = entropy(**batch)
    torch.testing.assert_close(output.loss, F.cross_entropy(output.logits, batch["labels"]))
    several = fitted_model(rows, labels)
    targets = torch.randint(0, 2, (60, 3)).float()
    output = several(**padded(rows, 9), labels=targets)
    torch.testing.assert_close(output.loss, F.binary_cross_entropy_with_logits(output.logits, targets))


def test_trains_with_trainer_and_reloads(tmp_path):
    """The label is whether 1 is followed by 2: a bag of tokens cannot tell, one of bigrams can."""
    rows = random_rows(2000, 6, 12)
    labels = [int((1, 2) in zip(row, row[1:], strict=False)) for row in rows]
    data = [{"input_ids": row, "labels": label} for row, label in zip(rows, labels, strict=True)]

    def collate(batch):
        return {
            **padded([row["input_ids"] for row in batch], 12),
            "labels": torch.tensor([row["labels"] for row in batch]),
        }

    def trained(ngram_max):
        model = new_model(num_labels=2, ngram_max=ngram_max)
        model.fit_log_count_ratios([collate(data[:1500])])
        arguments = TrainingArguments(
            output_dir=str(tmp_path),
            learning_rate=0.05,
            num_train_epochs=5,
            per_device_train_batch_size=100,
            use_cpu=True,
            disable_tqdm=True,
            save_strategy="no",
            logging_strategy="no",
        )
        Trainer(model, arguments, train_dataset=data[:1500], data_collator=collate).train()
        return model.eval()

    def accuracy(model):
        test = collate(data[1500:])
        labels = test.pop("labels")
        return (model(**test).logits.argmax(1) == labels).float().mean().item()

    model = trained(ngram_max=2)
    assert accuracy(model) > 0.97 > 0.9 > accuracy(trained(ngram_max=1))
    model.save_pretrained(tmp_path)
    reloaded = NgramLinearForSequenceClassification.from_pretrained(tmp_path)
    batch = padded(rows[1500:], 12)
    assert torch.equal(reloaded(**batch).logits, model(**batch).logits)
    assert torch.equal(reloaded.hashes, model.hashes)


def test_every_parameter_gets_a_gradient():
    rows, labels = random_rows(60, 8, 9), [n % 3 for n in range(60)]
    model = new_model()
    model.fit_log_count_ratios([{**padded(rows, 9), "labels": torch.tensor(labels)}])
    model(**padded(rows, 9), labels=torch.tensor(labels)).loss.backward()
    assert model.bias.grad.ne(0).all()
    assert model.weight.grad[:-1].ne(0).any(dim=1).all()
    assert (model.weight.grad[-1] == 0).all()  # of no feature


def test_refuses_what_cannot_work():
    with pytest.raises(StrictDataclassClassValidationError, match="ngram_min <= ngram_max"):
        NgramLinearConfig(ngram_min=3, ngram_max=2)
    with pytest.raises(StrictDataclassClassValidationError, match="smoothing=0"):
        NgramLinearConfig(smoothing=0)
    with pytest.raises(ValueError, match="at least two"):
        new_model(num_labels=1)
    with pytest.raises(RuntimeError, match="fit_log_count_ratios"):
        new_model()(torch.tensor([[1, 2]]))
    with pytest.raises(ValueError, match="lower min_count"):
        new_model(min_count=2).fit_log_count_ratios([{**padded([[1]], 1), "labels": torch.tensor([0])}])
