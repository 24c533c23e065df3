"""A batch: authenticated arrays and products, made by all parties together, and checked before any of it is used.

    1  new keys; E encrypted with proofs; C and c' answered            (`link`, `products`, `squares`)
    2  shares of what will be public (squares) are committed to
    3  MACs of all: masks, private numbers, C, b'
    4  echo and coin chi;  <chi, c'> gets its MAC, and so do <chi, squares>, and sums of inverses for 5
    5  echo and coin r;    opened: every rho, and v = sum psi_j z_j + u for all z_j that got a MAC in 3, u random
       proofs that private numbers are in their ranges, and of squares (`ranges`, `squares`)
    6  sigma, this party's part of the MAC check of what 5 opened and of the zeros of the sacrifice, is fixed (`sigmas`)
    7  squares are opened; sigma', of the MAC check of <chi, squares>, is fixed; `settle` opens one combination of all sigmas
Zeros are not opened: sum_i m_i(0) = alpha 0 is all that is looked at, so that a failure shows alpha times an error. Whatever is
wrong, and passes with a chance of a few in 2^61 at each check, raises `CheatingDetected`; then nothing of the batch may be used.
The public values of 7 tell encrypted numbers but for a sign. All that could undo an error is fixed before: sigma, too.
"""

import struct
from collections.abc import Callable, Mapping, Sequence
from functools import partial

import numpy as np

from tacit import _core, field
from tacit.errors import CheatingDetected
from tacit.field import Field, P
from tacit.interaction.coins import Commitment
from tacit.preprocessing.lattice import ranges
from tacit.preprocessing.lattice.forms import Layouts, Way
from tacit.preprocessing.lattice.link import Link
from tacit.preprocessing.lattice.products import Bank, FormProduct
from tacit.preprocessing.lattice.ranges import SENT as LOOKED
from tacit.preprocessing.lattice.shared import NOTHING, Shared
from tacit.preprocessing.lattice.sigmas import Pads, Sigma
from tacit.preprocessing.lattice.squares import SENT as SQUARED
from tacit.preprocessing.lattice.squares import Squares
from tacit.steps import protocol_step

Piece = Bank | FormProduct | Squares
PSI, RANGES = 1 << 40, 1 << 41
"""Streams of the coins, beside those of the weights."""
PUBLIC = "opened products"


