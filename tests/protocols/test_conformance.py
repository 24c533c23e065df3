"""Every protocol passes the one conformance suite."""

import pytest
from tests.helpers.settings import full
from tests.preprocessing.lattices import Crew

import tacit
from tacit.preprocessing.lattice import LatticeSource
from tacit.testing import protocol

KINDS = {
    "spdz": {"protocol": "spdz"},
    "spdz-hub": {"protocol": "spdz", "topology": "hub"},
    "clear": {"protocol": "clear"},
}


@pytest.mark.quick()
@pytest.mark.parametrize("parties", full([2, 3, 5], 3))
@pytest.mark.parametrize("kind", full(KINDS, "spdz", "clear"))
@pytest.mark.parametrize("check", protocol.CHECKS, ids=lambda check: check.__name__)
def test_conformance(check, kind, parties):
    def run(n, work):
        return tacit.run(lambda s: work(s.engine), parties=n, timeout=20, **KINDS[kind])

    check(run, parties)


PORTION = 1 << 18
"""Bytes: of these checks, many a graph needs more."""


def in_portions(work, portion=PORTION):
    def cut(session):
        session.engine.portion = portion
        return work(session.engine)

    return cut


PORTIONED = {
    "spdz": (3, {"protocol": "spdz"}),
    "spdz-hub": (3, {"protocol": "spdz", "topology": "hub"}),
    "shamir": (3, {"protocol": "shamir"}),
    "shamir-corrected": (4, {"protocol": "shamir-corrected"}),
}


@pytest.mark.quick(len(protocol.CHECKS))
@pytest.mark.parametrize("kind", PORTIONED)
@pytest.mark.parametrize("check", protocol.CHECKS, ids=lambda check: check.__name__)
def test_conformance_in_portions(check, kind):
    parties, options = PORTIONED[kind]
    portion = PORTION if kind.startswith("spdz") else 4 * PORTION  # each has batches and checks of its own
    check(lambda n, work: tacit.run(in_portions(work, portion), parties=n, timeout=20, **options), parties)


class Lasting(LatticeSource):
    """Outlives its session: keys take seconds."""

    def stop(self):
        pass


@pytest.fixture(
    scope="module", params=[2, pytest.param(3, marks=pytest.mark.slow), pytest.param(5, marks=pytest.mark.slow)]
)
def lasting(request):
    crew = Crew(request.param, make=Lasting, budget=1 << 19)
    yield crew.results(lambda source: source)
    crew.close()


@pytest.mark.quick()
@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("check", "portions"),
    [
        pytest.param(
            check,
            portions,
            marks=[pytest.mark.slow] if portions or check is protocol.declared_costs_are_the_metered_ones else [],
            id=f"{check.__name__}{'-in_portions' * portions}",
        )
        for check in protocol.CHECKS
        for portions in (False, True)
    ],
)
def test_conformance_without_a_third_party(lasting, check, portions):
    def run(n, work):
        body = in_portions(work, 8 * PORTION) if portions else lambda s: work(s.engine)
        return tacit.run(body, parties=n, timeout=60, source=lambda me, n: lasting[me])

    check(run, len(lasting))


def test_clear_works_alone():
    for check in protocol.CHECKS:
        check(lambda n, work: tacit.run(lambda s: work(s.engine), parties=n, protocol="clear"), 1)
