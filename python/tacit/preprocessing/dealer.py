"""A dealer makes all correlated randomness: a process that sees no data, is honest, and colludes with nobody.

It knows alpha and every mask. Whoever gives it the parties' traffic gives it every secret; it never gets that traffic, since
the parties talk TLS among themselves with keys that it does not have. A dealer that colludes with a party breaks everything.

Each party i has a seed s_i. For a random array A of request k:
    parties i < n - 1:  A_i, m_i = PRG(s_i, k)          party n - 1:  the corrections A - sum A_i, alpha A - sum m_i
so that only one party is sent anything: 16 bytes an element, 8 for a plain mask (whose A is the sum of what all expand).
The dealer keeps nothing that it cannot expand again; totals of masks are cached.
"""

import functools
import hashlib
import operator
import secrets
import struct
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from itertools import repeat
from typing import Any

import msgpack
import numpy as np

from tacit import _core, field
from tacit.correlations.masks import Expression, Mask
from tacit.correlations.requests import (
    LENGTH,
    BitsRequest,
    ComparisonRequest,
    DaBitsRequest,
    EdaBitsRequest,
    InputMask,
    MaskRequest,
    Material,
    ProductRequest,
    Request,
    TruncationRequest,
    pack,
    unpack,
)
from tacit.correlations.source import Source, Ticket
from tacit.errors import CheatingDetected, Mismatch
from tacit.field import Field, P, size
from tacit.graph.wires import Share
from tacit.protocols.gadgets import truncation
from tacit.steps import protocol_step
from tacit.transport.channel import Channel

WELCOME = struct.Struct("<16s16sQQ")
"""Dealer to party: seed, seed of its input masks, shares of the two MAC keys."""
LARGEST_LIST = 1 << 28
CHUNK = 1 << 22
"""Corrections are sent in frames of at least this many bytes, or one request."""
CACHE = 1 << 28
"""Bytes of masks that the dealer remembers; others are drawn again when a product needs them."""
ENTRY = 512
"""Bytes that a remembered mask takes besides its numbers, about."""
IDLE = 86400.0
"""Seconds that a dealer waits for the next list: the parties watch each other meanwhile, and say when they stop."""
END = b"end"


def _digest(packed: bytes, first: int) -> bytes:
    return hashlib.blake2b(first.to_bytes(8, "little") + packed, digest_size=32, person=b"tacit requests").digest()


class DealerSource(Source):
    """A party's side: expands its seed, and asks the dealer for corrections. `channel` leads to the dealer alone."""

    name = "dealer"
    binary = True

    def __init__(self, me: int, parties: int, channel: Channel) -> None:
        self.me, self.parties = me, parties
        self._channel = channel
        self._dealer = parties
        welcome = channel.exchange({}, {self._dealer: WELCOME.size}, label="keys")[self._dealer]
        self._seed: bytes | None
        self._owner_seed: bytes | None
        self._seed, self._owner_seed, self.key, self.binary_key = WELCOME.unpack(welcome)

    @protocol_step
    def request(self, requests: Sequence[Request]) -> Ticket:
        self._seeds()
        packed = msgpack.packb(pack(requests))
        first = requests[0].number
        body = packed if self.me == 0 else b""
        frame = [first.to_bytes(8, "little"), _digest(packed, first), body]
        self._channel.exchange({self._dealer: frame}, {}, label="requests")
        return Ticket(requests)

    def take(self, ticket: Ticket) -> list[Material]:
        last = self.me == self.parties - 1
        corrections = self._corrections(ticket.requests) if last else None
        return [self._material(r, next(corrections) if corrections is not None else None) for r in ticket.requests]

    def _corrections(self, requests: Sequence[Request]) -> Any:
        """Arrays of corrections for each request, as its frames arrive."""
        for group in _chunks(requests):
            total = sum(correction_bytes(r) for r in group)
            data = self._channel.exchange({}, {self._dealer: total}, label="corrections")[self._dealer]
            if len(data) != total:
                raise Mismatch(f"the dealer sent {len(data)} bytes of corrections where {total} were due")
            flat = np.frombuffer(data, np.uint64)
            offset = 0
            for r in group:
                count = correction_bytes(r) // 8
                yield flat[offset : offset + count]
                offset += count

    def _material(self, request: Request, correction: Field | None) -> Material:
        n = size(request.shape)
        seed, owner_seed = self._seeds()
        prg = _core.Prg(seed, request.number)
        given: Iterator[Field] = repeat(np.zeros(0, np.uint64))
        if correction is not None and n:
            given = iter(correction.reshape(-1, n))
        shares: list[Share] = []
        for place in range(request.count):
            if request.binary(place):
                share: Share = (_words(prg, n) if correction is None else next(given),)
            elif correction is None:
                share = (prg.field(n), prg.field(n))
            elif isinstance(request, MaskRequest):
                share = (prg.field(n), next(given))
            else:
                share = (next(given), next(given))
            shares.append(tuple(part.reshape(request.shape) for part in share))
        clear = None
        if isinstance(request, InputMask) and request.owner == self.me:
            clear = _core.Prg(owner_seed, request.number).field(n).reshape(request.shape)
        return Material(tuple(shares), clear)

    def burn(self) -> None:
        super().burn()
        self._seed = self._owner_seed = None

    def _seeds(self) -> tuple[bytes, bytes]:
        if self._seed is None or self._owner_seed is None:
            raise CheatingDetected("the seeds of this session were destroyed: start a new one")
        return self._seed, self._owner_seed

    def close(self) -> None:
        """Tell the dealer that this party is done."""
        self._channel.exchange({self._dealer: [END]}, {}, label="requests")