class Batch:
    def __init__(self, link: Link, layouts: Layouts) -> None:
        self.link, self._layouts = link, layouts
        self._fresh: list[Shared] = []
        self._lookups = [ranges.Lookup(i, link.me, link.parties) for i in range(link.parties)]
        self._jobs: dict[bool, list[tuple[Shared, Sequence[Shared], list[Shared]]]] = {False: [], True: []}
        self._squares: list[tuple[Shared, Shared]] = []
        self._forms: list[tuple[FormProduct, Shared]] = []
        self._sealed: list[Field] = []

    # What a batch is to make. The arrays that these return are filled when it has run.

    def joint(self, count: int) -> Shared:
        """Uniform, known to nobody."""
        return self._keep(Shared(self.link.random.field(count)))

    def owned(self, owner: int, count: int, value: Field | None = None) -> Shared:
        """Known to `owner`, who gives `value`."""
        return self._keep(Shared(np.zeros(count, np.uint64) if value is None else value, owner=owner))

    def below(self, owner: int, count: int, bits: int, value: Field | None = None) -> Shared:
        """Known to `owner`, who gives `value`, in [0, 2^bits)."""
        made = Shared(np.zeros(count, np.uint64) if value is None else value, owner=owner)
        self._lookups[owner].add(made, bits)
        return made

    def squared(self, count: int) -> tuple[Shared, Shared]:
        """Uniform numbers that are known to nobody, and their squares, public."""
        made = Shared(self.link.random.field(count)), Shared(NOTHING)
        self._squares.append(made)
        return made

    def elementwise(self, e: Shared, fs: Sequence[Shared], public: bool = False) -> list[Shared]:
        """e f for each f; the first is public if so asked. e: uniform to all others, and not opened before the sigmas are."""
        made = [Shared(NOTHING) for _ in fs]
        self._jobs[public].append((e, fs, made))
        return made

    def form(self, way: Way, e: Shared, f: Shared) -> Shared:
        """f(e, f). Both must be uniform to all others, and not opened before the sigmas are."""
        made = Shared(NOTHING)
        self._forms.append((FormProduct(self.link, self._layouts, way, e, f), made))
        return made

    def _keep(self, made: Shared) -> Shared:
        self._fresh.append(made)
        return made

    @property
    def empty(self) -> bool:
        made = (
            self._fresh,
            self._squares,
            self._forms,
            self._jobs[False],
            self._jobs[True],
            self._proofs,
        )
        return not any(made)

    @property
    def _proofs(self) -> list[ranges.Lookup]:
        return [lookup for lookup in self._lookups if not lookup.empty]

    # Making and checking.

    def run(self) -> list[Sigma]:
        """Makes all of it; the parties' sigmas, without which nothing of it may be used outside of further batches."""
        link = self.link
        banks, squares, pieces = self._pieces()
        self._multiply(pieces)
        shares = self._commit(pieces)
        blind, pads = self.joint(1), [Pads(link) for _ in range(1 + len(shares))]
        fresh = self._authenticate(pieces, squares, [u for p in pads for u in p.numbers])
        chi = link.coin()
        sigma = self._sacrifice(chi, pieces, squares, fresh, blind)
        sigmas = [pads[0].bind(link, sigma)]
        if shares:
            sigmas.append(pads[1].bind(link, self._show(chi, pieces, shares)))
        self._give(banks)
        return sigmas

    def _pieces(self) -> tuple[dict[bool, Bank], list[Squares], list[Piece]]:
        link = self.link
        banks = {public: Bank(link, [job[:2] for job in jobs], public) for public, jobs in self._jobs.items() if jobs}
        squares = [Squares(link, self._squares)] if self._squares else []
        return banks, squares, [*squares, *banks.values(), *(form for form, _ in self._forms)]

    @protocol_step
    def _multiply(self, pieces: Sequence[Piece]) -> None:
        """1: under keys of this batch's own."""
        if pieces:
            self.link.renew()
        self.link.multiply([unit for piece in pieces for unit in piece.units()])
        for form, _ in self._forms:
            form.split()

    @protocol_step
    def _commit(self, pieces: Sequence[Piece]) -> list[Commitment]:
        """2: to this party's shares of what will be public, if there is anything."""
        self._sealed = [piece.sealed for piece in pieces]
        if not any(s.size for s in self._sealed):
            return []
        return [self.link.commit(np.concatenate(self._sealed), PUBLIC)]

    def _authenticate(
        self, pieces: Sequence[Piece], squares: Sequence[Squares], pads: Sequence[Shared]
    ) -> list[Shared]:
        """3: what has a MAC now, but for the pads, of which nothing else is made."""
        fresh = [*self._fresh, *(part for piece in pieces for part in piece.fresh())]
        fresh += [digit for lookup in self._proofs for digit in lookup.digits()]
        self.link.authenticate([*fresh, *pads])
        for lookup in self._proofs:
            lookup.joined()
        for square in squares:
            square.authenticated()
        return fresh

    @protocol_step
    def _sacrifice(
        self, first: bytes, pieces: Sequence[Piece], squares: Sequence[Squares], fresh: Sequence[Shared], blind: Shared
    ) -> int:
        """4 to 6: this party's sigma."""
        link = self.link
        chi = [partial(_core.Prg, first, i) for i in range(len(pieces))]
        spare = Shared(np.zeros(1, np.uint64))
        spare.value[0] = sum(p.check_value(c()) for p, c in zip(pieces, chi, strict=True)) % P
        sums = [s for p in self._proofs for s in p.sums(_core.Prg(first, RANGES + p.owner), link.random)]
        sums += [s for p, c in zip(pieces, chi, strict=True) for s in p.sums(c())]
        link.authenticate([spare, *sums] if pieces else sums)
        second = link.coin()
        rhos = [piece.rhos(_core.Prg(second, i)) for i, piece in enumerate(pieces)]
        v = _combination(_core.Prg(second, PSI), fresh, blind)
        shown = [v, *(r for of_one in rhos for r in of_one)]
        opened = link.open(shown, "sacrifice")
        self._prove(second, [(s, c) for s, c in zip(squares, chi, strict=False)])
        tau, values = -int(spare.mac[0]) if pieces else 0, iter(opened[1:])
        for piece, c, of_one in zip(pieces, chi, rhos, strict=True):
            tau += piece.tau(c(), [next(values) for _ in of_one])
        return self._combined(opened, [s.mac for s in shown], tau % P)

    @protocol_step
    def _combined(self, values: Sequence[Field], macs: Sequence[Field], zero: int) -> int:
        """sigma_i = sum chi_j (m_ij - alpha_i D_j), D = 0 for `zero` (SPDZ 2013, figure 10)"""
        prg = _core.Prg(self.link.coin(), 0)
        sigma = int(prg.field(1)[0]) * zero
        for value, mac in zip(values, macs, strict=True):
            a, gamma = prg.combine([value, field.contiguous(mac)])
            sigma += gamma - self.link.alpha * a
        return sigma % P

    @protocol_step
    def _show(self, chi: bytes, pieces: Sequence[Piece], shares: Sequence[Commitment]) -> int:
        """7: opens squares; this party's sigma of <chi, squares>."""
        (value,) = self.link.reveal(shares, PUBLIC)
        parts = np.split(value, np.cumsum([s.size for s in self._sealed])[:-1])
        return sum(p.opened(_core.Prg(chi, i), part) for i, (p, part) in enumerate(zip(pieces, parts, strict=True))) % P

    def _give(self, banks: Mapping[bool, Bank]) -> None:
        for form, product in self._forms:
            product.value, product.mac = form.product.value, form.product.mac
        for public, bank in banks.items():
            for given, (_, _, made) in zip(bank.results(), _sorted(self._jobs[public]), strict=True):
                for to, result in zip(made, given, strict=True):
                    to.value, to.mac = result.value, result.mac

    # Proofs about private numbers.

    @protocol_step
    def _prove(self, coin: bytes, squares: Sequence[tuple[Squares, Callable[[], _core.Prg]]]) -> None:
        link = self.link
        looked = {p.owner: p for p in self._proofs}
        prg = {o: partial(_core.Prg, coin, RANGES + o) for o in looked}
        sent = {i: struct.Struct(f"<{len(squares) * SQUARED + (i in looked) * LOOKED}Q") for i in range(link.parties)}
        out = {}
        for i in link.others:
            numbers = [u for s, chi in squares for u in s.prove(chi(), i)]
            if link.me in looked:
                numbers += looked[link.me].prove(prg[link.me](), i)
            if numbers:
                out[i] = [sent[link.me].pack(*numbers)]
        came = link.exchange(out, {i: sent[i].size for i in link.others if sent[i].size}, "proofs")
        for owner, frame in came.items():
            said = sent[owner].unpack(frame.data)
            for s, chi in squares:
                if not s.accepts(chi(), owner, said[:SQUARED]):
                    raise CheatingDetected(f"party {owner} squared another number than it has a MAC of")
            if owner in looked and not looked[owner].accepts(prg[owner](), link.alpha, said[-LOOKED:]):
                raise CheatingDetected(f"party {owner} chose a number out of its range while material was prepared")


def _combination(prg: _core.Prg, fresh: Sequence[Shared], blind: Shared) -> Shared:
    """This party's shares of v = sum psi_j z_j + u."""
    v, mac = int(blind.value[0]), int(blind.mac[0])
    for s in fresh:
        a, b = prg.combine([s.value, s.mac])
        v, mac = v + a, mac + b
    return Shared(np.array([v % P], np.uint64), np.array([mac % P], np.uint64))


def _sorted(
    jobs: list[tuple[Shared, Sequence[Shared], list[Shared]]],
) -> list[tuple[Shared, Sequence[Shared], list[Shared]]]:
    """As a bank orders them."""
    return sorted(jobs, key=lambda job: -len(job[1]))
