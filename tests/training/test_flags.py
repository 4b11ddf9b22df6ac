"""Flags of TrainingArguments that cannot work are refused in one line, before anything is prepared or trained."""

import re
from importlib.util import find_spec

import numpy as np
import pytest
import torch
from transformers.trainer_utils import SchedulerType

from hfcls.errors import InputError
from hfcls.metrics.one_label import OneLabel
from hfcls.models.label_similarity import LabelSimilarityConfig, LabelSimilarityForSequenceClassification
from hfcls.text.arguments import PretrainedTextArguments, TextClassificationArguments
from hfcls.training.arguments import parse
from hfcls.training.flags import check_fit
from hfcls.training.options import trainer_options
from hfcls.training.sampling import LengthGroupedSampler, last_batch
from hfcls.training.trainer import ClassifierTrainer
from tests import worker
from tests.training.recipe import recipe


def parsed(tmp_path, flags, arguments_class=PretrainedTextArguments):
    argv = ["--output_dir", str(tmp_path / "out"), "--use_cpu", *flags.split()]
    return parse(arguments_class, task="task", description="", defaults=lambda given: {}, argv=argv)


@pytest.mark.parametrize("name", ["wandb", "mlflow", "trackio", "comet_ml", "swanlab", "clearml"])
def test_a_dashboard_that_is_not_installed(tmp_path, name):
    if find_spec(name) is not None:
        pytest.skip(f"{name} is installed")
    with pytest.raises(InputError, match=rf"^--report_to {name}: its package is not installed: pip install"):
        parsed(tmp_path, f"--report_to {name}")


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ("--report_to wandbb", "--report_to wandbb: give one of .*wandb, or none"),
        ("--optim adamw_bnb_8bit", "--optim adamw_bnb_8bit: .*bitsandbytes"),
        ("--optim schedule_free_adamw", "--optim schedule_free_adamw: .*pip install schedulefree"),
        ("--optim galore_adamw", "--optim galore_adamw: .*galore_torch"),
        ("--optim lomo", "--optim lomo: .*lomo"),
        ("--lr_scheduler_type cosine_with_min_lr", "--lr_scheduler_type cosine_with_min_lr: .*min_lr.*lr_scheduler_kw"),
        ("--lr_scheduler_type warmup_stable_decay", "warmup_stable_decay: .*num_decay_steps.*lr_scheduler_kwargs"),
        ("--lr_scheduler_type polynomial --learning_rate 1e-9", "--lr_scheduler_type polynomial: "),
        ("--bf16_full_eval", "--bf16_full_eval: all rows are measured at once, in float32"),
        ("--batch_eval_metrics", "--batch_eval_metrics: all rows are measured at once"),
        ("--prediction_loss_only", "--prediction_loss_only: all rows"),
        ("--label_names foo", "--label_names: all rows"),
        ("--eval_do_concat_batches False", "--eval_do_concat_batches: all rows"),
        ("--use_liger_kernel", "--use_liger_kernel: its package is not installed"),
        ("--fsdp full_shard", "--fsdp is of several processes"),
        ("--dataloader_persistent_workers", "--dataloader_persistent_workers is of worker processes"),
        ("--dataloader_multiprocessing_context spawn", "--dataloader_multiprocessing_context is of worker processes"),
        ("--per_device_train_batch_size 0", "--per_device_train_batch_size 0: give a number of at least 1"),
        ("--per_device_eval_batch_size 0", "--per_device_eval_batch_size 0: give a number of at least 1"),
        ("--gradient_accumulation_steps 0", "--gradient_accumulation_steps 0: give a number of at least 1"),
        ("--learning_rate nan", "--learning_rate nan: give a number of at least 0"),
        ("--learning_rate -1", "--learning_rate -1.0: give a number of at least 0"),
        ("--adam_beta1 2", "--optim adamw_torch.*: Invalid beta parameter"),
        ("--neftune_noise_alpha -1", "--neftune_noise_alpha -1.0: give a number of at least 0"),
        ("--seed -1", "--seed -1: give a number of at least 0"),
        ("--label_smoothing_factor 1.5", "--label_smoothing_factor 1.5: give a share below 1"),
        ("--num_train_epochs 0", "--num_train_epochs 0: nothing would be trained"),
        ("--torch_compile_backend foo", "--torch_compile_backend foo: give one of .*inductor"),
        ("--max_steps 0", "--max_steps 0: give at least 1"),
    ],
)
def test_what_cannot_be_made(tmp_path, flags, message):
    with pytest.raises(InputError, match=message) as error:
        parsed(tmp_path, flags)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("kind", list(SchedulerType))
def test_every_schedule_trains_or_is_refused(tmp_path, kind):
    flags = f"--lr_scheduler_type {kind.value} --max_steps 2 --eval_steps 1 --eval_strategy steps"
    try:
        trainer, _ = worker.build(tmp_path, flags.split(), dropout=0.0, train_rows=16)
    except InputError:
        return
    trainer.train()
    assert trainer.state.global_step == 2


class Like:
    """A setup of which only the target is asked."""

    def __init__(self, target):
        self.target = target


SETUP = Like(OneLabel(["a", "b", "c"]))


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (
            "--metric_for_best_model foo",
            "--metric_for_best_model foo: what is measured are accuracy, f1, roc_auc, loss",
        ),
        ("--dataloader_drop_last --per_device_train_batch_size 17", "leaves nothing of 16 training rows in batches of"),
        ("--metric_for_best_model eval_f1 --neftune_noise_alpha 5 --activation_checkpointing", None),
        ("--metric_for_best_model loss --dataloader_drop_last", None),
    ],
)
def test_what_does_not_fit_model_and_rows(tmp_path, flags, message):
    trainer, _ = worker.build(tmp_path, flags.split(), dropout=0.0, train_rows=16)
    if message is None:
        check_fit(trainer, SETUP)
        return
    with pytest.raises(InputError, match=message):
        check_fit(trainer, SETUP)


