"""Secrets that outlive their session: each party keeps its share of x, of a blind r, of a key beta, and of the tags of both.

    t = beta (x, r)             beta and r uniform, known to nobody, new for each saved value
    x = sum over i of w_i x_i   w_i = 1 and all parties that saved, or the weights of any t + 1 of Shamir's shares
Restoring: as many parties as put the value together enter their shares; chi, which nobody could know before, gives
    z = sum over all saved values of chi . (t' - beta' (x', r'))
and u z is opened for a random u: 0, or some party brought another share than it had saved. An alteration passes with a chance of
2^-58, whatever x is: r, which nobody can guess, makes a wrong tag or key fail where a guess of x would have made it fit
(docs/security/saved-shares.md). A value other than 0 is opened as a random one: z itself would show beta, and the same shares
may be brought again.

A saved share is a dictionary of plain values, so that `torch.load(path, weights_only=True)` reads it.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tacit import _core
from tacit import field as fp
from tacit.correlations.requests import LENGTH
from tacit.engine.engine import Engine
from tacit.errors import BadInput, CheatingDetected
from tacit.field import Field
from tacit.graph.forms import Elementwise, MatMul, With
from tacit.graph.maps import Combine, Concat, Expand, LinearMap, Reshape, Shape, Slice, Sum
from tacit.graph.operations import Bilinear, Input, Linear, RandomBits
from tacit.graph.wires import Wire
from tacit.numbers import origins
from tacit.numbers.arithmetic import Arithmetic, Number
from tacit.protocols.shamir.polynomials import point, weights

SEED = 128
VERSION = 1
"""The version of the format of saved shares."""
MARK = "tacit share"
"""The first key of a saved share; its value is the version of the format."""

Saved = Mapping[str, Any]
"""One party's share of a saved value, as plain values. Worth nothing without those of `needed - 1` others."""
Keep = Callable[[NDArray[np.int64]], Any]
"""How words are kept in a file: as bytes, or as a tensor."""
Item = tuple[Number, str, Keep]
"""A number to be saved, its kind in a script, and how its words are kept."""


@dataclass(frozen=True)
class Part:
    """A saved share that was looked at. `origin` and what follows it are the same at all parties, but for `party`."""

    origin: str
    """Which value of which session."""
    party: int
    parties: int
    needed: int
    """Shares that put the value together."""
    kind: str
    """Its kind in a script: "array", or a torch dtype."""
    scale: int
    bits: int
    shape: Shape
    values: Field
    blind: Field
    tags: Field
    """Tags of the values and of the blind."""
    key: Field
    signers: str
    """Public keys of all parties (`origins`), in hexadecimal, where not all shares are needed."""
    signer: str
    """This party's private one."""

    @property
    def count(self) -> int:
        return fp.size(self.shape)

    def what(self) -> str:
        """A description that has to be the same at all parties that restore the value."""
        meant = f"{self.origin}, {self.kind} of shape {self.shape}, scale {self.scale}, {self.bits} bits"
        return f"{meant}, keys {self.signers}" if self.signers else meant

    def words(self) -> list[Field]:
        return [np.concatenate([self.values, self.blind]), self.tags, self.key]


PLAIN = ("origin", "party", "parties", "needed", "kind", "scale", "bits", "signers", "signer")
WORDS = ("values", "blind", "tags", "key")


def export(a: Arithmetic, items: Sequence[Item]) -> list[Saved]:
    """This party's shares. All parties have to do it alike: a product, one opening of each value that has none, a check."""
    engine, wires = a.engine, []
    secrets = _random(engine, "save", (len(items), 2))
    for i, (x, *_) in enumerate(items):
        row = _linear(engine, Reshape((2,)), _linear(engine, Slice(0, i, i + 1), secrets))
        blind, key = (_linear(engine, Slice(0, k, k + 1), row) for k in range(2))
        flat = _linear(engine, Reshape((fp.size(x.shape),)), x.wire)
        both = _linear(engine, Concat(0), flat, blind)
        spread = _linear(engine, Expand(both.shape), key)
        wires.append((flat, blind, engine.record(Bilinear(Elementwise()), (both, spread), both.shape, "save"), key))
    meant = [f"{kind} of shape {x.shape}, scale {x.scale}, {x.bits} bits" for x, kind, _ in items]
    engine.force(*(w for four in wires for w in four), purpose=f"save {'; '.join(meant)}")
    engine.check()  # before anything is kept: tags of altered openings would fit altered summands
    protocol = engine.protocol
    signer, signers = origins.drawn(engine) if protocol.needed < protocol.parties else ("", "")

    def kept(wire: Wire, keep: Keep) -> Any:
        if engine.returning:
            return keep(np.zeros(0, np.int64))  # it has no shares of what was before
        share = np.zeros(wire.shape, np.uint64) if engine.dry else protocol.kept(wire.value())
        return keep(np.ascontiguousarray(share).view(np.int64))

    session = blake2b(engine.session[:64], digest_size=16, person=b"tacit saved").hexdigest()
    result: list[Saved] = []
    for (x, kind, keep), four in zip(items, wires, strict=True):
        saved = OrderedDict({MARK: VERSION, "origin": f"{session}/{four[2].serial}"})
        saved |= {"party": protocol.me, "parties": protocol.parties, "needed": protocol.needed}
        saved |= {"signers": signers, "signer": signer}
        saved |= {"kind": kind, "shape": list(x.shape), "scale": x.scale, "bits": x.bits}
        saved |= {name: kept(wire, keep) for name, wire in zip(WORDS, four, strict=True)}
        result.append(saved)
    return result


