"""Calls: what each party signs when somebody was lost, and what all others are told of it (docs/security/membership.md).

    call = (party, since, turn, done, finished, holds, reaches, members, heard),    sign(session, call)
A third party can believe a call, so that it serves wherever it is carried by whomever. Two calls of one party for the same turn
are a proof that it cheats.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from tacit.errors import CheatingDetected, Mismatch
from tacit.steps import protocol_step
from tacit.transport.signing import Signatures

MAGIC = b"tacit lost party"
DOMAIN = b"tacit call, version 2\0"
PARTIES = 256
NOTHING = bytes(16)
"""Heard in the turn before the first."""
_CALL = struct.Struct("<BQQQB32s32s16s")
_FLAGS = struct.calcsize("<BQQQ")
_SIGNATURE = struct.Struct("<H")
LONGEST_SIGNATURE = 1024
ENTRY = _CALL.size + _SIGNATURE.size + LONGEST_SIGNATURE
FAR = 1 << 12
"""Turns that a count cannot take."""


@dataclass(frozen=True)
class Call:
    """`party`, a member since step `since`, in turn `turn` of the session's counts.

    `done`: how many steps it has completed; `finished`: it has only waited for the others in the next one.
    `holds`: it has shares; `reaches`: whom it has a line to.
    `members`: who has to go on, by all the calls of the turn before, whose hash is `heard`.
    """

    party: int
    since: int
    turn: int
    done: int
    finished: bool
    holds: bool
    reaches: frozenset[int]
    members: frozenset[int]
    heard: bytes = NOTHING

    def pack(self) -> bytes:
        flags = self.finished | self.holds << 1
        sets = (sum(1 << i for i in found).to_bytes(PARTIES // 8, "little") for found in (self.reaches, self.members))
        return _CALL.pack(self.party, self.since, self.turn, self.done, flags, *sets, self.heard)

    @classmethod
    def unpack(cls, data: bytes) -> Call:
        """Raises Mismatch for what `pack` never makes."""
        if len(data) != _CALL.size or data[_FLAGS] > 3:
            raise Mismatch("a malformed call for who is left; do all parties run one version of tacit?")
        party, since, turn, done, flags, reaches, members, heard = _CALL.unpack(data)
        return cls(party, since, turn, done, bool(flags & 1), bool(flags & 2), _set(reaches), _set(members), heard)


@dataclass(frozen=True)
class Signed:
    call: Call
    body: bytes
    signature: bytes

    def pack(self) -> bytes:
        return self.body + _SIGNATURE.pack(len(self.signature)) + self.signature


class Equivocation(CheatingDetected):
    """A party signed two calls for one turn: `proof`."""

    def __init__(self, first: Signed, second: Signed) -> None:
        self.proof = first, second
        super().__init__(
            f"party {first.call.party} told different parties different things when they counted who is left; it signed both. "
            "Nothing was revealed after it; the session's keys are destroyed. Start again without that party"
        )


class Calls:
    """The calls of one session that this party knows, its own among them."""

    def __init__(self, me: int, session: bytes, signatures: Signatures) -> None:
        self._me, self._signatures = me, signatures
        self._context = DOMAIN + len(session).to_bytes(2, "little") + session
        self.over = 0
        """The last turn of the last count. Calls of turns up to it are no news."""
        self.since: dict[int, int] = {}
        """Since which step a party is a member, if not from the start: what it signed in an earlier life is over."""
        self.direct: dict[int, int] = {}
        """The last turn for which a party sent its call itself."""
        self._turns: dict[int, dict[int, Signed]] = {}

    @protocol_step
    def sign(self, call: Call) -> Signed:
        body = call.pack()
        made = Signed(call, body, self._signatures.sign(self._context + body))
        self._turns.setdefault(call.turn, {})[call.party] = made
        return made

    def turn(self, turn: int) -> Mapping[int, Signed]:
        return self._turns.get(turn, {})

    def known(self, first: int) -> Iterable[Signed]:
        """All calls from this turn on, in order."""
        return [
            signed for turn in sorted(self._turns) if turn >= first for _, signed in sorted(self._turns[turn].items())
        ]

    def newest(self, first: int) -> dict[int, Signed]:
        """The last call of each party, of this turn at least."""
        found = {signed.call.party: signed for signed in self.known(first)}
        return {party: found[party] for party in sorted(found)}

    def settle(self, turn: int) -> None:
        """The count ended in this turn. Its last calls are kept: one that is held back until now is a proof still."""
        self.over = turn
        self._turns = {t: calls for t, calls in self._turns.items() if t >= turn - 1}

    def take(self, frame: bytes | bytearray, sender: int, members: Collection[int]) -> list[Signed]:
        """The calls in a frame that were not known before. `Equivocation` if one contradicts another."""
        found = []
        for body, signature in _entries(frame, sender):
            call = Call.unpack(body)
            known = self.turn(call.turn).get(call.party)
            if known is None and call.turn <= self.over:
                continue
            if known is not None and known.body == body:
                self._came(call, sender)
                continue
            since = self.since.get(call.party, 0)
            if call.since < since or (call.since > since and call.party in members):
                continue
            valid = self._signatures.valid(call.party, self._context + body, signature)
            if valid is None:
                continue
            if not valid:
                raise CheatingDetected(f"party {sender} sent a call that party {call.party} did not sign")
            if call.turn > self.over + FAR:
                raise CheatingDetected(
                    f"party {call.party} calls for turn {call.turn} of a count, far ahead of all others"
                )
            signed = Signed(call, body, signature)
            if known is not None and known.call.since == call.since:
                raise Equivocation(known, signed)
            self._turns.setdefault(call.turn, {})[call.party] = signed
            self._came(call, sender)
            found.append(signed)
        return found

    def _came(self, call: Call, sender: int) -> None:
        if call.party == sender:
            self.direct[sender] = max(self.direct.get(sender, 0), call.turn)


def frame(calls: Iterable[Signed]) -> bytes:
    return MAGIC + b"".join(signed.pack() for signed in calls)


def is_call(data: bytes | bytearray) -> bool:
    return data.startswith(MAGIC)


def digest(calls: Mapping[int, Signed]) -> bytes:
    """The hash of the calls by which one turn is decided."""
    h = hashlib.blake2b(person=b"tacit heard", digest_size=len(NOTHING))
    for _, signed in sorted(calls.items()):
        h.update(signed.body)
    return h.digest()


def _entries(data: bytes | bytearray, sender: int) -> list[tuple[bytes, bytes]]:
    entries, at, data = [], len(MAGIC), bytes(data)
    while at < len(data):
        body = data[at : at + _CALL.size]
        at += _CALL.size + _SIGNATURE.size
        if at > len(data):
            raise _malformed(sender)
        (size,) = _SIGNATURE.unpack(data[at - _SIGNATURE.size : at])
        at += size
        if size > LONGEST_SIGNATURE or at > len(data):
            raise _malformed(sender)
        entries.append((body, data[at - size : at]))
    return entries


def _malformed(sender: int) -> Mismatch:
    return Mismatch(f"party {sender} sent a malformed list of who is left; do all parties run one version of tacit?")


def _set(mask: bytes) -> frozenset[int]:
    value = int.from_bytes(mask, "little")
    return frozenset(i for i in range(PARTIES) if value >> i & 1)
