"""Every error that tacit raises on purpose. Each message says who, what, and how to mend it, in one paragraph.

Messages call a party by its number. People are shown its name too, if this process knows names: `named` puts them in when an
error becomes text. Other parties are told numbers (`reason`), and show them with the names that they know.
"""

import re
from collections.abc import Mapping
from contextvars import ContextVar

NAMES: "ContextVar[Mapping[int, str]]" = ContextVar("names of parties", default={})  # noqa: B039 (nobody writes to it)
"""By number, of the run that this thread belongs to: threads of one process may be different parties."""
_ONE = re.compile(r"(?<!\()\bparty (\d+)\b")
_SEVERAL = re.compile(r"\bparties (\d+(?:(?:, and |, | and )\d+)*)\b(?! to)")


def named(text: str, names: Mapping[int, str]) -> str:
    """`text` with names: "party 1" becomes "clinic (party 1)"."""
    if not names:
        return text

    def one(found: "re.Match[str]") -> str:
        name = names.get(int(found[1]))
        return f"{name} ({found[0]})" if name else found[0]

    def each(found: "re.Match[str]") -> str:
        listed = re.sub(r"\d+", lambda n: f"{names[int(n[0])]} ({n[0]})" if names.get(int(n[0])) else n[0], found[1])
        return f"parties {listed}"

    return _SEVERAL.sub(each, _ONE.sub(one, text))


class TacitError(Exception):
    """The base of all errors that tacit raises on purpose."""

    def __init__(self, *args: object) -> None:
        super().__init__(*args)
        self._names = NAMES.get()

    def __str__(self) -> str:
        return named(self.plain(), self._names)

    def plain(self) -> str:
        """The message, with numbers alone."""
        return super().__str__()

    for_peers: str | None = None
    """The text for the other parties, where the message shows something of this party's own: data, files, addresses."""


class CheatingDetected(TacitError):
    """A check failed: some party deviated from the protocol. Nothing wrong was revealed; the session's keys are gone."""


class PartyLost(TacitError):
    """A peer died, stalled past the time-out, or never came. `party` is its index (or name), `operation` what waited.

    `silent`: nothing is known but that it was silent for the time-out; it may itself be waiting for another.
    """

    def __init__(self, party: "int | str", why: str, operation: str = "", silent: bool = False) -> None:
        self.party, self.why, self.operation, self.silent = party, why, operation, silent
        where = f" during {operation}" if operation else ""
        who = f"party {party}" if isinstance(party, int) else f"the {party}"
        super().__init__(f"lost {who}{where}: {why}")


class TooFewLeft(TacitError):
    """So many parties were lost that the others cannot go on. `survivors` are those that are left."""

    def __init__(self, survivors: "tuple[int, ...]", needed: str) -> None:
        self.survivors = survivors
        super().__init__(
            f"parties {', '.join(map(str, survivors))} are left, and {needed}: nothing more can be computed or revealed. What "
            "was revealed before stands, and what was saved can be restored; start again with all parties, or with a lower "
            "threshold"
        )


class PeerStopped(TacitError):
    """Another party stopped with an error of its own and said so. `party` is its index (or name)."""

    def __init__(self, party: "int | str", message: str) -> None:
        self.party, self.message = party, message
        who = f"party {party}" if isinstance(party, int) else f"the {party}"
        super().__init__(f"{who} stopped: {message}")


class Mismatch(TacitError):
    """Parties disagree on what they run: script, options, shapes, order of operations. Names both sides."""


class OutOfRange(TacitError):
    """A value does not fit the declared fixed-point format."""


class Unsupported(TacitError):
    """An operation that tacit does not know how to do in secret. The message names it and what to use instead."""


class ConfigurationError(TacitError):
    """A parties file, certificate, address or option is wrong."""

    for_peers = "its configuration is not in order; its own output says what"


class BadInput(TacitError):
    """Data of a party is missing, ragged, not numeric, not finite, or of an unexpected shape."""


class NotFitted(TacitError, ValueError, AttributeError):
    """An estimator of `tacit.learn` was used before `fit`."""


def reason(error: BaseException) -> str:
    """The text for the other parties: that of an error of tacit (its own or its `for_peers`), and only the type of any other.

    Their text may hold data, and so may the errors that they came from, their notes and tracebacks.
    """
    if isinstance(error, TacitError):
        return error.for_peers or error.plain()
    if isinstance(error, KeyboardInterrupt):
        return "it was interrupted"
    if isinstance(error, SystemExit):
        return "its script ended inside the session"
    return f"its script failed with {type(error).__name__}; its own output says where"
