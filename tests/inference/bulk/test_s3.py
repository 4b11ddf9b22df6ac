"""From bucket to bucket, on a server of this machine."""

from importlib.util import find_spec
from pathlib import Path

import fsspec
import pandas
import pytest

from hfcls.cli import main

MODEL = str(Path(__file__).parents[2] / "saved_models" / "bert")


@pytest.fixture
def bucket(monkeypatch):
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    names = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
    for name, value in {"AWS_ENDPOINT_URL": f"http://{host}:{port}", "AWS_DEFAULT_REGION": "us-east-1"}.items():
        monkeypatch.setenv(name, value)
    for name in names:
        monkeypatch.setenv(name, "anyone")
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"):
        monkeypatch.delenv(name, raising=False)
    fsspec.filesystem("s3", skip_instance_cache=True).mkdir("texts")
    yield "s3://texts"
    server.stop()


@pytest.mark.skipif(find_spec("moto") is None or find_spec("s3fs") is None, reason="moto or s3fs is not installed")
def test_a_bucket_is_read_and_written(bucket, tmp_path, capsys):
    frame = pandas.DataFrame({"text": ["股市", "球队赢得冠军", "流浪狗"]})
    frame.to_csv(tmp_path / "a.csv", index=False)
    frame[::-1].to_parquet(tmp_path / "b.parquet")
    store = fsspec.filesystem("s3")
    for name in ("a.csv", "b.parquet"):
        store.put_file(str(tmp_path / name), f"texts/in/{name}")
    words = ["predict", MODEL, "--input", f"{bucket}/in", "--engine", "local", "--output"]
    for _ in range(2):
        with pytest.raises(SystemExit) as ended:
            main([*words, f"{bucket}/out"])
        assert ended.value.code == 0
    assert "2 of 2 files have answers" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["predict", MODEL, "--input", str(tmp_path), "--engine", "local", "--output", str(tmp_path / "out")])
    store.invalidate_cache()
    for name in ("a.csv.parquet", "b.parquet"):
        assert store.cat_file(f"texts/out/{name}") == (tmp_path / "out" / name).read_bytes()
