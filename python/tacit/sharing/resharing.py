"""Shares of the same values for other holders: after parties were lost, or came back (Herzberg et al. 1995).

    [x]' = sum_{i in D} [w_i x_i]',    x = sum_{i in D} w_i x_i,    D: the first t + 1 holders
Each dealer shares its weighted share among all members. What a lost party holds is of no use with the new shares.
The check, with coefficients c from a coin drawn after the dealing; honest holders, t + 1 at least, determine both polynomials:
    sum_k c_k [x_k]' + [r]  is consistent;     sum_k c_k ([x_k] - [x_k]')  is a sharing of 0 by the holders
The first is masked by a random r. The second shows nothing: who knows t points of it knows it, since it is 0 at 0.
An error passes with a chance of 2^-59.
"""

from collections.abc import Generator, Sequence
from typing import Any

import numpy as np

from tacit import _core, field
from tacit.errors import CheatingDetected
from tacit.field import Field
from tacit.sharing.plan import Exchange, received
from tacit.sharing.polynomials import combined, on_polynomial, point, weights
from tacit.sharing.threshold import Shares

PIECE = 1 << 22
"""Elements that are dealt at once."""


def reshare(shares: Shares, holders: Sequence[int], mine: Field | None, count: int) -> Generator[Exchange, Any, Field]:
    """This party's new shares of `count` values, of which `mine` are its old ones (None: it holds none).

    Three rounds for each `PIECE` of elements. `CheatingDetected` if some holder dealt what it does not hold.
    """
    pieces = []
    for start in range(0, count, PIECE):
        stop = min(start + PIECE, count)
        old = None if mine is None else mine[start:stop]
        pieces.append((yield from _piece(shares, holders, old, stop - start)))
    return np.concatenate(pieces) if pieces else np.zeros(0, np.uint64)


def reshare_cost(shares: Shares, holders: Sequence[int], count: int) -> tuple[int, int]:
    """(rounds, bytes that this party sends)."""
    pieces = -(-count // PIECE)
    dealt = shares.deal_cost(dealers(shares, holders), count)[1]
    coins = shares.open_cost(3)[1]
    tests = 8 * (1 + (shares.me in holders)) * (len(shares.members) - 1)
    return 3 * pieces, dealt + pieces * (coins + tests)


def dealers(shares: Shares, holders: Sequence[int]) -> list[int]:
    return sorted(holders)[: shares.threshold + 1]


def _piece(shares: Shares, holders: Sequence[int], old: Field | None, count: int) -> Generator[Exchange, Any, Field]:
    chosen = dealers(shares, holders)
    factors = dict(zip(chosen, weights([point(i) for i in chosen], 0), strict=True))
    part = None
    if shares.me in factors:
        assert old is not None
        part = field.scale(old, factors[shares.me])
    dealt = yield from shares.deal(chosen, part, (count,))
    new = combined([1] * len(dealt), list(dealt.values()))
    prg = _core.Prg((yield from shares.coin()), 0)
    sums = prg.combine([new] if old is None else [new, field.contiguous(old)])
    told = np.array(sums, np.uint64)
    told[0] = _core.add_scalar((yield from shares.random((1,))), sums[0])[0]
    if old is not None:
        told[1] = field.sub(told[1:], np.array(sums[:1], np.uint64))[0]
    words = {i: 1 + (i in holders) for i in shares.members}
    others = shares.group.others
    came = yield Exchange({i: [told] for i in others}, {i: 8 * words[i] for i in others})
    said = {i: told if i == shares.me else received(came[i], (words[i],), i) for i in shares.members}
    consistent = {point(i): int(values[0]) for i, values in said.items()}
    moved = {point(i): int(values[1]) for i, values in said.items() if i in holders}
    if not (on_polynomial(consistent, shares.threshold) and on_polynomial({0: 0, **moved}, shares.threshold)):
        raise CheatingDetected(
            "the check of shares that were dealt anew failed: some party dealt what it does not hold. Nothing was revealed after "
            "it; the session's keys are destroyed. Start again, without that party if you know it"
        )
    return new
