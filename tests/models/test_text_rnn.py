"""TextRNN against torch's own packed recurrent layers, row-by-row loops, and itself after a reload elsewhere."""

import copy
import json
import math
import os

import pytest
import torch
import transformers
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import WhitespaceSplit
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence
from transformers import AutoConfig, AutoModelForSequenceClassification

from hfcls.environment import computes_bf16_lstm
from hfcls.models.text_rnn import (
    CELLS,
    LSTMByHand,
    Pooling,
    RecurrentEncoder,
    SharedDropout,
    TextRNNConfig,
    TextRNNForSequenceClassification,
)
from tests.warm import run_apart

POOLINGS = ["last", "max", "mean", "max_mean", "attention", "rcnn"]
EVERY_POOLING_AND_CELL = [("lstm", pooling) for pooling in POOLINGS]
EVERY_POOLING_AND_CELL += [(cell, "max_mean") for cell in CELLS if cell != "lstm"]
TORCH_CELLS = {"rnn": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU, "lstm_by_hand": nn.LSTM}
ROWS = [[5, 3, 8, 2, 9, 4, 7], [6], [2, 2, 9, 5], [3, 7, 1, 8, 8, 6, 5, 4, 2]]


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """Matrices of a few numbers: a second thread has nothing to do, and waiting for it is slow on a busy machine."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def small_config(**changes):
    settings = {"vocab_size": 10, "embedding_dim": 6, "hidden_size": 5, "num_labels": 3, "dropout": 0.0}
    return TextRNNConfig(**{**settings, **changes})


def small_model(**changes):
    torch.manual_seed(0)
    return TextRNNForSequenceClassification(small_config(**changes)).eval()


def padded(rows, width, side="right"):
    ids, mask = torch.zeros(len(rows), width, dtype=torch.long), torch.zeros(len(rows), width, dtype=torch.long)
    for n, row in enumerate(rows):
        place = slice(0, len(row)) if side == "right" else slice(width - len(row), width)
        ids[n, place], mask[n, place] = torch.tensor(row, dtype=torch.long), 1
    return ids, mask


def torch_twin(encoder, config):
    """torch's stacked, bidirectional module with the encoder's weights, and which of its parameters are whose."""
    twin = TORCH_CELLS[config.cell](
        config.embedding_dim, config.hidden_size, config.num_layers, bidirectional=config.bidirectional
    )
    pairs = []
    for number, layer in enumerate(encoder.layers):
        for cell, suffix in zip(layer, ["", "_reverse"], strict=False):
            for name in ["weight_ih", "weight_hh", "bias_ih", "bias_hh"]:
                pairs.append((getattr(cell, f"{name}_l0"), getattr(twin, f"{name}_l{number}{suffix}")))
    twin = twin.to(pairs[0][0].dtype)
    with torch.no_grad():
        for ours, theirs in pairs:
            theirs.copy_(ours)
    assert len(pairs) == len(list(twin.parameters()))
    return twin, pairs


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.float64, 1e-12)])
@pytest.mark.parametrize("num_layers", [1, 2, 3])
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("cell", list(CELLS))
def test_encoder_equals_packed_torch(cell, bidirectional, num_layers, dtype, tolerance):
    torch.manual_seed(0)
    config = small_config(cell=cell, bidirectional=bidirectional, num_layers=num_layers, pooling="last")
    encoder = RecurrentEncoder(config).to(dtype)
    twin, pairs = torch_twin(encoder, config)
    lengths = torch.tensor([7, 1, 4, 9])
    # Behind the rows lies noise, not zeros: nothing of it may be seen.
    x = torch.randn(9, 4, 6, dtype=dtype, requires_grad=True)
    x_twin = x.detach().clone().requires_grad_()

    states = encoder(x, lengths)
    last = Pooling(config)(states, x, lengths)
    packed, final = twin(pack_padded_sequence(x_twin, lengths, enforce_sorted=False))
    expected, _ = pad_packed_sequence(packed)
    h_n = final[0] if isinstance(final, tuple) else final
    expected_last = torch.cat(list(h_n[-2 if bidirectional else -1 :]), dim=-1)

    real = torch.arange(9)[:, None] < lengths
    torch.testing.assert_close(states[real], expected[real], rtol=0, atol=tolerance)
    torch.testing.assert_close(last, expected_last, rtol=0, atol=tolerance)
    weights = torch.randn_like(expected[real])
    ((states[real] * weights).sum() + last.square().sum()).backward()
    ((expected[real] * weights).sum() + expected_last.square().sum()).backward()
    torch.testing.assert_close(x.grad, x_twin.grad, rtol=tolerance, atol=tolerance)
    assert (x.grad[~real] == 0).all()
    for ours, theirs in pairs:
        torch.testing.assert_close(ours.grad, theirs.grad, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.float64, 1e-12)])
def test_lstm_by_hand_equals_torch_lstm(dtype, tolerance):
    torch.manual_seed(0)
    by_hand, lstm = LSTMByHand(7, 5).to(dtype), nn.LSTM(7, 5).to(dtype)
    lstm.load_state_dict(by_hand.state_dict())
    x = torch.randn(12, 3, 7, dtype=dtype)
    for ours, theirs in zip(flatten(by_hand(x)), flatten(lstm(x)), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=tolerance)
    for module in (by_hand, lstm):
        outputs, h, c = flatten(module(x))
        (outputs.square().sum() + h.sum() + c.square().sum()).backward()
    for ours, theirs in zip(by_hand.parameters(), lstm.parameters(), strict=True):
        torch.testing.assert_close(ours.grad, theirs.grad, rtol=tolerance, atol=tolerance)


def flatten(result):
    outputs, (h, c) = result
    return outputs, h, c


def row_by_row_logits(model, rows):
    """Every row alone, without padding: torch's module over it, and the pooling as its paper states it, in loops."""
    config = model.config
    twin, _ = torch_twin(model.encoder, config)
    size, logits = config.hidden_size, []
    for row in rows:
        x = [model.embeddings.weight[token] for token in row]
        states, final = twin(torch.stack(x)[:, None])
        states = list(states[:, 0])
        h_n = final[0] if isinstance(final, tuple) else final
        maximum = torch.stack([max(state[k] for state in states) for k in range(len(states[0]))])
        mean = sum(states) / len(row)
        if config.pooling == "last":
            pooled = torch.cat(list(h_n[-2 if config.bidirectional else -1 :, 0]))
        elif config.pooling == "max":
            pooled = maximum
        elif config.pooling == "mean":
            pooled = mean
        elif config.pooling == "max_mean":
            pooled = torch.cat([maximum, mean])
        elif config.pooling == "attention":
            scores = [torch.exp(model.pooling.score.weight[0] @ torch.tanh(state)) for state in states]
            pooled = torch.tanh(sum(score / sum(scores) * state for score, state in zip(scores, states, strict=True)))
        else:
            weight, bias = model.pooling.project.weight, model.pooling.project.bias
            steps = zip(states, x, strict=True)
            latent = [torch.tanh(weight @ torch.cat([h[:size], e, h[size:]]) + bias) for h, e in steps]
            pooled = torch.stack([max(y[k] for y in latent) for k in range(len(bias))])
        logits.append(model.classifier.weight @ pooled + model.classifier.bias)
    return torch.stack(logits)


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize(("cell", "pooling"), EVERY_POOLING_AND_CELL)
@torch.no_grad()
def test_logits_are_those_of_unpadded_rows(cell, pooling, bidirectional):
    model = small_model(cell=cell, pooling=pooling, bidirectional=bidirectional)
    model.embeddings.weight[0] = 3.0  # a padding vector that would be noticed
    expected = row_by_row_logits(model, ROWS)
    for width in (9, 16, 32):
        for side in ("right", "left"):
            ids, mask = padded(ROWS, width, side)
            for given in (mask, mask.bool(), None):
                torch.testing.assert_close(model(ids, given).logits, expected, rtol=0, atol=1e-6)
    # Holes: the tokens that are there close up, in their order.
    ids, mask = padded(ROWS, 9)
    order = torch.tensor([3, 0, 4, 1, 7, 5, 6, 8, 2]).argsort()
    scattered, holes = torch.randint(1, 10, (4, 27)), torch.zeros(4, 27, dtype=torch.long)
    places = torch.arange(27)[1::3]
    scattered[:, places], holes[:, places] = ids, mask
    torch.testing.assert_close(model(scattered, holes).logits, expected, rtol=0, atol=1e-6)
    shuffled = model(ids[:, order], mask[:, order]).logits  # another order of the tokens is another text
    assert (shuffled - expected).abs().max() > 1e-4 or pooling in ("mean", "max")


