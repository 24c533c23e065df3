"""SPDZ (Damgard et al. 2012, 2013): additive shares with a MAC, secure against n - 1 active cheaters.

    x = sum x_i,    alpha x = sum m_i,    alpha = sum alpha_i;          unit_i = ([i = 0], alpha_i)

Opening D: everyone sends its share of D. Check of D_1 ... D_k (2013, figure 10), after all are opened: a coin gives chi_j;
    a = sum chi_j D_j,    sigma_i = sum chi_j m_ij - alpha_i a,    committed, opened:  sum sigma_i = 0.
Bits over GF(2) likewise, in GF(2^64) (`gadgets.bits`). An altered opening passes with probability 2^-60.9. Parties that were
shown different D fail the same check, since their alpha_i a differ; whatever else must be the same at all parties is echoed
(`coins`).
"""

import functools
import operator
from collections.abc import Callable, Generator, Sequence
from typing import Any

import numpy as np

from tacit import _core, field
from tacit.correlations.source import Source
from tacit.errors import CheatingDetected
from tacit.field import Field, P
from tacit.graph.wires import Share
from tacit.interaction.coins import Transcript
from tacit.interaction.exchange import Exchange, Rounds, received
from tacit.protocols.base import HELD
from tacit.protocols.masked import MaskedProtocol
from tacit.protocols.plan import OpeningRecord
from tacit.steps import protocol_step


