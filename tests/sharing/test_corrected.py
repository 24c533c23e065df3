"""Shamir's shares with correction: the conformance suite."""

import pytest

import tacit
from tacit.testing import protocol

SETTINGS = [(4, 1), (7, 2)]


def corrected(work, parties, threshold=None, **options):
    options = {"timeout": 20, "protocol": "shamir-corrected", "tensors": False} | options
    return tacit.run(work, parties=parties, threshold=threshold, **options)


@pytest.mark.parametrize(("parties", "threshold"), SETTINGS)
@pytest.mark.parametrize("check", protocol.CHECKS, ids=lambda check: check.__name__)
def test_conformance(check, parties, threshold):
    check(lambda n, work: corrected(lambda s: work(s.engine), n, threshold), parties)
