"""A private JSON file from the launcher to a process: which party it is, where the others are, and how it knows them."""

import dataclasses
import json
import os
from dataclasses import dataclass, field
from pathlib import Path

from tacit.errors import NAMES, ConfigurationError

VARIABLE = "TACIT_CONTEXT"
USED = "used"
"""The variable's value once a session was opened: a context serves one session."""


@dataclass(frozen=True)
class Context:
    """`me` is `parties` for the dealer. `session` is "" when the parties have to agree on one."""

    parties: int
    me: int
    protocol: str
    dealer: bool
    addresses: dict[int, tuple[str, int]] = field(default_factory=dict)
    pins: dict[int, str] = field(default_factory=dict)
    certificate: str = ""
    key: str = ""
    """The file of the private key; "": it comes through the pipe `key_from`, and was made for this run."""
    key_from: int | None = None
    run: str = ""
    """A random value in hex by which parties of a launcher know each other from strangers and from processes of earlier runs."""
    names: dict[int, str] = field(default_factory=dict)
    """Names of those that are no parties: the dealer."""
    members: dict[int, str] = field(default_factory=dict)
    """Names of parties, for people."""
    listener: int | None = None
    """A listening socket that this process has inherited."""
    timeout: float | None = None
    wait: float = 60.0
    """Seconds for the others to come."""
    topology: str = "mesh"
    threshold: int | None = None
    latency: float | None = None
    bandwidth: float | None = None
    memory: int = 400
    """See `Options.memory`."""
    rejoin: bool = False
    """This party was lost from a run that goes on, and comes back."""
    plan: str = ""
    """A file for the costs: this is a dry run, without data and peers."""
    lists: str = ""
    """A file of all that the source is asked for: written by a dry run, read by the parties that make it ahead."""
    store: str = ""
    """The folder of material that is made ahead; the parties' are in it, by their number."""
    store_key: str = ""
    """The file of the key that it is sealed with."""

    def save(self, path: Path) -> None:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            json.dump(dataclasses.asdict(self), file)

    @classmethod
    def load(cls, path: str) -> "Context":
        try:
            found = json.loads(Path(path).read_text())
            found["addresses"] = {int(i): (str(h), int(p)) for i, (h, p) in found["addresses"].items()}
            found["pins"] = {int(i): str(pin) for i, pin in found["pins"].items()}
            for kind in ("names", "members"):
                found[kind] = {int(i): str(name) for i, name in found[kind].items()}
            return cls(**found)
        except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
            raise ConfigurationError(
                f"{VARIABLE} names {path}, which is no context of this version of tacit ({error}); start the script with "
                "`tacit run`"
            ) from None


def take() -> Context:
    """This process's context, once."""
    path = os.environ.get(VARIABLE, "")
    if path == USED:
        raise ConfigurationError(
            "this process has opened its session already, and a run has one: put what belongs together into one `with` block"
        )
    if not path:
        raise ConfigurationError(
            "a session needs other parties, and this script was started alone: start it with "
            "`tacit run -n 2 script.py`, or use tacit.run(function, parties=2) in a notebook or test"
        )
    os.environ[VARIABLE] = USED
    context = Context.load(path)
    NAMES.set(context.members)
    return context
