"""bfloat16 where the processor lacks it; oneDNN is told to do without what is newer than AVX2."""

import pytest

from tests.warm import run_warm

FLAGS = "--architecture text_rnn --embedding_dim 8 --hidden_size 8 --max_train_samples 20 --max_eval_samples 10"
FLAGS += " --max_test_samples 10 --num_train_epochs 1 --bf16 True --use_cpu"


@pytest.mark.parametrize(("cell", "refused"), [("lstm", True), ("gru", False)])
def test_an_lstm_in_bf16_is_refused_in_one_line_before_training(cell, refused, tmp_path, monkeypatch):
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "AVX2")  # read when oneDNN first computes something
    done = run_warm("recipes/thucnews_rnn.py", *FLAGS.split(), "--cell", cell, "--output_dir", tmp_path / "out")
    if not refused:
        assert done.returncode == 0, done.stderr
        return
    assert done.returncode == 2 and "Traceback" not in done.stderr
    last = "error: --bf16: this processor computes no LSTM in bfloat16: give --bf16 False"
    assert done.stderr.splitlines()[-1] == last
    assert not (tmp_path / "out").exists() or not list((tmp_path / "out").glob("checkpoint-*"))
