"""Runs for the tests of the report."""

import pytest
from helpers import ILL_RUNS
from make_published_page import read_published_run

from gan_tf.report import read_run


@pytest.fixture(scope="session")
def published(tmp_path_factory):
    """The run of docs/results."""
    return read_published_run(tmp_path_factory.mktemp("published"))


@pytest.fixture(scope="session")
def swinging():
    """An ill run of 40 epochs that has every fifth of its grids."""
    return read_run(ILL_RUNS / "swinging")
