"""The parties of a view agree on who of them goes on, in turns of signed calls (docs/security/membership.md).

In each turn every party tells all whom it has a line to, and relays what it hears of others. A turn is over when all have called
that are within reach, directly or through others. Then
    members = the largest set of parties that all have lines to each other, by the calls of this turn
is what each party calls for in the next one. The count ends when all of some members called for them in one turn, having heard
the same calls in the turn before and still having lines to each other, and enough others agreed (`cliques.suffices`).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from tacit.errors import CheatingDetected, PartyLost, PeerStopped, TooFewLeft
from tacit.transport.calls import NOTHING, Call, digest, frame, is_call
from tacit.transport.channel import SLOWEST
from tacit.transport.cliques import largest, suffices_for_all
from tacit.transport.membership import Viewed

PATIENCE = 2.5
"""Times the time-out that the others may take to notice a loss themselves. Who was silent for one may have waited for another."""
HOLD = 16
"""Times its patience that one count waits for parties that only say that they wait as well."""
LOOKS = 8
"""In one time-out, while calls are waited for."""
LOOK = 0.2
"""Seconds at most: what comes from one is relayed to others that soon."""
OWN = 64
"""Bytes of a frame of calls besides the calls, at most."""
CREDIT = 1 << 26
"""Bytes that may be under way from a peer before its call, and that it is waited for at `SLOWEST` bytes a second."""


@dataclass(frozen=True)
class Settled:
    """The calls of all members in the last turn, and those that this party lost its line to."""

    members: frozenset[int]
    calls: Mapping[int, Call]


class Count:
    """One count, at one party."""

    def __init__(
        self,
        channel: Viewed,
        lost: Collection[int],
        done: int,
        finished: bool,
        holds: bool,
        bases: list[frozenset[int]],
        threshold: int,
    ) -> None:
        """`lost`: whom this party has no line to any more. See `Call` for the others.

        `bases`: the sets of parties of which enough have to agree. A set without this party for which it calls becomes one.
        """
        self._channel, self._record = channel, channel.record
        self._me = channel.me
        self._everyone = frozenset({self._me, *channel.peers})
        self._lines = set(channel.peers) - set(lost)
        self._done, self._finished, self._holds = done, finished, holds
        self._bases, self._threshold = bases, threshold
        self._patience = PATIENCE * channel.timeout
        self._begin = self._start = self._channel.now()
        self._told: dict[int, set[tuple[int, int]]] = {p: set() for p in self._lines}
        self._marks: dict[int, int] = {}
        self._moved: dict[int, tuple[float, int]] = {}
        """When something last came from a peer, or was taken by it, and how many bytes did in this turn."""
        self._spoke: dict[int, float] = {}

    def run(self) -> Settled:
        first = turn = self._record.over + 1
        members, heard, short = frozenset({self._me, *self._lines}), NOTHING, 0
        for _ in range(4 * len(self._everyone) + 8):  # each turn, somebody is lost, or all come to the same
            self._call(turn, members, heard)
            if (settled := self._gather(turn)) is not None:
                self._record.settle(turn)
                return settled
            short = short + 1 if self._agreed(turn, members) is not None else 0
            if short > 1:
                raise TooFewLeft(tuple(sorted(members)), self._needed(members))
            basis = {i: s for i, s in self._record.newest(turn).items() if i in self._everyone}
            heard = digest(basis)
            members = largest(
                {i: s.call.reaches for i, s in basis.items()},
                {i: 1 + s.call.holds * len(self._everyone) for i, s in basis.items()},
            )
            turn = max(turn + 1, *(s.call.turn for s in basis.values()))
        raise CheatingDetected(
            f"the parties do not agree on who is left after {turn - first} turns: some party never says the same twice"
        )

    def _call(self, turn: int, members: frozenset[int], heard: bytes) -> None:
        since, reaches = self._record.since.get(self._me, 0), frozenset(self._lines)
        mine = Call(self._me, since, turn, self._done, self._finished, self._holds, reaches, members, heard)
        if self._me not in members:
            self._bases.append(members)
        self._mine = self._record.sign(mine)

    # One turn.

    def _gather(self, turn: int) -> Settled | None:
        """Tell and hear the calls of this turn, until all within reach have called or nothing more is waited for."""
        self._start = self._repeated = self._channel.now()
        self._channel.early.clear()
        self._marks = {p: self._channel.progress(p) for p in self._lines}
        self._moved, self._spoke = {}, {}
        cut: set[int] = set()
        while True:
            out = self._owed(turn)
            waiting = {p for p in self._lines if self._record.direct.get(p, 0) < turn}
            # A line that was cut since makes this party's call false, for which others may wait: the next turn has a true one.
            through = set() if cut & self._mine.call.reaches else self._relays(turn, cut)
            if not (out or waiting or through):
                return None
            cut |= self._exchange(out, (waiting | through) - self._channel.early.keys(), turn)
            if (settled := self._settled(turn)) is not None:
                for peer, data in self._owed(turn).items():
                    self._channel.tell([peer], data)
                return settled
            self._lines -= {p for p in waiting & self._lines if self._channel.now() > self._deadline(p)}

    def _owed(self, turn: int) -> dict[int, bytes]:
        """To each peer: my call first, and what it has not heard; not at once what it hears from the caller itself."""
        out = {}
        again = self._channel.now() > self._repeated + self._patience / 4
        if again:
            self._repeated = self._channel.now()
        for peer in self._lines:
            told = self._told[peer]
            fresh = (self._me, turn) not in told
            owed = [
                s
                for s in self._record.known(turn - 1)
                if (s.call.party, s.call.turn) not in told
                and s.call.party not in (self._me, peer)
                and (fresh or peer not in s.call.reaches)
            ]
            if fresh or owed or again:
                told.update(((self._me, turn), *((s.call.party, s.call.turn) for s in owed)))
                out[peer] = frame([*([self._mine] if fresh or again else []), *owed])
        return out

    def _relays(self, turn: int, cut: Collection[int]) -> set[int]:
        """Who may bring the call of a party that this one has no line to."""
        if self._channel.now() > self._start + 2 * self._patience:
            return set()
        newest = self._record.newest(turn)
        distant = self._everyone - self._lines - newest.keys() - {self._me, *cut}
        return {p for p in self._lines - self._channel.early.keys() if p in newest and newest[p].call.reaches & distant}

    def _exchange(self, out: Mapping[int, bytes], wanted: Collection[int], turn: int) -> set[int]:
        """A look at what came; the peers whose lines are cut."""
        came: dict[int, bytearray] = {}
        cut = set()
        look = max(0.01, min(LOOK, self._channel.timeout / LOOKS))
        try:
            for peer, said in out.items():
                self._marks[peer] += len(said) + OWN  # what this party says is no sign of life of the other
            self._channel.look(out, wanted, came, look)
        except (PartyLost, PeerStopped) as error:
            if isinstance(error, PeerStopped) or not error.silent:
                cut.add(_index(error.party, self._channel.names))
        now = self._channel.now()
        for peer, data in came.items():
            if is_call(data):
                for signed in self._channel.take(peer, data):
                    if peer in self._told:
                        self._told[peer].add((signed.call.party, signed.call.turn))
                self._spoke[peer] = now
            elif self._record.direct.get(peer, 0) >= turn:
                self._channel.early[peer] = data
        for peer in self._lines:
            if (moved := self._channel.progress(peer)) > self._marks[peer]:
                self._moved[peer] = now, self._moved.get(peer, (now, 0))[1] + moved - self._marks[peer]
                self._marks[peer] = moved
        self._lines -= cut
        return cut

    def _deadline(self, peer: int) -> float:
        """How long its call is waited for: longer while a frame is under way, or while it says that it waits itself."""
        end = self._start + self._patience
        if peer in self._moved:
            last, count = self._moved[peer]
            end = max(end, min(last + self._patience, end + min(count, CREDIT) / SLOWEST))
        if peer in self._spoke:
            end = max(end, min(self._spoke[peer], self._begin + HOLD * self._patience) + self._patience)
        return end

    # The end.

    def _agreed(self, turn: int, members: frozenset[int]) -> set[int] | None:
        """Who called for these members in this turn, if all of them did and have lines to each other."""
        calls = {i: s.call for i, s in self._record.turn(turn).items() if s.call.members == members}
        if not members or not members <= calls.keys():
            return None
        heard = calls[min(members)].heard
        if heard == NOTHING or not all(calls[i].heard == heard and members - {i} <= calls[i].reaches for i in members):
            return None
        return {i for i, call in calls.items() if call.heard == heard}

    def _settled(self, turn: int) -> Settled | None:
        for called in {s.call.turn: 0 for s in self._record.known(self._record.over + 1)}:
            for members in {s.call.members for s in self._record.turn(called).values()}:
                mine = self._me in members
                if mine and (called != turn or self._mine.call.members != members):
                    continue
                support = self._agreed(called, members)
                if support is None or not suffices_for_all(support, self._bases, self._threshold):
                    continue
                if not mine:
                    raise PeerStopped(min(members), self._parted(members))
                calls = self._record.turn(turn)
                return Settled(members, {i: calls[i].call for i in members if i != self._me})
        return None

    def _parted(self, members: frozenset[int]) -> str:
        broken = sorted(members - self._lines)
        why = (
            f"its lines to {', '.join(map(str, broken))} are broken"
            if self._lines & members
            else "it was silent for too long"
        )
        return f"parties {', '.join(map(str, sorted(members)))} go on without this party: {why}"

    def _needed(self, members: frozenset[int]) -> str:
        base = min(self._bases, key=len)
        t = self._threshold
        return (
            f"more than {(len(base) + t) // 2} of the last {len(base)} have to agree, lest {t} "
            f"{'cheater lets' if t == 1 else 'cheaters let'} another part go on too"
        )


def _index(party: int | str, names: Mapping[int, str]) -> int:
    return party if isinstance(party, int) else next(i for i, name in names.items() if name == party)