@pytest.mark.parametrize("pooling", POOLINGS)
@torch.no_grad()
def test_empty_rows(pooling):
    model = small_model(pooling=pooling)
    alone = model(torch.empty(1, 0)).logits
    assert alone.shape == (1, 3) and alone.isfinite().all()
    for width in (4, 9):
        for side in ("right", "left"):
            logits = model(*padded([[], [4, 5, 6]], width, side)).logits
            torch.testing.assert_close(logits[:1], alone, rtol=0, atol=1e-6)
            torch.testing.assert_close(logits[1], row_by_row_logits(model, [[4, 5, 6]])[0], rtol=0, atol=1e-6)


def test_an_empty_row_trains_to_finite_weights():
    model = small_model(pooling="attention").train()
    ids, mask = padded([[], [4, 5, 6]], 5)
    model(ids, mask, torch.tensor([0, 1])).loss.backward()
    assert all(parameter.grad.isfinite().all() for parameter in model.parameters())


class LastPosition(nn.Module):
    """What the published scripts do: nn.LSTM over the padding, the output at the last position."""

    def __init__(self, config):
        super().__init__()
        self.embedding = nn.Embedding(config.vocab_size, config.embedding_dim)
        self.lstm = nn.LSTM(config.embedding_dim, config.hidden_size, 2, bidirectional=True, batch_first=True)
        self.classifier = nn.Linear(2 * config.hidden_size, config.num_labels)

    def forward(self, input_ids):
        return self.classifier(self.lstm(self.embedding(input_ids))[0][:, -1])


