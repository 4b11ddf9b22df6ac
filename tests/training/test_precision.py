"""bfloat16 where the processor lacks it; oneDNN is told to do without what is newer than AVX2."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FLAGS = "--architecture text_rnn --embedding_dim 8 --hidden_size 8 --max_train_samples 20 --max_eval_samples 10"
FLAGS += " --max_test_samples 10 --num_train_epochs 1 --bf16 True --use_cpu"


def train(cell, output_dir):
    command = [sys.executable, "recipes/thucnews_rnn.py", *FLAGS.split(), "--cell", cell, "--output_dir", output_dir]
    environment = os.environ | {"ONEDNN_MAX_CPU_ISA": "AVX2", "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300)


@pytest.mark.parametrize(("cell", "refused"), [("lstm", True), ("gru", False)])
def test_an_lstm_in_bf16_is_refused_in_one_line_before_training(cell, refused, tmp_path):
    done = train(cell, str(tmp_path / "out"))
    if not refused:
        assert done.returncode == 0, done.stderr
        return
    assert done.returncode == 2 and "Traceback" not in done.stderr
    last = "error: --bf16: this processor computes no LSTM in bfloat16: give --bf16 False"
    assert done.stderr.splitlines()[-1] == last
    assert not (tmp_path / "out").exists() or not list((tmp_path / "out").glob("checkpoint-*"))
