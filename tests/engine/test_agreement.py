"""Before a graph runs, all parties agree on everything that determines what it computes; who differs learns where, no more."""

import dataclasses
import importlib
import pkgutil
import re
import typing

import numpy as np
import pytest

import tacit
from tacit.graph.forms import Elementwise, Form, MatMul
from tacit.graph.maps import Concat, LinearMap
from tacit.graph.operations import OWN, Operation, fingerprint

X = np.arange(4.0).reshape(2, 2)
C = np.array([[1.0, 2.0], [3.0, 4.0]])
PROTOCOLS = {"spdz": 2, "shamir": 3, "shamir-corrected": 4, "clear": 2}


def kinds(base):
    """All concrete classes of operations, maps or forms that tacit has."""
    for module in pkgutil.walk_packages(tacit.__path__, "tacit."):
        if not module.name.startswith(("tacit._core", "tacit.torch", "tacit.launch.child")):
            importlib.import_module(module.name)
    found, left = [], [base]
    while left:
        kind = left.pop()
        left += kind.__subclasses__()
        if kind is not base and not getattr(kind, "__abstractmethods__", None) and kind.__module__.startswith("tacit."):
            found.append(kind)
    return found


def values(of):
    """Some values of a field's type, each of them different."""
    if of is int:
        return [3, 4, -1]
    if of is bool:
        return [False, True]
    if of is Form:
        return [Elementwise(), MatMul(), MatMul(True), MatMul(False, True)]
    if of is LinearMap:
        return [Concat(0), Concat(1)]
    if typing.get_origin(of) is tuple:
        return (
            [(1, 2), (2, 1), (12, 0)]
            if len(typing.get_args(of)) == 2 and ... not in typing.get_args(of)
            else [(1, 2), (12,), ()]
        )
    if typing.get_origin(of) is np.ndarray:
        return [np.array([[1, 2]], np.uint64), np.array([1, 2], np.uint64), np.array([[1, 3]], np.uint64)]
    raise AssertionError(f"say which values of {of} differ")


@pytest.mark.parametrize("base", [Operation, LinearMap, Form], ids=lambda base: base.__name__)
def test_what_parties_compare_has_every_field(base):
    found = kinds(base)
    assert len(found) > 4
    seen = {}
    for kind in found:
        assert dataclasses.is_dataclass(kind) and "__dataclass_fields__" in vars(kind), kind
        hints = typing.get_type_hints(kind)
        fields = {f.name: [None] if f.metadata.get(OWN) else values(hints[f.name]) for f in dataclasses.fields(kind)}
        first = {name: some[0] for name, some in fields.items()}
        for name, some in fields.items():
            for value in some[1:]:
                given = {**first, name: value}
                seen.setdefault(fingerprint(kind(**given), b"key"), []).append((kind, given))
        seen.setdefault(fingerprint(kind(**first), b"key"), []).append((kind, first))
        assert (
            fingerprint(kind(**first), b"key") == fingerprint(kind(**first), b"key") != fingerprint(kind(**first), b"")
        )
    assert all(len(same) == 1 for same in seen.values())


def test_what_cannot_be_compared_is_refused():
    @dataclasses.dataclass
    class Curious:
        rule: object

    with pytest.raises(TypeError, match="cannot compare"):
        fingerprint(Curious(print), b"")


PAIRS = {
    "form": (lambda x: x * C, lambda x: x @ C),
    "side": (lambda x: x @ C, lambda x: C @ x),
    "order of axes": (lambda x: x @ C, lambda x: x @ np.asfortranarray(C.T)),
    "sum": (lambda x: x.sum(axis=0), lambda x: x.sum(axis=1)),
    "rows": (lambda x: x[[0, 0]], lambda x: x[[0, 1]]),
    "threshold": (lambda x: x > 1, lambda x: x > 2),
    "number": (lambda x: x * 3, lambda x: x * 5),
    "addend": (lambda x: x + 3, lambda x: x + 5),
    "both": (lambda x: x @ x, lambda x: x * x),
}


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("pair", PAIRS)
def test_another_computation_is_a_mismatch_that_names_the_line(protocol, pair):
    mine, other = PAIRS[pair]

    def work(s):
        x = s.secret(X, owner=0)
        return s.reveal(mine(x) if s.me == 0 else other(x))

    with pytest.raises(tacit.Mismatch, match=r"test_agreement\.py:\d+"):
        tacit.run(work, PROTOCOLS[protocol], protocol=protocol, backend="numpy", timeout=10)


def test_no_hash_of_a_public_number_can_be_guessed_without_the_session():
    """What people are shown, and log: of one number, another hash in another session."""

    def work(s):
        s.reveal(s.secret(X, owner=0) + (7 if s.me == 0 else 8))

    hashes = []
    for _ in range(2):
        with pytest.raises(tacit.Mismatch, match="Public numbers in it are not the same") as raised:
            tacit.run(work, 2, backend="numpy", timeout=10)
        hashes.append(re.findall("[0-9a-f]{32}", str(raised.value)))
    assert len({*hashes[0], *hashes[1]}) == 4
