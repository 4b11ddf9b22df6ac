"""Test processes run side by side, so each keeps to one core; set before anything imports torch."""

import gc
import os
import signal

import pytest

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")


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
