"""The table of lowering: every protocol has a rule for every operation, and nothing lowers what it has no rule for."""

from dataclasses import dataclass

import pytest

from tacit.errors import Unsupported
from tacit.graph import operations
from tacit.graph.operations import Operation
from tacit.graph.wires import Wire
from tacit.protocols.clear import Clear
from tacit.protocols.masked import MaskedProtocol
from tacit.protocols.opening import OpeningProtocol
from tacit.protocols.plan import Plan
from tacit.protocols.shamir.base import PolynomialProtocol
from tacit.protocols.shamir.protocol import Shamir
from tacit.protocols.shamir.robust import Corrected
from tacit.protocols.spdz.protocol import Spdz

KINDS = [
    k for k in vars(operations).values() if isinstance(k, type) and issubclass(k, Operation) and k is not Operation
]


@pytest.mark.parametrize("protocol", [Clear, Spdz, Shamir, Corrected], ids=lambda p: p.__name__)
def test_every_operation_has_a_rule(protocol):
    assert set(protocol.rules) == set(KINDS)
    for name in protocol.rules.values():
        assert not getattr(getattr(protocol, name), "__isabstractmethod__", False), name


def test_an_operation_without_a_rule():
    @dataclass(eq=False)
    class Unheard(Operation):
        pass

    wire = Wire(Unheard(), (), (2,), "script.py:1")
    with pytest.raises(Unsupported, match=r"no rule that lowers Unheard \(script.py:1\)"):
        Clear(0, 1, b"seed").lower(wire, Plan(0))


def test_the_order_of_bases_decides_nothing():
    """No method of the two halves of `Corrected` hides one of the other."""

    def own(cls):
        return {n for c in cls.__mro__ if c not in OpeningProtocol.__mro__ for n, m in vars(c).items() if callable(m)}

    halves = own(MaskedProtocol) & own(PolynomialProtocol)
    assert not {n for n in halves if not n.startswith("__")}
