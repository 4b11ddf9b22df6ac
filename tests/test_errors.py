"""What a user sees of an InputError: one line of its own, and exit code 2."""

import re
import signal
from pathlib import Path

import pytest
import torch
from tqdm import tqdm

from hfcls.errors import InputError, one_line_errors

MODULES = sorted(Path(__file__).parents[1].glob("hfcls/**/*.py"))


def test_the_reason_of_the_system_is_never_the_last_word():
    """`{path}: Permission denied` says what is wrong, and not what to do."""
    last = [m.name for m in MODULES if re.search(r"strerror[^}\n]*\}\"\)", m.read_text(encoding="utf-8"))]
    assert not last


def test_one_line_and_exit_code_2(capsys, monkeypatch):
    monkeypatch.delenv("HFCLS_DEBUG", raising=False)
    with pytest.raises(SystemExit) as end, one_line_errors():
        raise InputError("data.csv:3: no label: give one")
    assert end.value.code == 2
    assert capsys.readouterr().err == "error: data.csv:3: no label: give one\n"


def test_the_line_of_a_worker_is_the_last_of_its_traceback(capsys):
    with pytest.raises(SystemExit), one_line_errors():
        raise InputError("Caught InputError in worker 0\n  File x\nhfcls.errors.InputError: 3.png: torn\n")
    assert capsys.readouterr().err == "error: 3.png: torn\n"


def test_an_open_progress_bar_ends_before_the_line(capsys):
    """Fails where tqdm no longer keeps its bars in `_instances`."""
    bar = tqdm(total=3)
    bar.update(1)
    with pytest.raises(SystemExit), one_line_errors():
        raise InputError("torn")
    assert bar.disable  # closed
    *bars, line = capsys.readouterr().err.splitlines()
    assert line == "error: torn" and "1/3" in bars[-1]


def test_debugging_shows_the_traceback(monkeypatch):
    monkeypatch.setenv("HFCLS_DEBUG", "1")
    with pytest.raises(InputError, match="torn"), one_line_errors():
        raise InputError("torn")


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interruption_is_one_line_that_says_how_to_go_on(number, code, capsys, monkeypatch):
    monkeypatch.delenv("HFCLS_DEBUG", raising=False)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it
    with pytest.raises(SystemExit) as end, one_line_errors():
        signal.raise_signal(number)
    assert signal.getsignal(signal.SIGINT) == signal.SIG_DFL  # the next one ends the program without a traceback
    assert end.value.code == code
    assert capsys.readouterr().err == (
        "interrupted: the same command with --resume_from_checkpoint auto goes on from the last checkpoint\n"
    )
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL


def test_of_several_processes_one_speaks(capsys, monkeypatch):
    monkeypatch.setenv("RANK", "1")
    with pytest.raises(SystemExit), one_line_errors():
        raise KeyboardInterrupt
    assert capsys.readouterr().err == ""


class Torn(torch.utils.data.Dataset):
    def __len__(self):
        return 4

    def __getitem__(self, row):
        raise InputError(f"图片.tsv:{row}: cannot be read; replace it")


def test_what_a_worker_of_a_data_loader_raises_is_one_line_too(capsys):
    with pytest.raises(SystemExit, match="2"), one_line_errors():
        list(torch.utils.data.DataLoader(Torn(), num_workers=1))
    assert capsys.readouterr().err == "error: 图片.tsv:0: cannot be read; replace it\n"
