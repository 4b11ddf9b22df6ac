import pytest

from tests.audit.planted import sound_corpus


@pytest.fixture
def corpus():
    return sound_corpus()
