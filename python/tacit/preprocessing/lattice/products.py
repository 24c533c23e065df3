"""The products of a batch: elementwise ones in banks, other forms one by one. Both have the sacrifice's four steps.

    1  units: E encrypted; answers C_k = f(E, F_k) and c' = f(E, b') for a random b'
    2  weights chi for the places of an output:   <chi, c'>, a single number, is authenticated
    3  weights r_k for the F_k:                   rho = sum r_k F_k - b' is opened
    4  sum_k r_k <chi, C_k> - <chi, c'> - <chi, f(E, rho)> = 0,  of which only the MAC is needed
Products that will be public, as squares are, get no MAC: shares of C_0 are committed to before 2, <chi, C_0> gets a MAC with
<chi, c'>, and C_0 is opened when all else is fixed. Not before: C_0 = E E tells E but for a sign, on which who has planted
d E somewhere could bet.
If some C_k is wrong, <chi, C_k> is, but for a chance of 1/p; then no <chi, c'> that was fixed before r makes 4 right, but for
another 1/p. (c' itself needs no MAC: it is not used.) The encrypted operand has to be uniform: an error that a cheater plants
in what is answered is d E for the whole E, and shows whether E is what it guessed.
"""

from collections.abc import Sequence

import numpy as np

from tacit import _core, field
from tacit.field import Field, P, size
from tacit.preprocessing.lattice.forms import Layouts, Way, combined
from tacit.preprocessing.lattice.link import Answer, Link, Unit
from tacit.preprocessing.lattice.shared import NOTHING, Shared

TILE = 1 << 19
"""Elements of a bank that are encrypted as one unit."""


class Bank:
    """Elementwise products: jobs (E, F_1, F_2, ...), longest first, so that layer k of all jobs is a prefix.

    With `public`, the first product of each job is for everybody to see.
    """

    def __init__(self, link: Link, jobs: Sequence[tuple[Shared, Sequence[Shared]]], public: bool) -> None:
        self.link, self.public = link, public
        self.jobs = sorted(jobs, key=lambda job: -len(job[1]))
        self.e = Joined([e for e, _ in self.jobs])
        depth = len(self.jobs[0][1])
        self.f = [Joined([fs[k] for _, fs in self.jobs if len(fs) > k]) for k in range(depth)]
        self._spare = Shared(link.random.field(self.e.value.size))
        self.products = [Shared(field.mul(self.e.value[: f.value.size], f.value)) for f in self.f]
        self._c = field.mul(self.e.value, self._spare.value)

    def units(self) -> list[Unit]:
        made = []
        layers = [(f.value, p.value) for f, p in zip(self.f, self.products, strict=True)]
        layers.append((self._spare.value, self._c))
        for start in range(0, self.e.value.size, TILE):
            stop = min(start + TILE, self.e.value.size)
            answers = []
            for f, out in layers:
                here = slice(start, min(stop, out.size))
                if here.start < here.stop:
                    layout = self.link.keys.elementwise(here.stop - here.start)
                    answers.append(Answer(layout, f[here], out[here]))
            made.append(Unit(self.link.keys.elementwise(stop - start), self.e.value[start:stop], answers))
        return made

    @property
    def sealed(self) -> Field:
        """This party's share of what will be public."""
        return self.products[0].value if self.public else NOTHING

    def fresh(self) -> list[Shared]:
        return [self._spare, *self.products[self.public :]]

    def check_value(self, chi: _core.Prg) -> int:
        return chi.combine([self._c])[0]

    def sums(self, chi: _core.Prg) -> list[Shared]:
        """The values that get a MAC for the sake of public products."""
        self._sum = Shared(np.array(chi.combine([self.sealed]) if self.public else [], np.uint64))
        return [self._sum]

    def rhos(self, weights: _core.Prg) -> list[Shared]:
        self._r = weights.field(len(self.f)).tolist()
        return [
            Shared(
                self._weighed([f.value for f in self.f], self._spare.value),
                self._weighed([f.mac for f in self.f], self._spare.mac),
            )
        ]

    def tau(self, chi: _core.Prg, rhos: Sequence[Field]) -> int:
        """The MAC of 4, but for that of <chi, c'>."""
        layers = [NOTHING if self.public and not k else p.mac for k, p in enumerate(self.products)]
        known = self._r[0] * int(self._sum.mac[0]) if self.public else 0
        return chi.combine([self._weighed(layers, field.mul(self.e.mac, rhos[0]))])[0] + known

    def opened(self, chi: _core.Prg, value: Field) -> int:
        """Takes what is public now; the MAC of <chi, C_0> less what it should be."""
        if not self.public:
            return 0
        self.products[0] = Shared(value)
        return int(self._sum.mac[0]) - self.link.alpha * chi.combine([value])[0]

    def _weighed(self, layers: Sequence[Field], last: Field) -> Field:
        """sum_k r_k layer_k - last"""
        total = _core.neg(last)
        for r, layer in zip(self._r, layers, strict=True):
            total[: layer.size] = field.add(total[: layer.size], field.scale(layer, r))
        return total

    def results(self) -> list[list[Shared]]:
        """The products of each job, in the order in which the jobs were given."""
        found: list[list[Shared]] = []
        at = 0
        for e, fs in self.jobs:
            here = slice(at, at + e.value.size)
            at += e.value.size
            found.append([Shared(p.value[here], p.mac[here]) for p, _ in zip(self.products, fs, strict=False)])
        return found


