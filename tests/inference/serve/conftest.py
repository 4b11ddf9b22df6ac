"""One small model, served once for all tests of a file."""

import pytest

from tests.inference.serve.running import save_bert, serving


@pytest.fixture(scope="session")
def bert(tmp_path_factory):
    """A folder with a model of three classes that reads 24 tokens."""
    return save_bert(tmp_path_factory.mktemp("bert"))


@pytest.fixture(scope="module")
def server(bert):
    """A client of a server of `bert`."""
    with serving(bert, body=100_000, file=100_000) as client:
        yield client