def test_learns_the_same_at_any_padding_where_the_last_position_does_not():
    # The class is the first of 3 to 9 tokens, so it has to be kept over what follows: other tokens, or padding.
    generator = torch.Generator().manual_seed(0)
    lengths = torch.randint(3, 10, (40, 32), generator=generator)
    rows = [[torch.randint(5, 30, (n,), generator=generator).tolist() for n in batch] for batch in lengths]
    labels = torch.randint(4, (40, 32), generator=generator)
    for batch, classes in zip(rows, labels.tolist(), strict=True):
        for row, label in zip(batch, classes, strict=True):
            row[0] = 1 + label
    config = small_config(vocab_size=30, embedding_dim=16, hidden_size=16, num_labels=4, pooling="last", dropout=0.1)

    def train(model, width, forward):
        optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
        hits = []
        for batch, target in zip(rows, labels, strict=True):
            optimizer.zero_grad()
            logits = forward(model, *padded(batch, width))
            nn.functional.cross_entropy(logits, target).backward()
            optimizer.step()
            hits.append((logits.argmax(dim=1) == target).float().mean())
        return torch.stack(hits[-10:]).mean().item(), model

    accuracy, models = {}, {}
    for width in (16, 32):
        torch.manual_seed(0)
        model = TextRNNForSequenceClassification(config).train()
        accuracy[width], models[width] = train(model, width, lambda model, ids, mask: model(ids, mask).logits)
    torch.manual_seed(0)
    naive, _ = train(LastPosition(config), 32, lambda model, ids, mask: model(ids))

    assert accuracy[16] > 0.95 and accuracy[32] > 0.95
    assert naive < 0.6
    for left, right in zip(models[16].parameters(), models[32].parameters(), strict=True):
        torch.testing.assert_close(left, right, rtol=0, atol=1e-3)  # forty steps of Adam on rounding differences


@pytest.mark.parametrize(("cell", "pooling"), EVERY_POOLING_AND_CELL)
def test_every_parameter_gets_a_gradient(cell, pooling):
    model = small_model(cell=cell, pooling=pooling).train()
    ids, mask = padded(ROWS, 12)
    model(ids, mask, torch.tensor([0, 1, 2, 0])).loss.backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().max() > 0, name
    assert (model.embeddings.weight.grad[0] == 0).all()


