"""Shamir's shares of n parties, of which t may collude (Shamir 1979): dealing, opening, and products of shares.

    x_i = f(i + 1),  f(0) = x,  deg f = t
Dealing: t parties draw their share from a key in common with the dealer, so that it sends n - 1 - t elements.
Opening: everyone sends its share to all. Those of honest parties determine f, since they are t + 1 at least, and each party sees
at once whether all n lie on it; a random combination of the whole array is held against it, with coefficients that the receiver
draws after it got the shares: an error passes with a chance of 2^-60.9. So what is opened is the same at all honest parties.
Products: z_i = f(x_i, y_i) lie on a polynomial of degree 2t. 2t + 1 parties deal w_i z_i, and the sum of what they deal is a new
sharing of z of degree t (Gennaro, Rabin and Rabin 1998): one round, whatever the form. A cheater can add to z what it likes, no
more (Genkin et al. 2014); `shamir.verification` finds it.
Random numbers that nobody knows: `shamir.randomness`.
"""

import hashlib
import secrets
from collections.abc import Callable, Collection, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tacit import _core
from tacit import field as fp
from tacit.errors import CheatingDetected, ConfigurationError, Mismatch
from tacit.field import Field, size
from tacit.interaction.exchange import Exchange, Rounds, received
from tacit.protocols.shamir.polynomials import Redundancy, combined, liars, on_polynomial, point, weights
from tacit.protocols.shamir.randomness import SETS, chosen
from tacit.steps import protocol_step

KEY = 32


@dataclass
class Seeds:
    """Seeds that this party has in common with others: with each peer, and with each set of n - t parties that it is in."""

    pairs: dict[int, bytes] = field(default_factory=dict)
    sets: dict[tuple[int, ...], bytes] = field(default_factory=dict)

    def burn(self) -> None:
        self.pairs, self.sets = {}, {}


class Group:
    """The parties that are there, and t: who deals, who draws, and with which weights.

    A lost party's point is lost with it: the shares of the others stay what they are.
    """

    def __init__(self, me: int, members: Sequence[int], threshold: int, session: bytes, most: int = SETS) -> None:
        """`most`: keys of sets at most; where there would be more, random numbers are extracted (`shamir.randomness`)."""
        parties = len(members)
        if threshold < 1 or parties < 2 * threshold + 1:
            raise ConfigurationError(
                f"protocol shamir with {parties} parties and a threshold of {threshold}: it takes 2 t + 1 parties to withstand "
                f"t >= 1 of them; choose a threshold from 1 to {(parties - 1) // 2}, or start more parties (three at least)"
            )
        self.me, self.members, self.threshold, self.session = me, tuple(members), threshold, session
        self.others = [i for i in self.members if i != me]
        self.most, self.randomness = most, chosen(parties, threshold, most)
        self.sets = self.randomness.sets(self.members, threshold)
        self.seeds = Seeds()

    def among(self, members: Sequence[int]) -> "Group":
        """The same of other members, with no keys yet."""
        return Group(self.me, members, self.threshold, self.session, self.most)

    @property
    def summands(self) -> int:
        """K of `Randomness`."""
        return self.randomness.summands(len(self.members), self.threshold)

    @property
    def certain(self) -> bool:
        """True if t wrong shares of a value of degree t are told from the others."""
        return len(self.members) > 3 * self.threshold

    @property
    def multipliers(self) -> tuple[int, ...]:
        """The parties that deal their part of a product."""
        return self.members[: 2 * self.threshold + 1]

    def drawers(self, dealer: int) -> list[int]:
        """The parties that draw their share of what `dealer` deals."""
        return self._after(dealer)[: self.threshold]

    def _after(self, party: int) -> list[int]:
        """The other members, in turn."""
        at = self.members.index(party)
        return [*self.members[at + 1 :], *self.members[:at]]

    def nearest(self, without: Collection[int] = ()) -> list[int]:
        """t + 1 members that make a value known: this one, and those after it."""
        return [i for i in (self.me, *self._after(self.me)) if i not in without][: self.threshold + 1]

    @protocol_step
    def agree(self) -> Rounds:
        """Keys for all pairs and sets, from contributions of all who share them. Two rounds.

        Members compare hashes of the keys: a contribution that was told differently is found. Contributions need not be
        committed to: who sees those of the others first chooses a key that it knows anyway.
        """
        inside = [a for a in self.sets if self.me in a]
        with_peer = {i: [a for a in inside if i in a] for i in self.others}
        mine: dict[tuple[int, ...], bytes] = {a: secrets.token_bytes(KEY) for a in inside}
        paired = {i: secrets.token_bytes(KEY) for i in self.others}
        came = yield Exchange(
            {i: [paired[i], *(mine[a] for a in with_peer[i])] for i in self.others},
            {i: KEY * (1 + len(with_peer[i])) for i in self.others},
        )
        given: dict[tuple[int, ...], dict[int, bytes]] = {a: {self.me: mine[a]} for a in inside}
        for i in self.others:
            data = bytes(came[i])
            if len(data) != KEY * (1 + len(with_peer[i])):
                raise Mismatch(f"party {i} sent {len(data)} bytes of keys: do all parties run one version of tacit?")
            ordered = (paired[i], data[:KEY]) if self.me < i else (data[:KEY], paired[i])
            self.seeds.pairs[i] = self._hash("pair", *ordered)
            for k, a in enumerate(with_peer[i]):
                given[a][i] = data[KEY * (1 + k) : KEY * (2 + k)]
        for a in inside:
            self.seeds.sets[a] = self._hash("set", str(a).encode(), *(given[a][i] for i in a))
        tests = {i: self._hash("test", *(self.seeds.sets[a] for a in with_peer[i])) for i in self.others}
        came = yield Exchange({i: [tests[i]] for i in self.others}, dict.fromkeys(self.others, KEY))
        for i in self.others:
            if bytes(came[i]) != tests[i]:
                raise CheatingDetected(
                    f"party {i} and party {self.me} have different keys of one set: some party told them different parts of it"
                )

    def _hash(self, domain: str, *parts: bytes) -> bytes:
        return hashed(domain, self.session, *parts)