class FormProduct:
    """One form that is not elementwise, its plaintext operand one slice longer."""

    public = False
    sealed = NOTHING

    def __init__(self, link: Link, layouts: Layouts, way: Way, e: Shared, f: Shared) -> None:
        self.link, self.way = link, way
        self.layout, _ = layouts.of(way)
        shape = tuple(1 if i == way.axis else n for i, n in enumerate(way.plain))
        self._e_shape = way.x if way.left else way.y
        self._spare = Shared(link.random.field(size(shape)))
        self._spare_shape = shape
        self.e, self.f = e, f
        longer = np.concatenate([f.value.reshape(way.plain), self._spare.value.reshape(shape)], way.axis)
        self._whole = way.apply(e.value.reshape(self._e_shape), longer)
        self._operand = way.extended().flat(longer, not way.left)
        self.product = Shared(np.zeros(0, np.uint64))

    def units(self) -> list[Unit]:
        e = self.way.flat(self.e.value.reshape(self._e_shape), self.way.left)
        return [Unit(self.layout, e, [Answer(self.layout, self._operand, self._whole.reshape(-1))])]

    def split(self) -> None:
        """[C | c'], once the parties have made it."""
        whole, axis = np.moveaxis(self._whole, self.way.out_axis, 0), self.way.out_axis
        self.product = Shared(field.contiguous(np.moveaxis(whole[:-1], 0, axis)).reshape(-1))
        self._c = field.contiguous(np.moveaxis(whole[-1:], 0, axis)).reshape(-1)
        del self._whole, self._operand

    def fresh(self) -> list[Shared]:
        return [self._spare, self.product]

    def check_value(self, chi: _core.Prg) -> int:
        return chi.combine([self._c])[0]

    def sums(self, chi: _core.Prg) -> list[Shared]:
        return []

    def opened(self, chi: _core.Prg, value: Field) -> int:
        return 0

    def rhos(self, weights: _core.Prg) -> list[Shared]:
        self._r = weights.field(self.way.plain[self.way.axis])
        value, mac = (
            field.sub(combined(self._r, f.reshape(self.way.plain), self.way.axis), b.reshape(self._spare_shape))
            for f, b in ((self.f.value, self._spare.value), (self.f.mac, self._spare.mac))
        )
        return [Shared(field.contiguous(value).reshape(-1), field.contiguous(mac).reshape(-1))]

    def tau(self, chi: _core.Prg, rhos: Sequence[Field]) -> int:
        """The MAC of 4, but for that of <chi, c'>."""
        shape = self.way.form.shape(self.way.x, self.way.y)
        made = combined(self._r, self.product.mac.reshape(shape), self.way.out_axis)
        predicted = self.way.apply(self.e.mac.reshape(self._e_shape), rhos[0].reshape(self._spare_shape))
        a, b = chi.combine([field.contiguous(part).reshape(-1) for part in (made, predicted)])
        return (a - b) % P


class Joined:
    """Several arrays one after another. Their MACs are put together when they are asked for: after the batch has made them."""

    def __init__(self, parts: Sequence[Shared]) -> None:
        self._parts = parts
        self.value = parts[0].value if len(parts) == 1 else np.concatenate([p.value for p in parts])

    @property
    def mac(self) -> Field:
        return self._parts[0].mac if len(self._parts) == 1 else np.concatenate([p.mac for p in self._parts])
