"""The scripts that measure a GPU run on a CPU, with models and rows of toy size."""

import importlib
import sys
from pathlib import Path

import pytest
import torch
from transformers import BertConfig
from transformers.models.bert.modeling_bert import BertSelfAttention


@pytest.fixture
def gpu(monkeypatch):
    monkeypatch.syspath_prepend(str(Path(__file__).parent / "benchmarks"))
    yield importlib.import_module("gpu")
    for name in ("gpu", "gpu_models", "predict_throughput"):
        sys.modules.pop(name, None)


@pytest.fixture
def step_ways(gpu):
    yield importlib.import_module("step_ways")
    sys.modules.pop("step_ways", None)


def test_the_gpu_script_measures_every_model_in_every_way(gpu, tmp_path):
    assert gpu.main(["--tiny", "--output", str(tmp_path / "table.md")]) == 0
    text = (tmp_path / "table.md").read_text(encoding="utf-8")
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines() if line.startswith("|")]
    table = {(cells[0], cells[2]): dict(zip(gpu.COLUMNS, cells, strict=True)) for cells in rows[2:]}
    ways = {name: {how for model, how in table if model == name} for name, _ in table}
    assert len(ways) == 9
    assert ways.pop("BERT-base, reviews at 512") == set(gpu.RUNS) - {"hfcls, compiled"}
    assert all(found == {"hfcls", "bare loop"} for found in ways.values())
    assert all(float(cells["ms a step"]) > 0 for cells in table.values())
    assert {cells["Waits"] for (_, how), cells in table.items() if how.startswith("hfcls")} == {"0"}
    assert int(table["BERT-base, reviews at 512", "Trainer, dynamic"]["Waits"]) >= 1
    assert all(int(cells["Launches"]) > 100 for (_, how), cells in table.items() if how == "hfcls")
    assert "left out" not in text
    assert "losses with --padding_free True and without differ by" in text
    assert "predict, BERT-base, headlines, float32:" in text


def test_query_key_and_value_in_one_product_are_those_of_three(step_ways):
    attention = BertSelfAttention(BertConfig(hidden_size=32, num_attention_heads=2, attn_implementation="sdpa")).eval()
    states = torch.randn(3, 5, 32, generator=torch.Generator().manual_seed(0))
    expected, given = attention(states)[0], step_ways.one_product(attention, states)[0]
    torch.testing.assert_close(given, expected, atol=1e-6, rtol=0)


def test_every_way_of_a_step_is_measured(step_ways, capsys):
    step_ways.main(["--tiny"])
    rows = [line.split(" | ") for line in capsys.readouterr().out.splitlines() if line.endswith("% |")]
    assert [row[0].removeprefix("| ") for row in rows] == [way.name for way in step_ways.ways()]
    assert all(float(row[1]) > 0 for row in rows)
