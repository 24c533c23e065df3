"""Bets: an error that the protocol multiplies by what another party holds, less what a guess makes of it.

    z + delta h(y) - delta h(g), right if g = y;   y: numbers of party 0,  g: a guess of them,  h: what follows from them
Party 1 makes the error in one step, and takes away what it expects of it in the same step or another one. If nothing but what is
opened decided whether it is found, then y would. `BETS` has a bet for each step that takes part in one, `NOTHING` why there is
none on what another one does.
"""

from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, replace
from unittest import mock

import numpy as np

import tacit
from tacit import _core
from tacit import field as fp
from tacit.errors import TacitError
from tacit.field import P
from tacit.graph.forms import Elementwise
from tacit.graph.operations import AtLeast
from tacit.interaction.exchange import received
from tacit.preprocessing.lattice import sigmas
from tacit.protocols.shamir.polynomials import point, weights
from tacit.protocols.shamir.protocol import Shamir
from tacit.protocols.shamir.shares import Shares
from tacit.protocols.shamir.verification import Verifier
from tacit.protocols.spdz.protocol import Spdz
from tacit.testing import cheating
from tacit.testing.protocol import product, secret, truncated
from tests.helpers.parties import altered

LIAR, VICTIM = 1, 0
A = np.array([2, 7, 11, 13, 200], np.uint64)
Y = np.array([3 << 38, 1 << 40, 5 << 30, 1 << 33, 9 << 35], np.uint64)
SECRETS = (Y, fp.sub(np.zeros_like(Y), Y))
DELTA = 12345
BITS = 16
"""Bits that a truncation takes off."""


@dataclass
class Game:
    """One run: party 0's numbers, what the cheater takes them for, and what it sees."""

    y: np.ndarray
    guess: np.ndarray
    armed: bool = False
    """True once it cheats, where material is made for several steps."""
    wires: dict = field(default_factory=dict)
    protocol: object = None
    out: np.ndarray | None = None
    """The cheater's share of a product that is being made."""
    counts: dict = field(default_factory=dict)

    def mask(self):
        """The mask under which party 0's numbers were opened."""
        return fp.sub(self.guess, self.protocol.open_values.plain(self.wires["b"]).public())

    def share(self):
        """Party 0's, of t = 1: on the line through its number and the cheater's share."""
        points, at = [0, point(LIAR)], point(VICTIM)
        w = weights(points, at)
        return fp.add(fp.scale(self.guess, w[0]), fp.scale(self.wires["b"].share[0], w[1]))

    def turn(self, name):
        """How often this was asked before."""
        self.counts[name] = self.counts.get(name, 0) + 1
        return self.counts[name]


@dataclass(frozen=True)
class Bet:
    """A cheater's errors in the steps of these names, and the checks that a right guess passes if they are taken out."""

    script: Callable
    lies: dict[str, Callable]
    unchecked: tuple[tuple[object, str, Callable], ...]
    parties: int = 3
    options: dict = field(default_factory=lambda: {"protocol": "shamir"})


# Scripts: x of the cheater, y of party 0.


def inputs(e, game):
    a, b = secret(e, A, LIAR), secret(e, game.y, VICTIM)
    if e.protocol.me == LIAR:
        game.protocol, game.wires = e.protocol, {"a": a, "b": b}
    return a, b


def one_product(e, game):
    z = product(e, Elementwise(), *inputs(e, game))
    return e.reveal([z])


def two_products(e, game):
    a, b = inputs(e, game)
    return e.reveal([product(e, Elementwise(), product(e, Elementwise(), a, a), b)])


