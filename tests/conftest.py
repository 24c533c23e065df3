"""Marks tests that wait for time-outs as `alone`: other tests beside them would take the processor from them (`make test`)."""

from pathlib import Path

import pytest

from tests.helpers.settings import COLLECTED

ALONE = {"losses", "test_lost_processes.py", "test_processes.py"}


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config, items):
    config.stash[COLLECTED] = list(items)
    for item in items:
        if ALONE.intersection(Path(item.fspath).parts) or item.get_closest_marker("alone"):
            item.add_marker(pytest.mark.alone)
