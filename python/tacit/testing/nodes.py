"""Networks that fail and heal, in one process: each party a thread with its own endpoint, lost and started again as drawn.

    fate(party, life)(round, where) = None, "die", "hang", or seconds to stall
A party that was lost starts again after a while, its script from the beginning, as a process would (`engine.rejoin`).
"""

import tempfile
import threading
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from tacit.errors import PartyLost, PeerStopped, TacitError
from tacit.sessions.context import Context
from tacit.sessions.options import Options
from tacit.sessions.remote import joined
from tacit.sessions.session import Session
from tacit.testing.virtual import VirtualChannel, innermost, sleep
from tacit.transport.channel import Around, Channel, Round
from tacit.transport.identity import make_identity
from tacit.transport.listening import listen
from tacit.transport.membership import Viewed

HOST = "127.0.0.1"

Fate = Callable[[int, str], "str | float | None"]
"""The fate of a party in one round, by the round's number and purpose."""


LONGEST = 60.0
"""Seconds that a party that was lost waits at most until somebody notices."""


class Vanished(Exception):
    """The exception that ends the thread of a party that is lost."""


class Failing(Around):
    """`channel`, whose party has a fate: who dies closes its connections, who hangs keeps them and says nothing any more.

    `over`: when who hangs ends.
    """

    def __init__(self, channel: Channel, fate: Fate, over: Callable[[], object] = lambda: None) -> None:
        super().__init__(channel)
        self._fate, self._over, self.rounds, self._gone = fate, over, 0, False

    def _round(self, asked: Round) -> None:
        fate = None if self._gone else self._fate(self.rounds, asked.where)
        self.rounds += 1
        if fate == "die":
            self._inner.close()
        if isinstance(fate, str):
            self._gone = True
            if fate == "hang":
                if isinstance(found := innermost(self), VirtualChannel):
                    found.leave()
                self._over()
            raise Vanished(fate)
        if fate is not None:
            sleep(self, fate)
        self._inner._round(asked)

    def stop(self, message: str) -> None:
        if not self._gone:
            self._inner.stop(message)

    def close(self) -> None:
        if not self._gone:
            self._inner.close()


class Shuffled(Failing):
    """`channel`, over which frames leave and come one peer after the other, in any order, some of them late."""

    def __init__(self, channel: Channel, seed: int, latest: float = 0.02) -> None:
        super().__init__(channel, lambda round, where: None)
        self._rng, self._latest = np.random.default_rng(seed), latest

    def _round(self, asked: Round) -> None:
        for peer in self._order(asked.out):
            self._late()
            self._inner._round(replace(asked, out={peer: asked.out[peer]}, expect={}))
        for peer in self._order(asked.expect):
            self._late()
            self._inner._round(replace(asked, out={}, expect={peer: asked.expect[peer]}))

    def _late(self) -> None:
        if self._rng.random() < 0.1:
            time.sleep(self._latest * self._rng.random())

    def _order(self, peers: Collection[int]) -> list[int]:
        return [int(p) for p in self._rng.permutation(sorted(peers))]


@dataclass
class Outcome:
    """By party: what its script returned in its last life, or the error it ended with; its sessions; what ended earlier lives."""

    results: dict[int, Any] = field(default_factory=dict)
    errors: dict[int, TacitError] = field(default_factory=dict)
    sessions: dict[int, list[Session]] = field(default_factory=dict)
    ended: dict[int, list[Exception]] = field(default_factory=dict)


class Nodes:
    """`parties` that compute `work(session)` together under a protocol that survives losses."""

    def __init__(
        self,
        work: Callable[[Session], Any],
        parties: int,
        threshold: int,
        fate: Callable[[int, int], Fate | None],
        *,
        protocol: str = "shamir",
        timeout: float = 1.0,
        back: Callable[[int], object] | None = None,
        backend: str = "numpy",
        **options: Any,
    ) -> None:
        """`back(party)` returns when a party that was lost starts again; by default when another has noticed that it was lost.

        Until then a party that hangs says nothing.
        """
        self._work, self._parties, self._fate = work, parties, fate
        self._back = self._noticed if back is None else back
        self._options = Options(protocol=protocol, threshold=threshold, timeout=timeout, backend=backend, **options)
        self._outcome = Outcome(sessions={i: [] for i in range(parties)}, ended={i: [] for i in range(parties)})
        self._running = parties

    def run(self) -> Outcome:
        with tempfile.TemporaryDirectory(prefix="tacit-") as directory:
            folder = Path(directory)
            listeners = [listen(HOST, 0) for _ in range(self._parties)]
            identities = [make_identity(f"node {i}") for i in range(self._parties)]
            for i, identity in enumerate(identities):
                identity.save(folder / f"{i}.pem", folder / f"{i}.key")
            known = Context(
                self._parties,
                0,
                self._options.protocol,
                False,
                addresses={i: (HOST, int(s.getsockname()[1])) for i, s in enumerate(listeners)},
                pins={i: identity.fingerprint() for i, identity in enumerate(identities)},
                wait=20.0,
            )
            contexts = [
                replace(
                    known,
                    me=i,
                    listener=listeners[i].detach(),
                    certificate=str(folder / f"{i}.pem"),
                    key=str(folder / f"{i}.key"),
                )
                for i in range(self._parties)
            ]
            threads = [threading.Thread(target=self._lives, args=(c,), daemon=True) for c in contexts]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        return self._outcome

    def _lives(self, context: Context) -> None:
        try:
            life = 0
            while self._lost(context, life) and self._running > 1:
                self._back(context.me)
                life += 1
                context = replace(context, rejoin=True, listener=None)
        finally:
            self._running -= 1

    def _noticed(self, party: int) -> None:
        end = time.monotonic() + LONGEST
        while time.monotonic() < end:
            outcome = self._outcome
            others = [s[-1] for i, s in outcome.sessions.items() if s and i not in {party, *outcome.results}]
            if not others or any(party not in session.survivors for session in others):
                return
            time.sleep(0.01)

    def _lost(self, context: Context, life: int) -> bool:
        """One life of a party: whether it was lost in the end."""
        me = context.me
        if (error := self._outcome.errors.pop(me, None)) is not None:
            self._outcome.ended[me].append(error)
        try:
            session = joined(context, self._options)
            self._outcome.sessions[me].append(session)
            if (fate := self._fate(me, life)) is not None:
                channel = session._channel
                assert isinstance(channel, Viewed)
                channel._inner = Failing(channel._inner, fate, lambda: self._back(me))
            with session:
                self._outcome.results[me] = self._work(session)
        except Vanished as end:
            self._outcome.ended[me].append(end)
            return True
        except TacitError as error:
            self._outcome.errors[me] = error
            return isinstance(error, PartyLost | PeerStopped)
        return False
