"""What `hfcls serve` refuses before it serves: one line, exit code 2."""

import socket

import pytest

from hfcls.cli import main


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--max_queue", "0"], "--max_queue 0: give more than 0"),
        (["--deadline", "nan"], "--deadline nan: give more than 0"),
        (["--api_key", "密钥"], "--api_key, HFCLS_API_KEY: give letters and digits"),
        (["--port", "70000"], "--port 70000: "),
        (["--host", "203.0.113.7"], "--host 203.0.113.7 --port 8000: Cannot assign requested address"),
        (["--port", "0", "--onnx"], "holds no exported model"),
        (["--port", "0", "--pictures", "."], "--pictures: "),
        (["--prot", "0"], "did you mean --port?"),
    ],
)
def test_flags_that_do_not_go(bert, capsys, flags, message):
    with pytest.raises(SystemExit) as ended:
        main(["serve", str(bert), *flags])
    error = capsys.readouterr().err
    assert ended.value.code == 2
    assert message in error and error.count("\n") == 1


def test_a_port_that_is_taken_is_said_before_a_model_that_is_missing(tmp_path, capsys):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        with pytest.raises(SystemExit):
            main(["serve", str(tmp_path), "--port", port])
    assert f"--port {port}: Address already in use" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["serve", str(tmp_path), "--port", "0"])
    assert "holds no model (no config.json)" in capsys.readouterr().err