class Spdz(MaskedProtocol):
    """`hub`: openings go through this party (2 rounds, fewer bytes for many parties); None: everyone to everyone (1 round)."""

    name = "spdz"

    def __init__(self, me: int, parties: int, source: Source, session: bytes, hub: int | None = None) -> None:
        if parties < 2 or not 0 <= me < parties:
            raise ValueError(f"party {me} of {parties}: spdz needs two parties or more, numbered from 0")
        self.me, self.parties, self.hub = me, parties, hub
        self._source = source
        self.summands, self.late, self.reuses = source.summands, source.late, source.late
        self.swayed = source.summands - 1  # all but one of the parties that made them
        self.unit = (int(me == 0), source.key)
        self.binary, self.binary_unit = source.binary, source.binary_key
        self.ledger: list[OpeningRecord] = []
        self.openings = 0
        self._transcript = Transcript(session, me, parties)
        self._values: list[Field] = []
        self._macs: list[Field] = []
        self._bits: list[Field] = []
        self._words: list[Field] = []
        self._unchecked = 0

    def opening_cost(self, count: int) -> tuple[int, int]:
        if self.hub is None:
            return 1, 8 * count * (self.parties - 1)
        return 2, 8 * count * (self.parties - 1 if self.me == self.hub else 1)

    def bit_opening_cost(self, count: int) -> tuple[int, int]:
        rounds, _ = self.opening_cost(count)
        return rounds, -(-count // 8) * (self.parties - 1 if self.hub in (None, self.me) else 1)

    @protocol_step
    def open(self, share: Share) -> Rounds:
        value, mac = share
        opened = yield from self._opened(value, lambda data, sender: received(data, value.shape, sender), field.add)
        self._values.append(opened)
        self._macs.append(mac)
        self._unchecked += opened.size + HELD
        return opened

    @protocol_step
    def open_bits(self, words: Field) -> Rounds:
        """The lowest bit of each word, packed."""
        words = np.ascontiguousarray(words)
        packed = np.frombuffer(_core.pack_bits(words), np.uint8)
        opened = yield from self._opened(packed, lambda data, sender: _packed(data, words.size, sender), np.bitwise_xor)
        masks = _core.unpack_bits(opened.tobytes(), words.size).reshape(words.shape)
        self._bits.append(masks)
        self._words.append(words)
        self._unchecked += words.size + HELD
        return masks

    @protocol_step
    def _opened(
        self, mine: Any, read: Callable[[memoryview, int], Any], add: Callable[[Any, Any], Any]
    ) -> Generator[Exchange, Any, Any]:
        """Everyone's share added up, through the hub if there is one."""
        self._source.order.opening()
        self._source.opening()
        others, count = self.others(), mine.nbytes
        if self.hub is None:
            came = yield Exchange({i: [mine] for i in others}, dict.fromkeys(others, count))
        elif self.me == self.hub:
            came = yield Exchange({}, dict.fromkeys(others, count))
        else:
            yield Exchange({self.hub: [mine]}, {})
            came = yield Exchange({}, {self.hub: count})
            return read(came[self.hub], self.hub)
        for i in others:
            mine = add(mine, read(came[i], i))
        if self.me == self.hub:
            yield Exchange({i: [mine] for i in others}, {})
        return mine

    def kept(self, share: Share) -> Field:
        return share[0]

    def received_input(self, value: Field, owner: int) -> Rounds:
        self._transcript.note(value.tobytes())
        yield from ()

    def unchecked(self) -> int:
        return self._unchecked

    @protocol_step
    def check(self) -> Rounds:
        """Four rounds, about 200 bytes to each peer; in which no thread of this party opens anything."""
        with self._source.order.check():
            yield from self._check()

    def _check(self) -> Rounds:
        self.checks += 1
        coin = yield from self._transcript.coin()
        prg = _core.Prg(coin, 0)
        a = gamma = 0
        for value, mac in zip(self._values, self._macs, strict=True):
            da, dg = prg.combine([np.ascontiguousarray(value).reshape(-1), np.ascontiguousarray(mac).reshape(-1)])
            a, gamma = (a + da) % P, (gamma + dg) % P
        sigma = (gamma - self.unit[1] * a) % P
        mine = sigma.to_bytes(8, "little") + self._binary_sigma(_core.Prg(coin, 1)).to_bytes(8, "little")
        sigmas = yield from self._transcript.committed(mine)
        field_sum = sum(int.from_bytes(s[:8], "little") for s in sigmas) % P
        binary_sum = functools.reduce(operator.xor, (int.from_bytes(s[8:], "little") for s in sigmas))
        if field_sum or binary_sum:
            raise CheatingDetected(
                "the MAC check failed: some party altered a value that was opened. Nothing was revealed after it; "
                "the session's keys are destroyed. Start again, without that party if you know it"
            )
        self._checked()  # only now: a check that broke off has checked nothing

    def _binary_sigma(self, prg: _core.Prg) -> int:
        """sum chi_j w_ij + alpha_i sum chi_j D_j in GF(2^64)"""
        a = gamma = 0
        for masks, words in zip(self._bits, self._words, strict=True):
            da, dg = prg.combine_bits(masks.reshape(-1), words.reshape(-1))
            a, gamma = a ^ da, gamma ^ dg
        return gamma ^ _core.gf64_dot(np.array([a], np.uint64), np.array([self.binary_unit], np.uint64))

    def _checked(self) -> None:
        self._values, self._macs, self._bits, self._words, self._unchecked = [], [], [], [], 0

    @protocol_step
    def reveal(self, shares: Sequence[Share]) -> Generator[Exchange, Any, list[Field]]:
        yield from self.check()  # before the shares of an output are sent
        values = yield from _together([self.open(share) for share in shares])
        yield from self.check()
        return values

    def output_bytes(self, count: int) -> int:
        return self.opening_cost(count)[1]

    def output_rounds(self) -> int:
        return 2 * 4 + self.opening_cost(1)[0]

    def burn(self) -> None:
        """Forget alpha's share and the source's seeds. Nothing can be opened or checked after it."""
        self._source.burn()
        self.unit = (self.unit[0], 0)
        self.binary_unit = 0
        self._checked()


def _packed(data: memoryview, count: int, sender: int) -> Any:
    """Received bits, eight to a byte; what is beyond `count` must be zero."""
    if len(data) != -(-count // 8):
        raise CheatingDetected(f"party {sender} sent {len(data)} bytes where {-(-count // 8)} were due")
    if count % 8 and data[-1] >> (count % 8):
        raise CheatingDetected(f"party {sender} sent bits beyond those that were due")
    return np.frombuffer(data, np.uint8)


def _together(openings: Sequence[Rounds]) -> Generator[Exchange, Any, list[Field]]:
    """Openings of one kind in the same rounds."""
    results: list[Field] = []
    wanted = [next(o) for o in openings]
    while wanted:
        out: dict[int, list[Any]] = {}
        expect: dict[int, int] = {}
        for e in wanted:
            for peer, parts in e.out.items():
                out.setdefault(peer, []).extend(parts)
            for peer, count in e.expect.items():
                expect[peer] = expect.get(peer, 0) + count
        came = yield Exchange(out, expect)
        offset = dict.fromkeys(expect, 0)
        following = []
        for opening, e in zip(openings, wanted, strict=True):
            given = {}
            for peer, count in e.expect.items():
                given[peer] = came[peer][offset[peer] : offset[peer] + count]
                offset[peer] += count
            try:
                following.append(opening.send(given))
            except StopIteration as end:
                results.append(end.value)
        wanted = following
    return results
