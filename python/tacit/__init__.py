"""Train and serve models on data that several parties keep secret from each other, actively secure.

`session()` opens a party's session in a script that `tacit run` started; `run(function)` runs all parties in this process.
Names are loaded when they are first used, so that commands start fast.
"""

from importlib import import_module, metadata
from typing import TYPE_CHECKING, Any

from tacit.errors import (
    BadInput,
    CheatingDetected,
    ConfigurationError,
    Mismatch,
    OutOfRange,
    PartyLost,
    PeerStopped,
    TacitError,
    TooFewLeft,
    Unsupported,
)

if TYPE_CHECKING:
    from tacit.inputs import read_csv, read_parquet
    from tacit.numbers.array import SecretArray, concatenate
    from tacit.numbers.format import Format
    from tacit.sessions.local import run
    from tacit.sessions.remote import session
    from tacit.sessions.session import Session

__version__ = metadata.version(__name__)

__all__ = [
    "BadInput",
    "CheatingDetected",
    "ConfigurationError",
    "Format",
    "Mismatch",
    "OutOfRange",
    "PartyLost",
    "PeerStopped",
    "SecretArray",
    "Session",
    "TacitError",
    "TooFewLeft",
    "Unsupported",
    "concatenate",
    "read_csv",
    "read_parquet",
    "run",
    "session",
]

_WHERE = {
    "Format": "numbers.format",
    "SecretArray": "numbers.array",
    "Session": "sessions.session",
    "concatenate": "numbers.array",
    "read_csv": "inputs",
    "read_parquet": "inputs",
    "run": "sessions.local",
    "session": "sessions.remote",
}


def __getattr__(name: str) -> Any:
    if name == "learn":
        return import_module("tacit.learn")
    if name not in _WHERE:
        raise AttributeError(f"module 'tacit' has no attribute {name!r}")
    return getattr(import_module(f"tacit.{_WHERE[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_WHERE, "learn"])