def in_bytes(words: NDArray[np.int64]) -> bytes:
    return words.astype("<i8").tobytes()


def reduced(a: Arithmetic, item: Item) -> tuple[Any, ...]:
    """The pickled form of a secret: its share, for `Session.restore`."""
    (saved,) = export(a, [item])
    return OrderedDict, (list(saved.items()),)


def restore(a: Arithmetic, saved: Sequence[Saved]) -> list[Number]:
    """The values of which the parties give their shares: `BadInput` for too few of them, `CheatingDetected` for altered ones."""
    engine = a.engine
    versions = sorted({str(s[MARK]) for s in saved})
    parts = [_part(s) for s in saved] if versions == [str(VERSION)] else []
    for p in parts:
        _check(p, parts[0])
    engine.force(purpose=f"restore {len(saved)} values saved in format {', '.join(versions) or VERSION}")
    if len(parts) < len(saved):
        raise BadInput(
            f"these shares were saved in format {', '.join(versions)}, and this version of tacit reads format {VERSION}: restore "
            "them with the version that saved them"
        )
    if not parts:
        return []
    members, parties = _chosen(engine, parts)
    added = parts[0].needed == parts[0].parties
    together = Combine(tuple([1] * len(parties) if added else weights([point(i) for i in parties], 0)))
    wires = [[_linear(engine, together, *_entered(engine, members, w)) for w in p.words()] for p in parts]
    engine.force(*(w for three in wires for w in three), purpose=f"restore {'; '.join(p.what() for p in parts)}")
    _test(engine, wires)
    numbers = []
    for p, (both, *_) in zip(parts, wires, strict=True):
        wire = _linear(engine, Reshape(p.shape), _linear(engine, Slice(0, 0, p.count), both))
        wire.bound = p.bits
        numbers.append(Number(wire, p.scale, p.bits))
    return numbers


def _test(engine: Engine, wires: Sequence[Sequence[Wire]]) -> None:
    """u sum of chi . (t - beta (x, r)) is 0. All of them are entered already: chi is drawn only now."""
    prg = _core.Prg(_coin(engine, "random numbers of a check"), 0)
    tests = []
    for both, tags, key in wires:
        chi = With(MatMul(), prg.field(fp.size(both.shape)).reshape(1, -1), True)
        column = Reshape((fp.size(both.shape), 1))
        sums = [_linear(engine, chi, _linear(engine, column, w)) for w in (both, tags)]
        product = engine.record(
            Bilinear(Elementwise()), (sums[0], _linear(engine, Reshape((1, 1)), key)), (1, 1), "restore"
        )
        tests += [sums[1], product]
    total = _linear(engine, Combine((1, -1) * len(wires)), *tests)
    hidden = _random(engine, "restore", (1, 1))
    (z,) = engine.reveal([engine.record(Bilinear(Elementwise()), (total, hidden), (1, 1), "restore")])
    if z is None or z.any():
        engine.cheated(CheatingDetected("some party brought other shares of a saved secret than it had saved"))


def _coin(engine: Engine, label: str) -> bytes:
    """Bytes that nobody knew before."""
    (drawn,) = engine.reveal([engine.record(RandomBits((SEED,)), (), (SEED,), label)])
    assert drawn is not None
    return np.packbits(drawn.astype(np.uint8)).tobytes()


def _part(saved: Saved) -> Part:
    """A share from outside, looked at."""
    try:
        words: dict[str, Any] = {name: _words(saved[name]) for name in WORDS}
        plain: dict[str, Any] = {name: saved[name] for name in PLAIN}
        part = Part(**plain, shape=tuple(saved["shape"]), **words)
    except (KeyError, TypeError, ValueError) as error:
        raise BadInput(f"a saved share is damaged: {type(error).__name__} where it was read") from None
    numbers = (part.party, part.parties, part.needed, part.scale, part.bits, *part.shape)
    if not all(type(n) is int for n in numbers) or min(part.party, *part.shape, part.needed - 1) < 0:
        raise BadInput("a saved share is damaged: its numbers are none, or out of range")
    if part.count and not part.values.size:
        raise BadInput(
            "this holds no share: a party on its way back saved it (`session.returning`). Restore the file that it wrote before"
        )
    if [w.size for w in words.values()] != [part.count, 1, part.count + 1, 1]:
        raise BadInput("a saved share is damaged: its length is not that of its shape")
    keys = [part.parties, 1] if part.needed < part.parties else [0, 0]
    if not all(origins.are_keys(k, n) for k, n in zip((part.signers, part.signer), keys, strict=True)):
        raise BadInput("a saved share is damaged: the keys that say whose it is are missing")
    if not all(_core.is_canonical(w) for w in words.values()):
        raise BadInput("a saved share is damaged: it holds numbers outside the field")
    return part


