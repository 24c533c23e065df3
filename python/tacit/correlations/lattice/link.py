"""What one party's batches are made with: its keys, its connection to the others, and rounds of whole arrays.

MAC of a sum:    x = sum x_i;   i -> j: alpha_j x_i + r_ij under j's key;   m_i = alpha_i x_i + sum_j (alpha_i x_j + r_ji - r_ij)
MAC of i's own:  the same, from i to each j: m_j = alpha_j x + r_ij =: K_j, a VOLE with r_ij on i's side
product:         Enc_i(E_i) to all;   j -> i: E_i F_j + r_ji under i's key
"""

import hashlib
from collections.abc import Callable, Generator, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from tacit import field
from tacit._core import Ciphertexts, LatticeLayout, LatticeParty
from tacit.correlations.lattice import alpha
from tacit.correlations.lattice.blame import Record
from tacit.correlations.lattice.randomness import KEY, Randomness
from tacit.correlations.lattice.shared import Shared
from tacit.errors import CheatingDetected
from tacit.field import Field, P
from tacit.sharing.coins import Transcript
from tacit.sharing.plan import Exchange
from tacit.transport.channel import Channel

T = TypeVar("T")
Octets = NDArray[np.uint8]
PIECE = 1 << 19
"""Elements that take part in one round of MACs at most."""
ROOM = 1 << 26
"""Bytes of ciphertexts that one round brings from each party at most, or one product's."""


