"""Secrets that outlive their session: each party keeps its part of x, of a random key beta, and of the tags t = beta x.

    x = sum over i of w_i x_i        w_i = 1 and all parties that saved, or the weights of any t + 1 of Shamir's shares
Restoring: every party of the new session enters its part as an input; chi, which nobody could know before, gives
    z = sum over all saved values of sum_j chi_j t_j - beta sum_j chi_j x_j
and u z is opened for a random u: 0, or some party brought another part than it had saved. An alteration passes with a chance of
2^-59. What is opened instead of 0 is random: z itself would show beta, and the same files may be brought again.

So many parts as put the values together determine them; any fewer tell nothing.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tacit import _core
from tacit import field as fp
from tacit.engine.engine import Engine
from tacit.errors import BadInput, CheatingDetected
from tacit.field import Field
from tacit.fixed.arithmetic import Arithmetic, Number
from tacit.sharing.forms import Elementwise, MatMul, With
from tacit.sharing.maps import Combine, Expand, LinearMap, Reshape, Shape, Sum
from tacit.sharing.operations import Bilinear, Input, Linear, RandomBits
from tacit.sharing.polynomials import point, weights
from tacit.sharing.requests import LENGTH
from tacit.sharing.wires import Wire

SEED = 128


@dataclass(frozen=True)
class Saved:
    """One party's part of a saved secret. Worth nothing without those of `needed - 1` others."""

    origin: str
    """Which value of which session; the same at all parties."""
    party: int
    parties: int
    needed: int
    """Parts that put the value together."""
    shape: Shape
    scale: int
    bits: int
    kind: str
    """What it is in a script: "array", or a torch dtype."""
    values: bytes
    tags: bytes
    key: bytes


def export(a: Arithmetic, x: Number, kind: str) -> Saved:
    """This party's part of x. All parties have to do it alike: one product, one opening of x if there was none, a check."""
    engine = a.engine
    beta = _random(engine, "save")
    flat = _linear(engine, Reshape((fp.size(x.shape),)), x.wire)
    tags = engine.record(Bilinear(Elementwise()), (flat, _linear(engine, Expand(flat.shape), beta)), flat.shape, "save")
    engine.force(flat, tags, beta, purpose="save")
    engine.check()  # before anything is kept: tags of altered openings would fit altered summands
    protocol = engine.protocol
    if engine.returning:
        parts = [np.zeros(0, np.uint64)] * 3  # it has no shares of what was before
    elif engine.dry:
        parts = [np.zeros(w.shape, np.uint64) for w in (flat, tags, beta)]
    else:
        parts = [protocol.kept(w.value()) for w in (flat, tags, beta)]
    values, marks, key = (p.astype("<u8").tobytes() for p in parts)
    origin = f"{engine.session.hex()[:32]}/{tags.serial}"
    return Saved(
        origin,
        protocol.me,
        protocol.parties,
        protocol.needed,
        x.shape,
        x.scale,
        x.bits,
        kind,
        values,
        marks,
        key,
    )


def unpickled(saved: Saved) -> Saved:
    """What a pickled secret becomes: for `Session.restore`."""
    return saved


def restore(a: Arithmetic, saved: Sequence[Saved]) -> list[Number]:
    """The values of which every party gives its part: `BadInput` for too few of them, `CheatingDetected` for altered ones."""
    engine = a.engine
    for s in saved:
        _check(s, saved[0])
    if not saved:
        return []
    members = engine.members
    parties = _announced(engine, members, saved[0])
    added = saved[0].needed == saved[0].parties
    together = Combine(tuple([1] * len(parties) if added else weights([point(i) for i in parties], 0)))

    def whole(s: Saved, part: bytes, count: int) -> Wire:
        return _linear(engine, together, *_entered(engine, members, part, count))

    values = [whole(s, s.values, fp.size(s.shape)) for s in saved]
    tags = [whole(s, s.tags, fp.size(s.shape)) for s in saved]
    keys = [whole(s, s.key, 1) for s in saved]
    engine.force(*values, *tags, *keys, purpose=f"restore {', '.join(map(_what, saved))}")  # before chi is known
    (drawn,) = engine.reveal([engine.record(RandomBits((SEED,)), (), (SEED,), "random numbers of a check")])
    assert drawn is not None
    prg = _core.Prg(np.packbits(drawn.astype(np.uint8)).tobytes(), 0)
    tests = []
    for x, t, beta in zip(values, tags, keys, strict=True):
        chi = With(MatMul(), prg.field(fp.size(x.shape)).reshape(1, -1), True)
        column = Reshape((fp.size(x.shape), 1))
        sums = [_linear(engine, chi, _linear(engine, column, w)) for w in (x, t)]
        product = engine.record(
            Bilinear(Elementwise()), (sums[0], _linear(engine, Reshape((1, 1)), beta)), (1, 1), "restore"
        )
        tests += [sums[1], product]
    total = _linear(engine, Combine((1, -1) * len(saved)), *tests)
    hidden = _linear(engine, Reshape((1, 1)), _random(engine, "restore"))
    (z,) = engine.reveal([engine.record(Bilinear(Elementwise()), (total, hidden), (1, 1), "restore")])
    if z is None or z.any():
        engine.cheated(CheatingDetected("some party brought other shares of a saved secret than it had saved"))
    numbers = []
    for s, x in zip(saved, values, strict=True):
        wire = _linear(engine, Reshape(s.shape), x)
        wire.bound = s.bits
        numbers.append(Number(wire, s.scale, s.bits))
    return numbers


