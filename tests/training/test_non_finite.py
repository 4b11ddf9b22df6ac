"""Weights of halves are trained as float32, and a run whose numbers are none ends in one line."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from transformers import BertConfig, BertForMaskedLM, BertForSequenceClassification

from hfcls.errors import InputError
from hfcls.text.tokenization import train_wordpiece_tokenizer
from hfcls.training.non_finite import StopWhereNotFinite
from tests import worker
from tests.training.recipe import TINY, recipe

TEXTS = ["红 绿 蓝 天 地 人 日 月", "good bad red green"]


def saved(folder: Path, dtype: torch.dtype) -> str:
    torch.manual_seed(0)
    tokenizer = train_wordpiece_tokenizer(TEXTS * 3, max_length=32)
    model = BertForMaskedLM(BertConfig(vocab_size=len(tokenizer), **TINY)).to(dtype)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    assert {weight.dtype for weight in load_file(folder / "model.safetensors").values()} == {dtype}
    return str(folder)


def test_halves_are_trained_and_saved_as_float32(tmp_path):
    base = saved(tmp_path / "base", torch.float16)
    output = tmp_path / "out"
    done = recipe("thucnews_bert", output, "--model_name_or_path", base, "--max_steps", "2")
    assert done.returncode == 0, done.stderr
    weights = load_file(output / "model.safetensors")
    assert {weight.dtype for weight in weights.values()} == {torch.float32}
    assert "base: new: bert.pooler, classifier; unused: cls\n" in done.stderr
    for word in ("LOAD REPORT", "UNEXPECTED", "Loading weights"):
        assert word not in done.stderr + done.stdout


def test_a_learning_rate_without_measure(tmp_path):
    output = tmp_path / "out"
    flags = "--from_scratch tiny --learning_rate 1e30 --warmup_steps 0 --num_train_epochs 2 --logging_steps 4"
    done = recipe("thucnews_bert", output, *flags.split(), "--bf16", "False")
    last = done.stderr.splitlines()[-1]
    assert done.returncode == 2 and "Traceback" not in done.stderr
    assert last.startswith("error: step 4: the ") and "(learning rate " in last and ", float32)" in last
    assert "try a tenth of --learning_rate or more --warmup_steps" in last
    for name in ("model.safetensors", "all_results.json", "report.html", "README.md", "checkpoint-*"):
        assert not [*output.glob(name)], name


def break_weights(trainer, step):
    """Makes the weights useless after a step, as an overflow would."""

    class Break(type(trainer.callback_handler.callbacks[0])):
        def on_step_end(self, args, state, control, model=None, **kwargs):
            if state.global_step == step:
                with torch.no_grad():
                    next(model.parameters()).fill_(torch.nan)

    trainer.callback_handler.callbacks.insert(1, Break())


@pytest.mark.parametrize("strategy", ["steps", "epoch", "no"])
@pytest.mark.parametrize("evaluated", [True, False])
def test_the_last_good_checkpoint_stays(strategy, evaluated, tmp_path):
    flags = "--per_device_train_batch_size 16 --num_train_epochs 3 --logging_steps 100 --save_steps 8"
    flags += f" --save_strategy {strategy} --eval_strategy {strategy if evaluated else 'no'} --eval_steps 8"
    trainer, _ = worker.build(tmp_path, [*flags.split(), "--load_best_model_at_end", "False"], dropout=0.0)
    break_weights(trainer, 12)
    with pytest.raises(InputError, match="step .*not finite|step .* is nan") as error:
        trainer.train()
    left = sorted(path.name for path in tmp_path.glob("checkpoint-*"))
    assert left == ([] if strategy == "no" else ["checkpoint-8"])
    assert ("checkpoint-8" in str(error.value)) == bool(left)


def test_what_is_not_finite_is_seen_when_it_is_logged(tmp_path):
    trainer, _ = worker.build(tmp_path, ["--num_train_epochs", "3", "--logging_steps", "2"], dropout=0.0)
    break_weights(trainer, 3)
    with pytest.raises(InputError, match=r"^step 4: the loss is nan \(learning rate .*, float32\)"):
        trainer.train()


def test_a_skipped_step_of_fp16_is_no_failure():
    class Skipping:
        step_was_skipped = True

    class Args:
        learning_rate, bf16, fp16, output_dir = 1e-3, False, True, "nowhere"

    class State:
        global_step = 7

    logs = {"loss": 1.0, "grad_norm": float("inf"), "learning_rate": 1e-3}
    StopWhereNotFinite().on_log(Args, State, None, logs=logs, optimizer=Skipping())
    with pytest.raises(InputError, match=r"step 7: the norm of the gradient is inf .*, fp16\).*--fp16 False"):
        StopWhereNotFinite().on_log(Args, State, None, logs=logs, optimizer=object())


def test_a_model_that_answers_nan_is_not_measured(tmp_path):
    base = Path(saved(tmp_path / "model", torch.float32))
    model = BertForSequenceClassification.from_pretrained(base, id2label={0: "a", 1: "b"}, label2id={"a": 0, "b": 1})
    torch.nn.init.constant_(model.classifier.weight, torch.nan)
    model.save_pretrained(base)
    rows = [f"{text},{label}" for label in "ab" for text in range(30)]
    (tmp_path / "table.csv").write_text("\n".join(["text,label", *rows]), encoding="utf-8")
    flags = ["--data_dir", str(tmp_path / "table.csv"), "--evaluate_only", str(base)]
    done = recipe("text_classification", tmp_path / "measured", *flags)
    assert done.returncode == 2 and done.stderr.splitlines()[-1].startswith("error: the loss on the test rows is nan")
    for name in ("report.html", "all_results.json", "run.json", "predictions.csv"):
        assert not (tmp_path / "measured" / name).exists()