def hashed(domain: str, *parts: bytes) -> bytes:
    h = hashlib.blake2b(person=b"tacit shamir", digest_size=KEY)
    for part in (domain.encode(), *parts):
        h.update(len(part).to_bytes(8, "little"))
        h.update(part)
    return h.digest()


def combinations_of(shares: Mapping[int, Field]) -> dict[int, int]:
    """One random combination of each party's share; nobody knew the coefficients when it sent its share."""
    sums = _core.Prg(secrets.token_bytes(16), 0).combine([s.reshape(-1) for s in shares.values()])
    return dict(zip(shares, sums, strict=True))


@dataclass(frozen=True)
class Dealing:
    """One party's part when each of some groups of parties deals: `deals`, whether it does so itself."""

    receivers: list[int]
    rows: list[list[int]]
    """The weights of (what it deals, what is drawn): for each receiver, then for its own share of each group's sum."""
    generators: list[_core.Prg]
    sent: list[tuple[int, int]]
    """(group, dealer) of the shares that come."""


class Shares:
    """One party's side in one phase: its generators are its own, so that phases cannot get out of step."""

    corrects = False
    """True if values are opened in spite of wrong shares (`shamir.robust`)."""
    unverified = False
    """True if a later check ensures that what `masked` opens is right, and the same at all parties."""

    def __init__(self, group: Group, phase: str) -> None:
        self.group, self.me, self.members, self.threshold = group, group.me, group.members, group.threshold
        self.burned = False
        self.unproven: Callable[[], int] = lambda: 1
        """How much waits for a check of what was dealt (`Verifier.pending`), where that is known."""
        self._phase = phase.encode()
        pairs = group.seeds.pairs
        self._draw = {i: _core.Prg(self.key("dealt", seed, bytes([self.me]))) for i, seed in pairs.items()}
        self._drawn = {i: _core.Prg(self.key("dealt", seed, bytes([i]))) for i, seed in pairs.items()}
        self.private = _core.Prg(secrets.token_bytes(16), 0)
        self.randomness = group.randomness(self)
        self._deals = {i: self._weights(i) for i in self.members}
        self._dealings: dict[tuple[Any, ...], Dealing] = {}
        self._reduce = weights([point(i) for i in group.multipliers], 0)
        self._without(())

    def burn(self) -> None:
        """Forget the generators: nothing can be dealt or opened after it."""
        self.burned = True
        self._draw, self._drawn, self._dealings = {}, {}, {}
        self.randomness.burn()

    def key(self, domain: str, seed: bytes, *parts: bytes) -> bytes:
        """The key of this phase's generator, from a seed."""
        return hashed(domain, seed, self._phase, *parts)[:16]

    def _without(self, parties: Collection[int]) -> None:
        """Open values from the shares of all others."""
        nearest = self.group.nearest(parties)
        self._opening = nearest, weights([point(i) for i in nearest], 0)
        self._redundancy = Redundancy([point(i) for i in self.members if i not in parties], self.threshold)

    def alive(self) -> None:
        if self.burned:
            raise CheatingDetected("the keys of this session were destroyed: start a new one")

    def _weights(self, dealer: int) -> dict[int, list[int]]:
        """For the dealer and for each party that it sends to: the weights of (secret, what is drawn)."""
        drawers = self.group.drawers(dealer)
        base = [0, *(point(i) for i in drawers)]
        return {i: weights(base, point(i)) for i in self.members if i not in drawers}

    # Randomness.

    def random(self, shape: Sequence[int]) -> Generator[Exchange, Any, Field]:
        """[r], r uniform over F_p."""
        return (yield from self.randomness.random(size(shape))).reshape(shape)

    def coin(self) -> Generator[Exchange, Any, bytes]:
        """16 bytes that nobody knew before they were opened. One round."""
        values = yield from self.open((yield from self.random((3,))))
        return hashed("coin", self.group.session, values.tobytes())[:16]

    # Interaction.

    def deal(
        self, dealers: Sequence[int], mine: Field | None, shape: Sequence[int]
    ) -> Generator[Exchange, Any, dict[int, Field]]:
        """This party's share of what each of `dealers` deals, by dealer; `mine` is what it deals itself. One round."""
        flat = None if mine is None else fp.contiguous(mine).reshape(-1)
        found = yield from self._deal(tuple((i,) for i in dealers), flat, 1, size(shape))
        return {i: share.reshape(shape) for i, share in zip(dealers, found, strict=True)}

    @protocol_step
    def _deal(
        self, groups: tuple[tuple[int, ...], ...], mine: Field | None, factor: int, count: int
    ) -> Generator[Exchange, Any, list[Field]]:
        """This party's share of the sum of what the parties of each group deal; it deals `factor` times `mine` itself."""
        self.alive()
        deals = mine is not None
        if (dealing := self._dealings.get((groups, factor, deals))) is None:
            dealing = self._dealings[groups, factor, deals] = self._dealing(groups, factor, deals)
        sums = _core.mix(count, dealing.rows, [] if mine is None else [mine], dealing.generators)
        out = {j: [sums.pop(0)] for j in dealing.receivers}
        came = yield Exchange(out, {i: 8 * count for _, i in dealing.sent})
        for k, i in dealing.sent:
            _core.accumulate(sums[k], received(came[i], (count,), i))
        return sums

    def _dealing(self, groups: tuple[tuple[int, ...], ...], factor: int, deals: bool) -> Dealing:
        others = [(k, i) for k, group in enumerate(groups) for i in group if i != self.me]
        sent = [(k, i) for k, i in others if self.me in self._deals[i]]
        drawn = [i for k, i in others if (k, i) not in sent]
        mixed = (
            {j: [factor * first % fp.P, *rest] for j, (first, *rest) in self._deals[self.me].items()} if deals else {}
        )
        receivers = [j for j in mixed if j != self.me]
        rows = [[*mixed[j], *(0 for _ in drawn)] for j in receivers]
        for group in groups:
            dealt = [w * (self.me in group) for w in mixed.get(self.me, ())]
            rows.append([*dealt, *(int(i in group) for i in drawn)])
        generators = [self._draw[j] for j in self.group.drawers(self.me) if deals] + [self._drawn[i] for i in drawn]
        return Dealing(receivers, rows, generators, sent)

    def deal_cost(self, dealers: Sequence[int], count: int) -> tuple[int, int]:
        return 1, 8 * count * (len(self.members) - 1 - self.threshold) * (self.me in dealers)

    def reduce(self, z: Field) -> Generator[Exchange, Any, Field]:
        """A new sharing, of degree t, of what has shares `z` of degree 2t. One round."""
        dealers = self.group.multipliers
        mine, factor = None, 1
        if self.me in dealers:
            mine, factor = fp.contiguous(z).reshape(-1), self._reduce[dealers.index(self.me)]
        (share,) = yield from self._deal((dealers,), mine, factor, z.size)
        return share.reshape(z.shape)

    def reduce_cost(self, count: int) -> tuple[int, int]:
        return self.deal_cost(self.group.multipliers, count)

    @protocol_step
    def open(self, share: Field) -> Generator[Exchange, Any, Field]:
        """The value, the same at all honest parties; `CheatingDetected` if some share does not fit. One round."""
        self.alive()
        mine = fp.contiguous(share)
        others = self.group.others
        came = yield Exchange({i: [mine] for i in others}, dict.fromkeys(others, mine.nbytes), self.corrects)
        return self._value(mine, came)

    def masked(self, z: Field) -> Generator[Exchange, Any, Field]:
        """The value of what is hidden by a uniform mask of its own. Where they are `unverified`, `z` may be of degree 2 t."""
        return (yield from self.open(z))

    def masked_cost(self, count: int) -> tuple[int, int]:
        return self.open_cost(count)

    @protocol_step
    def open_to(self, shares: Mapping[int, Field]) -> Generator[Exchange, Any, Field | None]:
        """By party, this party's share of what is opened to it alone. Returns what is opened to this one. One round.

        All wait for all, so that a lost party is missed by all at once: else who waits for a receiver would miss that one.
        """
        self.alive()
        mine, others = shares.get(self.me), self.group.others
        out = {i: [fp.contiguous(shares[i])] if i in shares else [] for i in others}
        came = yield Exchange(out, dict.fromkeys(others, 0 if mine is None else mine.nbytes), self.corrects)
        return None if mine is None else self._value(fp.contiguous(mine), came)

    def _value(self, mine: Field, came: Mapping[int, memoryview]) -> Field:
        shares = self._fitting(mine, came)
        parties, factors = self._opening
        return combined(factors, [shares[i] for i in parties])

    def open_cost(self, count: int) -> tuple[int, int]:
        return 1, 8 * count * len(self.group.others)

    def located(self, values: Mapping[int, int]) -> set[int] | None:
        """The parties whose values, one of each party, are off the polynomial of degree t; None if that cannot be told."""
        return set() if on_polynomial({point(i): v for i, v in values.items()}, self.threshold) else None

    def suspect(self, parties: Collection[int]) -> None:
        """Ignore their shares from now on, where wrong shares are corrected."""
        raise NotImplementedError

    def _fitting(self, mine: Field, came: Mapping[int, memoryview]) -> dict[int, Field]:
        """All shares, if they lie on polynomials of degree t.

        Else whose do not is said only if nothing that was dealt waits for its check: till then, an honest party's share may
        be off because of what another dealt to it.
        """
        shares = {i: mine if i == self.me else received(came[i], mine.shape, i) for i in self.members}
        values = combinations_of(shares)
        if self._redundancy.holds(list(values.values())):
            return shares
        sure = self.group.certain and not self.unproven()
        found = liars({point(i): v for i, v in values.items()}, self.threshold, self.threshold) if sure else None
        who = "some party" if found is None else " and ".join(f"party {x - 1}" for x in found)
        raise CheatingDetected(
            f"{who} sent {'a' if sure else 'or dealt a'} wrong share of a value that was opened. Nothing was revealed; the "
            f"session's keys are destroyed. Start again, without {'that party if you know it' if found is None else who}"
        )