class Link:
    """One party. Its keys live as long as it does; `burn` forgets them."""

    def __init__(self, me: int, parties: int, channel: Channel, session: bytes, key: bytes | None = None) -> None:
        self.me, self.parties, self.channel = me, parties, channel
        self.others = [i for i in range(parties) if i != me]
        self.random = Randomness(key)
        self.alpha = self.random.element()
        self.record: Record | None = Record()
        """What was said and heard, as long as a cheater may be named by repeating it (`blame`)."""
        name = hashlib.blake2b(session, person=b"tacit preparing", digest_size=32).digest()
        self.transcript = Transcript(name, me, parties, self.random.bytes)
        self.keys = LatticeParty(name, me, parties, self.random.bytes(KEY))
        self._alphas = self._introduced()
        alpha.check(self)

    def _introduced(self) -> dict[int, Ciphertexts]:
        """The others' alpha_i, encrypted."""
        whole = self.keys.elementwise(self.keys.slots)
        key, constant = self.keys.hello(), np.full(self.keys.slots, self.alpha, np.uint64)
        hello = key + self.keys.encrypt([whole], [constant])
        found = {}
        for i, theirs in self.everyone(hello, len(hello), "keys").items():
            self.checked(i, self.keys.meet, i, theirs[: len(key)])
            (found[i],) = self.checked(i, self.keys.accept, i, [whole], theirs[len(key) :])
        return found

    # Rounds.

    def exchange(self, out: Mapping[int, Sequence[Any]], expect: Mapping[int, int], label: str) -> dict[int, Octets]:
        """One round; CheatingDetected for a frame of another length than is due."""
        came = self.channel.exchange(out, expect, label=label)
        for i, frame in came.items():
            if len(frame) != expect[i]:
                raise CheatingDetected(f"party {i} sent {len(frame)} bytes of {label} where {expect[i]} were due")
        if self.record is not None:
            self.record.note(out, came)
        return {i: np.frombuffer(frame, np.uint8) for i, frame in came.items()}

    def everyone(self, message: bytes, expect: int, label: str) -> dict[int, Octets]:
        """The same message to all; it is part of what the parties echo."""
        came = self.exchange({i: [message] for i in self.others}, dict.fromkeys(self.others, expect), label)
        for i in range(self.parties):
            self.transcript.note(message if i == self.me else came[i].data)
        return came

    def drive(self, steps: Generator[Exchange, dict[int, Any], T], label: str) -> T:
        """Run an interactive primitive by itself."""
        try:
            wanted = next(steps)
            while True:
                wanted = steps.send(self.exchange(wanted.out, wanted.expect, label))
        except StopIteration as end:
            result: T = end.value
            return result

    def coin(self) -> bytes:
        return self.drive(self.transcript.coin(), "coin")

    @staticmethod
    def checked(party: int, work: Callable[..., T], *given: Any) -> T:
        """`work` on what that party sent: what does not fit is cheating."""
        try:
            return work(*given)
        except ValueError as error:
            raise CheatingDetected(f"party {party} sent what it should not have: {error}") from None

    # MACs.

    def authenticate(self, arrays: Sequence[Shared], label: str = "MACs") -> None:
        """Set `mac` of all, `keys` of what this party owns. One round for each `PIECE` elements; 18 bytes each way."""
        by_owner: dict[int | None, list[Shared]] = {}
        for s in arrays:
            by_owner.setdefault(s.owner, []).append(s)
        owners = [None, *range(self.parties)]
        whole = [
            (Shared(np.concatenate([s.value for s in by_owner[o]]), owner=o), by_owner[o])
            for o in owners
            if o in by_owner
        ]
        self._authenticate([s for s, _ in whole], label)
        for joined, parts in whole:
            at = 0
            for s in parts:
                here = slice(at, at + s.value.size)
                at += s.value.size
                s.mac, s.keys = joined.mac[here], {i: k[here] for i, k in joined.keys.items()}

    def _authenticate(self, arrays: Sequence[Shared], label: str) -> None:
        for s in arrays:
            s.mac = field.scale(s.value, self.alpha) if s.owner in (None, self.me) else np.zeros_like(s.value)
            if s.owner == self.me:
                s.keys = {i: np.zeros_like(s.value) for i in self.others}
        for pieces in _pieces(arrays):
            out: dict[int, list[bytes]] = {i: [] for i in self.others}
            expect = {
                i: sum(self.keys.scaled_bytes(n) for s, _, n in pieces if s.owner in (None, i)) for i in self.others
            }
            for s, at, n in pieces:
                if s.owner not in (None, self.me):
                    continue
                here = slice(at, at + n)
                for i in self.others:
                    mask = self.random.field(n)
                    out[i].append(self.keys.scale(i, self._alphas[i], s.value[here], mask))
                    s.mac[here] = field.sub(s.mac[here], mask)
                    if s.owner is not None:
                        s.keys[i][here] = mask
            came = self.exchange({i: m for i, m in out.items() if m}, {i: n for i, n in expect.items() if n}, label)
            offset = dict.fromkeys(self.others, 0)
            for s, at, n in pieces:
                size, here = self.keys.scaled_bytes(n), slice(at, at + n)
                for i in self.others if s.owner is None else [s.owner] if s.owner != self.me else []:
                    data = came[i][offset[i] : offset[i] + size]
                    offset[i] += size
                    opened = self.checked(i, self.keys.open_scaled, n, data)
                    s.mac[here] = field.add(s.mac[here], opened)

    # Products.

    def multiply(self, units: Sequence["Unit"]) -> None:
        """Add what the parties make together to the answers of all units, which hold the local products. Two rounds a group."""
        for group in self._groups(units):
            layouts = [u.layout for u in group]
            message = self.keys.encrypt(layouts, [u.encrypted for u in group])
            came = self.everyone(message, len(message), "ciphertexts")
            out: dict[int, list[bytes]] = {}
            for i in self.others:
                out[i] = []
                accepted = self.checked(i, self.keys.accept, i, layouts, came[i])
                for u, ciphertexts in zip(group, accepted, strict=True):
                    for a in u.answers:
                        mask = self.random.field(a.out.size)
                        out[i].append(self.keys.respond(i, a.layout, ciphertexts, a.operand, mask))
                        a.out[:] = field.sub(a.out, mask)
            del came, message, accepted, ciphertexts
            size = sum(self.keys.response_bytes(a.layout) for u in group for a in u.answers)
            answers = self.exchange(out, dict.fromkeys(self.others, size), "products")
            del out
            for i in self.others:
                offset = 0
                for u in group:
                    for a in u.answers:
                        data = answers[i][offset : offset + self.keys.response_bytes(a.layout)]
                        offset += len(data)
                        opened = self.checked(i, self.keys.open, a.layout, a.out.size, data)
                        a.out[:] = field.add(a.out, opened)

    def _groups(self, units: Sequence["Unit"]) -> list[list["Unit"]]:
        groups: list[list[Unit]] = []
        held = ROOM
        for u in units:
            size = self.keys.encrypted_bytes([u.layout])
            if held + size > ROOM:
                groups.append([])
                held = 0
            groups[-1].append(u)
            held += size
        return groups

    # Openings.

    def open(self, values: Sequence[Field], label: str) -> list[Field]:
        """The sums over all parties; unchecked."""
        flat = np.concatenate([v.reshape(-1) for v in values]) if values else np.zeros(0, np.uint64)
        if not flat.size:
            return list(values)
        came = self.exchange({i: [flat] for i in self.others}, dict.fromkeys(self.others, flat.nbytes), label)
        for i in self.others:
            theirs = np.frombuffer(came[i], np.uint64)
            if int(theirs.max(initial=0)) >= P:
                raise CheatingDetected(f"party {i} sent a number outside the field")
            flat = field.add(flat, theirs)
        ends = np.cumsum([v.size for v in values])[:-1]
        return [part.reshape(v.shape) for part, v in zip(np.split(flat, ends), values, strict=True)]


class Answer:
    """One product with what a unit encrypts: `out` is this party's share of it, flat."""

    __slots__ = ("layout", "operand", "out")

    def __init__(self, layout: LatticeLayout, operand: Field, out: Field) -> None:
        self.layout, self.operand, self.out = layout, operand, out


class Unit:
    """An array that every party encrypts its share of, and the products that it takes part in."""

    __slots__ = ("answers", "encrypted", "layout")

    def __init__(self, layout: LatticeLayout, encrypted: Field, answers: Sequence[Answer]) -> None:
        self.layout, self.encrypted, self.answers = layout, encrypted, answers


def _pieces(arrays: Sequence[Shared]) -> list[list[tuple[Shared, int, int]]]:
    """(array, start, count), grouped by `PIECE` elements."""
    groups: list[list[tuple[Shared, int, int]]] = []
    room = 0
    for s in arrays:
        at = 0
        while at < s.value.size:
            if room == 0:
                groups.append([])
                room = PIECE
            n = min(room, s.value.size - at)
            groups[-1].append((s, at, n))
            at, room = at + n, room - n
    return groups