def test_dropout_is_shared_by_the_steps_of_a_row():
    torch.manual_seed(0)
    dropout, x = SharedDropout(0.25), torch.ones(7, 100, 50)
    factors = dropout(x)
    assert torch.equal(factors, factors[:1].expand_as(factors))
    assert set(factors.unique().tolist()) == {0.0, torch.tensor(1 / 0.75).item()}
    assert abs((factors[0] == 0).float().mean() - 0.25) < 0.03
    assert not torch.equal(factors[0, 0], factors[0, 1])
    assert torch.equal(dropout.eval()(x), x)


def test_dropout_lies_between_the_layers():
    torch.manual_seed(0)
    config = small_config(dropout=1.0)
    encoder, x = RecurrentEncoder(config).train(), torch.randn(6, 2, 6)
    twin, _ = torch_twin(encoder, config)
    twin.dropout = 1.0
    expected, _ = twin.train()(torch.zeros_like(x))  # ours drops the token vectors as well
    torch.testing.assert_close(encoder(x, torch.tensor([6, 6])), expected, rtol=0, atol=1e-6)


def test_loss_follows_the_problem_type():
    ids, mask = padded(ROWS, 9)
    model = small_model()
    weights, labels = model(ids, mask).logits.detach().double().exp(), [2, 0, 1, 1]
    losses = [math.log(row.sum() / row[label]) for row, label in zip(weights, labels, strict=True)]
    assert model(ids, mask, torch.tensor(labels)).loss.item() == pytest.approx(sum(losses) / 4, abs=1e-6)

    several = torch.tensor([[1.0, 0, 1], [0, 0, 0], [1, 1, 1], [0, 1, 0]])
    model = small_model(problem_type="multi_label_classification")
    probability = 1 / (1 + torch.exp(-model(ids, mask).logits.double()))
    expected = -(several * probability.log() + (1 - several) * (1 - probability).log()).mean()
    assert model(ids, mask, several).loss.item() == pytest.approx(expected.item(), abs=1e-6)

    model = small_model(num_labels=1)
    target = torch.tensor([0.5, -1.0, 2.0, 0.0])
    expected = (model(ids, mask).logits[:, 0] - target).square().mean()
    assert model(ids, mask, target).loss.item() == pytest.approx(expected.item(), abs=1e-6)


def test_accumulated_steps_equal_one_large_step(tmp_path):
    ids, mask = padded(ROWS + [row[::-1] for row in ROWS], 9)
    labels = [0, 1, 2, 0, 1, 2, 0, 1]
    dataset = [{"input_ids": i, "attention_mask": m, "labels": k} for i, m, k in zip(ids, mask, labels, strict=True)]
    start, trained = small_model(), {}
    for accumulation in (1, 4):
        model = copy.deepcopy(start)
        arguments = transformers.TrainingArguments(
            output_dir=str(tmp_path / str(accumulation)),
            per_device_train_batch_size=8 // accumulation,
            gradient_accumulation_steps=accumulation,
            max_steps=1,
            # Clipping and Adam would both hide a gradient that is four times too large.
            max_grad_norm=0,
            optim="sgd",
            learning_rate=1.0,
            lr_scheduler_type="constant",
            save_strategy="no",
            disable_tqdm=True,
            use_cpu=True,
        )
        trainer = transformers.Trainer(model, arguments, train_dataset=dataset)
        assert trainer.train().global_step == 1
        trained[accumulation] = model.state_dict()
    for name, weight in start.state_dict().items():
        torch.testing.assert_close(trained[1][name], trained[4][name], rtol=0, atol=1e-6)
        assert (trained[1][name] - weight).abs().max() > 1e-4, name


