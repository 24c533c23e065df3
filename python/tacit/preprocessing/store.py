"""Material that was made ahead: written list by list to a party's store (`vault`), and taken from it in the same order.

    list of requests -> one piece "t": H(number of the first request, packed requests)
                        for each request, pieces "m": its shares one after the other (value, MAC; or one word), then what is
                        clear, at its owner: 8 bytes an element
A list is handed out only if its hash is the planned one, so that no material serves another purpose than it was made for.

A store serves one session. A session that failed may have shown its MAC key to others; one that ended early leaves lists that no
script asks for from its start: so there is nothing to resume, and the whole store is made unreadable before its first list is
handed out (`Reader.claim`), or a value is opened under its key.
"""

import hashlib
from collections.abc import Sequence
from pathlib import Path

import msgpack
import numpy as np

from tacit import __version__
from tacit.correlations.requests import InputMask, Material, Request, pack
from tacit.correlations.source import Source, Ticket
from tacit.errors import CheatingDetected, Mismatch
from tacit.field import size
from tacit.preprocessing.vault import Reader, StoreError, Writer

TICKET, BODY = b"t", b"m"
DIGEST = 32


def fingerprint(requests: Sequence[Request]) -> bytes:
    """The hash by which a list is known."""
    packed = msgpack.packb([requests[0].number, pack(requests)])
    return hashlib.blake2b(packed, digest_size=DIGEST, person=b"tacit ticket").digest()


def stored_elements(request: Request, me: int) -> int:
    """Numbers of 8 bytes that the store of party `me` holds for it."""
    clear = isinstance(request, InputMask) and request.owner == me
    return request.bytes // 8 + clear * size(request.shape)


def put(writer: Writer, requests: Sequence[Request], material: Sequence[Material]) -> None:
    """Write what a source gave for a list."""
    writer.write(TICKET, fingerprint(requests))
    for given in material:
        parts = [component.reshape(-1) for share in given.shares for component in share]
        writer.write(BODY, np.concatenate(parts if given.clear is None else [*parts, given.clear.reshape(-1)]))


def seal(writer: Writer, source: Source, id: bytes, me: int, parties: int, lists: int) -> None:
    """Finish a store that was filled from `source`."""
    writer.seal(
        version=__version__,
        id=id,
        me=me,
        parties=parties,
        key=source.key,
        binary_key=source.binary_key,
        binary=source.binary,
        summands=source.summands,
        late=source.late,
        lists=lists,
    )


class StoreSource(Source):
    """A party's side: needs nobody. `StoreError` if there is no store for this party that was not used yet."""

    name = "store"

    def __init__(self, me: int, parties: int, path: Path, key: bytes) -> None:
        reader = Reader(path, key)
        head = reader.head
        if (head.version, head.me, head.parties) != (__version__, me, parties):
            reader.close()
            raise StoreError(
                f"the store {path} is for party {head.me} of {head.parties} under tacit {head.version}, and this is party {me} "
                f"of {parties} under {__version__}: run it there, or prepare again"
            )
        self._reader: Reader | None = reader
        self.me, self.parties, self.id = me, parties, head.id
        self.key, self.binary_key = head.key, head.binary_key
        self.binary, self.summands, self.late = head.binary, head.summands, head.late
        self._lists, self._taken = head.lists, 0

    def request(self, requests: Sequence[Request]) -> Ticket:
        self._alive()
        return Ticket(requests)

    def take(self, ticket: Ticket) -> list[Material]:
        """Tickets are taken in the order in which they were planned; `Mismatch` for another one."""
        reader = self._alive()
        if self._taken == self._lists:
            raise Mismatch(f"the script asks for more than the {self._lists} lists of material that {CHANGED}")
        self._check(reader, ticket.requests)
        self.opening()
        self._taken += 1
        return [self._material(reader, r) for r in ticket.requests]

    def opening(self) -> None:
        self._alive().claim()

    def burn(self) -> None:
        """As for every source, on disk too: what was claimed is unreadable already, and is removed.

        A store of which nothing was handed out, and under whose key nothing was opened, is left as it is.
        """
        super().burn()
        self.close()

    def close(self) -> None:
        """Remove what was claimed, with all that is left in it."""
        if self._reader is not None:
            self._reader.close()
            self._reader = None

    def _alive(self) -> Reader:
        if self._reader is None:
            raise CheatingDetected("the keys and the store of this session were given up: start a new one")
        return self._reader

    def _check(self, reader: Reader, requests: Sequence[Request]) -> None:
        planned = bytearray(DIGEST)
        reader.read(TICKET, planned)
        if planned != fingerprint(requests):
            raise Mismatch(
                f"list {self._taken + 1} of {self._lists} that the script asks for is not the one that {CHANGED}"
            )

    def _material(self, reader: Reader, request: Request) -> Material:
        n = size(request.shape)
        flat = np.empty(stored_elements(request, self.me), np.uint64)
        reader.read(BODY, flat)
        # Copies: what is kept of a request must not keep the rest of it in memory.
        parts = iter([part.reshape(request.shape).copy() for part in np.split(flat, len(flat) // n)] if n else [])
        nothing = np.empty(request.shape, np.uint64)
        shares = tuple(
            tuple(next(parts, nothing) for _ in range(1 if request.binary(place) else 2))
            for place in range(request.count)
        )
        owned = isinstance(request, InputMask) and request.owner == self.me
        return Material(shares, next(parts, nothing) if owned else None)


CHANGED = (
    "was prepared: the script, its arguments, its data's shapes or --memory changed since `tacit prepare`. Run it as it was "
    "prepared, or prepare again"
)