def truncated_product(e, game):
    """Its first factor, in units that roundings do not change."""
    a, b = secret(e, A << np.uint64(20), LIAR), secret(e, game.y, VICTIM)
    if e.protocol.me == LIAR:
        game.protocol, game.wires = e.protocol, {"a": a, "b": b}
    (z,) = e.reveal([product(e, Elementwise(), truncated(e, product(e, Elementwise(), a, a), BITS), b)])
    return [(fp.to_signed(fp.mul(z, _core.inverse(game.y))) + 8) // 16]


def comparison(e, game):
    _, b = inputs(e, game)
    return e.reveal([e.record(AtLeast((0,), 42, 16), (b,), (1, *b.shape), "sign")])


def products_of_what_stays(e, game):
    """y was opened for a first product, when the next one is made."""
    _, b = inputs(e, game)
    for _ in range(2):
        z = product(e, Elementwise(), secret(e, A, VICTIM), b)
        e.force(z)
        game.armed = True
    return e.reveal([z])


# What the cheater does. Each is made for a game.


def less(x, error):
    return fp.sub(x, error.reshape(x.shape))


def at(game, name, turn, change):
    """`change(arguments)` at one of the calls of a step."""

    def lie(honest, *given):
        return honest(*(change(*given) if game.turn(name) == turn else given))

    return lie


def opens_more(game):
    return at(
        game, "opens_more", 1, lambda spdz, share: (spdz, (fp.add(share[0], np.full_like(share[0], DELTA)), share[1]))
    )


def opens_less(game):
    def change(spdz, share):
        return spdz, (less(share[0], fp.scale(game.mask(), DELTA)), share[1])

    return at(game, "opens_less", 2, change)


def sends_more(game):
    return at(game, "sends_more", 1, lambda spdz, mine, *rest: (spdz, fp.add(mine, np.full_like(mine, DELTA)), *rest))


def sends_less(game):
    return at(game, "sends_less", 2, lambda spdz, mine, *rest: (spdz, less(mine, fp.scale(game.mask(), DELTA)), *rest))


def reveals_less(game):
    def change(spdz, shares):
        (value, mac), *rest = shares
        return spdz, [(less(value, fp.scale(game.mask(), DELTA)), mac), *rest]

    return at(game, "reveals_less", 1, change)


def multiplies_less(game):
    """Its own part of the second product."""

    def lie(honest, spdz, operation, wire, plan):
        task = honest(spdz, operation, wire, plan)
        run = task.run

        def cheats():
            run()
            wire.share = (less(wire.share[0], fp.scale(game.mask(), DELTA)), wire.share[1])

        if game.turn("multiplies_less") == 2:
            task.run = cheats
        return task

    return lie


def enters_more(game):
    def lie(honest, spdz, operation, wire, plan):
        if operation.owner == LIAR:
            operation = replace(operation, value=lambda: fp.add(A, np.full_like(A, DELTA)))
        return honest(spdz, operation, wire, plan)

    return lie


def reveals_less_of_what_was_entered(game):
    def change(spdz, shares):
        (value, mac), *rest = shares
        return spdz, [(less(value, fp.scale(game.guess, DELTA)), mac), *rest]

    return at(game, "reveals_less", 1, change)


def flips_results(game):
    """A comparison opens a bit for each number last: flipped, it makes 1 - s of s."""

    def lie(honest, spdz, words):
        return honest(spdz, words ^ np.uint64(1) if words.size == Y.size else words)

    return lie


def reveals_flipped(game):
    def change(spdz, shares):
        (value, mac), *rest = shares
        positive = (fp.to_signed(game.guess) >= 0).astype(np.int64)
        return spdz, [(less(value, fp.from_signed(1 - 2 * positive)), mac), *rest]

    return at(game, "reveals_less", 1, change)


def more_to(exchange, number):
    if VICTIM in exchange.out:
        exchange.out[VICTIM] = [fp.add(part, np.full_like(part, number)) for part in exchange.out[VICTIM]]


def deals_more(game):
    """Its input: party 0's share is off its polynomial."""

    def lie(honest, shares, groups, mine, factor, count):
        rounds = honest(shares, groups, mine, factor, count)
        own = groups == ((LIAR,),) and count == A.size and game.turn("deals_more") == 1
        return (yield from altered(rounds, lambda e: more_to(e, DELTA)) if own else rounds)

    return lie


def expected(game, shares):
    """The error of a product that follows from party 0's wrong share of a factor."""
    at = shares.group.multipliers.index(VICTIM)
    return fp.scale(game.share(), shares._reduce[at] * DELTA % P)


def deals_less(game):
    """Its part of the product."""

    def lie(honest, shares, groups, mine, factor, count):
        ours = groups == (shares.group.multipliers,) and count == A.size and mine is not None
        if ours and game.turn("deals_less") == 1:
            mine = less(mine, fp.scale(expected(game, shares), pow(factor, -1, P)))
        return (yield from honest(shares, groups, mine, factor, count))

    return lie


def opens_to_fit(game):
    """The output, as party 0 interpolates it from its own share and the cheater's."""

    def lie(honest, shares, share):
        if share.size == A.size:
            weight = weights([point(VICTIM), point(LIAR)], 0)[1]
            share = less(share, fp.scale(expected(game, shares), pow(weight, -1, P)))
        return (yield from honest(shares, share))

    return lie


def sums_told_differently(game):
    """Party 0's share of the quotient is more."""

    def lie(honest, shares, z):
        rounds, first = honest(shares, z), game.turn("sums") == 1
        return (yield from altered(rounds, lambda e: more_to(e, DELTA << BITS)) if first else rounds)

    return lie


def one(x, number, at=0):
    """`x` with a number added in one place."""
    changed = x.copy()
    changed[at] = (int(changed[at]) + int(number)) % P
    return changed


def encrypts_more(game):
    def lie(honest, keys, layouts, operands):
        first, *rest = operands
        return honest(keys, layouts, [one(first, DELTA if game.armed else 0), *rest])

    return lie


def lost(game):
    """The other's share of the operand in the clear, times the error: the whole mask, which party 0 drew."""
    return P - DELTA * int(game.mask()[0]) % P if game.armed else 0


def makes_less(game):
    def lie(honest, link, units):
        honest(link, units)
        if units and game.turn("makes") and game.armed:
            out = units[0].answers[0].out
            out[:] = one(out, lost(game))

    return lie


def makes_less_in_a_batch(game):
    def lie(honest, batch, pieces):
        honest(batch, pieces)
        if pieces and game.armed:
            out = pieces[0].products[0].value
            out[:] = one(out, lost(game))

    return lie


def notes_what_is_made(game):
    def lie(honest, link, units):
        honest(link, units)
        game.out = units[0].answers[0].out if units and game.armed else None

    return lie


def authenticates_less(game):
    def lie(honest, link, arrays, *label):
        if game.out is not None:
            (made,) = (s for s in arrays if np.shares_memory(s.value, game.out))
            made.value[:] = one(made.value, lost(game))
            game.out = None
        honest(link, arrays, *label)

    return lie


def answers_less(game):
    """To who encrypted: the other's part of what both make is less."""

    def lie(honest, keys, peer, layout, ciphertexts, operand, mask):
        first = game.armed and game.turn("answers") == 1
        return honest(keys, peer, layout, ciphertexts, operand, one(mask, lost(game)) if first else mask)

    return lie


OPEN, OPENED, REVEAL = (
    "protocols.spdz.protocol.Spdz.open",
    "protocols.spdz.protocol.Spdz._opened",
    "protocols.spdz.protocol.Spdz.reveal",
)
INPUT, BILINEAR = "protocols.masked.MaskedProtocol.input", "protocols.masked.MaskedProtocol.bilinear"
BITWISE, DEAL = "protocols.spdz.protocol.Spdz.open_bits", "protocols.shamir.shares.Shares._deal"
SUMS, THRESHOLD = "protocols.shamir.masked_opening.Sums.masked", "protocols.shamir.shares.Shares.open"
ENCRYPT, ANSWER = "_core.LatticeParty.encrypt", "_core.LatticeParty.respond"
MULTIPLY, BATCH = "preprocessing.lattice.link.Link.multiply", "preprocessing.lattice.batch.Batch._multiply"
AUTHENTICATE = "preprocessing.lattice.link.Link.authenticate"


def no_rounds(*_):
    yield from ()


def all_shares(shares, mine, came):
    return {i: mine if i == shares.me else received(came[i], mine.shape, i) for i in shares.members}


MACS = ((Spdz, "_check", no_rounds),)
PRODUCTS = ((Verifier, "check", no_rounds),)
COMPARED = ((Shamir, "_compare", no_rounds),)
FITTING = ((Shares, "_fitting", all_shares),)
SETTLED = ((sigmas, "_settle", lambda *_: None),)
DEALER = {"parties": 2, "options": {"dealer": True}}
ALONE = {"parties": 2, "options": {"dealer": False}}


def both(outer, inner):
    def lie(honest, *given, **named):
        return outer(lambda *changed, **too: inner(honest, *changed, **too), *given, **named)

    return lie


def prepared(step, *lies):
    given = {ENCRYPT: encrypts_more, **dict([(step, lies[0])]), **dict(lies[1:])}
    return Bet(products_of_what_stays, given, SETTLED, **ALONE)


BETS = {
    # D + delta is opened: f(D + delta, [y]) - f(D + delta, E) is off by delta (y - E).
    OPEN: Bet(two_products, {OPEN: lambda g: both(opens_more(g), opens_less(g))}, MACS, **DEALER),
    OPENED: Bet(two_products, {OPENED: lambda g: both(sends_more(g), sends_less(g))}, MACS, **DEALER),
    REVEAL: Bet(two_products, {OPEN: opens_more, REVEAL: reveals_less}, MACS, **DEALER),
    BILINEAR: Bet(two_products, {OPEN: opens_more, BILINEAR: multiplies_less}, MACS, **DEALER),
    # x + delta is entered: the product is off by delta y.
    INPUT: Bet(one_product, {INPUT: enters_more, REVEAL: reveals_less_of_what_was_entered}, MACS, **DEALER),
    # A bit of the comparison is flipped: the result s is off by 1 - 2 s.
    BITWISE: Bet(comparison, {BITWISE: flips_results, REVEAL: reveals_flipped}, MACS, **DEALER),
    # Party 0's share of x is off by delta: w_0 x_0 y_0 is off by w_0 delta y_0, and y with one share says what y_0 is.
    DEAL: Bet(one_product, {DEAL: lambda g: both(deals_more(g), deals_less(g))}, PRODUCTS),
    SUMS: Bet(truncated_product, {SUMS: sums_told_differently, DEAL: deals_less}, PRODUCTS + COMPARED),
    THRESHOLD: Bet(one_product, {DEAL: deals_more, THRESHOLD: opens_to_fit}, PRODUCTS + FITTING),
    # Another number is encrypted: the answer is off by delta times the other's share of the operand in the clear.
    ENCRYPT: prepared(MULTIPLY, makes_less),
    MULTIPLY: prepared(MULTIPLY, makes_less),
    BATCH: prepared(BATCH, makes_less_in_a_batch),
    AUTHENTICATE: prepared(AUTHENTICATE, authenticates_less, (MULTIPLY, notes_what_is_made)),
    ANSWER: prepared(ANSWER, answers_less),
}

TESTED = {
    "_core.LatticeParty.encrypt": "attacks/test_bets.py::test_a_guess_of_what_was_opened_does_not_matter",
    **dict.fromkeys(
        (
            "preprocessing.lattice.batch.Batch._commit",
            "preprocessing.lattice.batch.Batch._show",
            "preprocessing.lattice.link.Link.reveal",
            "preprocessing.lattice.sigmas.Pads.bind",
        ),
        "attacks/test_private_numbers.py::test_a_bet_on_a_square_is_lost_even_if_it_is_right",
    ),
}
"""Tests of bets that are not of this form: numbers where a packing has no place, the signs of squares."""

KEY_ALONE = "what it says is multiplied by others' shares of the MAC key, which are uniform whatever their data are"
OWN = "proves something of its own numbers: all that is unknown to it there is a verifier's share of the MAC key"
UNOPENED = "its error is multiplied by E, which is uniform, and nothing was opened under it"
RANDOM = "random numbers and sums of MACs: all that is unknown to it there is the others' shares of the MAC key"
PUBLIC = "all of it is public, or follows from what is: no secret has a part in it"

NOTHING = {
    "_core.LatticeParty.hello": "a key of its own, proved to be one before anybody computes under it",
    "_core.LatticeParty.scale": KEY_ALONE,
    "preprocessing.dealer.DealerSource.request": PUBLIC,
    "preprocessing.lattice.alpha.check": "random numbers that are thrown away, before anything has a MAC",
    "preprocessing.lattice.batch.Batch._combined": RANDOM,
    "preprocessing.lattice.batch.Batch._prove": OWN,
    "preprocessing.lattice.batch.Batch._sacrifice": UNOPENED,
    "preprocessing.lattice.blame.accuse": "keys of random numbers of which nothing was given out",
    "preprocessing.lattice.link.Link._scaled": KEY_ALONE,
    "preprocessing.lattice.link.Link.open": UNOPENED,
    "preprocessing.lattice.link.Link.renew": "a key of its own, proved to be one before anybody computes under it",
    "preprocessing.lattice.ranges.Lookup.prove": OWN,
    "preprocessing.lattice.sigmas._settle": RANDOM,
    "preprocessing.lattice.squares.Squares.prove": OWN,
    "engine.engine.Engine._agree": PUBLIC,
    "engine.recovery.Recovery._claims": PUBLIC,
    "engine.recovery.Recovery._through": PUBLIC,
    "engine.rejoin.Return._turn": PUBLIC,
    "engine.rejoin.Visit._talk": PUBLIC,
    "sessions.data.announced": PUBLIC,
    "sessions.preparing._fill": PUBLIC,
    "sessions.public.told": PUBLIC,
    "sessions.remote.agreed_id": PUBLIC,
    "protocols.clear.Clear.input": "every party sees every number",
    "interaction.coins.Transcript.commit": RANDOM,
    "interaction.coins.Transcript.everyone": RANDOM,
    "interaction.coins.Transcript.open": RANDOM,
    "protocols.shamir.robust.Corrected.received_input": PUBLIC,
    "protocols.shamir.resharing._compared": "verdicts on combinations that a random number hides",
    "protocols.shamir.resharing._dealt": "its error is added to what others deal, and multiplied by nothing before it is found",
    "protocols.shamir.protocol.Shamir._compare": PUBLIC,
    "protocols.spdz.protocol.Spdz.check": RANDOM,
    "protocols.shamir.shares.Group.agree": "keys of random numbers, compared before anything is drawn from them",
    "protocols.shamir.shares.Shares.open_to": "masks under which nothing was opened; their shares fit one polynomial at once",
    "transport.calls.Calls.sign": PUBLIC,
    "transport.handshake.handshake": PUBLIC,
}
"""Why there is nothing to bet on in a step: no number of another party that data determine meets its error."""


def ends(bet, y, guess, checked=True):
    """By honest party: the numbers that were revealed to it, or the kind of error that it ended with."""
    game, found = Game(y, guess), {}

    def body(session):
        try:
            (shown,) = bet.script(session.engine, game)
            found[session.me] = tuple(shown.reshape(-1).tolist())
        except TacitError as error:
            found[session.me] = type(error).__name__
            raise

    with ExitStack() as stack, suppress(TacitError):
        for place, name, instead in () if checked else bet.unchecked:
            stack.enter_context(mock.patch.object(place, name, instead))
        calls = [stack.enter_context(cheating.replaced(step, LIAR, lie(game))) for step, lie in bet.lies.items()]
        tacit.run(body, parties=bet.parties, backend="numpy", timeout=60, **bet.options)
    assert all(calls), "the cheater did not come to cheat"
    return {i: end for i, end in sorted(found.items()) if i != LIAR}
