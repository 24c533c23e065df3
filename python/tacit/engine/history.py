"""The part of a session's past that all parties know: enough for a party that comes back to run its script again up to now.

One entry for each step: what was asked for, what all parties learned from it (public shapes, what was revealed to everyone), and
who the script saw as lost or back after it. Secrets are not in it: their shares come afterwards (`shamir.resharing`).
The entries are the same at all parties, byte by byte.
"""

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgpack
import numpy as np

from tacit.errors import Mismatch

WHATS = ("start", "shape", "force", "check", "reveal", "revoke", "lost", "asked", "view")


@dataclass(frozen=True)
class Entry:
    """`what` a step was for, or: "lost" and "asked", a `PartyLost` that the script got (and may allow); "view", who is back.

    `result`: None, a shape, a list of arrays, or the party that was lost. `members` and `lost`: what the script sees after it.
    """

    what: str
    result: Any
    members: tuple[int, ...]
    lost: tuple[int, ...] = ()

    def pack(self) -> bytes:
        result = self.result
        if self.what == "reveal":
            result = [[list(a.shape), np.ascontiguousarray(a, "<u8").tobytes()] for a in result]
        packed: bytes = msgpack.packb([self.what, result, self.members, self.lost])
        return packed

    @classmethod
    def unpack(cls, data: bytes) -> "Entry":
        try:
            what, result, members, lost = msgpack.unpackb(data)
            if what not in WHATS:
                raise ValueError("an unknown step")
            if what == "reveal":
                result = [np.frombuffer(raw, "<u8").astype(np.uint64).reshape(_numbers(shape)) for shape, raw in result]
            elif isinstance(result, list):
                result = _numbers(result)
            elif not (result is None or type(result) is int):
                raise ValueError("a result that is none")
            return cls(what, result, _numbers(members), _numbers(lost))
        except (ValueError, TypeError, msgpack.UnpackException) as error:
            raise Mismatch(f"the parties sent a past that is none of this version of tacit: {error}") from None


@dataclass(frozen=True)
class Admission:
    """Where a party joins the others: the steps that are done, requests and graphs so far, turns of counts, who is there then."""

    done: int
    numbered: int
    graphs: int
    turn: int
    members: tuple[int, ...]
    coming: tuple[int, ...]
    since: tuple[tuple[int, int], ...]
    """Who came back earlier, and after which step."""

    def pack(self) -> bytes:
        fields = [self.done, self.numbered, self.graphs, self.turn, self.members, self.coming, self.since]
        packed: bytes = msgpack.packb(fields)
        return packed

    @classmethod
    def unpack(cls, data: bytes) -> "Admission":
        try:
            done, numbered, graphs, turn, members, coming, since = msgpack.unpackb(data)
            done, numbered, graphs, turn = _numbers([done, numbered, graphs, turn])
            earlier = tuple((party, step) for party, step in map(_numbers, since))
            return cls(done, numbered, graphs, turn, _numbers(members), _numbers(coming), earlier)
        except (ValueError, TypeError, msgpack.UnpackException) as error:
            raise Mismatch(f"the parties sent a malformed admission: {error}") from None


def _numbers(found: Any) -> tuple[int, ...]:
    if not (isinstance(found, list) and all(type(n) is int and 0 <= n < 1 << 62 for n in found)):
        raise ValueError("no list of numbers")
    return tuple(found)


LARGEST = 1 << 28


class History:
    """The entries so far. The script's thread appends, others read and wait.

    Beyond `LARGEST` bytes all of them are dropped, `full` is true, and nobody can come back any more.
    """

    def __init__(self) -> None:
        self.changed = threading.Condition()
        self.full = False
        self._entries: list[bytes] = []
        self._size = 0

    def append(self, entry: Entry) -> None:
        with self.changed:
            if not self.full:
                self._entries.append(entry.pack())
                self._size += len(self._entries[-1])
                self.full = self._size > LARGEST
            if self.full:
                self._entries = []
            self.changed.notify_all()

    def since(self, first: int) -> Sequence[bytes]:
        return self._entries[first:]

    def __len__(self) -> int:
        return len(self._entries)
