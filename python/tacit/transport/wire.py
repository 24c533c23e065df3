"""The bytes on a connection: frame headers, and the few plain bytes that come before TLS. No input or output here.

Frame: 8 bytes, little-endian: length in the low 56 bits, kind in the top 8; then the payload.

Before TLS, the side that connects sends an `Introduction` (who it is, whom it means, its certificate), and the side
that listens sends an `Answer`. Nothing in them is believed: they tell which certificate TLS has to prove, and let both
sides say what is wrong in plain words where TLS would only send an alert.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum

from tacit.transport.channel import LARGEST_FRAME, LONGEST_REASON

MAGIC = b"tacit-1\n"
LONGEST_CERTIFICATE = 1 << 14

_HEADER = struct.Struct("<Q")
_INTRODUCTION = struct.Struct("<8sIII")
_ANSWER = struct.Struct("<8sBI32s")
INTRODUCTION_SIZE = _INTRODUCTION.size
ANSWER_SIZE = _ANSWER.size
_LENGTH_BITS = 56


class Malformed(ValueError):
    """Bytes from a peer that no tacit party sends."""


class Kind(IntEnum):
    DATA = 0
    STOP = 1
    END = 2


_LIMITS = {Kind.DATA: LARGEST_FRAME, Kind.STOP: LONGEST_REASON, Kind.END: 0}
_KINDS = {int(kind): kind for kind in Kind}


def header(kind: Kind, size: int) -> bytes:
    if size > _LIMITS[kind]:
        raise ValueError(f"a frame of {size} bytes is too long; the largest is {_LIMITS[kind]}")
    return _HEADER.pack(kind << _LENGTH_BITS | size)


def parse_header(data: bytes | bytearray | memoryview) -> tuple[Kind, int]:
    (word,) = _HEADER.unpack(data)
    kind, size = _KINDS.get(word >> _LENGTH_BITS), word & (1 << _LENGTH_BITS) - 1
    if kind is None or size > _LIMITS[kind]:
        raise Malformed("a frame header that no tacit party sends")
    return kind, size


class Verdict(IntEnum):
    WELCOME = 0
    UNKNOWN_INDEX = 1
    NOT_ME = 2
    WRONG_CERTIFICATE = 3


@dataclass(frozen=True, slots=True)
class Introduction:
    """First bytes of the side that connects; its certificate (`size` bytes) follows."""

    me: int
    to: int
    size: int

    def encode(self) -> bytes:
        return _INTRODUCTION.pack(MAGIC, self.me, self.to, self.size)

    @classmethod
    def decode(cls, data: bytes | bytearray) -> Introduction:
        magic, me, to, size = _unpack(_INTRODUCTION, data)
        if magic != MAGIC or not 0 < size <= LONGEST_CERTIFICATE:
            raise Malformed("not an introduction of a tacit party")
        return cls(me, to, size)


@dataclass(frozen=True, slots=True)
class Answer:
    """What the side that listens says: its certificate (`size` bytes) follows; `pinned` is what it expected."""

    verdict: Verdict
    size: int
    pinned: bytes = bytes(32)

    def encode(self) -> bytes:
        return _ANSWER.pack(MAGIC, self.verdict, self.size, self.pinned)

    @classmethod
    def decode(cls, data: bytes | bytearray) -> Answer:
        magic, verdict, size, pinned = _unpack(_ANSWER, data)
        if magic != MAGIC or size > LONGEST_CERTIFICATE or verdict not in Verdict._value2member_map_:
            raise Malformed("not an answer of a tacit party")
        return cls(Verdict(verdict), size, pinned)


def _unpack(layout: struct.Struct, data: bytes | bytearray) -> tuple:
    if len(data) != layout.size:
        raise Malformed(f"{len(data)} bytes where {layout.size} are due")
    return layout.unpack(data)
