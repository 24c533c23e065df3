"""A channel whose parties can agree on who of them is left (`transport.counting`).

A *call* is a frame that says: I lost somebody, let us count. It may come in place of any other frame, so the round that meets
one ends with `PartyLost`; frames that were under way are thrown away until the calls of all have come.
"""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Mapping

from tacit.errors import Mismatch, PartyLost, TacitError
from tacit.transport.calls import ENTRY, MAGIC, Calls, Equivocation, Signed, frame, is_call
from tacit.transport.channel import Around, Channel, Round, Skip
from tacit.transport.signing import Signatures

COUNTING = "counting who is left"
CALLED = "it lost another party, and counts who is left"
STALE = 16
"""Calls of counts that are over, in one round: more come from nobody who is honest, and each of them prolongs the wait."""


class Viewed(Around):
    """`channel` for parties that survive losses; its meter counts on."""

    def __init__(self, channel: Channel, session: bytes, signatures: Signatures) -> None:
        super().__init__(channel)
        self.overhead = channel.overhead
        channel.resume()
        self.record = Calls(channel.me, session, signatures)
        self.early: dict[int, bytearray] = {}
        """Frames of who went on while this party was still counting."""

    @property
    def longest(self) -> int:
        """The length in bytes of the longest frame of calls: those of two turns."""
        return len(MAGIC) + ENTRY * 2 * (len(self.peers) + 1)

    def _round(self, asked: Round) -> None:
        out, wanted, where = asked.out, dict(asked.expect), asked.where
        for peer in self.early.keys() & wanted.keys():
            if len(found := self.early.pop(peer)) > wanted.pop(peer):
                raise self.too_long(peer, len(found), asked.expect[peer], where)
            asked.came[peer] = found
        stale = 0
        self._called(where)
        while out or wanted:
            came: dict[int, bytearray] = {}
            try:
                limits = {p: max(limit, self.longest) for p, limit in wanted.items()}
                self._inner._round(Round(out, limits, where, asked.timeout, came))
            finally:
                for peer, data in came.items():
                    if is_call(data):
                        self.take(peer, data)
                        stale += 1
                    else:
                        asked.came[peer] = data
                        del wanted[peer]
            self._called(where)
            if stale > STALE * len(asked.expect):
                raise Mismatch(f"some party sends calls of counts that are over, again and again, during {where}")
            for peer, data in came.items():
                if len(data) > asked.expect[peer] and peer in asked.came:
                    raise self.too_long(peer, len(data), asked.expect[peer], where)
            out = {}

    def _called(self, where: str) -> None:
        for party in self.record.newest(self.record.over + 1):
            if party in self.peers:
                raise PartyLost(party, CALLED, where)

    def take(self, peer: int, data: bytes | bytearray) -> list[Signed]:
        """The new calls in a frame. A proof that somebody cheats is shown to all others before the session ends here."""
        try:
            return self.record.take(data, peer, {self.me, *self.peers})
        except Equivocation as found:
            self.tell(self.peers, frame(found.proof))
            raise

    def look(
        self, out: Mapping[int, bytes], wanted: Collection[int], came: dict[int, bytearray], seconds: float
    ) -> None:
        """One round of a count: what is whole after so many seconds is in `came`, also if this raises.

        Long frames are passed over. A frame that was under way must not hold back what all others say.
        """
        self._inner.hurry(True)
        try:
            sending = {peer: [memoryview(data)] for peer, data in out.items()}
            self._inner._round(Round(sending, dict.fromkeys(wanted, Skip(self.longest)), COUNTING, seconds, came))
        finally:
            self._inner.hurry(False)

    def tell(self, peers: Collection[int], data: bytes) -> None:
        """Send to each as far as that is possible at once."""
        for peer in peers:
            with contextlib.suppress(TacitError):
                self.look({peer: data}, (), {}, 0.1)
