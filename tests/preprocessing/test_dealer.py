"""The dealer as a source, and what it refuses."""

import threading

import msgpack
import pytest

from tacit.correlations.requests import pack
from tacit.errors import CheatingDetected, Mismatch, PartyLost, PeerStopped, TacitError
from tacit.graph.forms import Elementwise
from tacit.preprocessing.dealer import Dealer, DealerSource, _digest
from tacit.protocols.plan import Plan
from tacit.testing import source
from tacit.transport import memory


def run(n, work, timeout=20.0, serve=None, cache=1 << 30):
    """work(source) for n parties as threads, with a dealer. Errors are returned."""
    channels = memory.network(n + 1, timeout=timeout)
    results = [None] * (n + 1)

    def party(me):
        try:
            made = DealerSource(me, n, channels[me])
            results[me] = work(made)
            made.close()
        except TacitError as error:
            results[me] = error
            channels[me].stop(str(error))

    def dealer():
        try:
            (serve or Dealer.serve)(Dealer(channels[n], n, cache))
        except TacitError as error:
            results[n] = error
            channels[n].stop(str(error))

    threads = [threading.Thread(target=party, args=(i,)) for i in range(n)] + [threading.Thread(target=dealer)]
    for t in threads:
        t.start()
    for t in threads:
        t.join(30)
        assert not t.is_alive()
    return results if any(isinstance(r, TacitError) for r in results) else results[:n]


@pytest.mark.quick(len(source.CHECKS))
@pytest.mark.parametrize("n", [2, 3, 5])
@pytest.mark.parametrize("check", source.CHECKS, ids=lambda check: check.__name__)
def test_conformance(check, n):
    check(run, n)


@pytest.mark.parametrize("check", source.CHECKS, ids=lambda check: check.__name__)
def test_conformance_with_a_small_cache(check):
    """The dealer expands anew what it has forgotten."""
    check(lambda n, work: run(n, work, cache=1), 3)


def requests(*shapes):
    plan = Plan(0)
    for shape in shapes:
        plan.mask(shape)
    return plan.requests


@pytest.mark.parametrize("n", [2, 3])
def test_lists_that_differ(n):
    def work(made):
        return made.take(made.request(requests((3,) if made.me == 1 else (4,))))

    results = run(n, work)
    assert isinstance(results[n], Mismatch)
    assert "party 1" in str(results[n])
    assert isinstance(results[n - 1], PeerStopped)


def test_a_list_that_is_no_list():
    def work(made):
        packed = msgpack.packb(["nonsense"])
        first = (0).to_bytes(8, "little")
        made._channel.exchange({2: [first, _digest(packed, 0), packed if made.me == 0 else b""]}, {}, label="requests")
        made._channel.exchange({}, {2: 100}, label="corrections")

    assert isinstance(run(2, work)[2], Mismatch)


def test_a_party_that_goes_away():
    def work(made):
        if made.me == 0:
            made._channel.close()
            raise PartyLost(0, "it left")
        return made.take(made.request(requests((3,))))

    results = run(2, work, timeout=2.0)
    assert isinstance(results[2], TacitError)
    assert isinstance(results[1], TacitError)


def test_burning_forgets():
    def work(made):
        ticket = made.request(requests((3,)))
        made.burn()
        for late in (lambda: made.request(requests((3,))), lambda: made.take(ticket)):
            with pytest.raises(CheatingDetected, match="destroyed"):
                late()
        return made.key, made._seed

    assert run(2, work) == [(0, None), (0, None)]


def test_shares_of_a_product_are_uniform_whatever_the_masks():
    """What the corrected party gets of A A is masked by the others' expansions."""
    plan = Plan(0)
    a, _ = plan.mask((500,))
    plan.product(Elementwise(), a, a)

    def work(made):
        return [m.shares[0][0] for m in made.take(made.request(plan.requests))]

    assert pack(plan.requests)
    for party in run(2, work):
        for values in party:
            assert 180 < int((values < (1 << 60)).sum()) < 320