def _check(s: Saved, first: Saved) -> None:
    if (s.party, s.parties, s.needed) != (first.party, first.parties, first.needed):
        raise BadInput(
            f"some of these shares were saved by party {first.party} of {first.parties}, some by party {s.party} of "
            f"{s.parties}, or with another threshold: restore what one session saved"
        )
    count = fp.size(s.shape)
    if count and not s.values:
        raise BadInput(
            "this holds no share: a party on its way back saved it (`session.returning`). Restore the file that it wrote before"
        )
    if (len(s.values), len(s.tags), len(s.key)) != (8 * count, 8 * count, 8):
        raise BadInput("a saved share is damaged: its length is not that of its shape")


def _announced(engine: Engine, members: Sequence[int], s: Saved) -> list[int]:
    """Whose part each of `members` brings: what it says. With a false one, the tags do not fit."""
    mine = np.array([s.party], np.uint64)
    inputs = [
        engine.record(Input(i, (lambda: mine) if i == engine.protocol.me else None), (), (1,), "restore")
        for i in members
    ]
    told = engine.reveal(inputs, detail=f" of {s.parties} parts, {s.needed} needed")
    if engine.dry:
        return list(members)
    parties = [s.parties if number is None else int(number[0]) for number in told]
    if max(parties) >= s.parties or len(set(parties)) < len(parties):
        raise BadInput(
            f"the parties bring the shares of parties {', '.join(map(str, parties))} of {s.parties}: each has to bring its own"
        )
    if len(parties) < s.needed:
        raise BadInput(
            f"{s.needed} of the {s.parties} parties that saved this have to bring their shares, and there are {len(parties)}: "
            "start with more of them"
        )
    return parties


def _what(s: Saved) -> str:
    """What all parties have to restore alike."""
    return f"{s.origin} of shape {s.shape}, scale {s.scale}, {s.bits} bits"


def _entered(engine: Engine, members: Sequence[int], part: bytes, count: int) -> list[Wire]:
    """What each of `members` enters; `part` by this party."""
    mine = np.frombuffer(part, "<u8").astype(np.uint64)
    if not _core.is_canonical(mine):
        raise BadInput("a saved share is damaged: it holds numbers outside the field")

    def give() -> Field:
        return mine

    return [
        engine.record(Input(i, give if i == engine.protocol.me else None), (), (count,), "restore") for i in members
    ]


def _random(engine: Engine, name: str) -> Wire:
    """A random number that nobody knows, shape (1,): LENGTH random bits, 2^-40 from uniform."""
    digits = engine.record(RandomBits((LENGTH,)), (), (LENGTH,), name)
    powers = np.uint64(1) << np.arange(LENGTH, dtype=np.uint64)
    return _linear(engine, Sum((0,), True), _linear(engine, With(Elementwise(), powers), digits))


def _linear(engine: Engine, map: LinearMap, *inputs: Wire) -> Wire:
    return engine.record(Linear(map), inputs, map.shape(*(i.shape for i in inputs)), "restore")


def leaves(x: Any) -> Iterator[Saved]:
    """What was saved, in dictionaries, lists and tuples."""
    if isinstance(x, Saved):
        yield x
    elif isinstance(x, Mapping):
        for value in x.values():
            yield from leaves(value)
    elif isinstance(x, list | tuple):
        for value in x:
            yield from leaves(value)


def replaced(x: Any, by: Callable[[Saved], Any]) -> Any:
    """The same with everything saved replaced."""
    if isinstance(x, Saved):
        return by(x)
    if isinstance(x, Mapping):
        return type(x)((key, replaced(value, by)) for key, value in x.items())  # type: ignore[call-arg]
    if isinstance(x, list | tuple):
        return type(x)(replaced(value, by) for value in x)
    return x
