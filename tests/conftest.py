"""What waits for time-outs runs alone (`make test`): other tests beside it would take the processor from it."""

from pathlib import Path

import pytest

ALONE = {"losses", "test_lost_processes.py", "test_processes.py"}


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    for item in items:
        if ALONE.intersection(Path(item.fspath).parts) or item.get_closest_marker("alone"):
            item.add_marker(pytest.mark.alone)