def test_reloads_where_hfcls_is_not_installed(tmp_path):
    models = {
        "lstm": small_model(),
        "rcnn": small_model(cell="gru", pooling="rcnn", freeze_embeddings=True),
        "by_hand": small_model(cell="lstm_by_hand", pooling="last", pad_token_id=None, initialization="xavier"),
    }
    ids, mask = padded(ROWS, 12)
    for name, model in models.items():
        model.save_pretrained(tmp_path / name)
        assert (tmp_path / name / "text_rnn.py").exists()
    program = """
import json, sys
sys.modules["hfcls"] = None  # importing it raises ImportError, installed or not
import torch
from transformers import AutoConfig, AutoModelForSequenceClassification
given = json.load(sys.stdin)
result = {}
for name in given["models"]:
    config = AutoConfig.from_pretrained(name, trust_remote_code=True)
    model = AutoModelForSequenceClassification.from_pretrained(name, trust_remote_code=True)
    logits = model(torch.tensor(given["ids"]), torch.tensor(given["mask"])).logits
    frozen = not model.get_input_embeddings().weight.requires_grad
    result[name] = [logits.tolist(), frozen, type(model).__module__, config.cell]
print(json.dumps(result))
"""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    environment.update(HF_HOME=str(tmp_path / "home"), HF_HUB_OFFLINE="1", OMP_NUM_THREADS="1")
    given = json.dumps({"models": list(models), "ids": ids.tolist(), "mask": mask.tolist()})
    finished = run_apart("-c", program, given=given, environment=environment, folder=tmp_path, check=True)
    result = json.loads(finished.stdout)
    for name, model in models.items():
        logits, frozen, module, cell = result[name]
        torch.testing.assert_close(torch.tensor(logits), model(ids, mask).logits, rtol=0, atol=1e-6)
        assert frozen == model.config.freeze_embeddings and cell == model.config.cell
        assert module.startswith("transformers_modules.")


def test_auto_classes_know_it(tmp_path):
    config = AutoConfig.for_model("text_rnn", hidden_size=4, vocab_size=9, num_labels=5, freeze_embeddings=True)
    model = AutoModelForSequenceClassification.from_config(config)
    assert type(model) is TextRNNForSequenceClassification and model.classifier.out_features == 5
    with torch.no_grad():
        model.get_input_embeddings().weight.copy_(torch.randn(9, 200))
    model.save_pretrained(tmp_path)
    again = AutoModelForSequenceClassification.from_pretrained(tmp_path)
    assert type(again) is TextRNNForSequenceClassification
    for name, weight in model.state_dict().items():
        assert torch.equal(weight, again.state_dict()[name]), name
    assert not again.embeddings.weight.requires_grad
    again.resize_token_embeddings(12)
    assert again.embeddings.weight.shape == (12, 200) and not again.embeddings.weight.requires_grad


@pytest.mark.parametrize("field", ["cell", "pooling", "initialization"])
def test_an_unknown_choice_is_refused(field):
    with pytest.raises(Exception, match=f"'{field}' expected one of .*, got foo"):
        small_config(**{field: "foo"})


def test_lstm_and_lstm_by_hand_load_each_other():
    lstm, by_hand = small_model(cell="lstm"), small_model(cell="lstm_by_hand", initialization="xavier")
    by_hand.load_state_dict(lstm.state_dict())
    torch.testing.assert_close(by_hand(*padded(ROWS, 9)).logits, lstm(*padded(ROWS, 9)).logits, rtol=0, atol=1e-6)


