"""Commitments, coins and echoes among all parties, as generators.

    commit: c_i = H(session, n, i, x_i, s_i) with s_i 32 random bytes; then everyone opens (x_i, s_i).
A coin is H of all x_i, uniform if one party is honest. With more than two parties the receivers echo the hash of what
should have reached all alike; a difference is `CheatingDetected`.
"""

import hashlib
import secrets
from collections.abc import Callable, Generator

from tacit.errors import CheatingDetected
from tacit.sharing.plan import Exchange

LENGTH = 32


class Transcript:
    """What one party has received that the others must have received alike, as a running hash."""

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

    def hash(self, domain: bytes, *parts: bytes) -> bytes:
        h = hashlib.blake2b(person=domain, digest_size=LENGTH)
        for part in (self.session, self.counter.to_bytes(8, "little"), *parts):
            h.update(len(part).to_bytes(8, "little"))
            h.update(part)
        return h.digest()

    def everyone(self, message: bytes) -> Generator[Exchange, dict[int, memoryview], list[bytes]]:
        """Send to all, receive from all the same length: messages by party."""
        others = [i for i in range(self.parties) if i != self.me]
        came = yield Exchange({i: [message] for i in others}, {i: len(message) for i in others})
        return [message if i == self.me else bytes(came[i]) for i in range(self.parties)]

    def committed(self, value: bytes) -> Generator[Exchange, dict[int, memoryview], list[bytes]]:
        """Every party's value of this length, all fixed before any is known. Two rounds; echoes what came before."""
        self.counter += 1
        salt = self._random(LENGTH)
        mine = self.hash(b"tacit commit", self.me.to_bytes(4, "little"), value, salt)
        commitments = yield from self.everyone(mine)
        for c in commitments:
            self.note(c)
        echo = self._broadcasts.digest() if self.parties > 2 else b""
        opened = yield from self.everyone(value + salt + echo)
        values = []
        for i, message in enumerate(opened):
            v, s, e = message[: len(value)], message[len(value) : len(value) + LENGTH], message[len(value) + LENGTH :]
            if e != echo:
                raise CheatingDetected(
                    f"party {i} received other broadcasts than party {self.me}: some party lied to one of them"
                )
            if self.hash(b"tacit commit", i.to_bytes(4, "little"), v, s) != commitments[i]:
                raise CheatingDetected(f"party {i} opened another value than it had committed to")
            values.append(v)
            self.note(message)
        return values

    def coin(self) -> Generator[Exchange, dict[int, memoryview], bytes]:
        """16 bytes that no party could choose. Two rounds."""
        values = yield from self.committed(self._random(LENGTH))
        return self.hash(b"tacit coin", *values)[:16]
