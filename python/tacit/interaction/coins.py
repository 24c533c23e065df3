"""Commitments, coins and echoes among all parties, as generators.

    commit: c_i = H(session, n, i, x_i, s_i) with s_i 32 random bytes; then everyone opens (x_i, s_i).
A coin is H of all x_i, uniform if one party is honest. With more than two parties the receivers echo the hash of what
should have reached all alike; a difference is `CheatingDetected`.
"""

import hashlib
import secrets
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass

from tacit.errors import CheatingDetected
from tacit.interaction.exchange import Exchange
from tacit.steps import protocol_step

LENGTH = 32


class Transcript:
    """A running hash of the messages that all parties must have received alike."""

    def __init__(
        self, session: bytes, me: int, parties: int, random: Callable[[int], bytes] = secrets.token_bytes
    ) -> None:
        """`random`: so many bytes that nobody else knows."""
        self.session, self.me, self.parties, self._random = session, me, parties, random
        self.counter = 0
        self._broadcasts = hashlib.blake2b(person=b"tacit broadcasts", digest_size=LENGTH)

    def note(self, data: bytes | memoryview) -> None:
        """Broadcast data, to be compared at the next echo."""
        if self.parties > 2:
            self._broadcasts.update(data)

    def _hash(self, counter: int, domain: bytes, *parts: bytes) -> bytes:
        h = hashlib.blake2b(person=domain, digest_size=LENGTH)
        for part in (self.session, counter.to_bytes(8, "little"), *parts):
            h.update(len(part).to_bytes(8, "little"))
            h.update(part)
        return h.digest()

    @protocol_step
    def everyone(self, message: bytes) -> Generator[Exchange, dict[int, memoryview], list[bytes]]:
        """Send to all, receive from all the same length: messages by party."""
        others = [i for i in range(self.parties) if i != self.me]
        came = yield Exchange({i: [message] for i in others}, {i: len(message) for i in others})
        return [message if i == self.me else bytes(came[i]) for i in range(self.parties)]

    @protocol_step
    def commit(self, value: bytes) -> Generator[Exchange, dict[int, memoryview], "Commitment"]:
        """Every party's value of this length is fixed. One round."""
        self.counter += 1
        salt = self._random(LENGTH)
        by_party = yield from self.everyone(self._commitment(self.counter, self.me, value, salt))
        for c in by_party:
            self.note(c)
        return Commitment(self.counter, value, salt, by_party)

    @protocol_step
    def open(self, held: Sequence["Commitment"]) -> Generator[Exchange, dict[int, memoryview], list[list[bytes]]]:
        """The values that every party had committed to: by commitment, by party. One round; echoes what came before."""
        echo = self._broadcasts.digest() if self.parties > 2 else b""
        opened = yield from self.everyone(b"".join([part for c in held for part in (c.value, c.salt)]) + echo)
        values = [self._opened(i, message, held, echo) for i, message in enumerate(opened)]
        for message in opened:
            self.note(message)
        return [list(parts) for parts in zip(*values, strict=True)]

    def _opened(self, party: int, message: bytes, held: Sequence["Commitment"], echo: bytes) -> list[bytes]:
        values, at = [], 0
        if not message.endswith(echo):
            raise CheatingDetected(
                f"party {party} received other broadcasts than party {self.me}: some party lied to one of them"
            )
        for c in held:
            end = at + len(c.value)
            value, salt, at = message[at:end], message[end : end + LENGTH], end + LENGTH
            if self._commitment(c.counter, party, value, salt) != c.by_party[party]:
                raise CheatingDetected(f"party {party} opened another value than it had committed to")
            values.append(value)
        return values

    def _commitment(self, counter: int, party: int, value: bytes, salt: bytes) -> bytes:
        return self._hash(counter, b"tacit commit", party.to_bytes(4, "little"), value, salt)

    def committed(self, value: bytes) -> Generator[Exchange, dict[int, memoryview], list[bytes]]:
        """Every party's value of this length, all fixed before any is known. Two rounds; echoes what came before."""
        held = yield from self.commit(value)
        (values,) = yield from self.open([held])
        return values

    def coin(self) -> Generator[Exchange, dict[int, memoryview], bytes]:
        """16 bytes that no party could choose. Two rounds."""
        values = yield from self.committed(self._random(LENGTH))
        return self._hash(self.counter, b"tacit coin", *values)[:16]


@dataclass(frozen=True)
class Commitment:
    """`value` is this party's, which nobody can guess for want of `salt`; `by_party` has what fixes everybody's."""

    counter: int
    value: bytes
    salt: bytes
    by_party: list[bytes]
