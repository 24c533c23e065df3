"""A batch: authenticated arrays and products, made by all parties together, and checked before any of it is used.

    1  E encrypted with proofs; C and c' answered                      (`products`)
    2  what is to be public (squares) is opened
    3  MACs of all: masks, private numbers, C, b'
    4  echo and coin chi;  <chi, c'> gets its MAC, and so do sums of inverses for 5
    5  echo and coin r;    opened: every rho, and v = sum psi_j z_j + u for all z_j that got a MAC in 3, u random
       proofs that private numbers are in their ranges                 (`ranges`)
    6  sigma, this party's part of the MAC check of what 5 opened and of the zeros of the sacrifice; `settle` opens the sigmas
Zeros are not opened: sum_i m_i(0) = alpha 0 is all that is looked at, so that a failure shows alpha times an error. Whatever is
wrong, and passes with a chance of a few in 2^61 at each check, raises `CheatingDetected`; then nothing of the batch may be used.
"""

import struct
from collections.abc import Sequence

import numpy as np

from tacit import _core, field
from tacit.correlations.lattice import ranges
from tacit.correlations.lattice.forms import Layouts, Way
from tacit.correlations.lattice.link import Link
from tacit.correlations.lattice.products import Bank, FormProduct
from tacit.correlations.lattice.shared import Shared
from tacit.errors import CheatingDetected
from tacit.field import Field, P

PSI, RANGES = 1 << 40, 1 << 41
"""Streams of the coins, beside those of the weights."""


class CheckFailed(CheatingDetected):
    """A check that all parties see fail alike, and that does not show who is to blame."""


