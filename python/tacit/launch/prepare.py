"""`tacit prepare script.py`: what a script will ask for is found by a dry run, then made by all parties, and stored."""

import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from tacit.launch.plan import dry
from tacit.sessions.context import Context


def run_prepare(template: Context, command: Sequence[str], make: Callable[[Context], int]) -> int:
    """Run the script dry, as party `template.me`; then `make` starts the parties, or this one, with what was listed."""
    with tempfile.TemporaryDirectory(prefix="tacit-") as directory:
        lists = Path(directory) / "lists"
        found = dry(replace(template, lists=str(lists)), Path(directory), command)
        if isinstance(found, int):
            return found
        if not lists.stat().st_size:
            print("tacit: the script asks for no material, so there is nothing to prepare", file=sys.stderr)
            return 1
        return make(replace(template, lists=str(lists)))
