"""Makes lists of requests: each request becomes jobs (`jobs`), many jobs share a batch (`batch`)."""

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from functools import partial
from typing import Any
from weakref import WeakKeyDictionary

from tqdm import tqdm

from tacit.correlations.masks import Expression, Mask, MaskReused
from tacit.correlations.requests import (
    LENGTH,
    BitsRequest,
    ComparisonRequest,
    EdaBitsRequest,
    InputMask,
    MaskRequest,
    ProductRequest,
    Request,
    TruncationRequest,
)
from tacit.errors import CheatingDetected, Mismatch
from tacit.field import contiguous, size
from tacit.graph.forms import MatMul
from tacit.graph.maps import Shape
from tacit.preprocessing.lattice import jobs
from tacit.preprocessing.lattice.batch import Batch
from tacit.preprocessing.lattice.forms import Layouts, Way
from tacit.preprocessing.lattice.jobs import Job, Pairs, Target
from tacit.preprocessing.lattice.link import Link
from tacit.preprocessing.lattice.shared import Shared
from tacit.preprocessing.lattice.sigmas import Sigma

MakeJob = Callable[[slice], Job]
SENT = 40
"""Bytes for each number of a price, about: 18 for its MAC, and its part of what is encrypted and answered."""


class Maker:
    """One party's. `budget`: numbers that one batch authenticates, about."""

    def __init__(self, link: Link, budget: int) -> None:
        self.link: Link | None = link
        self.parties, self.budget = link.parties, budget
        self.layouts = Layouts(link.keys)
        # What later products may be made of, for as long as somebody knows the mask.
        self._held: WeakKeyDictionary[Request, list[Shared]] = WeakKeyDictionary()
        self.batches = 0
        """Made so far."""

    def make(
        self, requests: Sequence[Request], whole: Collection[Request], progress: bool = False
    ) -> tuple[dict[int, Target], list[Sigma]]:
        """By id of the request; and the sigmas, to be settled before any of it is used.

        `whole`: the list that the requests are of, whose masks open nothing before that.
        """
        link = self.alive()
        targets = {id(r): Target(r.shape, r.count) for r in requests}
        made = [r for r in requests if not isinstance(r, ProductRequest)]
        asked = [r for r in requests if isinstance(r, ProductRequest)]
        pairs, rest = _neighbours(made, asked, targets)
        known = {id(r) for r in whole}
        sigmas: list[Sigma] = []
        total = sum(price(r, self.parties) * size(r.shape) for r in (*made, *rest))
        with tqdm(
            total=total, desc="material", unit="", unit_scale=True, leave=False, delay=10, disable=not progress
        ) as bar:
            self._run(
                (job for r in made for job in self._jobs(link, r, targets[id(r)], pairs.get(id(r), {}))), bar, sigmas
            )
            self._held.update((r, targets[id(r)].shares) for r in made)
            self._run(self._products(rest, targets, known), bar, sigmas)
        for r in made:
            self.hold(r, targets[id(r)])
        return targets, sigmas

    def hold(self, request: Request, target: Target) -> None:
        """Later lists may ask for products of its mask. Digits serve the list that they are made for."""
        self._held[request] = target.shares[:1]

    def burn(self) -> None:
        self.link = None
        self._held.clear()

    def alive(self) -> Link:
        if self.link is None:
            raise CheatingDetected("the keys of this session were destroyed: start a new one")
        return self.link

    def _run(self, work: Iterable[tuple[int, Job]], bar: "tqdm[Any]", sigmas: list[Sigma]) -> None:
        """Jobs, in batches of about the budget; then what they still want of a further batch."""
        group: list[Job] = []
        cost = 0
        for price, job in work:
            if group and cost + price > self.budget:
                self._batches(group, sigmas)
                bar.update(cost)
                group, cost = [], 0
            next(job)
            group.append(job)
            cost += price
        self._batches(group, sigmas)
        bar.update(cost)

    def _batches(self, active: Sequence[Job], sigmas: list[Sigma]) -> None:
        link = self.alive()
        while active:
            batch = Batch(link, self.layouts)
            following = []
            for job in active:
                try:
                    job.send(batch)
                    following.append(job)
                except StopIteration:
                    pass
            if not batch.empty:
                self.batches += 1
                sigmas += batch.run()
            active = following

    # Requests.

    def _jobs(self, link: Link, r: Request, target: Target, pairs: Pairs) -> Iterator[tuple[int, Job]]:
        """(elements to authenticate, job) for the pieces of a request."""
        cost = price(r, self.parties)
        match r:
            case MaskRequest(bits=False):
                return self._pieces(size(r.shape), cost, partial(jobs.mask, target))
            case InputMask(owner=owner) if owner < self.parties:
                return self._pieces(size(r.shape), cost, partial(jobs.input_mask, target, link, owner))
            case BitsRequest():
                return self._pieces(size(r.shape), cost, partial(jobs.bits, target))
            case TruncationRequest(divisor=d, digits=t):
                return self._pieces(size(r.shape), cost, partial(jobs.truncation, target, t, d))
            case ComparisonRequest(bits=t, words=False, drop=f):
                return self._pieces(size(r.shape), cost, partial(jobs.comparison, target, t, 1 << f, pairs))
            case EdaBitsRequest(bits=t, words=False):
                return self._pieces(size(r.shape), cost, partial(jobs.edabits, target, link, t, pairs))
        raise Mismatch(f"request {r.number} ({type(r).__name__}) is nothing that is made by lattices")

    def _pieces(self, count: int, price: int, make: MakeJob) -> Iterator[tuple[int, Job]]:
        step = max(1, self.budget // (2 * price))
        for start in range(0, count, step):
            stop = min(count, start + step)
            yield price * (stop - start), make(slice(start, stop))

    def _products(
        self, requests: Sequence[ProductRequest], targets: dict[int, Target], own: set[int]
    ) -> Iterator[tuple[int, Job]]:
        """Elementwise products of one uniform operand together: it is encrypted once."""
        yield from self._forms([r for r in requests if not r.form.elementwise], targets)
        asked = [r for r in requests if r.form.elementwise]
        groups: dict[Expression, list[tuple[Expression, Target]]] = {}
        uses: dict[Expression, int] = {}
        for r in asked:
            for e in {r.x, r.y}:
                uses[e] = uses.get(e, 0) + 1
        for r in asked:
            sides = [left for left, e in ((True, r.x), (False, r.y)) if unopened(e, own)]
            left = max(sides, key=lambda left: uses[r.x if left else r.y])
            e, f = (r.x, r.y) if left else (r.y, r.x)
            groups.setdefault(e, []).append((f, targets[id(r)]))
        for expression, members in groups.items():
            encrypted, others = self._evaluate(expression), [self._evaluate(f) for f, _ in members]
            make = partial(jobs.products, [target for _, target in members], encrypted, others)
            yield from self._pieces(encrypted.value.size, len(others) + 2, make)

    def _forms(self, requests: Sequence[ProductRequest], targets: dict[int, Target]) -> Iterator[tuple[int, Job]]:
        """Matrix products and convolutions, one for each index of leading axes; those of one F side by side.

        A large F is cut, and E is encrypted for each part: so a batch's memory is bounded, if E is not large itself.
        """
        groups: dict[tuple[Way, Expression, int], list[tuple[Expression, Target]]] = {}
        for r in requests:
            kept = len(r.x.shape) - 2 if isinstance(r.form, MatMul) else 0
            way = self.layouts.cheapest(r.form, r.x.shape[kept:], r.y.shape[kept:], (True, False))
            e, f = (r.x, r.y) if way.left else (r.y, r.x)
            groups.setdefault((way, f, size(r.x.shape[:kept])), []).append((e, targets[id(r)]))
        for (whole, f, count), members in groups.items():
            plain = self._evaluate(f)
            for way, here in whole.tiles(self.budget // 2):
                cost = size(way.encrypted) + size(way.form.shape(way.x, way.y))
                at_once = max(1, (self.budget // 4) // cost)
                for start in range(0, len(members), at_once):
                    part = members[start : start + at_once]
                    es = [self._evaluate(e) for e, _ in part]
                    for i in range(count):
                        out = whole.form.shape(whole.x, whole.y)
                        places = [_slices(_blocks(t.shares[0], count, out, i), whole.out_axis, here) for _, t in part]
                        block = _slices(_blocks(plain, count, whole.plain, i), whole.axis, here)
                        these = [_flat(_blocks(e, count, way.encrypted, i)) for e in es]
                        yield len(part) * cost + block.value.size, jobs.forms(way, places, these, _flat(block))

    def _evaluate(self, expression: Expression) -> Shared:
        """This party's share of it, flat."""
        if isinstance(expression, Mask):
            return self._held[expression.request][expression.place]
        inputs = [self._evaluate(i) for i in expression.inputs]
        shapes = [i.shape for i in expression.inputs]
        value, mac = (
            contiguous(
                expression.map(*(part.reshape(shape) for part, shape in zip(parts, shapes, strict=True)))
            ).reshape(-1)
            for parts in ([i.value for i in inputs], [i.mac for i in inputs])
        )
        return Shared(value, mac)


def price(r: Request, parties: int) -> int:
    """Numbers to authenticate for each element, about."""
    match r:
        case BitsRequest():
            return 2
        case TruncationRequest(divisor=d, digits=t):
            uneven = 3 if d & (d - 1) else 0  # a bit more of each part (`jobs.parts`)
            return parties * (_proved(LENGTH - t) + uneven) + 5 * t // 2
        case ComparisonRequest(bits=t):
            return parties * _proved(LENGTH - t) + 3 * t
        case EdaBitsRequest():
            return 3 * LENGTH
        case ProductRequest():
            return 3
    return 1


def _proved(bits: int) -> int:
    """MACs of a private number below 2^bits: its digits, of 12 bits or so, and what is proved of them."""
    return -(-bits // 12) * 3 // 2


def expected_bytes(r: Request, parties: int) -> int:
    """Bytes that a party sends each other one for a request: right within a factor of two where batches are not nearly empty."""
    return SENT * price(r, parties) * size(r.shape)


def _blocks(s: Shared, count: int, shape: Shape, i: int) -> Shared:
    """The i-th of `count` blocks of a shape, one after another: a view."""
    return Shared(s.value.reshape(count, *shape)[i], s.mac.reshape(count, *shape)[i])


def _slices(s: Shared, axis: int, here: slice) -> Shared:
    """Some slices along an axis: a view."""
    index = (*[slice(None)] * axis, here)
    return Shared(s.value[index], s.mac[index])


def _flat(s: Shared) -> Shared:
    return Shared(contiguous(s.value).reshape(-1), contiguous(s.mac).reshape(-1))


def unopened(expression: Expression, own: set[int]) -> bool:
    """Return whether all masks in it are uniform, and opened after what is made now was checked, as masks of this list are.

    Whatever a failed check shows about it is then of no use.
    """
    return expression.unopened and all(id(leaf.request) in own for leaf in expression.leaves())


def admit(requests: Sequence[Request]) -> None:
    """`MaskReused` if a product would be of masks whose openings it could show (docs/security/preparation.md)."""
    own = {id(r) for r in requests}
    for r in requests:
        if isinstance(r, ProductRequest):
            sides = [unopened(e, own) for e in (r.x, r.y)]
            enough = any(sides) if r.form.elementwise else all(sides)
            if not (enough or _are_neighbours(r, own)):
                raise MaskReused(
                    f"request {r.number}, a product ({type(r.form).__name__}), is of masks that may have opened values, or "
                    "are not uniform: where the parties make products themselves, a value is opened under a new mask for them "
                    "(`Source.late`)"
                )


def _are_neighbours(r: ProductRequest, own: set[int]) -> bool:
    bits = _bits_of(r.x, r.y) if r.form.elementwise else None
    return bits is not None and id(bits[0]) in own


def _neighbours(
    made: Sequence[Request], asked: Sequence[ProductRequest], targets: dict[int, Target]
) -> tuple[dict[int, Pairs], list[ProductRequest]]:
    """Products of two bits of one r, by the r's request; and what else is asked for."""
    pairs: dict[int, Pairs] = {}
    rest = []
    known = {id(r) for r in made if isinstance(r, ComparisonRequest | EdaBitsRequest)}
    for r in asked:
        if r.form.elementwise and (bits := _bits_of(r.x, r.y)) is not None and id(bits[0]) in known:
            request, high, low = bits
            pairs.setdefault(id(request), {}).setdefault((high, low), []).append(targets[id(r)])
        else:
            rest.append(r)
    return pairs, rest


def _bits_of(x: Expression, y: Expression) -> tuple[Request, int, int] | None:
    """(request, higher bit, lower bit) if both are bits of one r; bits are numbered from the lowest."""
    if not (isinstance(x, Mask) and isinstance(y, Mask)) or x.request is not y.request or x.place == y.place:
        return None
    r = x.request
    if not isinstance(r, ComparisonRequest | EdaBitsRequest):
        return None
    first = 0 if isinstance(r, ComparisonRequest) else LENGTH - r.bits
    places = sorted((x.place, y.place))
    if places[0] < 1 or places[1] > r.bits:
        return None
    return r, first + places[1] - 1, first + places[0] - 1
