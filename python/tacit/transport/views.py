"""A channel whose parties can agree on who of them is left.

A *call* is a frame that says: I lost somebody, let us count. It may come in place of any other frame, so the round that meets
one ends with `PartyLost`; frames that were under way are thrown away until the calls of all have come (`calls`).
"""

from __future__ import annotations

import struct
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from tacit.errors import Mismatch, PartyLost, PeerStopped
from tacit.transport.channel import Around, Channel, Skip

MAGIC = b"tacit lost party"
_CALL = struct.Struct("<16sQIIB")
LONGEST = _CALL.size + 512
CALLED = "it lost another party, and counts who is left"
PATIENCE = 2.5
"""Times the time-out that the others may take to notice a loss themselves. Who was silent for one may have waited for another."""

LOOKS = 8
"""In one time-out, while calls are waited for."""
STALE = 16
"""Calls of counts that are over, in one round: more come from nobody who is honest, and each of them prolongs the wait."""


@dataclass(frozen=True)
class Call:
    """`turn`: of all counts of the session; `members`: who the sender thinks is left.

    `done`: how many steps the sender has completed; `finished`: whether it has only waited for the others in the next one.
    """

    turn: int
    done: int
    finished: bool
    members: tuple[int, ...]

    def pack(self) -> bytes:
        head = _CALL.pack(MAGIC, self.done, self.turn, len(self.members), self.finished)
        return head + bytes(self.members)

    @classmethod
    def unpack(cls, data: bytes, sender: int) -> Call:
        _, done, turn, count, finished = _CALL.unpack_from(data)
        if len(data) != _CALL.size + count:
            raise Mismatch(
                f"party {sender} sent a malformed list of who is left; do all parties run one version of tacit?"
            )
        return cls(turn, done, bool(finished), tuple(data[_CALL.size :]))


class Viewed(Around):
    """`channel` for parties that survive losses; its meter counts on."""

    def __init__(self, channel: Channel) -> None:
        super().__init__(channel)
        self.overhead = channel.overhead
        channel.resume()
        self.turn = 0
        """The last turn of the last count. A call of a turn that is over may still be under way: it says nothing new."""
        self._called: dict[int, bytes] = {}

    def _round(
        self,
        out: Mapping[int, Sequence[memoryview]],
        expect: Mapping[int, int],
        frames: dict[int, bytearray],
        where: str,
        timeout: float,
    ) -> None:
        wanted = dict(expect)
        stale = 0
        while out or wanted:
            came: dict[int, bytearray] = {}
            try:
                limits = {p: limit if limit > LONGEST else LONGEST for p, limit in wanted.items()}
                self._inner._round(out, limits, came, where, timeout)
            finally:
                for peer, frame in came.items():
                    if not _is_call(frame):
                        frames[peer] = frame
                        del wanted[peer]
                    elif Call.unpack(bytes(frame), peer).turn > self.turn:
                        self._called[peer] = bytes(frame)
                    else:
                        stale += 1
            if stale > STALE * len(expect):
                raise Mismatch(f"some party sends calls of counts that are over, again and again, during {where}")
            for peer, frame in came.items():
                if peer in self._called:
                    raise PartyLost(peer, CALLED, where)
                if len(frame) > expect[peer] and peer in frames:
                    raise self.too_long(peer, len(frame), expect[peer], where)
            out = {}

    def heard(self) -> list[Call]:
        """The calls that came in place of other frames."""
        return [Call.unpack(frame, peer) for peer, frame in self._called.items()]

    def calls(self, mine: Call, peers: Collection[int], known: dict[int, Call]) -> set[int]:
        """Tell `peers` my call, and put theirs, of this turn or later ones, into `known`. Returns those that were lost."""
        lost: set[int] = set()
        end = time.monotonic() + PATIENCE * self.timeout
        unsent = set(peers)
        for peer, called in self._called.items():
            known[peer] = Call.unpack(called, peer)
        self._called.clear()
        while waiting := {p for p in peers if p not in lost and (p not in known or known[p].turn < mine.turn)} | unsent:
            left = end - time.monotonic()
            if left < 0 and not unsent:
                return lost | waiting  # whatever else they send
            came: dict[int, bytearray] = {}
            wanted = {p: Skip(LONGEST) for p in waiting if p not in known or known[p].turn < mine.turn}
            sending, unsent = {p: [memoryview(mine.pack())] for p in unsent}, set()
            try:
                # A look at a time: a frame that was under way must not hold back the call behind it.
                look = max(0.01, min(left, self.timeout / LOOKS))
                self._inner._round(sending, wanted, came, "counting who is left", look)
            except (PartyLost, PeerStopped) as error:
                if isinstance(error, PeerStopped) or not error.silent:
                    lost.add(_index(error.party, self.names))
            for peer, frame in came.items():
                if _is_call(frame):
                    known[peer] = Call.unpack(bytes(frame), peer)
        return lost


def _is_call(frame: bytes | bytearray) -> bool:
    return len(frame) >= _CALL.size and frame.startswith(MAGIC)


def _index(party: int | str, names: Mapping[int, str]) -> int:
    return party if isinstance(party, int) else next(i for i, name in names.items() if name == party)
