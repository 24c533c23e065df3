"""The check of what was prepared: when it is opened, how much of it, and who is named that opens something else."""

import threading

import pytest

from tacit.errors import CheatingDetected
from tacit.field import P
from tacit.graph.forms import Elementwise
from tacit.preprocessing.lattice.sigmas import NUMBER, OPENED, Pads, settle
from tacit.protocols.plan import Plan
from tests.attacks.keys import LIAR, bits
from tests.attacks.preparing import plan, settled
from tests.preprocessing.lattices import Crew


@pytest.mark.parametrize("at", [0, 1])
def test_whoever_opens_another_sigma_than_it_fixed_is_named(at):
    crew = Crew(2, budget=1 << 17)

    def work(s):
        if s.me == LIAR:
            settled(at)(s._maker.link)
        return s.take(s.request(bits().requests))

    _, honest = crew.results(work)
    crew.close()
    assert isinstance(honest, CheatingDetected) and f"party {LIAR} opened another number than it had fixed" in str(
        honest
    )


def test_what_is_made_ahead_is_checked_when_it_is_asked_for_and_not_before():
    """A failed check shows alpha: it must not be shown while values are opened under it."""
    crew = Crew(2, budget=1 << 17)

    def ask(s):
        p = Plan(0)
        (a, _), (b, _) = p.mask((5,)), p.mask((5,))
        p.product(Elementwise(), a, b)
        return s.take(s.request(p.requests))

    def work(s):
        ask(s)
        if s.me == LIAR:
            second_product(s._maker.link)  # of the list that comes next, and then of what is made ahead
        ask(s)
        (copies,) = (stock for stock in s._foresight._stock.values() if stock)
        copies[0].ahead.made.result(60)
        meter = s._maker.link.channel.meter
        before = meter.snapshot().by_label["check"].rounds
        try:
            ask(s)
        except CheatingDetected:
            return meter.snapshot().by_label["check"].rounds - before
        raise AssertionError("a wrong product was given out")

    for rounds in crew.run(2, work):
        assert rounds == 1  # they were fixed when it was made
    crew.close()


def test_no_share_is_sent_while_another_thread_checks():
    """The thread that makes material comes to an opening in the middle of a check, and waits for its verdict."""
    crew, reached, ended = Crew(2, budget=1 << 17), threading.Event(), threading.Event()

    def work(s):
        link, sent = s._maker.link, []
        honest, waits = link.channel.exchange, s.order.opening
        link.channel.exchange = lambda out, expect, label="": sent.append(label) or honest(out, expect, label=label)
        s.order.opening = lambda: (reached.set() if s.me == LIAR else None) or waits()
        requests = plan().requests
        made = s._worker.submit(lambda: s._maker.make(requests, requests))
        if s.me == LIAR:
            # Its check began before: the others are not in one, and have sent what they open.
            with s.order.check():
                assert reached.wait(60)
                assert "coin" in sent and "opened products" in sent
                assert "sacrifice" not in sent
                ended.set()
        assert ended.wait(60)
        settle(link, made.result(60)[1])
        return sent

    for sent in crew.run(2, work):
        assert "sacrifice" in sent
    crew.close()


@pytest.mark.parametrize("lists", [1, 3])
def test_nothing_but_one_combination_of_sigmas_is_opened(lists):
    """However many batches, and lists, are settled together: with two sums a cheater could divide one error by another."""
    crew = Crew(2, budget=1 << 9)

    def work(s):
        link, said = s._maker.link, []
        honest = link.exchange

        def exchange(out, expect, label):
            said.append((label, sum(len(part) for message in out.values() for part in message)))
            return honest(out, expect, label)

        link.exchange = exchange
        made = []
        for _ in range(lists):
            requests = plan().requests
            made += s._maker.make(requests, requests)[1]
        fixed = [size for label, size in said if label == "check"]
        before = len(said)
        settle(link, made)
        return len(made), fixed, [size for label, size in said[before:] if label == "check"]

    for count, fixed, opened in crew.run(2, work):
        assert count > 3 * lists and fixed == [NUMBER.size] * count
        assert opened == [OPENED.size]
    crew.close()


def test_what_fixes_a_sigma_shows_nothing_of_it_and_serves_once():
    crew = Crew(2)

    def work(s):
        link = s._maker.link
        pads = [Pads(link) for _ in range(40)]
        link.authenticate([u for p in pads for u in p.numbers])
        said, honest = [], link.everyone
        link.everyone = lambda message, expect, label: said.append(message) or honest(message, expect, label)
        bound = [p.bind(link, (-1) ** s.me) for p in pads]
        settle(link, bound)
        with pytest.raises(AssertionError, match="once"):
            settle(link, bound[:1])
        return said

    for said in crew.run(2, work):
        numbers = {NUMBER.unpack(message)[0] for message in said}
        assert len(numbers) == 40 and 5 < sum(n < P // 2 for n in numbers) < 35
    crew.close()


def second_product(link):
    honest, calls = link.multiply, []

    def multiply(units):
        honest(units)
        if units:
            calls.append(units)
        if len(calls) == 2:
            units[0].answers[0].out[0] = (int(units[0].answers[0].out[0]) + 1) % P

    link.multiply = multiply
