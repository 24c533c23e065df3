"""Every protocol passes the one conformance suite."""

import pytest

import tacit
from tacit.testing import protocol

KINDS = {
    "spdz": {"protocol": "spdz"},
    "spdz-hub": {"protocol": "spdz", "topology": "hub"},
    "clear": {"protocol": "clear"},
}


@pytest.mark.parametrize("parties", [2, 3, 5])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("check", protocol.CHECKS, ids=lambda check: check.__name__)
def test_conformance(check, kind, parties):
    def run(n, work):
        return tacit.run(lambda s: work(s.engine), parties=n, timeout=20, **KINDS[kind])

    check(run, parties)


def test_clear_works_alone():
    for check in protocol.CHECKS:
        check(lambda n, work: tacit.run(lambda s: work(s.engine), parties=n, protocol="clear"), 1)
