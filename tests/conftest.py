"""Test processes run side by side, so each keeps to one core; set before anything imports torch."""

import gc
import os
import signal
from pathlib import Path

import pytest

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")

TESTS = Path(__file__).parent
# Processes side by side get a file at a time: those that take longest first, or in the end one waits for the other.
LONGEST_FIRST = (
    "training/test_resume.py training/test_losses.py text/test_baselines.py text/test_thucnews_bert.py "
    "test_worked_examples.py training/test_processes.py inference/export/test_texts.py text/test_long_texts.py "
    "images/test_images.py recipes/test_accelerate.py docs/test_program.py training/test_rounding.py "
    "training/test_flags.py training/test_calibration.py project/test_new.py inference/test_download.py "
    "retrieval/test_muge_clip.py test_terminal.py data/test_tar_files.py text/test_decoders.py text/test_by_rows.py "
    "training/test_interrupted.py retrieval/test_contrastive.py training/test_progress.py cards/test_cards.py "
    "training/test_precision.py"
).split()


def pytest_collection_modifyitems(items):
    order = {TESTS / name: number for number, name in enumerate(LONGEST_FIRST)}
    items.sort(key=lambda item: order.get(item.path, len(order)))


@pytest.fixture(autouse=True, scope="module")
def collection_of_new_objects_only():
    """Trainer collects garbage after each run, which takes a second among all that pytest and the imports hold."""
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.fixture(autouse=True)
def ctrl_c_stays():
    """A command that is interrupted leaves the next Ctrl-C to the system; pytest goes on after it."""
    before = signal.getsignal(signal.SIGINT)
    yield
    signal.signal(signal.SIGINT, before)
