"""Marks tests: those that wait for time-outs are `alone`, further settings of a test are `slow` (`make test`)."""

from pathlib import Path

import pytest

from tests.helpers.settings import COLLECTED, thin

ALONE = {"losses", "test_lost_processes.py", "test_processes.py"}


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config, items):
    config.stash[COLLECTED] = list(items)
    for item in items:
        if ALONE.intersection(Path(item.fspath).parts) or item.get_closest_marker("alone"):
            item.add_marker(pytest.mark.alone)
    thin(items)
