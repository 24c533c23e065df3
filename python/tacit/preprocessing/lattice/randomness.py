"""A party's own random numbers: streams of a PRG under a key from the operating system.

Everything that a party draws while it makes material comes from one key, so that a preparation can be replayed.
"""

import secrets

from tacit import _core
from tacit.field import Field

KEY = 32


class Randomness:
    def __init__(self, key: bytes | None = None) -> None:
        self.key = secrets.token_bytes(KEY) if key is None else key
        self._next = 0

    def _stream(self) -> _core.Prg:
        self._next += 1
        return _core.Prg(self.key, self._next)

    def field(self, count: int) -> Field:
        return self._stream().field(count)

    def below(self, count: int, bound: int) -> Field:
        return self._stream().below(count, bound)

    def bytes(self, count: int) -> bytes:
        return self._stream().bytes(count)

    def element(self) -> int:
        return int(self.field(1)[0])
