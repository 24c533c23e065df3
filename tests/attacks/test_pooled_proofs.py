"""Verifiers that pool what one prover told them learn nothing: for every other witness there are masks that give the same.

All of it is counted, not argued: what the verifiers hold (Delta_j, K_j) and hear is fixed, another witness is put in, the keys
M_j = K_j - Delta_j x follow, and the masks of each verifier are solved for. They exist, and are one for each verifier.
"""

from types import SimpleNamespace

import numpy as np
import pytest

from tacit import _core, field
from tacit.field import P
from tacit.preprocessing.lattice.randomness import Randomness
from tacit.preprocessing.lattice.ranges import GROUP, Lookup
from tacit.preprocessing.lattice.shared import Shared, turn
from tacit.preprocessing.lattice.squares import Squares

COUNT = 14
SEED = bytes(16)


def coin(stream=0):
    return _core.Prg(SEED, stream)


def vole(shared, deltas, random):
    """The owner of an array gets keys; by verifier, what it holds."""
    shared.mac, shared.keys = np.zeros_like(shared.value), {j: random.field(shared.value.size) for j in deltas}
    return {j: field.add(shared.keys[j], field.scale(shared.value, d)) for j, d in deltas.items()}


def rekeyed(shared, held, deltas):
    """Keys that fit what the verifiers hold, for the value that is there now."""
    shared.keys = {j: field.sub(held[j], field.scale(shared.value, d)) for j, d in deltas.items()}


def squares(parties, a, random):
    link = SimpleNamespace(me=0, parties=parties, random=random, keys=SimpleNamespace(slots=1 << 14), alpha=0)
    return Squares(link, [(Shared(a), Shared(np.zeros(0, np.uint64)))])


@pytest.mark.parametrize("parties", [3, 4])
def test_squares(parties):
    random = Randomness(bytes(32))
    deltas = {j: random.element() for j in range(1, parties)}
    proof = squares(parties, random.field(COUNT), random)
    held = vole(proof._parts[0], deltas, random)
    proof.sums(coin())
    claimed = vole(proof._claims[0], deltas, random)
    told = {j: proof.prove(coin(), j) for j in deltas}

    other = squares(parties, random.field(COUNT), random)
    rekeyed(other._parts[0], held, deltas)
    other.sums(coin())
    claim = other._claims[0]
    claim.value[1:] = 0
    rekeyed(claim, claimed, deltas)
    for j in deltas:
        at = 1 + turn(0, j)
        claim.value[at] = (told[j][1] - other.prove(coin(), j)[1]) % P
    rekeyed(claim, claimed, deltas)
    assert {j: other.prove(coin(), j) for j in deltas} == told


def looked_up(digits, parties):
    """A whole proof's arrays, and a function that makes those of the second step."""
    lookup = Lookup(0, 0, parties)
    lookup.add(Shared(digits, owner=0), 8)
    return lookup, lookup.digits()


@pytest.mark.parametrize("parties", [3, 4])
def test_ranges(parties):
    random = Randomness(bytes(32))
    deltas = {j: random.element() for j in range(1, parties)}
    proof, arrays = looked_up(random.below(COUNT, 1 << 8), parties)
    held = [vole(s, deltas, random) for s in arrays]
    later = proof.sums(coin(), random)
    held_later = [vole(s, deltas, random) for s in later]
    told = {j: proof.prove(coin(1), j) for j in deltas}

    other, arrays = looked_up(random.below(COUNT, 1 << 8), parties)
    for shared, h in zip(arrays, held, strict=True):
        rekeyed(shared, h, deltas)
    later = other.sums(coin(), random)
    masks = later[-1]
    masks.value = np.zeros_like(masks.value)
    for shared, h in zip(later, held_later, strict=True):
        rekeyed(shared, h, deltas)
    # U_h = ... + x'_h + M'_(h + 1), with M' = K' - Delta x': from the last one down.
    for j, d in deltas.items():
        missing = [(a - b) % P for a, b in zip(told[j], other.prove(coin(1), j), strict=True)]
        x = [0] * (GROUP + 1)
        for h in range(GROUP, 0, -1):
            x[h - 1] = (missing[h] + d * x[h]) % P
        masks.value[turn(0, j) * GROUP :][:GROUP] = x[:GROUP]
    rekeyed(masks, held_later[-1], deltas)
    assert {j: other.prove(coin(1), j) for j in deltas} == told
