"""Which line of the user's script made an operation: the first frame outside tacit and installed libraries."""

import sys
from functools import cache
from pathlib import Path

_HERE = str(Path(__file__).resolve().parent.parent)
_LIBRARIES = ("/site-packages/", "/dist-packages/", "<frozen", "<string>")


def where() -> str:
    """`script.py:14`, or `?` when no frame of the user is on the stack."""
    frame = sys._getframe(1)
    while frame is not None:
        name = frame.f_code.co_filename
        if _of_the_user(name):
            return f"{name.rsplit('/', 1)[-1]}:{frame.f_lineno}"
        frame = frame.f_back  # type: ignore[assignment]
    return "?"


@cache
def _of_the_user(name: str) -> bool:
    return not name.startswith(_HERE) and not any(part in name for part in _LIBRARIES)
