"""Output on terminals of every encoding, and texts and labels that a terminal would obey."""

import ast
import io
import json
import logging
import runpy
import sys
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import datasets
import pytest

from hfcls import cli
from hfcls.errors import InputError, one_line_errors
from hfcls.terminal import LINE_LIMIT, PrintableFormatter, print_lines, printable, shortened

ROOT = Path(__file__).parent.parent
CLEAR = "\x1b[2J\x1b]0;title\x07"  # clears the screen and renames the window
ENCODINGS = ["ascii", "cp1252", "gbk"]  # POSIX, Western and Chinese Windows


def _main(encoding: str, *words) -> tuple[int, str, str]:
    """Runs a command on a terminal of that encoding → exit code, what arrived on standard output and on error."""
    streams = [io.TextIOWrapper(io.BytesIO(), encoding=encoding) for _ in range(2)]
    with pytest.raises(SystemExit) as end, redirect_stdout(streams[0]), redirect_stderr(streams[1]):
        cli.main([str(word) for word in words])
    for stream in streams:
        stream.flush()
    return end.value.code, *(stream.buffer.getvalue().decode(encoding) for stream in streams)


def _table(folder: Path, labels=("体育😀", "financé")) -> Path:
    rows = [f"texte {number} 股市 {labels[number % 2]},{labels[number % 2]}" for number in range(40)]
    path = folder / "rows.csv"
    path.write_text("\n".join(["text,label", *rows]) + "\n", encoding="utf-8")
    return path


def test_what_a_terminal_would_obey_is_written_out():
    assert printable(f"a{CLEAR}b\r\n\x9bc\u202ed\u2028\x7f\0") == (
        "a\\x1b[2J\\x1b]0;title\\x07b\\r\\n\\x9bc\\u202ed\\u2028\\x7f\\x00"
    )
    kept = "plain\ttext – 股市 👩‍👩‍👧 שלום naïve C:\\new"
    assert printable(kept) == kept


def test_shortened_keeps_beginning_and_end():
    assert shortened("x" * LINE_LIMIT) == "x" * LINE_LIMIT
    cut = shortened("beginning" + "x" * 10**6 + "remedy")
    assert len(cut) == LINE_LIMIT and cut.startswith("beginning") and cut.endswith("remedy")


def test_lines_stay_lines(capsys):
    print_lines(f"one\ntwo{CLEAR}")
    assert capsys.readouterr().out == "one\ntwo\\x1b[2J\\x1b]0;title\\x07\n"


def test_an_error_is_one_readable_line(capsys, monkeypatch):
    monkeypatch.delenv("HFCLS_DEBUG", raising=False)
    with pytest.raises(SystemExit), one_line_errors():
        raise InputError(f"rows.csv:3: {CLEAR}\n{'股' * 10**6}: give another")
    error = capsys.readouterr().err
    assert error.startswith("error: rows.csv:3: \\x1b[2J") and error.endswith(": give another\n")
    assert error.count("\n") == 1 and "\x1b" not in error and len(error) < 2 * LINE_LIMIT


def test_a_log_line_is_one_readable_line():
    record = logging.LogRecord("hfcls", logging.WARNING, "", 0, "%s: left out", (f"{CLEAR}\n" + "x" * 10**6,), None)
    line = PrintableFormatter().format(record)
    assert "\x1b" not in line and "\n" not in line and len(line) < 2 * LINE_LIMIT and line.endswith(": left out")


def test_notes_without_a_handler_are_printable(capsys):
    with one_line_errors():
        logging.lastResort.handle(logging.LogRecord("x", logging.WARNING, "", 0, f"label {CLEAR}", (), None))
    assert capsys.readouterr().err == f"label {printable(CLEAR)}\n"


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_help_and_errors_on_any_terminal(encoding):
    code, out, _ = _main(encoding, "check", "--help")
    assert code == 0 and "usage: hfcls check" in out
    code, _, errors = _main(encoding, "预测")
    assert code == 2
    verb = "预测".encode(encoding, "backslashreplace").decode(encoding)
    assert errors.startswith(f"error: {verb} is not a command")


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_predict_on_any_terminal(encoding):
    model = ROOT / "tests" / "saved_models" / "ngram_linear"
    labels = json.loads((model / "config.json").read_text(encoding="utf-8"))["id2label"].values()
    code, out, _ = _main(encoding, "predict", model, "涨😀é" + CLEAR, "--trust_remote_code")
    assert code == 0
    assert "\\x1b[2J" in out and "\x1b" not in out and "\\U0001f600" in out
    assert any(label.encode(encoding, "backslashreplace").decode(encoding) in out for label in labels)


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_check_on_any_terminal(encoding, tmp_path):
    table = _table(tmp_path, labels=(f"体育😀{CLEAR}", "financé"))
    code, out, _ = _main(encoding, "check", table, "--output", tmp_path / "audit.html")
    assert code == 0 and "40 train rows, 2 classes" in out and "\x1b" not in out


def test_a_run_on_any_terminal(tmp_path, monkeypatch):
    """The last lines of a run show labels and texts."""
    labels = (f"体育😀{CLEAR}", "financé" + "x" * 10_000)
    recipe = str(ROOT / "recipes" / "text_classification.py")
    flags = "--architecture ngram_linear --max_steps 2 --eval_strategy no --use_cpu --disable_tqdm True".split()
    folders = ["--data_dir", str(_table(tmp_path, labels)), "--output_dir", str(tmp_path / "run")]
    monkeypatch.setattr(sys, "argv", [recipe, *flags, *folders])
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    terminal = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    with redirect_stdout(terminal):
        runpy.run_path(recipe, run_name="__main__")
    terminal.flush()
    out = terminal.buffer.getvalue().decode("ascii")
    assert "report: " in out and "\x1b" not in out and max(map(len, out.splitlines())) < LINE_LIMIT
    assert "\\u4f53\\u80b2\\U0001f600\\x1b[2J" in out or "financ\\xe9xxx" in out


def test_everything_is_printed_by_one_function():
    for path in (ROOT / "hfcls").rglob("*.py"):
        if path.name != "terminal.py" and path.parent.name != "standalone":  # which runs where hfcls is not installed
            calls = [node for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if _prints(node)]
            assert not calls, f"{path}:{calls[0].lineno}: prints texts of others as they are; use print_lines"


def _prints(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"
