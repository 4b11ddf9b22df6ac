"""TextCNN and DPCNN against torch's convolutions over single rows, without padding."""

import json
import os

import pytest
import torch
import torch.nn.functional as F
from transformers import Trainer, TrainingArguments

from hfcls.models.dpcnn import DPCNNConfig, DPCNNForSequenceClassification
from hfcls.models.ngram_linear import NgramLinearConfig, NgramLinearForSequenceClassification
from hfcls.models.text_cnn import TextCNNConfig, TextCNNForSequenceClassification
from tests.warm import run_apart

ROWS = [[], [5], [7, 3], [2, 2, 9], [8, 1, 6, 4], [3, 7, 1, 8, 8], [5, 3, 8, 2, 9, 4, 7], [6, 2, 2, 9, 5, 1, 7, 7, 3]]
LABELS = torch.tensor([0, 1, 2, 0, 1, 2, 0, 1])


def padded(rows, width, side="right"):
    """Padded by noise, because what is behind the mask must not be seen."""
    ids, mask = torch.randint(0, 10, (len(rows), width)), torch.zeros(len(rows), width, dtype=torch.long)
    for n, row in enumerate(rows):
        place = slice(0, len(row)) if side == "right" else slice(width - len(row), width)
        ids[n, place], mask[n, place] = torch.tensor(row, dtype=torch.long), 1
    return {"input_ids": ids, "attention_mask": mask}


def text_cnn(**changes):
    torch.manual_seed(0)
    settings = {"vocab_size": 10, "embedding_dim": 6, "num_filters": 5, "num_labels": 3}
    return TextCNNForSequenceClassification(TextCNNConfig(**{**settings, **changes})).eval()


def dpcnn(**changes):
    torch.manual_seed(0)
    settings = {"vocab_size": 10, "embedding_dim": 6, "num_filters": 5, "num_labels": 3}
    return DPCNNForSequenceClassification(DPCNNConfig(**{**settings, **changes})).eval()


def ngram_linear():
    torch.manual_seed(0)
    model = NgramLinearForSequenceClassification(NgramLinearConfig(num_labels=3, min_count=1))
    model.fit_log_count_ratios([{**padded(ROWS, 9), "labels": LABELS}])
    torch.nn.init.normal_(model.weight)
    return model.eval()


def text_cnn_row_by_row(model, rows):
    """Every row alone: a convolution without padding, a row shorter than the filter filled up with zeros."""
    logits = []
    for row in rows:
        vectors = model.embeddings(torch.tensor(row, dtype=torch.long)).T
        pooled = []
        for convolution in model.convolutions:
            missing = max(0, convolution.kernel_size[0] - len(row))
            pooled.append(convolution(F.pad(vectors, (0, missing))).max(dim=1).values)
        logits.append(model.classifier(torch.cat(pooled).relu()))
    return torch.stack(logits)


def dpcnn_row_by_row(model, rows):
    """Every row alone: the paper's pyramid in full convolutions, and no mask anywhere."""

    def block(module, hidden):
        return hidden + module.second(module.first(hidden.relu()).relu())

    logits = []
    for row in rows:
        vectors = model.embeddings(torch.tensor(row, dtype=torch.long)).T[None]
        hidden = block(model.base, model.region(vectors))
        while hidden.shape[2] > 1:
            # The window of an even length's last position reaches over the end.
            pooled = [hidden[:, :, i : i + 3].amax(dim=2) for i in range(0, hidden.shape[2] - 1, 2)]
            hidden = block(model.pyramid, torch.stack(pooled, dim=2))
        logits.append(model.classifier(hidden[0, :, 0]))
    return torch.stack(logits)


@pytest.mark.parametrize("side", ["right", "left"])
@pytest.mark.parametrize("width", [9, 16, 32])
def test_text_cnn_equals_a_convolution_of_every_row(width, side):
    model = text_cnn()
    torch.testing.assert_close(model(**padded(ROWS, width, side)).logits, text_cnn_row_by_row(model, ROWS))


@pytest.mark.parametrize("side", ["right", "left"])
@pytest.mark.parametrize("width", [9, 16, 32])
def test_dpcnn_equals_the_pyramid_of_every_row(width, side):
    model = dpcnn()
    logits = model(**padded(ROWS, width, side)).logits
    torch.testing.assert_close(logits[1:], dpcnn_row_by_row(model, ROWS[1:]))
    assert logits.isfinite().all()


def test_text_cnn_has_the_gradients_of_conv1d():
    model, twin = text_cnn().double(), text_cnn().double()
    model(**padded(ROWS, 12), labels=LABELS).loss.backward()
    F.cross_entropy(text_cnn_row_by_row(twin, ROWS), LABELS).backward()
    for (name, ours), theirs in zip(model.named_parameters(), twin.parameters(), strict=True):
        assert ours.grad.abs().sum() > 0, name
        torch.testing.assert_close(ours.grad, theirs.grad, msg=name)


