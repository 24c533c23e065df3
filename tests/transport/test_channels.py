"""Every channel passes the public suite."""

from __future__ import annotations

from typing import Any

import pytest
from networks import tls

from tacit.testing import transport
from tacit.transport import Channel, network
from tacit.transport.emulated import Emulated


def emulated(n: int, **options: Any) -> list[Channel]:
    return [Emulated(channel, 1e-4, 1e9) for channel in network(n, **options)]


def untouched(n: int, **options: Any) -> list[Channel]:
    return [transport.Tampered(channel, lambda peer, k, data, label: data) for channel in network(n, **options)]


@pytest.mark.quick(len(transport.CHECKS))
@pytest.mark.parametrize("make", [network, tls, emulated, untouched], ids=lambda make: make.__name__)
@pytest.mark.parametrize("check", transport.CHECKS, ids=lambda check: check.__name__)
def test_conformance(check: transport.Check, make: transport.Maker) -> None:
    check(make)
