"""What a run prints as a whole: every line on the terminal is one of ours, and the bars are gone in the end."""

import fcntl
import logging
import os
import pty
import re
import struct
import subprocess
import sys
import termios
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest

from hfcls.training import progress
from hfcls.training.progress import MtimeNotice, Progress

ROOT = Path(__file__).parents[2]
PRINTED = r"""computing in float32, 1 process of 1 thread
no --data_dir: using the embedded sample of THUCNews
THUCNews: 800 train, 100 validation, 100 test, 10 classes
THUCNews: no row is repeated, neither within a split nor in two of them
tokens char \(auto\): [\d.]+% of what the training texts consist of is written without spaces
max_length 4096 \(auto\): covers 100\.0% of the training texts, of which the longest has 28 tokens
[\d,]+ n-grams are known: training takes \d+ MB for them and at most \d+ MB for a batch of 256
epoch 1 of 2: loss [\d.]+, accuracy [\d.]+, f1 [\d.]+, roc_auc [\d.]+
epoch 2 of 2: loss [\d.]+, accuracy [\d.]+, f1 [\d.]+, roc_auc [\d.]+
trained 8 steps in [\d:]+, [\d,]+ rows a second

test results
  accuracy [\d.]+
  f1       [\d.]+
  roc_auc  [\d.]+
  loss     [\d.]+
reloaded from out
  \w+ +0\.\d{3}  .+
  \w+ +0\.\d{3}  .+
  \w+ +0\.\d{3}  .+
report: out/report.html
"""


def on_a_terminal(command: list[str], **options) -> str:
    """What a terminal of 100 columns receives from `command`."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 100, 0, 0))
    process = subprocess.Popen(command, stdout=theirs, stderr=theirs, stdin=theirs, **options)
    os.close(theirs)
    received = []

    def read():
        try:
            while block := os.read(ours, 4096):
                received.append(block)
        except OSError:  # how Linux says that the other end is closed
            pass

    reader = threading.Thread(target=read)
    reader.start()
    code = process.wait()
    reader.join()
    os.close(ours)
    text = b"".join(received).decode()
    assert code == 0, text
    return text


def left_on_screen(received: str) -> str:
    """What stands there in the end, on a terminal that knows a new line, a carriage return and the way one line up."""
    lines, row, column = [""], 0, 0
    for written in re.findall(r"\x1b\[A|\r|\n|[^\x1b\r\n]+", received):
        if written == "\x1b[A":
            row -= 1
        elif written == "\r":
            column = 0
        elif written == "\n":  # a carriage return stands before it, where it begins a line anew
            row += 1
            lines += [""] * (row + 1 - len(lines))
        else:
            line = lines[row].ljust(column)
            lines[row] = line[:column] + written + line[column + len(written) :]
            column += len(written)
    return "\n".join(line.rstrip() for line in lines)


def test_every_line_of_a_run_is_ours(tmp_path):
    recipe = str(ROOT / "recipes" / "thucnews_rnn.py")
    flags = "--architecture ngram_linear --num_train_epochs 2 --per_device_train_batch_size 256 --floor no"
    flags += " --bf16 False --use_cpu --output_dir out"
    environment = {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "HF_HOME": str(tmp_path), "TERM": "xterm"}
    environment |= {"TQDM_DELAY": "0", "PATH": os.environ["PATH"]}  # that a short run has a bar, too
    command = [sys.executable, recipe, *flags.split()]
    received = on_a_terminal(command, env=environment, cwd=tmp_path)
    assert re.fullmatch(PRINTED, left_on_screen(received)), left_on_screen(received)
    assert re.search(r"training: +\d+%\|.*\| \d/8 \[\d\d:\d\d<", received)  # with the time left


@pytest.fixture
def state():
    return SimpleNamespace(
        is_world_process_zero=True, global_step=10, max_steps=110, epoch=0.5, num_train_epochs=5, log_history=[]
    )


def test_a_log_is_told_how_long_it_will_take(state, caplog, monkeypatch):
    caplog.set_level(logging.INFO)
    clock = iter([0, 0, 20, 40, 60])
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(clock))
    shown, args = Progress(), SimpleNamespace(disable_tqdm=False)
    shown.on_train_begin(args, state, None)
    for step in (20, 30, 40):
        state.global_step = step
        shown.on_step_end(args, state, None)
    # 20 steps of this process in 40 seconds, and 80 to go.
    assert caplog.messages == ["step 30 of 110, 02:40 left"]


def test_an_evaluation_is_a_line(state, caplog):
    caplog.set_level(logging.INFO)
    metrics = {"eval_loss": 0.5, "eval_f1": 1.0, "eval_roc_auc_classes": 3, "eval_runtime": 2.0, "epoch": 0.5}
    Progress().on_evaluate(SimpleNamespace(disable_tqdm=True), state, None, metrics=metrics)
    assert caplog.messages == ["epoch 0.5 of 5: loss 0.5000, f1 1.0000"]


def test_the_notice_of_transformers_is_still_called_so(monkeypatch, tmp_path, caplog):
    from transformers import trainer_utils

    for number in (1, 2):
        (tmp_path / f"checkpoint-{number}").mkdir()
        os.utime(tmp_path / f"checkpoint-{number}", (1, 1))
    said = []
    monkeypatch.setattr(trainer_utils.logger, "warning_once", said.append)
    trainer_utils.sort_checkpoints(str(tmp_path), use_mtime=True)
    assert len(said) == 1
    assert not MtimeNotice().filter(logging.LogRecord("", logging.WARNING, "", 0, said[0], None, None))