def correction_bytes(request: Request) -> int:
    """Bytes that the dealer sends for a request: a word for each shared bit, a mask's MAC, or a value and its MAC."""
    short = isinstance(request, MaskRequest)
    return size(request.shape) * sum(8 if short or request.binary(place) else 16 for place in range(request.count))


def _words(prg: _core.Prg, n: int) -> Field:
    return np.frombuffer(prg.bytes(8 * n), np.uint64)


def _chunks(requests: Sequence[Request]) -> list[list[Request]]:
    groups: list[list[Request]] = []
    held = CHUNK
    for r in requests:
        if held >= CHUNK:
            groups.append([])
            held = 0
        groups[-1].append(r)
        held += correction_bytes(r)
    return groups


class Dealer:
    """The dealer's side: `serve` answers the lists of all parties until they end."""

    def __init__(self, channel: Channel, parties: int, cache: int | None = None) -> None:
        self.parties = parties
        self._channel = channel
        self._seeds = [secrets.token_bytes(16) for _ in range(parties)]
        self._owner_seeds = [secrets.token_bytes(16) for _ in range(parties)]
        self._own = secrets.token_bytes(16)
        self._keys = [secrets.randbelow(P) for _ in range(parties)]
        self._alpha = sum(self._keys) % P
        self._binary_keys = [secrets.randbits(64) for _ in range(parties)]
        self._binary_alpha = functools.reduce(operator.xor, self._binary_keys)
        self._binary_keys[0] ^= ~self._binary_alpha & 1  # the lowest bit of the whole is 1
        self._binary_alpha |= 1
        self._totals: OrderedDict[tuple[int, int], Field] = OrderedDict()
        self._cached, self._cache = 0, CACHE if cache is None else cache

    def serve(self) -> None:
        """Until every party has said that it is done. `Mismatch` if their lists differ, `PartyLost` if one goes away."""
        everyone = range(self.parties)
        welcomes = zip(self._seeds, self._owner_seeds, self._keys, self._binary_keys, strict=True)
        self._channel.exchange(
            {i: [WELCOME.pack(*w)] for i, w in zip(everyone, welcomes, strict=True)}, {}, label="keys"
        )
        following = 0
        while True:
            limits = {i: LARGEST_LIST if i == 0 else 40 for i in everyone}
            frames = self._channel.exchange({}, limits, label="requests", timeout=IDLE)
            if all(f == END for f in frames.values()):
                return
            requests = self._agreed(frames, following)
            following += len(requests)
            self._deal(requests)

    def _agreed(self, frames: dict[int, bytearray], following: int) -> list[Request]:
        packed = bytes(frames[0][40:])
        expected = following.to_bytes(8, "little") + _digest(packed, following)
        for i, frame in frames.items():
            if frame[:40] != expected:
                raise Mismatch(
                    f"party {i} asks the dealer for other material than party 0: do all run the same script?"
                )
        return unpack(msgpack.unpackb(packed), following)

    def _deal(self, requests: Sequence[Request]) -> None:
        last = self.parties - 1
        for group in _chunks(requests):
            corrections: list[Any] = [part for r in group for part in self._correction(r)]
            self._channel.exchange({last: corrections}, {}, label="corrections")

    def _correction(self, request: Request) -> list[Field]:
        """The last party's shares: A - sum A_i and alpha A - sum m_i for each share of the request."""
        n = size(request.shape)
        prgs = [_core.Prg(seed, request.number) for seed in self._seeds]
        sum_of_all = isinstance(request, MaskRequest) and not request.bits
        made = None if sum_of_all else self._make(request)
        out = []
        for place in range(request.count):
            if request.binary(place):
                assert made is not None
                total = made[place].reshape(-1)
                words = -total & np.uint64(self._binary_alpha)
                for prg in prgs[:-1]:
                    words = words ^ _words(prg, n)
                out.append(words)
            else:
                values = [prg.field(n) for prg in (prgs if sum_of_all else prgs[:-1])]
                macs = [prg.field(n) for prg in prgs[:-1]]
                if made is None:
                    total = _accumulate(values)
                else:
                    total = made[place].reshape(-1)
                    out.append(_less(total, values))
                out.append(_less(field.scale(total, self._alpha), macs))
            if not isinstance(request, ProductRequest | BitsRequest):
                self._remember((request.number, place), total)
        return out

    def _make(self, request: Request) -> tuple[Field, ...]:
        """The totals of the request's shares."""
        n = size(request.shape)
        prg = _core.Prg(self._own, request.number)
        match request:
            case MaskRequest(bits=True):
                return (prg.bits(n),)
            case MaskRequest():
                # Drawn place by place as the parties draw: value, then MAC (the last party draws no MAC).
                return (_accumulate([_core.Prg(seed, request.number).field(n) for seed in self._seeds]),)
            case InputMask(owner=owner):
                if owner >= self.parties:
                    raise Mismatch(f"request {request.number} names party {owner} of {self.parties}")
                return (_core.Prg(self._owner_seeds[owner], request.number).field(n),)
            case BitsRequest():
                return (prg.bits(n),)
            case TruncationRequest(divisor=d):
                top, rho = prg.bits(n), prg.below(n, truncation.M)
                r = rho + top * np.uint64(truncation.M)
                return r, top, _core.divide(r, d)
            case DaBitsRequest():
                return (prg.bits(n),) * 2
            case EdaBitsRequest(bits=t):
                r = prg.field(n)
                return r, *((r >> np.uint64(j)) & np.uint64(1) for j in range(LENGTH - t, LENGTH))
            case ComparisonRequest(bits=t, drop=f):
                m = (P - 1) >> t
                digits = [prg.bits(n) for _ in range(t)]
                r = prg.below(n, m)
                for j, digit in enumerate(digits):
                    r += digit * np.uint64(m << j)
                return r, *digits, *([digits[-1], r >> np.uint64(f)] if f else [])
            case ProductRequest():
                if request.binary():
                    return (self._evaluate(request.x) & self._evaluate(request.y),)
                return (request.form(self._evaluate(request.x), self._evaluate(request.y)),)
        raise AssertionError(f"no dealing of {type(request).__name__}")

    def _evaluate(self, expression: Expression) -> Field:
        if not isinstance(expression, Mask):
            return expression.map(*(self._evaluate(i) for i in expression.inputs))
        if (total := self._totals.get(expression.id)) is None:
            for place, made in enumerate(self._make(expression.request)):
                self._remember((expression.request.number, place), made.reshape(-1))
                if place == expression.place:
                    total = made
        else:
            self._totals.move_to_end(expression.id)
        assert total is not None
        return total.reshape(expression.shape)

    def _remember(self, id: tuple[int, int], total: Field) -> None:
        if id in self._totals:
            return
        self._totals[id] = total
        self._cached += total.nbytes + ENTRY
        while self._cached > self._cache and len(self._totals) > 1:
            _, old = self._totals.popitem(last=False)
            self._cached -= old.nbytes + ENTRY


def _accumulate(parts: Sequence[Field]) -> Field:
    total = parts[0]
    for part in parts[1:]:
        total = field.add(total, part)
    return total


def _less(total: Field, parts: Sequence[Field]) -> Field:
    for part in parts:
        total = field.sub(total, part)
    return total
