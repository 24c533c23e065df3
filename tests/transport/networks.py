"""Makers of channels for the tests of this folder."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from functools import cache
from typing import Any

from tacit.transport import Endpoint, Identity, listen, make_identity
from tacit.transport.tcp import TcpChannel


@cache
def identity(i: int) -> Identity:
    return make_identity(f"party {i}")


def pins(n: int, me: int) -> dict[int, bytes]:
    return {j: identity(j).certificate for j in range(n) if j != me}


def endpoints(n: int, names: Mapping[int, str] | None = None) -> list[Endpoint]:
    listeners = [listen("127.0.0.1", 0) for _ in range(n)]
    addresses = {i: listener.getsockname() for i, listener in enumerate(listeners)}
    return [Endpoint(i, addresses, identity(i), pins(n, i), listener=listeners[i], names=names) for i in range(n)]


def together(*calls: Any) -> list[Any]:
    """Call all at once; results or exceptions."""
    results: list[Any] = [None] * len(calls)

    def one(i: int) -> None:
        try:
            results[i] = calls[i]()
        except Exception as error:
            results[i] = error

    threads = [threading.Thread(target=one, args=(i,), daemon=True) for i in range(len(calls))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive(), "hangs"
    return results


def tls(n: int, *, timeout: float = 60.0, names: Mapping[int, str] | None = None) -> list[TcpChannel]:
    """Parties in threads, with real connections between them."""
    ends = endpoints(n, names)
    channels = together(*[lambda e=e: e.channel("online", range(n), timeout=timeout, within=20) for e in ends])
    for end in ends:
        end.close()
    for channel in channels:
        if isinstance(channel, Exception):
            raise channel
    return channels
