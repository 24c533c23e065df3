"""Shares of the same values for other holders: after parties were lost, or came back (Herzberg et al. 1995).

    [x]' = sum_{i in D} [w_i x_i]',    x = sum_{i in D} w_i x_i,    D: the first t + 1 holders that are not known to be wrong
Each dealer shares its weighted share among all members, and of a random number [r] as well, with polynomials g_i and h_i. What a
lost party holds is of no use with the new shares. The check, with coefficients c from a coin drawn after the dealing: each member
k says G_i(k) for each dealer i, and V(k) if it is a holder,
    G_i = <c, g_i> + h_i  is of degree t, and  G_i(0) = w_i V(i);       V(k) = <c, x_k> + r_k  is of degree t
V is that of the honest holders, t + 1 at least, so that a holder whose V(k) lies elsewhere holds a wrong share, and a dealer
whose G_i(0) is another number deals what it does not hold. All this shows nothing: V is masked by r, G_i by h_i but at 0, where
it is w_i V(i). An error passes with a chance of 2^-59.

Under `shamir` the session ends when something does not fit: old shares may still be what a cheater dealt, and a name would not be
certain. Under `shamir-corrected` old shares were verified, and wrong ones are left out. Each party locates them by itself,
then all compare what they located (one round more), and deal again, with other dealers, if one of them was wrong:
    V(k) is wrong, or all G_i(k) are:       k lies, or its memory does (of t + 1 dealers one is honest)
    G_i(0) is not w_i V(i):                 i likewise
    some G_i(k) is wrong, others are not:   i or k lies; i does not deal, and nobody is named
A party that tells others different things can end the session, as it always can.
"""

from collections import Counter
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tacit import _core, field
from tacit.errors import CheatingDetected
from tacit.field import Field, P
from tacit.interaction.exchange import Exchange, received
from tacit.protocols.shamir.polynomials import combined, point, weights
from tacit.protocols.shamir.shares import Shares
from tacit.steps import protocol_step

PIECE = 1 << 22
"""Elements that are dealt at once."""
BITS = 32
"""Bytes of a set of parties, of which there are 256 at most."""
FAILED = (
    "the check of shares that were dealt anew failed: some party dealt what it does not hold. Nothing was revealed after "
    "it; the session's keys are destroyed. Start again, without that party if you know it"
)


def reshare(shares: Shares, holders: Sequence[int], mine: Field | None, count: int) -> Generator[Exchange, Any, Field]:
    """This party's new shares of `count` values, of which `mine` are its old ones (None: it holds none).

    Three rounds for each `PIECE` of elements, four where wrong shares are corrected. `CheatingDetected` if some holder dealt
    what it does not hold, and that is not corrected.
    """
    pieces = []
    for start in range(0, count, PIECE):
        stop = min(start + PIECE, count)
        old = None if mine is None else field.contiguous(mine[start:stop])
        pieces.append((yield from _piece(shares, sorted(holders), old, stop - start)))
    return np.concatenate(pieces) if pieces else np.zeros(0, np.uint64)


