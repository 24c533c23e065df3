"""What a party that lies while material is made does to its keys and its messages."""

from tacit.field import P
from tacit.protocols.plan import Plan

LIAR = 0


def more(x, at=0):
    x = x.copy()
    x[at] = (int(x[at]) + 1) % P
    return x


class Keys:
    """A party's keys, of which some messages are made of other numbers."""

    def __init__(self, keys, **changes):
        self._keys, self._changes = keys, changes

    def __getattr__(self, name):
        real = getattr(self._keys, name)
        change = self._changes.get(name)
        return real if change is None else lambda *given: change(real, *given)


def flipped(payload):
    payload[len(payload) // 2] ^= 1
    return payload


def product(answer):
    """Adds 1 to its share of a product: of the first, or of the random one more."""

    def alter(link):
        honest = link.multiply

        def multiply(units):
            honest(units)
            units[0].answers[answer].out[0] = (int(units[0].answers[answer].out[0]) + 1) % P

        link.multiply = multiply

    return alter


def bits():
    p = Plan(0)
    p.bits((20,))
    return p
