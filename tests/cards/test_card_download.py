"""`hfcls cards` against a Hub on the loopback address: pages, refusals for rate, and a file that was torn."""

import subprocess
import sys

import pytest

from hfcls.cards.download import COARSE_OF
from hfcls.data.dataset_cards import DatasetCards
from hfcls.models.card_features import TASK_CATEGORIES
from tests.hub_server import BROKEN, GATED, serve_hub

INFO = {"dataset_size": 2048, "splits": [{"name": "train", "num_examples": 30}, {"name": "test", "num_examples": 12}]}


@pytest.fixture
def full_hub():
    with serve_hub() as hub:
        yield add_datasets(hub)


def add_datasets(hub):
    tasks = ["translation", "summarization", "image-classification"]
    for i in range(7):
        tags = [f"task_categories:{task}" for task in (tasks if i == 0 else tasks[i % 3 : i % 3 + 1])]
        hub.cards[f"owner/set_{i}"] = {"tags": tags, "card": f'---\nlicense: mit\n---\n# Set "{i}"\n\ntext, of {i}'}
    hub.cards["owner/set_0"]["about"] = {"dataset_info": INFO}
    hub.cards["owner/no_task"] = {"tags": ["language:en"], "card": "# x"}
    hub.cards["owner/no_card"] = {"tags": ["task_categories:translation"], "card": None}
    hub.cards["owner/gated"] = {"tags": ["task_categories:translation"], "card": GATED}
    return hub


def fetch(hub, path, limit):
    command = [sys.executable, "-m", "hfcls.cli", "cards", "--limit", str(limit), "--output", str(path)]
    return subprocess.run(command, env=hub.environment(), capture_output=True, text=True, timeout=240)


def fetched(hub):
    return [path for method, path, status in hub.requests if (method, status) == ("GET", 200) and "README.md" in path]


def test_cards_are_fetched_once_and_read_by_the_builder(full_hub, tmp_path):
    path = tmp_path / "cards.csv"
    full_hub.refusals = 2
    first = fetch(full_hub, path, 3)
    assert first.returncode == 0, first.stderr
    assert [status for _, _, status in full_hub.requests].count(429) == 2
    assert len(fetched(full_hub)) == 3

    torn = path.read_bytes()
    path.write_bytes(torn[:-9])  # in the middle of the last card
    full_hub.requests.clear()
    second = fetch(full_hub, path, 100)
    assert second.returncode == 0, second.stderr
    assert f"{path}: 7 datasets" in second.stdout
    assert len(fetched(full_hub)) == 4  # the torn one lies in the cache
    assert path.read_bytes().startswith(torn)
    assert "README.md:" not in second.stderr  # no progress bar for each card

    builder = DatasetCards(data_dir=str(path), cache_dir=str(tmp_path / "cache"))
    builder.download_and_prepare()
    rows = [row for split in builder.as_dataset().values() for row in split]
    assert len(rows) == 9  # the first one has three classes
    first = next(row for row in rows if row["id"] == "owner/set_0")
    assert (first["size"], first["num_rows"], first["downloads"]) == (2048.0, 42.0, 5.0)
    assert first["text"] == 'owner set 0\n# Set "0"\ntext, of 0'
    assert {row["coarse"] for row in rows} == {"Natural Language Processing", "Computer Vision"}


def test_what_the_hub_says_is_passed_on(full_hub, tmp_path):
    path = tmp_path / "cards.csv"
    full_hub.cards["owner/set_4"]["card"] = BROKEN
    result = fetch(full_hub, path, 100)
    assert result.returncode == 2 and "Traceback" not in result.stderr
    last = result.stderr.splitlines()[-1]
    assert "'501 Not Implemented'" in last and f"{path} keeps 4 datasets, the same command goes on from there" in last


def test_other_files_are_left_alone(full_hub, tmp_path):
    path = tmp_path / "mine.csv"
    path.write_text("a,b\n1,2\n")
    result = fetch(full_hub, path, 3)
    assert (result.returncode, path.read_text()) == (2, "a,b\n1,2\n")
    assert f"{path}:1: not a file of cards" in result.stderr


def test_every_task_has_a_coarse_class():
    assert set(COARSE_OF) == set(TASK_CATEGORIES) and len(COARSE_OF) == 46