def test_dpcnn_has_the_gradients_of_the_pyramid():
    model, twin = dpcnn(dropout=0.0).double(), dpcnn(dropout=0.0).double()
    model(**padded(ROWS[1:], 12), labels=LABELS[1:]).loss.backward()
    F.cross_entropy(dpcnn_row_by_row(twin, ROWS[1:]), LABELS[1:]).backward()
    for (name, ours), theirs in zip(model.named_parameters(), twin.parameters(), strict=True):
        assert ours.grad.abs().sum() > 0, name
        torch.testing.assert_close(ours.grad, theirs.grad, msg=name)


@pytest.mark.parametrize("build", [text_cnn, dpcnn])
def test_batch_of_empty_texts(build):
    model = build()
    nothing = model(torch.empty(2, 0, dtype=torch.long)).logits
    assert nothing.isfinite().all()
    torch.testing.assert_close(nothing, model(**padded([[], []], 5)).logits)


@pytest.mark.parametrize("build", [text_cnn, dpcnn])
def test_without_a_mask_the_pad_token_marks_padding(build):
    model = build()
    batch = padded(ROWS[1:], 12)
    ids = batch["input_ids"] * batch["attention_mask"]  # no token of ROWS is 0
    torch.testing.assert_close(model(ids).logits, model(**batch).logits)


@pytest.mark.parametrize("build", [text_cnn, dpcnn])
def test_frozen_embeddings_stay_frozen_after_a_reload(build, tmp_path):
    build(freeze_embeddings=True).save_pretrained(tmp_path)
    model = build().from_pretrained(tmp_path).train()
    model(**padded(ROWS, 9), labels=LABELS).loss.backward()
    assert [name for name, p in model.named_parameters() if p.grad is None] == ["embeddings.weight"]


@pytest.mark.parametrize("build", [text_cnn, dpcnn])
def test_several_labels_a_row(build):
    model = build()
    labels = torch.randint(0, 2, (len(ROWS), 3)).float()
    output = model(**padded(ROWS, 9), labels=labels)
    torch.testing.assert_close(output.loss, F.binary_cross_entropy_with_logits(output.logits, labels))


@pytest.mark.parametrize("build", [text_cnn, dpcnn, ngram_linear])
def test_accumulation_takes_the_same_step(build, tmp_path):
    """Eight rows at once, or two at a time: the same weights after a step of Trainer."""
    rows = [{"input_ids": row, "labels": int(label)} for row, label in zip(ROWS, LABELS, strict=True)]

    def collate(batch):
        labels = torch.tensor([row["labels"] for row in batch])
        return {**padded([row["input_ids"] for row in batch], 9), "labels": labels}

    def train(accumulation):
        model = build()
        model.dropout = torch.nn.Dropout(0)
        arguments = TrainingArguments(
            output_dir=str(tmp_path),
            per_device_train_batch_size=8 // accumulation,
            gradient_accumulation_steps=accumulation,
            max_steps=1,
            learning_rate=0.1,
            optim="sgd",
            max_grad_norm=0.05,
            use_cpu=True,
            disable_tqdm=True,
            save_strategy="no",
            logging_strategy="no",
        )
        Trainer(model, arguments, train_dataset=rows, data_collator=collate).train()
        return dict(model.named_parameters())

    start, whole, parts = dict(build().named_parameters()), train(1), train(4)
    for name, weight in whole.items():
        assert not torch.equal(weight, start[name]), name
        torch.testing.assert_close(weight, parts[name], rtol=0, atol=1e-6, msg=name)


@pytest.mark.parametrize("build", [text_cnn, dpcnn, ngram_linear])
def test_export(build):
    model, batch = build(), padded(ROWS, 9)
    exported = torch.export.export(model, (batch["input_ids"], batch["attention_mask"])).module()
    other = padded(ROWS[::-1], 9)
    torch.testing.assert_close(exported(other["input_ids"], other["attention_mask"]).logits, model(**other).logits)


RELOAD = """
import json, sys, torch
sys.modules["hfcls"] = None  # importing it now raises
from transformers import AutoModelForSequenceClassification
ids, mask = (torch.tensor(x) for x in json.loads(sys.argv[1]))
logits = []
for folder in sys.argv[2:]:
    model = AutoModelForSequenceClassification.from_pretrained(folder, trust_remote_code=True)
    logits.append(model(ids, attention_mask=mask).logits.tolist())
print("LOGITS", json.dumps(logits))
"""


def test_reload_where_hfcls_is_not_installed(tmp_path):
    batch = padded(ROWS, 9)
    models = {build.__name__: build() for build in (text_cnn, dpcnn, ngram_linear)}
    for name, model in models.items():
        model.save_pretrained(tmp_path / name)
        assert (tmp_path / name / f"{name}.py").exists()
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    environment |= {"HF_HOME": str(tmp_path / "home"), "HF_HUB_OFFLINE": "1"}
    inputs = json.dumps([batch["input_ids"].tolist(), batch["attention_mask"].tolist()])
    options = {"environment": environment, "folder": tmp_path, "check": True}
    done = run_apart("-c", RELOAD, inputs, *(tmp_path / name for name in models), **options)
    reloaded = json.loads(done.stdout.split("LOGITS ")[1])
    for model, logits in zip(models.values(), reloaded, strict=True):
        torch.testing.assert_close(torch.tensor(logits), model(**batch).logits, rtol=0, atol=1e-6)