@pytest.mark.parametrize("cell", list(CELLS))
@pytest.mark.parametrize("initialization", ["default", "xavier", "orthogonal"])
def test_initializations(cell, initialization):
    torch.manual_seed(0)
    hidden, width = 96, 64
    config = TextRNNConfig(
        vocab_size=2000, embedding_dim=width, hidden_size=hidden, cell=cell, initialization=initialization, num_labels=9
    )
    model = TextRNNForSequenceClassification(config)
    spread = 1 if initialization == "default" else 0.1
    assert model.embeddings.weight[1:].std().item() == pytest.approx(spread, rel=0.02)
    assert (model.embeddings.weight[0] == 0).all()

    def is_uniform(weight, bound):
        assert weight.abs().max() <= bound and weight.abs().max() > 0.9 * bound
        assert weight.std().item() == pytest.approx(bound / math.sqrt(3), rel=0.1)
        assert abs(weight.mean().item()) < 0.1 * bound

    gates = {"rnn": 1, "gru": 3}.get(cell, 4)
    for number, layer in enumerate(model.encoder.layers):
        fan_in = 2 * hidden if number else width
        for direction in layer:
            biases = torch.stack([direction.bias_ih_l0, direction.bias_hh_l0]).detach()
            for weight, inputs in ((direction.weight_ih_l0, fan_in), (direction.weight_hh_l0, hidden)):
                if initialization == "default":
                    is_uniform(weight, 1 / math.sqrt(hidden))
                elif initialization == "xavier" or weight is direction.weight_ih_l0:
                    is_uniform(weight, math.sqrt(6 / (inputs + hidden)))
            if initialization == "default":
                is_uniform(biases, 1 / math.sqrt(hidden))
            else:
                total = biases.sum(dim=0).view(gates, hidden)
                forget = torch.tensor([0.0, 1, 0, 0] if gates == 4 else [0.0] * gates)
                assert torch.equal(total, forget[:, None].expand(gates, hidden))
            if initialization == "orthogonal":
                blocks = direction.weight_hh_l0.detach().view(gates, hidden, hidden)
                for block in blocks:
                    torch.testing.assert_close(block @ block.T, torch.eye(hidden), rtol=0, atol=1e-5)
    features = 4 * hidden
    head = model.classifier
    is_uniform(head.weight, 1 / math.sqrt(features) if initialization == "default" else math.sqrt(6 / (features + 9)))
    assert bool((head.bias == 0).all()) == (initialization != "default")


@pytest.mark.filterwarnings("ignore:The tensor attributes .*_flat_weights")  # torch's own RNN modules, when traced
def test_exports_with_any_batch_size():
    model = small_model(num_layers=1)
    ids, mask = padded(ROWS, 9)
    batch = {0: torch.export.Dim("batch", min=2, max=64)}
    exported = torch.export.export(model, (ids, mask), dynamic_shapes={"input_ids": batch, "attention_mask": batch})
    ids, mask = padded([[1, 2], [], [9, 8, 7, 6, 5, 4]], 9, "left")
    torch.testing.assert_close(exported.module()(ids, mask).logits, model(ids, mask).logits, rtol=0, atol=1e-6)


BF16_LSTM = pytest.mark.skipif(not computes_bf16_lstm(), reason="this processor computes no LSTM in bfloat16")


@pytest.mark.parametrize("cell", [pytest.param(cell, marks=BF16_LSTM if cell == "lstm" else ()) for cell in CELLS])
def test_bf16_autocast_is_close_to_float32(cell):
    model = small_model(cell=cell, pooling="attention")
    ids, mask = padded(ROWS, 12)
    with torch.autocast("cpu", torch.bfloat16):
        output = model(ids, mask, torch.tensor([0, 1, 2, 0]))
    output.loss.backward()
    torch.testing.assert_close(output.logits.float(), model(ids, mask).logits, rtol=0, atol=2e-2)


def test_pipeline():
    words = {word: number for number, word in enumerate(["[PAD]", "[UNK]", *"abcdefgh"])}
    backend = Tokenizer(WordLevel(words, unk_token="[UNK]"))
    backend.pre_tokenizer = WhitespaceSplit()
    tokenizer = transformers.TokenizersBackend(
        tokenizer_object=backend,
        pad_token="[PAD]",
        unk_token="[UNK]",
        model_input_names=["input_ids", "attention_mask"],
    )
    model = small_model(id2label={0: "sport", 1: "game", 2: "stock"})
    classify = transformers.pipeline("text-classification", model=model, tokenizer=tokenizer)
    texts = ["a b c", "h", "d d e f g a a"]
    answers = classify(texts, batch_size=3)
    for text, answer in zip(texts, answers, strict=True):
        probabilities = model(torch.tensor([[words[word] for word in text.split()]])).logits.softmax(dim=1)[0]
        assert answer["label"] == model.config.id2label[probabilities.argmax().item()]
        assert answer["score"] == pytest.approx(probabilities.max().item(), abs=1e-6)
    assert math.isfinite(classify("")[0]["score"])
