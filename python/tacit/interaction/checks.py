"""One order of all openings and checks under one MAC key, whichever thread of a party they are in.

    opening:  a share of a value is sent that has a MAC under alpha    waits for a check that another thread is in
    check:    from its coin to its verdict                             waits likewise; if it fails, or breaks off, it is the last

A failed check shows alpha to who cheated before the others know that it failed: whoever has alpha can forge what is opened or
checked elsewhere ("Rushing at SPDZ", IEEE S&P 2025, eprint 2025/789). Here alpha is known when every honest party has sent its
part of the check: each of them is inside of it then, sends no share in any thread until the verdict, and nothing at all after it.
A check waits for no opening, so that parties that come to it at different times do not wait for each other in a circle.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from tacit.errors import CheatingDetected, TacitError

LONGEST = 12
"""Times the time-out that a check may take: six rounds of a few hundred bytes, each of which a peer can hold for two of them."""


class Checks:
    """A party's, for all of its threads. `timeout`: that of their channels, in seconds."""

    def __init__(self, timeout: float) -> None:
        self._patience = LONGEST * timeout
        self._changed = threading.Condition()
        self._inside: int | None = None  # the thread that checks
        self._over = False

    def opening(self) -> None:
        """Before a share is sent. `CheatingDetected` once a check failed."""
        with self._changed:
            self._wait("a value would be opened")

    @contextmanager
    def check(self) -> Iterator[None]:
        """The whole of a check: whatever is raised inside ends all others, too."""
        with self._changed:
            self._wait("a check would begin")
            self._inside = threading.get_ident()
        try:
            yield
        except BaseException:
            self.end()
            raise
        finally:
            with self._changed:
                self._inside = None
                self._changed.notify_all()

    def end(self) -> None:
        """Nothing is opened or checked any more."""
        with self._changed:
            self._over = True
            self._changed.notify_all()

    def _wait(self, what: str) -> None:
        if self._inside == threading.get_ident() and not self._over:
            raise AssertionError(f"{what} in the middle of a check")
        if not self._changed.wait_for(lambda: self._inside is None or self._over, self._patience):
            self._over = True
            self._changed.notify_all()
            raise TacitError(
                f"{what}, but a check in another thread of this party has not ended for {self._patience:g} s. Nothing was opened "
                "meanwhile, and nothing will be: start a new session"
            )
        if self._over:
            raise CheatingDetected("the keys of this session were destroyed: start a new one")
