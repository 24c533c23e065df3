"""Masks and openings: x = D + sum_j e_j * A_j, with D public and the A_j random and secret-shared.

A `Mask` opens one value, once: fresh -> leased (products of it are being made) -> sealed (a value was opened under it).
Only a `Source` makes masks, only an opening seals them. Linear maps of masks are `Masked` expressions, so that an opening
follows every view of its value. `late` coefficients e_j are public but known only online (the wrap bits of a truncation,
later the results of comparisons): such an opening serves elementwise products only.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tacit import field as fp
from tacit.errors import TacitError
from tacit.field import Field
from tacit.graph.maps import Combine, Concat, LinearMap, Shape

if TYPE_CHECKING:
    from tacit.correlations.requests import Request
    from tacit.interaction.rounds import Task

MAX_TERMS = 5
MAX_LEAVES = 32
"""An opening of more late terms, of more masks or of more maps is not carried further: the value gets a mask of its own."""


class MaskReused(TacitError):
    """A value would have been opened under a mask that already opened another, or whose products are not yet verified."""


class Mask:
    """One random secret-shared array: the share number `place` of the material of `request`."""

    __slots__ = ("leases", "place", "request", "sealed")

    def __init__(self, request: "Request", place: int = 0) -> None:
        self.request, self.place, self.leases, self.sealed = request, place, 0, False

    @property
    def id(self) -> tuple[int, int]:
        return self.request.number, self.place

    @property
    def shape(self) -> Shape:
        return self.request.shape

    @property
    def binary(self) -> bool:
        """True for a mask of bits over GF(2)."""
        return self.request.binary(self.place)

    @property
    def unopened(self) -> bool:
        """Uniform, and nothing was opened under it."""
        return self.request.uniform(self.place) and not self.sealed

    @property
    def size(self) -> int:
        """Leaves of the expression."""
        return 1

    @property
    def depth(self) -> int:
        """Maps on the longest way to a leaf."""
        return 0

    @property
    def state(self) -> str:
        return "sealed" if self.sealed else "leased" if self.leases else "fresh"

    def lease(self) -> None:
        """A product of it is asked for."""
        self.leases += 1

    def release(self) -> None:
        """The product is there, and checked."""
        self.leases -= 1

    def seal(self) -> None:
        """Called by the opening under this mask, before anything is sent."""
        if self.state != "fresh":
            raise MaskReused(f"mask {self.id} is {self.state}: a mask opens one value, after its products are verified")
        self.sealed = True

    def leaves(self) -> "tuple[Mask, ...]":
        return (self,)


@dataclass(frozen=True)
class Masked:
    """A public linear map of masks: known by every party and by the source before anything is opened."""

    map: LinearMap
    inputs: "tuple[Mask | Masked, ...]"
    shape: Shape = field(init=False, compare=False)
    size: int = field(init=False, compare=False)
    depth: int = field(init=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "depth", 1 + max(i.depth for i in self.inputs))
        object.__setattr__(self, "shape", self.map.shape(*(i.shape for i in self.inputs)))
        object.__setattr__(self, "size", sum(i.size for i in self.inputs))

    @property
    def binary(self) -> bool:
        return self.inputs[0].binary

    @property
    def unopened(self) -> bool:
        return all(i.unopened for i in self.inputs)

    def leaves(self) -> tuple[Mask, ...]:
        return tuple(leaf for i in self.inputs for leaf in i.leaves())


Expression = Mask | Masked


@dataclass(frozen=True)
class Late:
    """e * A: a mask with a public elementwise coefficient that is known once the opening is done."""

    coefficient: Callable[[], Field]
    mask: Expression


@dataclass
class Opening:
    """x = D + mask + sum(late). `tasks` are what must have run before `public()` may be called."""

    mask: Expression | None
    late: tuple[Late, ...]
    compute: Callable[[], Field]
    tasks: "tuple[Task, ...]" = ()
    _public: Field | None = field(default=None, repr=False)

    @property
    def undone(self) -> bool:
        return any(task.undone for task in self.tasks)

    def public(self) -> Field:
        """D, by the opened values that it follows from."""
        if self._public is None:
            self._public = self.compute()
            self.compute = _spent
        return self._public


def _spent() -> Field:
    raise AssertionError("an opening's value is computed once")


def carry(map: LinearMap, openings: tuple[Opening, ...], shift: Field | None = None) -> Opening | None:
    """The opening of map(x_1, ...) + shift from those of the x_i, or None if it does not follow (or has too many terms)."""
    late: list[Late] = []
    if isinstance(map, Concat) and len({(len(o.late), o.mask is None) for o in openings}) == 1:
        late = [_concatenated(map, terms) for terms in zip(*(o.late for o in openings), strict=True)]
    else:
        for index, opening in enumerate(openings):
            for term in opening.late:
                if isinstance(map, Combine):
                    k = map.coefficients[index]
                    late.append(Late(_scaled(term.coefficient, k), term.mask))
                elif map.view and len(openings) == 1:
                    late.append(Late(_mapped(map, term.coefficient), Masked(map, (term.mask,))))
                else:
                    return None
    masked = [o.mask for o in openings if o.mask is not None]
    if len(late) > MAX_TERMS or sum(m.size for m in masked) > MAX_LEAVES:
        return None
    if max((m.depth for m in (*masked, *(t.mask for t in late))), default=0) >= MAX_LEAVES:
        return None
    mask: Expression | None = Masked(map, tuple(masked)) if masked else None
    if masked and len(masked) < len(openings):
        if not isinstance(map, Combine):
            return None
        kept = tuple(k for k, o in zip(map.coefficients, openings, strict=True) if o.mask is not None)
        mask = Masked(Combine(kept), tuple(masked))

    def compute() -> Field:
        out = map(*(o.public() for o in openings))
        return out if shift is None else fp.add(out, shift)

    tasks = tuple(task for o in openings for task in o.tasks)
    return Opening(mask, tuple(late), compute, tasks)


def _scaled(coefficient: Callable[[], Field], k: int) -> Callable[[], Field]:
    return lambda: fp.scale(coefficient(), k)


def _concatenated(map: Concat, terms: tuple[Late, ...]) -> Late:
    mask = Masked(map, tuple(term.mask for term in terms))
    return Late(lambda: map(*(term.coefficient() for term in terms)), mask)


def _mapped(map: LinearMap, coefficient: Callable[[], Field]) -> Callable[[], Field]:
    return lambda: fp.contiguous(map(coefficient()))