class Batch:
    def __init__(self, link: Link, layouts: Layouts) -> None:
        self.link, self._layouts = link, layouts
        self._fresh: list[Shared] = []
        self._lookups = [ranges.Lookup(i, i == link.me) for i in range(link.parties)]
        self._jobs: dict[bool, list[tuple[Shared, Sequence[Shared], list[Shared]]]] = {False: [], True: []}
        self._forms: list[tuple[FormProduct, Shared]] = []
        self._openings: list[tuple[Shared, Shared]] = []

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

    def elementwise(self, e: Shared, fs: Sequence[Shared], opened: bool = False) -> list[Shared]:
        """e f for each f; the first is public if `opened`. e must be uniform to every other party, and not opened before."""
        made = [Shared(np.zeros(0, np.uint64)) for _ in fs]
        self._jobs[opened].append((e, fs, made))
        return made

    def form(self, way: Way, e: Shared, f: Shared) -> Shared:
        made = Shared(np.zeros(0, np.uint64))
        self._forms.append((FormProduct(self.link, self._layouts, way, e, f), made))
        return made

    def open(self, x: Shared) -> Shared:
        """The value of what has its MAC already."""
        made = Shared(np.zeros(0, np.uint64))
        self._openings.append((x, made))
        return made

    def _keep(self, made: Shared) -> Shared:
        self._fresh.append(made)
        return made

    @property
    def empty(self) -> bool:
        made = self._fresh, self._forms, self._openings, self._jobs[False], self._jobs[True], self._proofs
        return not any(made)

    @property
    def _proofs(self) -> list[ranges.Lookup]:
        return [lookup for lookup in self._lookups if not lookup.empty]

    # Making and checking.

    def run(self) -> int:
        """Makes all of it; the party's sigma, without which nothing of it may be used outside of further batches."""
        link = self.link
        banks = {opened: Bank(link, [job[:2] for job in jobs], opened) for opened, jobs in self._jobs.items() if jobs}
        forms = [form for form, _ in self._forms]
        pieces: list[Bank | FormProduct] = [*banks.values(), *forms]
        link.multiply([unit for piece in pieces for unit in piece.units()])
        for form in forms:
            form.split()
        for bank in banks.values():
            bank.open()
        blind = self.joint(1)
        fresh = [*self._fresh, *(piece.spare for piece in pieces), *(form.product for form in forms)]
        fresh += [product for bank in banks.values() for product in bank.secret]
        fresh += [digit for lookup in self._proofs for digit in lookup.digits()]
        link.authenticate(fresh)
        for lookup in self._proofs:
            lookup.joined()
        sigma = self._sigma(pieces, fresh, blind)
        for form, product in self._forms:
            product.value, product.mac = form.product.value, form.product.mac
        for opened, bank in banks.items():
            for given, (_, _, made) in zip(bank.results(), _sorted(self._jobs[opened]), strict=True):
                for to, result in zip(made, given, strict=True):
                    to.value, to.mac = result.value, result.mac
        return sigma

    def _sigma(self, pieces: Sequence[Bank | FormProduct], fresh: Sequence[Shared], blind: Shared) -> int:
        link = self.link
        first = link.coin()
        spare = Shared(np.zeros(1, np.uint64))
        spare.value[0] = sum(p.check_value(_core.Prg(first, i)) for i, p in enumerate(pieces)) % P
        sums = [s for p in self._proofs for s in p.sums(_core.Prg(first, RANGES + p.owner), link.random)]
        link.authenticate([spare, *sums] if pieces else sums)
        second = link.coin()
        rhos = [piece.rho(_core.Prg(second, i)) for i, piece in enumerate(pieces)]
        v, v_mac = _combination(_core.Prg(second, PSI), fresh, blind)
        mine = [np.array([v], np.uint64), *(r.value for r in rhos), *(x.value for x, _ in self._openings)]
        macs = [np.array([v_mac], np.uint64), *(r.mac for r in rhos), *(x.mac for x, _ in self._openings)]
        opened = link.open(mine, "sacrifice")
        self._prove(second)
        tau = -int(spare.mac[0]) if pieces else 0
        for i, (piece, rho) in enumerate(zip(pieces, opened[1 : 1 + len(pieces)], strict=True)):
            tau += piece.tau(_core.Prg(first, i), rho)
        for (_, made), value in zip(self._openings, opened[1 + len(pieces) :], strict=True):
            made.value = value
        return self._combined(opened, macs, tau % P)

    def _combined(self, values: Sequence[Field], macs: Sequence[Field], zero: int) -> int:
        """sigma_i = sum chi_j (m_ij - alpha_i D_j), D = 0 for `zero` (SPDZ 2013, figure 10)"""
        prg = _core.Prg(self.link.coin(), 0)
        sigma = int(prg.field(1)[0]) * zero
        for value, mac in zip(values, macs, strict=True):
            a, gamma = prg.combine([value, field.contiguous(mac)])
            sigma += gamma - self.link.alpha * a
        return sigma % P

    # Ranges.

    def _prove(self, coin: bytes) -> None:
        link, size = self.link, struct.Struct(f"<{ranges.SENT}Q")
        theirs = {p.owner: p for p in self._proofs if not p.mine}
        out = {
            i: [size.pack(*p.prove(_core.Prg(coin, RANGES + p.owner), i)) for p in self._proofs if p.mine]
            for i in link.others
        }
        came = link.exchange({i: m for i, m in out.items() if m}, dict.fromkeys(theirs, size.size), "ranges")
        for owner, p in theirs.items():
            if not p.accepts(_core.Prg(coin, RANGES + owner), link.alpha, size.unpack(came[owner].data)):
                raise CheatingDetected(f"party {owner} chose a number out of its range while material was prepared")


def settle(link: Link, sigmas: Sequence[int]) -> None:
    """Every batch's sigmas, committed and opened, add up to 0; else `CheckFailed`, and alpha is known to whoever cheated.

    So nothing may be opened under alpha meanwhile, nor any other check end.
    """
    mine = np.array(sigmas, np.uint64)
    total = np.zeros_like(mine)
    for theirs in link.drive(link.transcript.committed(mine.tobytes()), "check"):
        total = field.add(total, np.frombuffer(theirs, np.uint64) % np.uint64(P))
    if total.any():
        raise CheckFailed(
            "the check of prepared material failed: some party made a product or a MAC that is wrong. Nothing of it is "
            "used; keys and material are destroyed"
        )


def _combination(prg: _core.Prg, fresh: Sequence[Shared], blind: Shared) -> tuple[int, int]:
    """This party's shares of v = sum psi_j z_j + u."""
    v, mac = int(blind.value[0]), int(blind.mac[0])
    for s in fresh:
        a, b = prg.combine([s.value, s.mac])
        v, mac = v + a, mac + b
    return v % P, mac % P


def _sorted(
    jobs: list[tuple[Shared, Sequence[Shared], list[Shared]]],
) -> list[tuple[Shared, Sequence[Shared], list[Shared]]]:
    """As a bank orders them."""
    return sorted(jobs, key=lambda job: -len(job[1]))