def _words(kept: Any) -> Field:
    """Bytes or a tensor, as it was kept."""
    words = np.frombuffer(kept, "<i8") if isinstance(kept, bytes) else np.asarray(kept)
    if words.dtype != np.int64 or words.ndim != 1:
        raise ValueError("no list of words")
    return words.astype(np.int64).view(np.uint64)


def _check(p: Part, first: Part) -> None:
    if (p.party, p.parties, p.needed) != (first.party, first.parties, first.needed):
        raise BadInput(
            f"some of these shares were saved by party {first.party} of {first.parties}, some by party {p.party} of "
            f"{p.parties}, or with another threshold: restore what one session saved"
        )


def _chosen(engine: Engine, parts: Sequence[Part]) -> tuple[list[int], list[int]]:
    """The members that enter their shares, and whose share each of them brings: as many as put the value together.

    Where that is not all of them, each proves it: with a false point, what honest parties enter would be weighted otherwise, and
    may cancel.
    """
    p = parts[0]
    members, mine = engine.members, np.array([p.party], np.uint64)
    inputs = [
        engine.record(Input(i, (lambda: mine) if i == engine.protocol.me else None), (), (1,), "restore")
        for i in members
    ]
    told = engine.reveal(inputs, detail=f" of {p.parties} shares, {p.needed} needed")
    parties = [p.parties if number is None else int(number[0]) for number in told]
    if engine.dry:
        parties = list(range(len(members)))
    elif max(parties) >= p.parties or len(set(parties)) < len(parties):
        raise BadInput(
            f"the parties bring the shares of parties {', '.join(map(str, parties))} of {p.parties}: each has to bring its own"
        )
    elif len(parties) < p.needed:
        raise BadInput(
            f"{p.needed} of the {p.parties} parties that saved this have to bring their shares, and there are {len(parties)}: "
            "start with more of them"
        )
    members, parties = members[: p.needed], parties[: p.needed]
    if p.needed < p.parties:
        keys = list(dict.fromkeys((q.signer, q.signers) for q in parts))
        origins.prove(engine, members, parties, keys, _coin(engine, "random numbers to sign"))
    return list(members), parties


def _entered(engine: Engine, members: Sequence[int], mine: Field) -> list[Wire]:
    """Inputs of each of `members`; this party enters `mine`."""
    return [
        engine.record(Input(i, (lambda: mine) if i == engine.protocol.me else None), (), mine.shape, "restore")
        for i in members
    ]


def _random(engine: Engine, name: str, shape: Shape) -> Wire:
    """Random numbers that nobody knows: of LENGTH random bits, so that none is likelier than 2 / p."""
    digits = engine.record(RandomBits((*shape, LENGTH)), (), (*shape, LENGTH), name)
    powers = np.ascontiguousarray(np.broadcast_to(np.uint64(1) << np.arange(LENGTH, dtype=np.uint64), digits.shape))
    return _linear(engine, Sum((len(shape),)), _linear(engine, With(Elementwise(), powers), digits))


def _linear(engine: Engine, map: LinearMap, *inputs: Wire) -> Wire:
    return engine.record(Linear(map), inputs, map.shape(*(i.shape for i in inputs)), "restore")


def is_saved(x: Any) -> bool:
    return isinstance(x, Mapping) and MARK in x


def leaves(x: Any, wanted: Callable[[Any], bool]) -> Iterator[Any]:
    """The items that are `wanted`, out of nested dictionaries, lists and tuples."""
    if wanted(x):
        yield x
    elif isinstance(x, Mapping):
        for value in x.values():
            yield from leaves(value, wanted)
    elif isinstance(x, list | tuple):
        for value in x:
            yield from leaves(value, wanted)


def replaced(x: Any, wanted: Callable[[Any], bool], by: Callable[[Any], Any]) -> Any:
    """The same, as dictionaries, lists and tuples, with everything `wanted` replaced."""
    if wanted(x):
        return by(x)
    if isinstance(x, Mapping):
        ordered = OrderedDict if isinstance(x, OrderedDict) else dict
        return ordered((key, replaced(value, wanted, by)) for key, value in x.items())
    if isinstance(x, list | tuple):
        return (list if isinstance(x, list) else tuple)(replaced(value, wanted, by) for value in x)
    return x
