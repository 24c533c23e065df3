"""The bytes on a connection: frame headers, and the few plain bytes that come before TLS. No input or output here.

Frame: 8 bytes, little-endian: length in the low 56 bits, kind in the top 8; then the payload.

Before TLS, the side that connects sends an `Introduction` (who it is, whom it means, a proof, its certificate), and the side
that listens sends an `Answer`. But that the proof keeps strangers out, nothing in them is believed: they tell which certificate
TLS has to prove, and let both sides say what is wrong in plain words where TLS would only send an alert.
"""

from __future__ import annotations

import hmac
import struct
from dataclasses import dataclass, replace
from enum import IntEnum
from typing import Any

from tacit.transport.channel import LARGEST_FRAME, LONGEST_REASON

MAGIC = b"tacit-2\n"
LONGEST_CERTIFICATE = 1 << 14

_HEADER = struct.Struct("<Q")
STAMP, TAG = 16, 32
_INTRODUCTION = struct.Struct(f"<8sIII{STAMP}s{TAG}s")
_ANSWER = struct.Struct("<8sBI32s")
_REQUEST = struct.Struct("<B16sIQQBB")
_REPLY = struct.Struct("<BQQIQ")
REQUEST_SIZE = _REQUEST.size
REPLY_SIZE = _REPLY.size
TOKEN = 16
LONGEST_PURPOSE = 64
INTRODUCTION_SIZE = _INTRODUCTION.size
ANSWER_SIZE = _ANSWER.size
_LENGTH_BITS = 56


class Malformed(ValueError):
    """Bytes from a peer that no tacit party sends."""


class Kind(IntEnum):
    DATA = 0
    STOP = 1
    END = 2
    ALIVE = 3
    """The sender is there, and has got so many frames (`COUNT`). Is itself not counted, nor sent again."""


COUNT = struct.Struct("<Q")
_LIMITS = {Kind.DATA: LARGEST_FRAME, Kind.STOP: LONGEST_REASON, Kind.END: 0, Kind.ALIVE: COUNT.size}
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
    UNPROVED = 4
    """There was no proof, as of a party that does not know the other's certificate yet, or a wrong one."""


@dataclass(frozen=True, slots=True)
class Introduction:
    """First bytes of the side that connects; its certificate (`size` bytes) follows.

    tag = MAC(key of the two parties; me, to, stamp). `stamp`: the sender's clock and a random number, taken once.
    """

    me: int
    to: int
    size: int
    stamp: bytes = bytes(STAMP)
    tag: bytes = bytes(TAG)

    def encode(self) -> bytes:
        return _INTRODUCTION.pack(MAGIC, self.me, self.to, self.size, self.stamp, self.tag)

    def proved(self, key: bytes) -> Introduction:
        return replace(self, tag=self._mac(key))

    def is_proved(self, key: bytes) -> bool:
        return hmac.compare_digest(self.tag, self._mac(key))

    def _mac(self, key: bytes) -> bytes:
        said = _INTRODUCTION.pack(MAGIC, self.me, self.to, 0, self.stamp, bytes(TAG))
        return hmac.digest(key, said, "sha256")

    @classmethod
    def decode(cls, data: bytes | bytearray) -> Introduction:
        magic, me, to, size, stamp, tag = _unpack(_INTRODUCTION, data)
        if magic != MAGIC or not 0 < size <= LONGEST_CERTIFICATE:
            raise Malformed("not an introduction of a tacit party")
        return cls(me, to, size, stamp, tag)


@dataclass(frozen=True, slots=True)
class Answer:
    """The message of the side that listens: its certificate (`size` bytes) follows; `pinned` is the one it expected."""

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


class Ask(IntEnum):
    """The purpose of a connection."""

    OPEN = 0
    """A channel."""
    MEND = 1
    """A channel that is there goes on over it."""
    CALL = 2
    """Nothing: the side that connected first is to do so again."""


class Told(IntEnum):
    TAKEN = 1
    GONE = 2
    """No such channel is there any more."""
    BUSY = 3
    """A channel for the same purpose is there already: this process is in another run."""
    CALLED = 4


@dataclass(frozen=True, slots=True)
class Position:
    """How much of a stream came: whole frames, and bytes of the next one with its header."""

    frames: int = 0
    bytes: int = 0


@dataclass(frozen=True, slots=True)
class Request:
    """First bytes inside TLS, from the side that connects; the purpose follows.

    `token` tells channels between two parties apart, and `epoch` the connections of one: a later one takes the place of
    earlier ones, never the reverse. `listens`: the sender can be connected to.
    """

    ask: Ask
    token: bytes
    epoch: int = 0
    position: Position = Position()
    listens: bool = False
    purpose: str = ""

    def encode(self) -> bytes:
        name = self.purpose.encode()
        at = self.position
        return _REQUEST.pack(self.ask, self.token, self.epoch, at.frames, at.bytes, self.listens, len(name)) + name

    @classmethod
    def decode(cls, data: bytes | bytearray) -> tuple[Request, int]:
        """All but the purpose, and its length."""
        ask, token, epoch, frames, size, listens, length = _unpack(_REQUEST, data)
        if ask not in Ask._value2member_map_ or length > LONGEST_PURPOSE:
            raise Malformed("not a request of a tacit party")
        return cls(Ask(ask), token, epoch, Position(frames, size), bool(listens)), length


@dataclass(frozen=True, slots=True)
class Reply:
    """The answer to a request. `process` and `began` tell what is `BUSY`."""

    told: Told
    position: Position = Position()
    process: int = 0
    began: int = 0

    def encode(self) -> bytes:
        return _REPLY.pack(self.told, self.position.frames, self.position.bytes, self.process, self.began)

    @classmethod
    def decode(cls, data: bytes | bytearray) -> Reply:
        told, frames, size, process, began = _unpack(_REPLY, data)
        if told not in Told._value2member_map_:
            raise Malformed("not a reply of a tacit party")
        return cls(Told(told), Position(frames, size), process, began)


def _unpack(layout: struct.Struct, data: bytes | bytearray) -> tuple[Any, ...]:
    if len(data) != layout.size:
        raise Malformed(f"{len(data)} bytes where {layout.size} are due")
    return layout.unpack(data)