def reshare_cost(shares: Shares, holders: Sequence[int], count: int) -> tuple[int, int]:
    """(rounds, bytes that this party sends) where all dealers are right."""
    pieces = -(-count // PIECE)
    chosen = sorted(holders)[: shares.threshold + 1]
    dealt = shares.deal_cost(chosen, count + pieces)[1]
    coins = shares.open_cost(3)[1]
    tests = (8 * _words(shares, shares.me, holders) + 2 * BITS * shares.corrects) * (len(shares.members) - 1)
    return (3 + shares.corrects) * pieces, dealt + pieces * (coins + tests)


def _words(shares: Shares, member: int, holders: Sequence[int]) -> int:
    """Numbers that a member says in the check."""
    return shares.threshold + 1 + (member in holders)


@dataclass(frozen=True)
class Verdict:
    wrong: set[int]
    """Parties whose shares are wrong, or who say so: this is certain."""
    out: set[int]
    """Those that do not deal any more."""

    def pack(self) -> bytes:
        return b"".join(sum(1 << i for i in parties).to_bytes(BITS, "little") for parties in (self.wrong, self.out))

    @classmethod
    def unpack(cls, data: bytes) -> "Verdict":
        bits = [int.from_bytes(part, "little") for part in (data[:BITS], data[BITS:])]
        return cls(*({i for i in range(8 * BITS) if b >> i & 1} for b in bits))


def _piece(shares: Shares, holders: list[int], old: Field | None, count: int) -> Generator[Exchange, Any, Field]:
    left = holders
    while True:
        chosen = left[: shares.threshold + 1]
        if len(chosen) <= shares.threshold:
            raise CheatingDetected(FAILED)
        dealt, said = yield from _dealt(shares, chosen, holders, old, count)
        verdict = _judged(shares, chosen, holders, said)
        if shares.corrects:
            verdict = yield from _compared(shares, verdict)
            shares.suspect(verdict.wrong)
        elif verdict.out:
            raise CheatingDetected(FAILED)
        if not verdict.out.intersection(chosen):
            return combined([1] * len(dealt), [share[:count] for share in dealt.values()])
        left = [i for i in left if i not in verdict.out]


@protocol_step
def _dealt(
    shares: Shares, chosen: Sequence[int], holders: Sequence[int], old: Field | None, count: int
) -> Generator[Exchange, Any, tuple[dict[int, Field], dict[int, list[int]]]]:
    """The numbers that each dealer dealt, and those that each member states: G_i(k) for each dealer, then V(k)."""
    factors = _factors(chosen)
    r = yield from shares.random((1,))
    part = None
    if shares.me in factors:
        assert old is not None
        part = field.scale(np.concatenate([old, r]), factors[shares.me])
    dealt = yield from shares.deal(chosen, part, (count + 1,))
    prg = _core.Prg((yield from shares.coin()), 0)
    last = [int(share[count]) for share in dealt.values()]
    arrays = [share[:count] for share in dealt.values()]
    if old is not None:
        last, arrays = [*last, int(r[0])], [*arrays, old]
    sums = prg.combine(arrays)
    mine = [(a + b) % P for a, b in zip(sums, last, strict=True)]
    others = shares.group.others
    words = {i: _words(shares, i, holders) for i in shares.members}
    told = np.array(mine, np.uint64)
    came = yield Exchange({i: [told] for i in others}, {i: 8 * words[i] for i in others}, shares.corrects)
    said = {shares.me: mine}
    for i in others:
        try:
            said[i] = [int(v) for v in received(came[i], (words[i],), i)]
        except CheatingDetected:
            if not shares.corrects:
                raise
    return dealt, said


def _judged(
    shares: Shares, chosen: Sequence[int], holders: Sequence[int], said: Mapping[int, Sequence[int]]
) -> Verdict:
    held = {i: said[i][-1] for i in holders if i in said}
    wrong = shares.located(held)
    if wrong is None:
        raise CheatingDetected(FAILED)
    columns = [{k: values[n] for k, values in said.items()} for n in range(len(chosen))]
    off = [shares.located(column) for column in columns]
    silent = set(shares.members).difference(said)
    lying = wrong | silent | set.intersection(*(set() if o is None else set(o) for o in off))
    disputed = set()
    factors = _factors(chosen)
    for i, column, o in zip(chosen, columns, off, strict=True):
        if o is None or o - lying:
            disputed.add(i)
        elif _at(shares, column, o, 0) != factors[i] * _at(shares, held, wrong, point(i)) % P:
            lying.add(i)
    return Verdict(lying, lying | disputed)


def _factors(chosen: Sequence[int]) -> dict[int, int]:
    return dict(zip(chosen, weights([point(i) for i in chosen], 0), strict=True))


def _at(shares: Shares, values: Mapping[int, int], wrong: set[int], a: int) -> int:
    """At a, the polynomial through the values of those that are not wrong."""
    base = [i for i in values if i not in wrong][: shares.threshold + 1]
    return sum(w * values[i] for w, i in zip(weights([point(i) for i in base], a), base, strict=True)) % P


@protocol_step
def _compared(shares: Shares, mine: Verdict) -> Generator[Exchange, Any, Verdict]:
    """The faults that all parties have located that are not wrong themselves.

    A party whose line alters what it sends hears of it from more than t others.
    """
    others = shares.group.others
    came = yield Exchange({i: [mine.pack()] for i in others}, dict.fromkeys(others, 2 * BITS), True)
    said = {i: bytes(came[i]) for i in others if i not in mine.wrong}
    if all(data == mine.pack() for data in said.values()):
        return mine
    (common, count), *_ = Counter(said.values()).most_common(1)
    if count > shares.threshold and shares.me in (theirs := Verdict.unpack(common)).wrong:
        return theirs
    raise CheatingDetected(
        "the parties do not agree on whose shares are wrong, of those that were dealt anew: some party told them different "
        "things. Nothing was revealed after it; the session's keys are destroyed. Start again, without that party if you "
        "know it"
    )
