import os
import subprocess
import sys
from pathlib import Path

import pytest

from hfcls.errors import InputError
from hfcls.text.arguments import PretrainedTextArguments
from hfcls.training.arguments import RecipeArguments, _given, parse
from tests.warm import run_warm

ROOT = Path(__file__).parents[2]
HEAVY = "torch transformers datasets accelerate numpy scipy sklearn pandas pyarrow PIL".split()  # seconds to import
RECIPES = sorted(path.name for path in (ROOT / "recipes").glob("*.py"))


def parsed(tmp_path, flags="", defaults=None):
    return parse(
        PretrainedTextArguments,
        task="task",
        description="",
        defaults=lambda given: defaults or {},
        argv=["--output_dir", str(tmp_path / "out"), "--use_cpu", *flags.split()],
    )


def test_flags_beat_recipe_defaults_beat_shared_ones(tmp_path):
    defaults = {"learning_rate": 5e-5, "num_train_epochs": 5, "save_total_limit": 4}
    arguments, training_args = parsed(tmp_path, "--num_train_epochs 2 --max_length 32", defaults)
    assert (training_args.learning_rate, training_args.num_train_epochs, training_args.save_total_limit) == (5e-5, 2, 4)
    assert training_args.metric_for_best_model == "accuracy" and training_args.greater_is_better
    assert training_args.load_best_model_at_end
    assert arguments.max_length == "32"


def test_defaults_see_what_was_given(tmp_path):
    seen = []
    parse(
        PretrainedTextArguments,
        task="task",
        description="",
        defaults=lambda given: seen.append((given.from_scratch, given.data_dir)) or {},
        argv=["--output_dir", str(tmp_path / "out"), "--from_scratch", "mini", "--use_cpu"],
    )
    assert seen == [("mini", None)]


def test_checkpoints_are_saved_when_they_are_evaluated(tmp_path):
    _, training_args = parsed(tmp_path, "--eval_strategy steps --eval_steps 7")
    assert (training_args.save_strategy, training_args.save_steps) == ("steps", 7)
    _, training_args = parsed(tmp_path, "--eval_strategy no")
    assert not training_args.load_best_model_at_end


def test_loss_as_criterion_is_the_smaller_the_better(tmp_path):
    assert not parsed(tmp_path, "--metric_for_best_model loss")[1].greater_is_better


def test_only_what_was_given_is_read():
    """`Parser.add_argument` drops the defaults, which must be the way that HfArgumentParser adds flags."""
    assert _given(RecipeArguments, []) == {}, "HfArgumentParser no longer adds its flags by `add_argument`"
    assert _given(RecipeArguments, ["--seed", "3", "--calibrate"]) == {"seed": 3, "calibrate": True}


@pytest.mark.parametrize(("capability", "expected"), [("amx_bf16", True), ("avx512_bf16", True), ("avx512_f", False)])
def test_bf16_where_the_cpu_computes_in_it(tmp_path, monkeypatch, capability, expected):
    import torch

    monkeypatch.setattr(torch.accelerator, "is_available", lambda: False)
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {capability: True})
    argv = ["--output_dir", str(tmp_path / "out")]

    def bf16(*flags):
        arguments = dict(task="task", description="", defaults=lambda given: {}, argv=[*argv, *flags])
        return parse(PretrainedTextArguments, **arguments)[1].bf16

    assert bf16() is expected
    assert bf16("--bf16", "False") is False
    assert bf16("--bf16") is True


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ("--learning_rat3 1", "did you mean --learning_rate"),
        ("--learning_rate much", "invalid float value: 'much'"),
        ("--max_length many", "--max_length many: give auto or a number"),
        ("--max_train_samples 0", "--max_train_samples 0"),
        ("--from_scratch huge", "invalid choice: 'huge'"),
        ("--from_scratch mini --model_name_or_path x", "exclude each other"),
        ("--push_to_hub", "--hub_model_id"),
        ("--push_to_hub --hub_model_id a/b --evaluate_only m", "leave one of them out"),
        ("--resume_from_checkpoint nowhere", "nowhere: not a checkpoint"),
        ("--eval_strategy sometimes", "sometimes"),
        ("--eval_strategy no --early_stopping_patience 2", "counts evaluations, and --eval_strategy no makes none"),
        ("--enable_jit_checkpoint", "--enable_jit_checkpoint ends training as if it were over: leave it out"),
        ("--early_stopping_patience 0", "--early_stopping_patience 0: give a number of at least 1"),
        ("--push_to_hub --hub_model_id a/b --num_folds 3", "--num_folds makes several models"),
        ("--evaluate_only m --num_folds 3", "--num_folds: give at least 2, and no --evaluate_only"),
        ("--class_weight 1,-1", "--class_weight 1,-1: give none, balanced, or a number of at least 0"),
    ],
)
def test_mistakes_are_one_line(tmp_path, flags, message):
    with pytest.raises(InputError) as error:
        parsed(tmp_path, flags)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_a_folder_with_something_in_it_is_refused_unless_resumed(tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "config.json").write_text("{}")
    with pytest.raises(InputError, match="is not empty.*--resume_from_checkpoint auto"):
        parsed(tmp_path)
    assert parsed(tmp_path, "--resume_from_checkpoint auto")[1].resume_from_checkpoint is None


def python(*arguments, **options):
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **options.pop("env", {})}
    command = [sys.executable, *arguments]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, **options)


@pytest.mark.parametrize("recipe", RECIPES)
def test_help_of_every_recipe(recipe):
    result = python(
        "-c",
        "import runpy, sys; sys.argv = [sys.argv[1], '--help']\n"
        "try: runpy.run_path(sys.argv[0], run_name='__main__')\n"
        f"finally: print([name for name in {HEAVY} if name in sys.modules])",
        f"recipes/{recipe}",
    )
    assert result.returncode == 0, result.stderr
    for flag in ("--data_dir", "--evaluate_only", "--learning_rate", "--output_dir"):
        assert flag in result.stdout
    assert result.stdout.splitlines()[-1] == "[]"


def test_bad_input_is_one_line_and_exit_code_2(tmp_path, monkeypatch):
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    (corpus / "class.txt").write_text("a\nb\n", encoding="utf-8")
    (corpus / "train.txt").write_text("好\t0\n坏\t1\n没有标签\n", encoding="utf-8")
    (corpus / "test.txt").write_text("好\t0\n", encoding="utf-8")
    flags = ["recipes/thucnews_bert.py", "--from_scratch", "tiny", "--data_dir", str(corpus), "--use_cpu"]
    flags += ["--output_dir", str(tmp_path / "out")]
    result = run_warm(*flags)
    assert result.returncode == 2
    last = result.stderr.strip().splitlines()[-1]
    assert last.startswith("error: ") and "train.txt:3" in last
    assert "Traceback" not in result.stderr
    assert not (tmp_path / "out").exists()
    monkeypatch.setenv("HFCLS_DEBUG", "1")
    result = run_warm(*flags)
    assert result.returncode == 1 and "Traceback" in result.stderr


def test_importing_hfcls_imports_nothing_heavy():
    result = python("-c", f"import sys, hfcls\nprint([name for name in {HEAVY} if name in sys.modules])")
    assert result.stdout == "[]\n", result.stderr