def test_a_recipe_ends_before_training(tmp_path):
    done = recipe("mnist_cnn", tmp_path / "out", "--neftune_noise_alpha", "5")
    assert done.returncode == 2 and "Traceback" not in done.stderr
    assert re.match("error: --neftune_noise_alpha: ImageCNN.* has no vectors of tokens", done.stderr.splitlines()[-1])


@pytest.mark.parametrize("language", ["chinese", "Chinese", "ZH", "cn", "zh_CN", ""])
def test_a_language_that_the_hub_does_not_know(tmp_path, language):
    with pytest.raises(InputError, match="^--language .*: give its code of ISO 639, such as zh for Chinese"):
        TextClassificationArguments(dataset="imdb", from_scratch="tiny", language=language)


@pytest.mark.parametrize("language", ["zh", "en", "de", "yue", None])
def test_a_language_that_it_knows(language):
    TextClassificationArguments(dataset="imdb", from_scratch="tiny", language=language)


def test_rows_that_are_measured_are_never_dropped(tmp_path):
    flags = "--dataloader_drop_last --per_device_train_batch_size 3 --per_device_eval_batch_size 8 --num_train_epochs 1"
    trainer, rows = worker.build(tmp_path, flags.split(), dropout=0.0, train_rows=16)
    trainer.train()
    assert trainer.state.global_step == 5
    assert len(trainer.predict(rows.test).predictions) == len(rows.test)


@pytest.mark.parametrize("strategy", ["group_by_length", "batch_rebalance", "random", "sequential"])
def test_rows_that_are_measured_keep_their_order(tmp_path, strategy):
    trainer, rows = worker.build(tmp_path, ["--train_sampling_strategy", strategy], dropout=0.0, train_rows=16)
    assert (trainer.predict(rows.test).label_ids == rows.test.labels).all()
    logits = trainer.predict(rows.test).predictions
    alone = [trainer.model(**trainer.data_collator([rows.test[row]])).logits[0].tolist() for row in range(9)]
    assert np.allclose(logits[:9], alone, atol=1e-4)


@pytest.mark.parametrize("rows", [12, 13, 14])
@pytest.mark.parametrize(("drop_last", "fill_last"), [(False, False), (True, False), (False, True), (True, True)])
def test_only_the_last_batch_is_another(rows, drop_last, fill_last):
    lengths = np.random.default_rng(1).integers(3, 9, rows)
    plain = list(LengthGroupedSampler(lengths, 4, 7))
    sampler = LengthGroupedSampler(lengths, 4, 7, drop_last=drop_last, fill_last=fill_last)
    found = list(sampler)
    assert len(found) == len(sampler)
    assert found[:12] == plain[:12] and found == list(last_batch(plain, 4, drop_last=drop_last, fill_last=fill_last))
    if drop_last:
        assert len(found) == 12
    elif fill_last and rows == 13:
        assert found == [*plain, plain[0]]
    else:
        assert found == plain


class Table(torch.utils.data.Dataset):
    """Numbers of cards, as `CardCollator` batches them, for a model without similarities."""

    def __init__(self, rows):
        self.table, self.labels = torch.randn(rows, 6), np.arange(rows) % 3

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, row):
        return {"table": self.table[row], "numbers": self.table[row, :3], "labels": self.labels[row]}


def card_collator(rows):
    batch = {name: torch.stack([row[name] for row in rows]) for name in ("table", "numbers")}
    empty = torch.zeros(len(rows), 1)
    return batch | {"ngrams": empty.long(), "counts": empty, "labels": torch.tensor([row["labels"] for row in rows])}


def card_trainer(tmp_path, flags, rows):
    flags = f"--from_scratch tiny --num_train_epochs 2 --eval_strategy no --bf16 False {flags}"
    arguments, training_args = parsed(tmp_path, flags)
    config = LabelSimilarityConfig(embedding_model=None, hidden_size=4, id2label={0: "a", 1: "b", 2: "c"})
    return ClassifierTrainer(
        **trainer_options(arguments, training_args),
        model=LabelSimilarityForSequenceClassification(config),
        train_dataset=Table(rows),
        data_collator=card_collator,
    )


@pytest.mark.parametrize("flags", ["", "--train_sampling_strategy sequential"])
@pytest.mark.parametrize("rows", [8, 9])
def test_batch_normalisation_with_one_row_left(tmp_path, rows, flags):
    trainer = card_trainer(tmp_path, f"--per_device_train_batch_size 4 {flags}", rows)
    check_fit(trainer, SETUP)
    trainer.train()
    assert trainer.state.global_step == 2 * -(-rows // 4)
    assert all(weight.isfinite().all() for weight in trainer.model.parameters())


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ("--per_device_train_batch_size 1", "^--per_device_train_batch_size 1: LabelSim.* normalises over the rows"),
        ("--neftune_noise_alpha 5", "^--neftune_noise_alpha: LabelSimilarity.* has no vectors of tokens"),
        ("--activation_checkpointing", "^--activation_checkpointing: LabelSimilarity.* leave it out"),
    ],
)
def test_a_model_that_cannot(tmp_path, flags, message):
    with pytest.raises(InputError, match=message):
        check_fit(card_trainer(tmp_path, flags, 9), SETUP)
